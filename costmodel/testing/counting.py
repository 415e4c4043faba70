"""Loops that count against the formulas: a record of what they counted, and the comparison.

Counting loops run an operator index by index and share no code with its formulas. Those of the
operators of :mod:`costmodel.ops` are in ``tests/oracles``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from costmodel.counting.cost import Cost, op_cost
from costmodel.ops import Op
from costmodel.ops.tensor import Tensor

Shape: TypeAlias = tuple[int, ...]


@dataclass
class Count:
    """The counts of the loops of one operator.

    Parameters
    ----------
    outputs : list of tuple of int
        The shapes of the outputs. [element]
    multiply_adds, elementwise : int
        Multiply-adds, and other arithmetic operations. [multiply-add], [operation]
    touched : list of set
        The distinct visited indices of each input.
    weights, written : set
        The distinct indices of the weights that were read, and of the outputs that were written.
    reads, weight_reads, writes : int, optional
        The count of the library, if its convention differs from the elements that the loops touch.
        By default every input whole, and every index of ``weights`` and of ``written``. [element]
    """

    outputs: list[Shape] = field(default_factory=list)
    multiply_adds: int = 0
    elementwise: int = 0
    touched: list[set[Any]] = field(default_factory=list)
    weights: set[Any] = field(default_factory=set)
    written: set[Any] = field(default_factory=set)
    reads: int | None = None
    weight_reads: int | None = None
    writes: int | None = None


Oracle: TypeAlias = Callable[..., Count]
"""Counting loops: a function of an operator and the int shapes of its inputs."""


def count_problems(op: Op, inputs: tuple[Tensor, ...], counted: Count) -> list[str]:
    """Return differences of the formulas of ``op`` from the counts of its loops, one per line.

    Examples
    --------
    >>> from costmodel.ops import Contiguous
    >>> x = Tensor((2, 3))
    >>> touched = {(i, j) for i in range(2) for j in range(3)}
    >>> count_problems(Contiguous(), (x,), Count([(2, 3)], touched=[touched], written=touched))
    []
    >>> count_problems(Contiguous(), (x,), Count([(2, 3)], 6, touched=[touched], written=touched))
    ['multiply_adds: the formula says 0, the loops count 6']
    """
    cost = op_cost(op, inputs).cost
    if counted.outputs and not any(map(math.prod, counted.outputs)):
        # Without results nothing is touched.
        return [] if cost == Cost() else [f"it makes nothing, but it costs {cost}"]
    whole = sum(math.prod(x.shape) for x in inputs)
    pairs: dict[str, tuple[object, object]] = {
        "output shapes": ([y.shape for y in op.infer(*inputs)], counted.outputs),
        "multiply_adds": (cost.multiply_adds, counted.multiply_adds),
        "elementwise": (cost.elementwise, counted.elementwise),
        "reads": (cost.reads, _unless(counted.reads, whole)),
        "weight_reads": (cost.weight_reads, _unless(counted.weight_reads, len(counted.weights))),
        "writes": (cost.writes, _unless(counted.writes, len(counted.written))),
    }
    problems = [
        f"{name}: the formula says {formula}, the loops count {loops}"
        for name, (formula, loops) in pairs.items()
        if formula != loops
    ]
    for slot, (x, touched) in enumerate(zip(inputs, counted.touched, strict=False)):
        if len(touched) > math.prod(x.shape):
            problems.append(f"input {slot}: the loops touch {len(touched)} elements of {x}")
    return problems


def _unless(convention: int | None, counted: int) -> int:
    return counted if convention is None else convention
