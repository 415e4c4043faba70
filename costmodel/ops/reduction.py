"""Reductions over axes, and softmax."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, exact_div, minimum, product
from costmodel.errors import ShapeError, suggest
from costmodel.ops.base import Nest, Op, need_axis
from costmodel.ops.tensor import Tensor

REDUCTIONS: dict[str, int] = {
    "all": 1,
    "any": 1,
    "argmax": 1,
    "argmin": 1,
    "cumsum": 1,
    "max": 1,
    "mean": 1,
    "min": 1,
    "norm": 2,
    "prod": 1,
    "sum": 1,
    "var": 4,
}
"""Arithmetic operations per reduced element [operation]."""


@dataclass(frozen=True, slots=True)
class Reduce(Op):
    """One result for all elements along ``axes``.

    Parameters
    ----------
    kind : str
        A key of :data:`REDUCTIONS`; ``"cumsum"`` keeps the shape.
    axes : tuple of int
        The reduced axes.
    keepdims : bool
        Whether to keep reduced axes with size 1.

    Examples
    --------
    >>> Reduce("mean", (-2, -1)).infer(Tensor((1, 8, 7, 7)))[0].shape
    (1, 8)
    """

    kind: str
    axes: tuple[int, ...]
    keepdims: bool = False
    kernel_kinds = ("pool",)

    def __post_init__(self) -> None:
        if self.kind not in REDUCTIONS:
            raise ShapeError(f"unknown reduction {self.kind!r}; {suggest(self.kind, REDUCTIONS)}")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        axes = {need_axis(self, x, a) for a in self.axes}
        dtypes = {"argmax": "int64", "argmin": "int64", "all": "bool", "any": "bool"}
        if self.kind == "cumsum":
            return (x,)
        kept = (
            (1 if i in axes else size)
            for i, size in enumerate(x.shape)
            if self.keepdims or i not in axes
        )
        return (Tensor.inferred(tuple(kept), dtypes.get(self.kind, x.dtype)),)

    def nest(self, *inputs: Tensor) -> Nest:
        (x,) = inputs
        axes = {need_axis(self, x, a) for a in self.axes}
        return Nest(
            parallel=tuple(size for i, size in enumerate(x.shape) if i not in axes),
            reduced=tuple(x.shape[a] for a in sorted(axes)),
            elementwise=REDUCTIONS[self.kind] * (1 + x.is_complex),
        )


@dataclass(frozen=True, slots=True)
class Softmax(Op):
    """Exponentials along ``axis`` divided by their sum, in one pass over memory.

    Parameters
    ----------
    axis : int
        The normalized axis.
    causal : bool
        Whether a mask hides the elements above the diagonal of the last two axes; only the others
        are computed and moved.

    Notes
    -----
    Operations per element: maximum, subtraction, exponential, sum, division.

    Examples
    --------
    >>> Softmax().nest(Tensor((8, 1000))).elementwise
    5
    """

    axis: int = -1
    causal: bool = False
    kernel_kinds = ("softmax",)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        axis = need_axis(self, x, self.axis)
        if self.causal and (x.rank < 2 or axis != x.rank - 1):
            raise ShapeError(
                f"causal Softmax needs the last axis of at least two, got {axis} of {x}"
            )
        return (x,)

    def nest(self, *inputs: Tensor) -> Nest:
        (x,) = inputs
        axis = need_axis(self, x, self.axis)
        rows = x.shape[:axis] + x.shape[axis + 1 :]
        points = product(x.shape)
        if self.causal:
            points = product(x.shape[:-2]) * lower_triangle(*x.shape[-2:])
        return Nest(
            parallel=rows,
            reduced=(x.shape[axis],),
            points=points,
            elementwise=5,
            reads=(points,),
            writes=(points,),
        )

    def functions(self, *inputs: Tensor) -> Mapping[str, Dim]:
        return {"exp": product(inputs[0].shape)}

    def pieces(self, *inputs: Tensor) -> Dim:
        shape, axis = inputs[0].shape, need_axis(self, inputs[0], self.axis)
        return product((*shape[:axis], *shape[axis + 1 :]))


def lower_triangle(rows: Dim, columns: Dim) -> Dim:
    """Return the number of pairs (i, j) with j <= i, which a causal mask keeps [element].

    Examples
    --------
    >>> lower_triangle(4, 4), lower_triangle(2, 8), lower_triangle(8, 2)
    (10, 3, 15)
    """
    short = minimum(rows, columns)
    return exact_div(short * (short + 1), 2) + (rows - short) * columns
