"""Kernels as the time formulas see them: sizes, and for every tensor how long ago it was touched.

The same record holds ints (one kernel), arrays (a design space, or thousands of kernels of many
networks at once) or sympy expressions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.algebra.symbols import Dim, ceil_div, maximum, minimum, same, total
from costmodel.kernels import Kernel, Product

_SIZES = (
    "multiply_adds",
    "elementwise",
    "special",
    "batch",
    "m",
    "n",
    "k",
    "height",
    "width",
    "taps",
    "rows",
    "since",
)
_NO_PRODUCT = Product(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Moved:
    """A tensor that a kernel reads or writes.

    Parameters
    ----------
    bytes : Dim
        Its size. [byte]
    distance : Dim
        Bytes touched since the tensor itself was touched last: its reuse distance. [byte]
    """

    bytes: Dim
    distance: Dim

    def missed(self, capacity: Dim) -> Dim:
        r"""Return the bytes that a memory of ``capacity`` bytes does not hold any more [byte].

        .. math:: \mathrm{bytes} \cdot \min(1, \max(0, d / S - 1/2))

        None at a distance below half the capacity, all beyond one and a half: caches are not
        perfectly LRU, and other data share them.

        Examples
        --------
        >>> [Moved(100, d).missed(1000) for d in (400, 1000, 2000)]
        [0.0, 50.0, 100]
        """
        return self.bytes * minimum(1, maximum(0.0, self.distance / capacity - 0.5))


@dataclass(frozen=True, slots=True)
class Workload:
    """One kernel, or many of one kind as arrays.

    Parameters
    ----------
    kind, dtype : str
        Kind of kernel and dtype of its arithmetic.
    winograd : bool
        Whether it is a dense 3x3 convolution of stride and dilation 1.
    passes : int
        Operators fused behind the first.
    multiply_adds, elementwise, special : Dim
        Multiply-adds; other operations; exponentials among them, or what costs as many.
    batch, m, n, k, height, width, taps : Dim
        The matrix products, zero where it is none (see :class:`~costmodel.kernels.Product`). [1]
    rows : Dim
        Pieces that it handles one after the other. [1]
    reads, writes : tuple of Moved
        Activations read and written.
    weights : Moved
        Learned tensors read.
    since : Dim
        Bytes touched since a kernel of the same kind ran. [byte]
    """

    kind: str
    dtype: str
    winograd: bool
    passes: int
    multiply_adds: Dim
    elementwise: Dim
    special: Dim
    batch: Dim
    m: Dim
    n: Dim
    k: Dim
    height: Dim
    width: Dim
    taps: Dim
    rows: Dim
    reads: tuple[Moved, ...]
    writes: Moved
    weights: Moved
    since: Dim

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

    def blocks(self, size: int) -> Dim:
        """Return the output blocks of ``size`` x ``size`` pixels over all images [1]."""
        images = self.n / (self.height * self.width)
        return images * ceil_div(self.height, size) * ceil_div(self.width, size)

    def missed(self, capacity: Dim) -> Dim:
        """Return the bytes that come from beyond a memory of ``capacity`` bytes [byte]."""
        return total(tensor.missed(capacity) for tensor in self.moved)


def workloads(kernels: Sequence[Kernel], between: Dim = 0) -> list[Workload]:
    """Return the workload of every kernel, as the network runs again and again.

    Weights and inputs were touched last in the run before, a whole network ago; an activation when
    the kernel before made or read it; an output goes where an allocator puts it, into memory that
    was freed when the kernel before it was done.

    Parameters
    ----------
    kernels : sequence of Kernel
        In order of execution.
    between : Dim
        Bytes that other kernels touch between two runs, the inputs being made last: a kernel that
        is measured as if inside a network. [byte]

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels.lowering import lower
    >>> from costmodel.runtimes import load_runtime
    >>> (w,) = workloads(lower(zoo.pointwise(56, 56, 24, 48), load_runtime("paper")))
    >>> w.m, w.n, w.k, w.weights.distance == w.bytes
    (48, 3136, 24, True)
    """
    sizes = [kernel.bytes for kernel in kernels]
    everything = total(sizes) + between
    fresh = everything if same(between, 0) else total(sizes[:1])
    before: list[Dim] = [0]
    for size in sizes:
        before.append(before[-1] + size)
    # Bytes touched up to the moment when the output of a kernel was touched last.
    touched: dict[str, Dim] = {}
    # Bytes touched up to the end of the last kernel of a kind; of the run before, to begin with.
    ran = {kernel.kind: before[i + 1] - everything for i, kernel in enumerate(kernels)}
    result = []
    for i, kernel in enumerate(kernels):
        since = before[i] - ran[kernel.kind]
        ran[kernel.kind] = before[i + 1]
        reads = []
        for read in kernel.reads:
            if read.maker in touched:
                reads.append(Moved(read.bytes, before[i + 1] - touched[read.maker]))
            else:
                reads.append(Moved(read.bytes, fresh))
        for read in kernel.reads:
            if read.maker in touched:
                touched[read.maker] = before[i + 1] - read.bytes
        touched[kernel.name] = before[i + 1] - kernel.write_bytes
        recycled = sizes[i] + (sizes[i - 1] if i else 0)
        result.append(_workload(kernel, tuple(reads), recycled, everything, since))
    return result


def _workload(
    kernel: Kernel, reads: tuple[Moved, ...], recycled: Dim, everything: Dim, since: Dim
) -> Workload:
    product = kernel.product or _NO_PRODUCT
    return Workload(
        kind=kernel.kind,
        dtype=kernel.dtype,
        winograd=product.winograd,
        passes=kernel.passes,
        multiply_adds=kernel.multiply_adds,
        elementwise=kernel.elementwise,
        special=kernel.special,
        batch=product.batch,
        m=product.m,
        n=product.n,
        k=product.k,
        height=product.height,
        width=product.width,
        taps=product.taps,
        rows=kernel.rows,
        reads=reads,
        writes=Moved(kernel.write_bytes, recycled),
        weights=Moved(kernel.weight_bytes, everything),
        since=since,
    )


@dataclass(frozen=True, slots=True)
class Stack:
    """Kernels of one kind as arrays, and where they belong in the sequence they come from.

    Parameters
    ----------
    index : ndarray of int
        Their positions.
    workload : Workload
        Their sizes, one array entry a kernel.
    """

    index: np.ndarray
    workload: Workload

    def select(self, keep: np.ndarray, position: np.ndarray) -> Stack:
        """Return the kernels where ``keep``, at their new ``position``."""
        w = self.workload
        sizes = {name: getattr(w, name)[keep] for name in _SIZES}
        return Stack(
            position[self.index[keep]],
            replace(
                w,
                **sizes,
                reads=tuple(_select(t, keep) for t in w.reads),
                writes=_select(w.writes, keep),
                weights=_select(w.weights, keep),
            ),
        )


def stack(sequence: Sequence[Workload]) -> list[Stack]:
    """Return ``sequence`` sorted into kinds, numbers only.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels.lowering import lower
    >>> from costmodel.runtimes import load_runtime
    >>> ws = workloads(lower(zoo.pointwise(56, 56, 24, 48), load_runtime("paper")))
    >>> [s.workload.m.tolist() for s in stack(ws * 2)]
    [[48.0, 48.0]]
    """
    groups: dict[tuple[str, str, bool, int], list[int]] = {}
    for i, w in enumerate(sequence):
        groups.setdefault((w.kind, w.dtype, w.winograd, w.passes), []).append(i)
    return [
        Stack(np.array(index), _stacked([sequence[i] for i in index])) for index in groups.values()
    ]


def _stacked(same_kind: list[Workload]) -> Workload:
    first = same_kind[0]
    width = max(len(w.reads) for w in same_kind)
    none = Moved(0, 1)
    padded = [(*w.reads, *[none] * (width - len(w.reads))) for w in same_kind]
    sizes: dict[str, Any] = {name: _floats(getattr(w, name) for w in same_kind) for name in _SIZES}
    return replace(
        first,
        **sizes,
        reads=tuple(_stacked_moved([row[j] for row in padded]) for j in range(width)),
        writes=_stacked_moved([w.writes for w in same_kind]),
        weights=_stacked_moved([w.weights for w in same_kind]),
    )


def _select(tensor: Moved, keep: np.ndarray) -> Moved:
    return Moved(tensor.bytes[keep], tensor.distance[keep])


def _stacked_moved(tensors: list[Moved]) -> Moved:
    return Moved(_floats(t.bytes for t in tensors), _floats(t.distance for t in tensors))


def _floats(values: Iterable[Dim]) -> np.ndarray:
    return np.array([float(v) for v in values])
