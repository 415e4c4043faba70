"""Inputs of the time formulas for a kernel: its sizes, and the reuse distance of every tensor.

The same record holds ints (one kernel), arrays (a design space, or thousands of kernels of many
networks at once) or sympy expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from costmodel.algebra.arrays import as_floats, once
from costmodel.algebra.symbols import Dim, are_ints, ceil_div, maximum, minimum, same, total
from costmodel.kernels import Kernel, Product
from costmodel.kinds import KINDS
from costmodel.timing.functions import exponentials

_SIZES = ("multiply_adds", "elementwise", "special", "pieces", "merged", "since", "last")
PASSING = ("elementwise", "batch_norm", "pool", "max_pool", "resample")
"""Kinds of kernel that write an image in the layout that they read."""
_PRODUCT_SIZES = ("batch", "m", "n", "k", "height", "width", "taps", "times", "shared")


class Moved(NamedTuple):
    """A tensor that a kernel reads or writes.

    Parameters
    ----------
    bytes : Dim
        Its size. [byte]
    distance : Dim
        Bytes touched since the last access to the tensor: its reuse distance. [byte]
    least : Dim, optional
        Its bytes that must move, if they are fewer. [byte]
    """

    bytes: Dim
    distance: Dim
    least: Dim | None = None

    @property
    def required(self) -> Dim:
        """Bytes that must move [byte]."""
        return self.bytes if self.least is None else self.least

    def missed(self, capacity: Dim) -> Dim:
        r"""Return the bytes that a memory of ``capacity`` bytes no longer holds [byte].

        .. math:: \mathrm{bytes} \cdot \min(1, \max(0, d / S - 1/2))

        None at a distance below half the capacity, all beyond one and a half: caches are not
        perfectly LRU, and other data share them.

        Examples
        --------
        >>> [Moved(100, d).missed(1000) for d in (400, 1000, 2000)]
        [0.0, 50.0, 100]
        """
        find = partial(_lost, self.distance, capacity)
        if isinstance(self.distance, np.ndarray):
            return self.bytes * once(find, _lost, self.distance, capacity)
        return self.bytes * find()


def _lost(distance: Dim, capacity: Dim) -> Dim:
    """Return the share of a tensor that a memory no longer holds [1]."""
    share = minimum(1, maximum(0.0, distance / capacity - 0.5))
    if isinstance(share, np.ndarray) and share.min() == share.max():
        # Few distances of a space are near the capacity: a scalar avoids large arrays.
        return float(share.flat[0])
    return share


class Channels(NamedTuple):
    """The channels of a convolution, by which an engine chooses the layout of its images.

    Parameters
    ----------
    groups : Dim
        Groups; 0 for other operators. [1]
    inputs, outputs : Dim
        Channels of a group. [1]
    """

    groups: Dim = 0
    inputs: Dim = 0
    outputs: Dim = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """One kernel, or many of one kind as arrays.

    Parameters
    ----------
    kind, dtype : str
        Kind of kernel and dtype of its arithmetic.
    passes : int
        Operators fused behind the first.
    multiply_adds, elementwise, special : Dim
        Multiply-adds; other operations; the exponentials among them, or functions in exponentials
        (:func:`~costmodel.timing.functions.exponentials`). [operation]
    products : tuple of Product
        The matrix products that make up the multiply-adds.
    pieces : Dim
        Pieces that it handles one after the other. [1]
    reads : tuple of Moved
        Activations read.
    writes, weights : Moved
        Activations written, learned tensors read.
    since : Dim
        Bytes touched since a kernel of the same kind ran. [byte]
    merged : Dim
        Rows whose mean and variance are computed together. [1]
    makers : tuple of Channels
        For each activation read, the convolution that chose its layout.
    last : Dim
        1 if only the caller reads its output, else 0. [1]
    """

    kind: str
    dtype: str
    passes: int
    multiply_adds: Dim
    elementwise: Dim
    special: Dim
    products: tuple[Product, ...]
    pieces: Dim
    reads: tuple[Moved, ...]
    writes: Moved
    weights: Moved
    since: Dim
    merged: Dim = 0
    makers: tuple[Channels, ...] = ()
    last: Dim = 0

    @property
    def moved(self) -> tuple[Moved, ...]:
        """Everything read and written."""
        return (*self.reads, self.weights, self.writes)

    @property
    def bytes(self) -> Dim:
        """Bytes read and written, each tensor once [byte]."""
        return total(tensor.bytes for tensor in self.moved)

    @property
    def read_bytes(self) -> Dim:
        """Activations read [byte]."""
        return total(tensor.bytes for tensor in self.reads)

    @property
    def channels(self) -> Channels:
        """Its own channels if it is a convolution."""
        return channels_of(self.kind, self.products)

    @property
    def product(self) -> Product:
        """The product of a kernel with a single one, such as a convolution."""
        (only,) = self.products
        return only

    def missed(self, capacity: Dim) -> Dim:
        """Return the bytes that come from beyond a memory of ``capacity`` bytes [byte]."""
        return total(tensor.missed(capacity) for tensor in self.moved)


def channels_of(kind: str, products: tuple[Product, ...]) -> Channels:
    """Return the channels of a convolution; none for other kernels.

    Examples
    --------
    >>> channels_of("depthwise", (Product(24, 1, 49, 9, taps=9),))
    Channels(groups=24, inputs=1.0, outputs=1)
    """
    if KINDS[kind].group != "convolution":
        return Channels()
    (p,) = products
    return Channels(p.batch, p.k / p.taps, p.m)


def blocks(p: Product, size: int) -> Dim:
    """Return the output blocks of ``size`` x ``size`` pixels of a convolution, all images [1].

    Examples
    --------
    >>> blocks(Product(1, 8, 2 * 49, 72, height=7, width=7, taps=9), 4)
    8.0
    """
    images = p.n / (p.height * p.width)
    return images * ceil_div(p.height, size) * ceil_div(p.width, size)


def workloads(kernels: Sequence[Kernel], between: Dim = 0) -> list[Workload]:
    """Return the workload of every kernel while the network runs repeatedly.

    Weights and inputs were last touched in the previous run, a whole network ago, unless a kernel
    of this run has cast the weights. An activation was last touched when a kernel made or read it.
    An output is written to memory that was freed after the previous kernel.

    Parameters
    ----------
    kernels : sequence of Kernel
        In order of execution.
    between : Dim
        Bytes that other kernels touch between two runs, after which the inputs are written: for a
        kernel that is measured as if inside a network. [byte]

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels import lower
    >>> from costmodel.runtimes import load_runtime
    >>> (w,) = workloads(lower(zoo.pointwise(56, 56, 24, 48), load_runtime("paper")))
    >>> w.product.m, w.product.n, w.product.k, w.weights.distance == w.bytes
    (48, 3136, 24, True)
    """
    runs = [_runs(kernel) for kernel in kernels]
    sizes = [kernel.bytes * run for kernel, run in zip(kernels, runs, strict=True)]
    clock = _Clock(sizes, between)
    everything = clock.everything
    fresh = everything if same(between, 0) else total(sizes[:1])
    # Moments of the last access to the output of each kernel, and of the end of the last kernel of
    # each kind; initially in the previous run.
    touched: dict[str, _Moment] = {}
    ran: dict[str, _Moment] = {}
    for i, kernel in enumerate(kernels):
        ran[kernel.kind] = _at(runs[i], i + 1 - len(kernels), 0, ran.get(kernel.kind))
    latest: Dim = 0
    read_later = {read.maker for kernel in kernels for read in kernel.reads}
    none = Channels()
    layouts: dict[str | None, Channels] = {}
    result = []
    for i, kernel in enumerate(kernels):
        since = clock.since(ran[kernel.kind], i)
        ran[kernel.kind] = _at(runs[i], i + 1, 0, ran[kernel.kind])
        reads = []
        for read in kernel.reads:
            last = touched.get(read.maker) if read.maker else None
            distance = fresh if last is None else clock.since(last, i + 1)
            reads.append(Moved(read.bytes, distance, read.least))
        for read in kernel.reads:
            if read.maker in touched:
                touched[read.maker] = _at(runs[i], i + 1, read.bytes, touched[read.maker])
        touched[kernel.name] = _Moment(i + 1, kernel.write_bytes)
        makers = tuple([layouts.get(read.maker, none) for read in kernel.reads])
        passed = makers[0] if kernel.kind in PASSING and makers else None
        layouts[kernel.name] = passed or channels_of(kernel.kind, kernel.products)
        recycled = sizes[i] + latest
        cast = touched.get(kernel.learned_from) if kernel.learned_from else None
        learned = everything if cast is None else clock.since(cast, i + 1)
        latest = _where(runs[i], sizes[i], latest)
        result.append(
            Workload(
                kind=kernel.kind,
                dtype=kernel.dtype,
                passes=kernel.passes,
                multiply_adds=kernel.multiply_adds,
                elementwise=kernel.elementwise,
                special=exponentials(kernel.functions),
                products=kernel.products,
                pieces=kernel.pieces,
                reads=tuple(reads),
                writes=Moved(kernel.write_bytes, recycled),
                weights=Moved(kernel.weight_bytes, learned),
                since=since,
                merged=kernel.merged,
                makers=makers,
                last=int(kernel.name not in read_later),
            )
        )
    return _in_floats(result) if isinstance(everything, np.ndarray) else result


class _Moment(NamedTuple):
    """A moment between two kernels, or an earlier one if the first of them does not run."""

    kernels: int
    """Number of finished kernels; zero and negative numbers count back from the end of the previous
    run."""
    ago: Dim
    """Bytes touched just before it. [byte]"""
    runs: Dim = 1
    earlier: _Moment | None = None


def _at(runs: Dim, kernels: int, ago: Dim, known: _Moment | None) -> _Moment:
    if isinstance(runs, int) or known is None:
        return _Moment(kernels, ago)
    return _Moment(kernels, ago, runs, known)


class _Clock:
    """Bytes touched from one moment to another."""

    def __init__(self, sizes: Sequence[Dim], between: Dim) -> None:
        self.everything = total(sizes) + between
        self._sizes, self._between = sizes, between
        # For arrays, differences of such sums would depend on all parameters of a space, although
        # most distances depend on one or two.
        self._before = [0, *accumulate(sizes)] if are_ints(sizes) else None

    def since(self, moment: _Moment, now: int) -> Dim:
        """Return the bytes touched from ``moment`` until ``now`` kernels have finished [byte]."""
        if self._before is not None:
            done = moment.kernels
            start = self._before[done] if done > 0 else self._before[done - 1] - self.everything
            return self._before[now] - start + moment.ago
        distance = self._span(moment.kernels, now) + moment.ago
        if moment.earlier is None:
            return distance
        return _where(moment.runs, distance, self.since(moment.earlier, now))

    def _span(self, start: int, end: int) -> Dim:
        if start > 0:
            return total(self._sizes[start:end])
        rest = self._sizes[len(self._sizes) + start :]
        return total([*rest, self._between, *self._sizes[:end]])


def _runs(kernel: Kernel) -> Dim:
    """Return 1 if a kernel has an output that is not empty, else 0, because it does not run."""
    made = kernel.write_bytes
    return minimum(1, made) if isinstance(made, np.ndarray) and not made.all() else 1


def _where(runs: Dim, value: Dim, otherwise: Dim) -> Dim:
    return value if isinstance(runs, int) else runs * value + (1 - runs) * otherwise


def _in_floats(found: list[Workload]) -> list[Workload]:
    """Return workloads whose arrays hold floats: the time formulas need no exact counts."""
    floats: dict[int, tuple[Dim, Dim]] = {}  # each array once, stored with its number

    def convert(value: Dim) -> Dim:
        if not isinstance(value, np.ndarray):
            return value
        if id(value) not in floats:
            floats[id(value)] = value, _fixed(as_floats(value))
        return floats[id(value)][1]

    return [_workload_of(w, map(convert, _columns(w))) for w in found]


def _fixed(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values


@dataclass(frozen=True, slots=True)
class Stack:
    """Kernels of one kind as arrays, and their positions in the original sequence.

    Parameters
    ----------
    index : ndarray of int
        Their positions.
    workload : Workload
        Their sizes, one array entry per kernel.
    """

    index: np.ndarray
    workload: Workload

    def select(self, keep: np.ndarray, position: np.ndarray) -> Stack:
        """Return the kernels selected by ``keep``, at their new ``position``."""
        columns = np.array(_columns(self.workload))[:, keep]
        return Stack(position[self.index[keep]], _workload_of(self.workload, columns))


def stack(sequence: Sequence[Workload]) -> list[Stack]:
    """Return ``sequence`` sorted into kernels of one kind and structure, numbers only.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels import lower
    >>> from costmodel.runtimes import load_runtime
    >>> ws = workloads(lower(zoo.pointwise(56, 56, 24, 48), load_runtime("paper")))
    >>> [s.workload.product.m.tolist() for s in stack(ws * 2)]
    [[48.0, 48.0]]
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, w in enumerate(sequence):
        structure = tuple((p.winograd, p.fourier, p.axes, p.needed is None) for p in w.products)
        groups.setdefault((w.kind, w.dtype, w.passes, structure), []).append(i)
    return [Stack(np.array(i), _stacked([sequence[j] for j in i])) for i in groups.values()]


