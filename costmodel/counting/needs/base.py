"""Parts of tensors, and the table of the elements that operators need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import singledispatch

import numpy as np

from costmodel.algebra.later import is_expression
from costmodel.algebra.symbols import (
    Dim,
    at_most,
    least_once,
    maximum,
    minimum,
    product,
    same,
    total,
)
from costmodel.ops import Op
from costmodel.ops.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Part:
    """Elements of a tensor that are certainly needed.

    Parameters
    ----------
    box : tuple of Dim
        They contain all combinations of this many positions along each axis. [1]
    elements : Dim
        Their least number: the box, or more for a triangle. [element]
    seen : bool
        Whether a causal mask hides none of them.
    """

    box: tuple[Dim, ...]
    elements: Dim
    seen: bool = field(default=False, repr=False)

    @classmethod
    def of(cls, *box: Dim) -> Part:
        """Return a part that is a box."""
        return cls(box, product(box))

    def made(self, all_elements: Dim, written: Dim) -> Dim:
        """Return the least number of written elements of a tensor if a mask hides some.

        Examples
        --------
        >>> Part((4, 4), 16).made(16, 10), Part((2, 4), 8).made(16, 10)
        (10, 2)
        >>> Part((2, 3), 10, seen=True).made(16, 10)
        10
        """
        if self.seen or same(self.elements, all_elements):
            return written if same(self.elements, written) else minimum(self.elements, written)
        if same(all_elements, written):
            return self.elements
        return maximum(0, self.elements - (all_elements - written))

    def covers(self, elements: Dim) -> Dim:
        """Return 1 where the part has ``elements`` elements, else 0; elementwise for arrays.

        A symbol covers an equal symbol.

        Examples
        --------
        >>> Part.of(2, 3).covers(6), Part.of(2, 2).covers(6)
        (1, 0)
        """
        if is_expression(self.elements) or is_expression(elements):
            return int(same(self.elements, elements))
        return at_most(elements, self.elements)


@dataclass(frozen=True, slots=True)
class Needs:
    """Elements that an operator needs to make parts of its outputs.

    Parameters
    ----------
    inputs : tuple of Part
        The part of each input.
    weights : Dim
        Learned elements and statistics. [element]
    """

    inputs: tuple[Part, ...]
    weights: Dim = 0


def whole(x: Tensor) -> Part:
    """Return all of a tensor."""
    return Part(x.shape, x.elements)


def some(x: Tensor, there: Dim) -> Part:
    """Return the whole tensor where ``there`` is 1, nothing where it is 0."""
    if isinstance(there, int) and there == 1:
        return whole(x)
    return Part(tuple(size * there for size in x.shape), x.elements * there)


def scattered(x: Tensor, count: Dim, there: Dim) -> Part:
    """Return ``count`` elements anywhere in a tensor where ``there`` is 1."""
    return Part((0,) * x.rank, minimum(count, x.elements) * there)


def largest(parts: Sequence[Part], elements: Dim) -> Part:
    """Return the largest part of a tensor; among symbols the first, unless one is whole.

    Examples
    --------
    >>> largest([Part.of(2, 3), Part.of(4, 1)], 12)
    Part(box=(2, 3), elements=6)
    """
    best = parts[0]
    for other in parts[1:]:
        best = _larger(best, other, elements)
    return best


def _larger(a: Part, b: Part, elements: Dim) -> Part:
    if a is b or same(a.elements, elements):
        return a
    if same(b.elements, elements):
        return b
    if is_expression(a.elements) or is_expression(b.elements):
        return b if (b.elements - a.elements).is_positive else a
    first = at_most(b.elements, a.elements)
    if isinstance(first, int):
        return a if first else b
    box = tuple(x * first + y * (1 - first) for x, y in zip(a.box, b.box, strict=True))
    elements = a.elements * first + b.elements * (1 - first)
    return Part(box, elements, a.seen and b.seen)


def needs(op: Op, inputs: tuple[Tensor, ...], parts: tuple[Part, ...]) -> Needs:
    """Return the elements of inputs and weights that ``op`` touches for ``parts`` of its outputs.

    Every schedule touches these elements, or as many others. Indices are assumed to select
    different elements, and grid positions to fall on different pixels.

    Examples
    --------
    >>> from costmodel.ops import Conv
    >>> strided = Conv(64, (1, 1), stride=2)
    >>> x = Tensor((1, 32, 56, 56))
    >>> found = needs(strided, (x,), (whole(strided.infer(x)[0]),))
    >>> found.inputs[0].box, found.weights
    ((1, 32, 28, 28), 2048)
    """
    made = total(part.elements for part in parts)
    if parts and isinstance(made, int) and made == 0:
        return Needs(tuple(Part((0,) * x.rank, 0) for x in inputs))
    found = needs_of(op, inputs, parts)
    if not isinstance(made, np.ndarray) or made.all():
        return found
    there = minimum(1, made)  # without results nothing is touched
    taken = (
        Part(tuple(n * there for n in p.box), p.elements * there, p.seen) for p in found.inputs
    )
    return Needs(tuple(taken), found.weights * there)


@singledispatch
def needs_of(op: Op, inputs: tuple[Tensor, ...], parts: tuple[Part, ...]) -> Needs:
    """Return the need of ``op``: by default the reads of its nest if all is needed, else nothing.

    Operators register stronger rules.
    """
    outputs = op.infer(*inputs)
    nest = None if op.expands else op.nest(*inputs)
    writes = nest.writes if nest is not None and nest.writes is not None else None
    counts = writes or tuple(y.elements for y in outputs)
    there = product(
        p.covers(n if p.seen else y.elements)
        for p, n, y in zip(parts, counts, outputs, strict=True)
    )
    learned = total(w.elements for w in op.weights(*inputs))
    read = learned if nest is None or nest.weight_reads is None else nest.weight_reads
    every = (None,) * len(inputs)
    reads = every if nest is None or nest.reads is None or op.is_view else nest.reads
    taken = tuple(
        some(x, there) if n is None or same(n, x.elements) else scattered(x, n, there)
        for x, n in zip(inputs, reads, strict=True)
    )
    return Needs(taken, least_once(learned, read) * there)


def every_axis(shape: tuple[Dim, ...], box: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """Return the box of an operand of ``shape`` that broadcasts to ``box``."""
    tail = box[len(box) - len(shape) :]
    return tuple(
        minimum(size, n) if not same(size, n) else n for size, n in zip(shape, tail, strict=True)
    )
