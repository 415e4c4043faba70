"""Costs of one operator, derived in one place from its loop nest or expansion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from costmodel.algebra.arrays import check_broadcast, computed_once, once
from costmodel.algebra.symbols import Dim, is_symbolic, maximum, minimum, product, total
from costmodel.ops.base import Expansion, Nest, Op
from costmodel.ops.tensor import DTYPE_BYTES, Tensor


@dataclass(frozen=True, slots=True)
class Cost:
    """Additive costs, without quantities that combine by a maximum (peak memory, span).

    Parameters
    ----------
    multiply_adds : Dim
        Multiply-adds. [multiply-add]
    elementwise : Dim
        Arithmetic operations other than multiply-adds: activations, additions, comparisons,
        biases, normalizations. [operation]
    reads, weight_reads, writes : Dim
        Elements of inputs read, of weights read, of outputs written. [element]
    bytes : Dim
        The same traffic in bytes, each tensor by its dtype. [byte]

    Examples
    --------
    >>> Cost(multiply_adds=2, writes=1) + Cost(multiply_adds=3) * 2
    Cost(multiply_adds=8, elementwise=0, reads=0, weight_reads=0, writes=1, bytes=0)
    """

    multiply_adds: Dim = 0
    elementwise: Dim = 0
    reads: Dim = 0
    weight_reads: Dim = 0
    writes: Dim = 0
    bytes: Dim = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.multiply_adds + other.multiply_adds,
            self.elementwise + other.elementwise,
            self.reads + other.reads,
            self.weight_reads + other.weight_reads,
            self.writes + other.writes,
            self.bytes + other.bytes,
        )

    def __mul__(self, times: Dim) -> Cost:
        return Cost(
            self.multiply_adds * times,
            self.elementwise * times,
            self.reads * times,
            self.weight_reads * times,
            self.writes * times,
            self.bytes * times,
        )

    @property
    def mac(self) -> Dim:
        """Memory access cost: all elements read and written [element]."""
        return self.reads + self.weight_reads + self.writes

    @property
    def work(self) -> Dim:
        """Steps of one processor: multiply-adds and elementwise operations [step]."""
        return self.multiply_adds + self.elementwise


def sum_costs(parts: list[Cost]) -> Cost:
    """Return the sum of many costs, with one addition per quantity.

    Examples
    --------
    >>> sum_costs([Cost(writes=1), Cost(writes=2)]).writes
    3
    """
    return Cost(
        multiply_adds=total([p.multiply_adds for p in parts]),
        elementwise=total([p.elementwise for p in parts]),
        reads=total([p.reads for p in parts]),
        weight_reads=total([p.weight_reads for p in parts]),
        writes=total([p.writes for p in parts]),
        bytes=total([p.bytes for p in parts]),
    )


@dataclass(frozen=True, slots=True)
class OpCost:
    """All costs of an operator on given inputs.

    Parameters
    ----------
    cost : Cost
        The additive costs.
    items : Dim
        Results that can be computed independently of each other. [1]
    span : Dim
        Dependent steps for one result; the reduction runs in order. [step]
    params : Dim
        Learned elements. [element]
    """

    cost: Cost
    items: Dim
    span: Dim
    params: Dim


def op_cost(op: Op, inputs: tuple[Tensor, ...]) -> OpCost:
    """Return the costs of ``op`` on ``inputs``; zero if its outputs are empty.

    Examples
    --------
    >>> from costmodel.ops import Conv
    >>> pointwise = Conv(128, (1, 1))
    >>> op_cost(pointwise, (Tensor((1, 128, 56, 56)),)).cost.mac
    819200
    >>> op_cost(pointwise, (Tensor((0, 128, 56, 56)),)).cost.mac
    0
    """
    try:
        return _cached(op, inputs)
    except TypeError:  # array dimensions are not hashable
        fields = tuple(op.fields().values())
        tensors = tuple((x.shape, x.dtype) for x in inputs)
        found: OpCost = once(
            partial(_cost_of_arrays, op, inputs), op_cost, type(op), fields, tensors
        )
        return found


def _cost_of_arrays(op: Op, inputs: tuple[Tensor, ...]) -> OpCost:
    check_broadcast(_sizes((*op.fields().values(), *inputs)))
    with computed_once():
        return _op_cost(op, inputs)


def _sizes(values: Iterable[Any]) -> Iterator[Dim]:
    """Yield the values of fields and of tensor shapes."""
    for value in values:
        if isinstance(value, tuple | Tensor):
            yield from _sizes(value.shape if isinstance(value, Tensor) else value)
        else:
            yield value


@lru_cache(maxsize=1 << 16)
def _cached(op: Op, inputs: tuple[Tensor, ...]) -> OpCost:
    return _op_cost(op, inputs)


def any_output(outputs: tuple[Tensor, ...]) -> Dim:
    """Return 0 where all outputs of an operator are empty, else 1.

    Symbols stand for non-empty tensors.

    Examples
    --------
    >>> any_output((Tensor((2, 3)),)), any_output((Tensor((0, 3)),))
    (1, 0)
    >>> any_output((Tensor((np.array([0, 4]), 3)),)).tolist()
    [0, 1]
    """
    elements = _elements(outputs)
    if isinstance(elements, np.ndarray):
        return 1 if elements.all() else minimum(1, elements)
    return 0 if outputs and elements == 0 else 1


def _op_cost(op: Op, inputs: tuple[Tensor, ...]) -> OpCost:
    outputs = op.infer(*inputs)
    made = any_output(outputs)
    if isinstance(made, int) and made == 0:
        return OpCost(Cost(), items=0, span=0, params=_elements(op.weights(*inputs)))
    expansion = op.expand(*inputs)
    if expansion is not None:
        result = _expansion_cost(expansion, params=_elements(op.weights(*inputs)))
    else:
        result = _nest_cost(op.nest(*inputs), inputs, op.weights(*inputs), outputs)
    if isinstance(made, int) or made.all():
        return result
    return OpCost(result.cost * made, result.items * made, result.span * made, result.params)


def _nest_cost(
    nest: Nest, inputs: tuple[Tensor, ...], weights: tuple[Tensor, ...], outputs: tuple[Tensor, ...]
) -> OpCost:
    items = product(nest.parallel)
    chain = product(nest.reduced)
    points = items * chain if nest.points is None else nest.points
    params = _elements(weights)
    reads, read_bytes = _traffic(inputs, nest.reads)
    writes, write_bytes = _traffic(outputs, nest.writes)
    if nest.weight_reads is None:
        weight_reads, weight_bytes = _traffic(weights, None)
    else:
        weight_reads = nest.weight_reads
        # Statistics without learned weights (BatchNorm without affine) have the dtype of the input.
        stored = (*weights, *inputs)
        weight_bytes = weight_reads * DTYPE_BYTES[stored[0].dtype] if stored else 0
    cost = Cost(
        multiply_adds=_each(nest.multiply_adds, points),
        elementwise=_each(nest.elementwise, points) + _each(nest.epilogue, items) + nest.extra,
        reads=reads,
        weight_reads=weight_reads,
        writes=writes,
        bytes=read_bytes + weight_bytes + write_bytes,
    )
    if nest.chain is None:
        span = _each(nest.multiply_adds + nest.elementwise, chain) + nest.epilogue
    else:
        span = nest.chain
    work = cost.multiply_adds + cost.elementwise
    if not is_symbolic(work):  # no points give no chain; symbols stand for at least one point
        span = span * minimum(1, work)
    return OpCost(cost, items, span, params)


def _each(operations: int, times: Dim) -> Dim:
    """Return ``operations`` for each of ``times``, without arithmetic on arrays where it is 0."""
    return times * operations if operations else 0


def _expansion_cost(expansion: Expansion, params: Dim) -> OpCost:
    """Sum the costs of the steps; the span is the longest chain through the program."""
    tensors = list(expansion.inputs)
    depth: list[Dim] = [0] * len(tensors)
    parts: list[OpCost] = []
    for step in expansion.steps:
        taken = tuple(tensors[i] for i in step.inputs)
        part = op_cost(step.op, taken)
        outputs = step.op.infer(*taken)
        parts.append(part)
        tensors.extend(outputs)
        depth.extend([maximum(*(depth[i] for i in step.inputs)) + part.span] * len(outputs))
    cost = sum((part.cost for part in parts), Cost()) * expansion.times
    span = maximum(*(depth[i] for i in expansion.outputs)) * expansion.times
    return OpCost(cost, parts[0].items, span, params)


def _elements(tensors: tuple[Tensor, ...]) -> Dim:
    return total(t.elements for t in tensors)


def _traffic(tensors: tuple[Tensor, ...], elements: tuple[Dim, ...] | None) -> tuple[Dim, Dim]:
    """Return elements and bytes; tensors beyond the end of ``elements`` are not touched."""
    counts = tuple(t.elements for t in tensors) if elements is None else elements
    size = [n * DTYPE_BYTES[t.dtype] for t, n in zip(tensors, counts, strict=False)]
    return total(counts), total(size)
