"""Rows and elements selected by indices."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim
from costmodel.ops.base import Nest, Op, need_axis
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import check_sizes


@dataclass(frozen=True, slots=True)
class Embedding(Op):
    """Rows of a learned table, one per index.

    Parameters
    ----------
    rows : Dim
        Rows of the table. [1]
    features : Dim
        Elements of a row. [element]
    dtype : str
        Dtype of the table.

    Notes
    -----
    Reads the indices and one row per index, not the whole table.

    Examples
    --------
    >>> Embedding(50257, 768).infer(Tensor((1, 128), "int64"))[0].shape
    (1, 128, 768)
    """

    rows: Dim
    features: Dim
    dtype: str = "float32"
    kernel_kinds = ("gather",)

    def __post_init__(self) -> None:
        check_sizes(self, "rows", "features")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (Tensor.inferred((*inputs[0].shape, self.features), self.dtype),)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (Tensor.inferred((self.rows, self.features), self.dtype),)

    def nest(self, *inputs: Tensor) -> Nest:
        gathered = self.infer(*inputs)[0]
        return Nest(parallel=gathered.shape, weight_reads=gathered.elements)


@dataclass(frozen=True, slots=True)
class Gather(Op):
    """Elements of the first input along ``axis``, selected by the indices of the second; copied.

    Parameters
    ----------
    axis : int
        The indexed axis.

    Examples
    --------
    >>> Gather(0).infer(Tensor((10, 64)), Tensor((3,), "int64"))[0].shape
    (3, 64)
    """

    axis: int = 0
    kernel_kinds = ("gather",)
    arity = 2

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, indices = inputs
        axis = need_axis(self, x, self.axis)
        return (x.with_shape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]),)

    def nest(self, *inputs: Tensor) -> Nest:
        picked = self.infer(*inputs)[0]
        return Nest(parallel=picked.shape, reads=(picked.elements, inputs[1].elements))


_MOST_PARTS = 2**16
