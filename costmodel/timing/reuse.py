"""Workloads of a network's kernels: the bytes touched between two accesses to a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from costmodel.algebra.arrays import as_floats
from costmodel.algebra.symbols import Dim, are_ints, minimum, same, total
from costmodel.kernels import Kernel
from costmodel.timing.functions import exponentials
from costmodel.timing.stacks import sizes_of, workload_of
from costmodel.timing.workload import PASSING, Channels, Moved, Workload, channels_of


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
    clock = _Counter(sizes, between) if are_ints(sizes) else _Clock(sizes, between)
    everything = clock.everything
    fresh = everything if same(between, 0) else total(sizes[:1])
    # Moments of the last access to the output of each kernel, and of the end of the last kernel of
    # each kind; initially in the previous run.
    touched: dict[str | None, Any] = {}
    ran: dict[str, Any] = {}
    for i, kernel in enumerate(kernels):
        ran[kernel.kind] = clock.at(i + 1 - len(kernels), 0, runs[i], ran.get(kernel.kind))
    latest: Dim = 0
    read_later = {read.maker for kernel in kernels for read in kernel.reads}
    none = Channels()
    layouts: dict[str | None, Channels] = {}
    result = []
    for i, kernel in enumerate(kernels):
        since = clock.since(ran[kernel.kind], i)
        ran[kernel.kind] = clock.at(i + 1, 0, runs[i], ran[kernel.kind])
        reads = []
        for maker, size, least in kernel.reads:
            last = touched.get(maker)
            distance = fresh if last is None else clock.since(last, i + 1)
            reads.append(Moved(size, distance, least))
        for maker, size, _ in kernel.reads:
            if maker in touched:
                touched[maker] = clock.at(i + 1, size, runs[i], touched[maker])
        touched[kernel.name] = clock.at(i + 1, kernel.write_bytes)
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
                special=exponentials(kernel.functions) if kernel.functions else 0,
                products=kernel.products,
                pieces=kernel.pieces,
                reads=tuple(reads),
                writes=Moved(kernel.write_bytes, recycled),
                weights=Moved(kernel.weight_bytes, learned),
                since=since,
                merged=kernel.merged,
                makers=makers,
                last=int(kernel.name not in read_later),
                among=len(kernels),
                nchw=kernel.nchw,
                channels_last=kernel.channels_last,
                turned=kernel.turned,
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


class _Counter:
    """Bytes touched from one moment to another; a moment is a count of bytes since the start."""

    def __init__(self, sizes: Sequence[int], between: Dim) -> None:
        self._before = [0, *accumulate(sizes)]
        self.everything = self._before[-1] + between

    def at(self, kernels: int, ago: Dim, runs: Dim = 1, known: Dim = None) -> Dim:
        """Return the moment of :meth:`_Clock.at`; kernels of numbers run."""
        if kernels > 0:
            return self._before[kernels] - ago
        return self._before[kernels - 1] - self.everything - ago

    def since(self, moment: Dim, now: int) -> Dim:
        """Return the bytes touched from ``moment`` until ``now`` kernels have finished [byte]."""
        return self._before[now] - moment


class _Clock:
    """Bytes touched from one moment to another, of arrays and symbols.

    Differences of counts would depend on all parameters of a space, although most distances depend
    on one or two.
    """

    def __init__(self, sizes: Sequence[Dim], between: Dim) -> None:
        self.everything = total(sizes) + between
        self._sizes, self._between = sizes, between

    def at(self, kernels: int, ago: Dim, runs: Dim = 1, known: _Moment | None = None) -> _Moment:
        """Return the moment ``ago`` bytes before the end of a kernel, or ``known`` if not run."""
        if isinstance(runs, int) or known is None:
            return _Moment(kernels, ago)
        return _Moment(kernels, ago, runs, known)

    def since(self, moment: _Moment, now: int) -> Dim:
        """Return the bytes touched from ``moment`` until ``now`` kernels have finished [byte]."""
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

    return [workload_of(w, map(convert, sizes_of(w))) for w in found]


def _fixed(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values
