"""Operators based on comparisons: sorting, searching, selecting by a mask."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.later import is_expression, sympy
from costmodel.algebra.symbols import Dim, levels, maximum, product
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op, need_axis
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import check_sizes


@dataclass(frozen=True, slots=True)
class Sort(Op):
    r"""The largest elements along ``axis`` in order, and their indices: a sort, or top k.

    Parameters
    ----------
    keep : Dim
        Number of elements kept; the size of the axis for a sort. [element]
    axis : int
        The sorted axis.

    Notes
    -----
    The count is the comparisons of ``n`` elements passing through a heap of ``k``, or of a merge
    sort for ``k = n``, at least one per element:

    .. math:: n \max(1, \lceil \log_2 k \rceil)

    Examples
    --------
    >>> top = Sort(5)
    >>> [str(y) for y in top.infer(Tensor((8, 1000)))], top.nest(Tensor((8, 1000))).reduced
    (['float32[8, 5]', 'int64[8, 5]'], (1000, 3))
    """

    keep: Dim
    axis: int = -1
    kernel_kinds = ("pool",)

    def __post_init__(self) -> None:
        check_sizes(self, "keep", smallest=0)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        axis = need_axis(self, x, self.axis)
        size = x.shape[axis]
        if isinstance(self.keep, int) and isinstance(size, int) and self.keep > size:
            raise ShapeError(f"Sort cannot keep {self.keep} elements of axis {axis} of {x}")
        values = x.with_shape(*x.shape[:axis], self.keep, *x.shape[axis + 1 :])
        return values, Tensor.inferred(values.shape, "int64")

    def nest(self, *inputs: Tensor) -> Nest:
        (x,) = inputs
        axis = need_axis(self, x, self.axis)
        return Nest(
            parallel=(*x.shape[:axis], *x.shape[axis + 1 :]),
            reduced=(x.shape[axis], maximum(1, levels(self.keep))),
            elementwise=1,
        )


@dataclass(frozen=True, slots=True)
class NonZero(Op):
    """The positions of the nonzero elements, one row of coordinates each.

    Parameters
    ----------
    count : Dim
        Their number, which depends on the data used at import. [1]

    Notes
    -----
    Every element is tested once. A selection by mask gathers at these positions.

    Examples
    --------
    >>> str(NonZero(3).infer(Tensor((4, 5), "bool"))[0])
    'int64[3, 2]'
    """

    count: Dim
    kernel_kinds = ("gather",)

    def __post_init__(self) -> None:
        check_sizes(self, "count", smallest=0)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        if isinstance(self.count, int) and isinstance(x.elements, int) and self.count > x.elements:
            raise ShapeError(f"NonZero cannot find {self.count} elements in {x}")
        return (Tensor.inferred((self.count, x.rank), "int64"),)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=inputs[0].shape, elementwise=1)


@dataclass(frozen=True, slots=True)
class SearchSorted(Op):
    """The index of every value among sorted boundaries, by binary search.

    Inputs are ``boundaries [..., n]`` and ``values [..., m]``.

    Notes
    -----
    ``n`` boundaries make ``n + 1`` intervals: ``ceil(log2(n + 1))`` comparisons per value.

    Examples
    --------
    >>> edges, x = Tensor((255,)), Tensor((2, 100))
    >>> SearchSorted().infer(edges, x)[0].shape, SearchSorted().nest(edges, x).reduced
    ((2, 100), (8,))
    """

    kernel_kinds = ("gather",)
    arity = 2

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        boundaries, values = inputs
        if boundaries.rank < 1:
            raise ShapeError(f"SearchSorted needs boundaries of at least one axis: {boundaries}")
        return (Tensor.inferred(values.shape, "int64"),)

    def nest(self, *inputs: Tensor) -> Nest:
        boundaries, values = inputs
        steps = levels(boundaries.shape[-1] + 1)
        return Nest(parallel=values.shape, reduced=(steps,), elementwise=1)


@dataclass(frozen=True, slots=True)
class NonMaxSuppression(Op):
    r"""Non-maximum suppression: the boxes that overlap no box with a higher score.

    Inputs are ``boxes [n, 4]`` and ``scores [n]``; the output has the indices of the kept boxes.

    Parameters
    ----------
    kept : Dim
        Number of kept boxes, which depends on the data used at import. [1]

    Notes
    -----
    The count is a sort of the scores, the area of every box (3 operations), and the overlap of
    every kept box with all boxes (13 operations: four edges, two sizes, their clamping to 0, their
    product, the union, the ratio, a comparison):

    .. math:: n \lceil \log_2 n \rceil + 3 n + 13\, k n

    Examples
    --------
    >>> nms = NonMaxSuppression(5)
    >>> nms.nest(Tensor((100, 4)), Tensor((100,))).extra
    1000
    """

    kept: Dim
    kernel_kinds = ("gather",)
    arity = 2

    def __post_init__(self) -> None:
        check_sizes(self, "kept", smallest=0)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        boxes, scores = inputs
        if boxes.rank != 2 or scores.rank != 1:
            raise ShapeError(
                f"NonMaxSuppression needs boxes [n, 4] and scores [n]: {boxes}, {scores}"
            )
        return (Tensor.inferred((self.kept,), "int64"),)

    def nest(self, *inputs: Tensor) -> Nest:
        count = inputs[1].shape[0]
        return Nest(
            parallel=(count,),
            reduced=(self.kept,),
            elementwise=13,
            extra=count * levels(count) + 3 * count,
        )


@dataclass(frozen=True, slots=True)
class EmbeddingBag(Op):
    """Sums of rows of a learned table, one sum per bag of indices.

    Inputs are the indices, and for bags of unequal sizes the offset of each bag.

    Parameters
    ----------
    rows, features : Dim
        Rows of the table, and elements of a row. [1], [element]
    bags : Dim
        Number of sums. [1]
    mean : bool
        Whether each sum is divided by its number of rows.
    weighted : bool
        Whether each row is multiplied by its own weight, the last input.
    dtype : str
        Dtype of the table.

    Notes
    -----
    Reads one row per index, not the whole table; the rows are not written to memory. Each element
    of a row is added once, after one product if it is weighted. The span assumes bags of equal
    size.

    Examples
    --------
    >>> bag = EmbeddingBag(1000, 16, bags=8)
    >>> bag.infer(Tensor((8, 20), "int64"))[0].shape, bag.nest(Tensor((8, 20), "int64")).points
    ((8, 16), 2560)
    """

    rows: Dim
    features: Dim
    bags: Dim
    mean: bool = False
    weighted: bool = False
    dtype: str = "float32"
    kernel_kinds = ("gather",)
    arity = None

    def __post_init__(self) -> None:
        check_sizes(self, "rows", "features")
        check_sizes(self, "bags", smallest=0)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if len(inputs) > 2 + self.weighted:
            raise ShapeError(f"EmbeddingBag takes at most 2 inputs and weights, got {len(inputs)}")
        return (Tensor.inferred((self.bags, self.features), self.dtype),)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (Tensor.inferred((self.rows, self.features), self.dtype),)

    def nest(self, *inputs: Tensor) -> Nest:
        read = product((*inputs[0].shape, self.features))
        return Nest(
            parallel=(self.bags, self.features),
            reduced=(_rounded_up(inputs[0].elements, self.bags),),
            points=read,
            elementwise=1 + self.weighted,
            epilogue=int(self.mean),
            weight_reads=read,
        )


def _rounded_up(count: Dim, bags: Dim) -> Dim:
    """Return the rows per bag if all bags are equal; 0 without bags."""
    if is_expression(count) or is_expression(bags):
        return sympy.ceiling(count / bags)
    return -(-count // maximum(1, bags))