def _stacked(alike: list[Workload]) -> Workload:
    width = max(len(w.reads) for w in alike)
    none = Moved(0, 1)
    padded = [
        replace(
            w,
            reads=(*w.reads, *[none] * (width - len(w.reads))),
            makers=(*w.makers, *[Channels()] * (width - len(w.makers))),
        )
        for w in alike
    ]
    columns = np.array([_columns(w) for w in padded], dtype=float).T
    return _workload_of(padded[0], np.ascontiguousarray(columns))


def key_of(w: Workload) -> tuple[object, ...]:
    """Return a key that identifies a workload: numbers by value, arrays by identity."""
    structure = tuple((p.winograd, p.fourier, p.axes, p.needed is None) for p in w.products)
    sizes = [id(size) if isinstance(size, np.ndarray) else (size,) for size in _columns(w)]
    return (w.kind, w.dtype, w.passes, len(w.reads), structure, *sizes)


def _columns(w: Workload) -> list[Dim]:
    """Return all sizes of a workload in a fixed order."""
    found = [getattr(w, name) for name in _SIZES]
    for tensor in w.moved:
        found += (tensor.bytes, tensor.distance, tensor.required)
    for maker in w.makers:
        found += (maker.groups, maker.inputs, maker.outputs)
    for p in w.products:
        found += [getattr(p, name) for name in _PRODUCT_SIZES]
        if p.needed is not None:
            found.append(p.needed)
    return found


def _workload_of(like: Workload, columns: Iterable[Dim]) -> Workload:
    """Return a workload of the structure of ``like`` with the sizes in ``columns``."""
    rest = iter(columns)
    sizes: dict[str, Any] = {name: next(rest) for name in _SIZES}
    moved = [Moved(next(rest), next(rest), next(rest)) for _ in like.moved]
    makers = tuple(Channels(next(rest), next(rest), next(rest)) for _ in like.makers)
    products = tuple(_product_of(p, rest) for p in like.products)
    return replace(
        like,
        **sizes,
        reads=tuple(moved[:-2]),
        weights=moved[-2],
        writes=moved[-1],
        makers=makers,
        products=products,
    )


def _product_of(like: Product, sizes: Iterator[Dim]) -> Product:
    """Return a product of the structure of ``like`` with the next of ``sizes``."""
    found = {name: next(sizes) for name in _PRODUCT_SIZES}
    needed = None if like.needed is None else next(sizes)
    structure: dict[str, Any] = {
        "winograd": like.winograd,
        "fourier": like.fourier,
        "axes": like.axes,
    }
    return Product(**found, **structure, needed=needed)
