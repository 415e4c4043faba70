"""Matrix products: with learned weights (linear) and of two activations (matmul)."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, product, same
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op
from costmodel.ops.broadcast import broadcast_shapes
from costmodel.ops.product import Product
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import check_sizes


def real_products(x: Tensor) -> int:
    """Return the real multiply-adds in one product of elements of ``x`` [multiply-add].

    The complex product (a + bi)(c + di) is four multiply-adds into two accumulators.

    Examples
    --------
    >>> real_products(Tensor((2,))), real_products(Tensor((2,), "complex64"))
    (1, 4)
    """
    return 4 if x.is_complex else 1


@dataclass(frozen=True, slots=True)
class Linear(Op):
    """Product with a learned matrix along the last axis of an input of any rank.

    Parameters
    ----------
    out_features : Dim
        Output features. [1]
    bias : bool
        Whether a bias of ``out_features`` elements is added.

    Examples
    --------
    >>> Linear(1000).infer(Tensor((8, 197, 768)))[0].shape
    (8, 197, 1000)
    """

    out_features: Dim
    bias: bool = True
    kernel_kinds = ("linear",)

    def __post_init__(self) -> None:
        check_sizes(self, "out_features")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        if x.rank < 1:
            raise ShapeError(f"Linear needs an input with at least one axis, got {x}")
        return (x.with_shape(*x.shape[:-1], self.out_features),)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        matrix = x.with_shape(self.out_features, x.shape[-1])
        return (matrix, x.with_shape(self.out_features)) if self.bias else (matrix,)

    def nest(self, *inputs: Tensor) -> Nest:
        (x,) = inputs
        return Nest(
            parallel=(*x.shape[:-1], self.out_features),
            reduced=(x.shape[-1],),
            multiply_adds=real_products(x),
            epilogue=int(self.bias) * (1 + x.is_complex),
        )

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        *rows, features = inputs[0].shape
        return (Product(real_products(inputs[0]), self.out_features, product(rows), features),)


@dataclass(frozen=True, slots=True)
class MatMul(Op):
    """Product of two activations on their last two axes; leading axes broadcast.

    Parameters
    ----------
    transpose_a, transpose_b : bool
        Whether to swap the last two axes of the first or second input first, without a copy.

    Examples
    --------
    >>> scores = MatMul(transpose_b=True)
    >>> scores.infer(Tensor((1, 8, 49, 64)), Tensor((1, 8, 49, 64)))[0].shape
    (1, 8, 49, 49)
    """

    transpose_a: bool = False
    transpose_b: bool = False
    kernel_kinds = ("matmul",)
    arity = 2

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        a, b = inputs
        if a.rank < 2 or b.rank < 2:
            raise ShapeError(f"MatMul needs inputs of at least two axes, got {a} and {b}")
        m, k = self._matrix(a, self.transpose_a)
        k2, n = self._matrix(b, self.transpose_b)
        if not same(k, k2):
            raise ShapeError(f"MatMul inner sizes {k} and {k2} of {a} and {b} differ")
        batch = broadcast_shapes(a.shape[:-2], b.shape[:-2], "MatMul")
        return (a.with_shape(*batch, m, n),)

    def nest(self, *inputs: Tensor) -> Nest:
        a, b = inputs
        inner = self._matrix(a, self.transpose_a)[1]
        out = self.infer(a, b)[0]
        return Nest(parallel=out.shape, reduced=(inner,), multiply_adds=real_products(out))

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        out = self.infer(*inputs)[0]
        *batch, m, n = out.shape
        inner = self._matrix(inputs[0], self.transpose_a)[1]
        return (Product(real_products(out) * product(batch), m, n, inner),)

    @staticmethod
    def _matrix(x: Tensor, transposed: bool) -> tuple[Dim, Dim]:
        rows, columns = x.shape[-2:]
        return (columns, rows) if transposed else (rows, columns)
