"""Many workloads as one: kernels of one kind and structure, their sizes as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from costmodel.algebra.symbols import Dim
from costmodel.kernels import Product
from costmodel.timing.workload import Channels, Moved, Workload

_SIZES = (
    *("multiply_adds", "elementwise", "special", "pieces", "merged", "since", "last", "among"),
    *("nchw", "turned"),
)
_PRODUCT_SIZES = ("batch", "m", "n", "k", "height", "width", "taps", "times", "shared", "sets")


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
        columns = np.array(sizes_of(self.workload))[:, keep]
        return Stack(position[self.index[keep]], workload_of(self.workload, columns))


def stack(sequence: Sequence[Workload]) -> list[Stack]:
    """Return ``sequence`` sorted into kernels of one kind and structure, numbers only.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels import lower
    >>> from costmodel.runtimes import load_runtime
    >>> from costmodel.timing.reuse import workloads
    >>> ws = workloads(lower(zoo.pointwise(56, 56, 24, 48), load_runtime("paper")))
    >>> [s.workload.product.m.tolist() for s in stack(ws * 2)]
    [[48.0, 48.0]]
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, w in enumerate(sequence):
        groups.setdefault((w.kind, w.dtype, w.passes, _structure(w)), []).append(i)
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
    columns = np.array([sizes_of(w) for w in padded], dtype=float).T
    return workload_of(padded[0], np.ascontiguousarray(columns))


def key_of(w: Workload) -> tuple[object, ...]:
    """Return a key that identifies a workload: numbers by value, arrays by identity."""
    sizes = [id(size) if isinstance(size, np.ndarray) else (size,) for size in sizes_of(w)]
    return (w.kind, w.dtype, w.passes, len(w.reads), _structure(w), *sizes)


def _structure(w: Workload) -> tuple[object, ...]:
    """Return the layout and the properties of the products that workloads of one stack share."""
    products = [(p.winograd, p.fourier, p.axes, p.needed is None) for p in w.products]
    return (w.channels_last, *products)


def sizes_of(w: Workload) -> list[Dim]:
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


def workload_of(like: Workload, sizes: Iterable[Dim]) -> Workload:
    """Return a workload of the structure of ``like`` with its ``sizes`` replaced."""
    rest = iter(sizes)
    scalars: dict[str, Any] = {name: next(rest) for name in _SIZES}
    moved = [Moved(next(rest), next(rest), next(rest)) for _ in like.moved]
    makers = tuple(Channels(next(rest), next(rest), next(rest)) for _ in like.makers)
    products = tuple(_product_of(p, rest) for p in like.products)
    return replace(
        like,
        **scalars,
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
