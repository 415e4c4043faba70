"""Reinterpreted memory, and elements written into an existing tensor."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.sizes import check_shape
from costmodel.algebra.symbols import Dim, exact_div
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op
from costmodel.ops.tensor import DTYPE_BYTES, Tensor


@dataclass(frozen=True, slots=True)
class StridedView(Op):
    """A strided view of the input without a copy; elements may repeat.

    Overlapping windows, diagonals, and other custom strides. A :class:`Contiguous` after it makes
    the copy (an unfolded image).

    Parameters
    ----------
    shape : tuple of Dim
        The shape of the view. [element]

    Examples
    --------
    >>> frames = StridedView((1, 9, 400))
    >>> frames.infer(Tensor((1, 2000)))[0].shape
    (1, 9, 400)
    """

    shape: tuple[Dim, ...]
    kernel_kinds = ("copy",)
    is_view = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (inputs[0].with_shape(*self.shape),)


@dataclass(frozen=True, slots=True)
class Bitcast(Op):
    """The same bytes as elements of another dtype, without a copy; the last axis changes.

    A complex tensor consists of interleaved real and imaginary parts.

    Parameters
    ----------
    dtype : str
        The dtype of the view.

    Examples
    --------
    >>> str(Bitcast("float32").infer(Tensor((4, 1), "complex64"))[0])
    'float32[4, 2]'
    """

    dtype: str
    kernel_kinds = ("copy",)
    is_view = True

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        if self.dtype not in DTYPE_BYTES:
            known = ", ".join(DTYPE_BYTES)
            raise ShapeError(f"Bitcast dtype {self.dtype!r} must be one of {known}")
        before, after = DTYPE_BYTES[x.dtype], DTYPE_BYTES[self.dtype]
        if before == after:
            return (Tensor.inferred(x.shape, self.dtype),)
        if x.rank < 1:
            raise ShapeError(f"Bitcast to {self.dtype} needs an input with an axis, got {x}")
        last = exact_div(x.shape[-1] * before, after, "Bitcast bytes of the last axis")
        return (Tensor.inferred((*x.shape[:-1], last), self.dtype),)


@dataclass(frozen=True, slots=True)
class Scatter(Op):
    """The first input with the elements at given indices replaced.

    Inputs are the tensor, the indices (omitted for a slice) and last the written values.

    Parameters
    ----------
    accumulate : bool
        Whether written values are added to the old ones, or otherwise combined with them.
    copies : bool
        Whether the rest of the tensor is copied to a new one; otherwise it stays in place and only
        the written values move.

    Examples
    --------
    >>> x, rows, new = Tensor((100, 64)), Tensor((3,), "int64"), Tensor((3, 64))
    >>> Scatter().nest(x, rows, new).writes, Scatter(copies=False).nest(x, rows, new).writes
    ((6400,), (192,))
    """

    accumulate: bool = False
    copies: bool = True
    kernel_kinds = ("gather",)
    arity = None

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if len(inputs) < 2:
            raise ShapeError(f"Scatter needs a tensor and what is written, got {len(inputs)} input")
        return (inputs[0],)

    def nest(self, *inputs: Tensor) -> Nest:
        x, *others = inputs
        written = others[-1].elements
        there = x.elements if self.copies else written * int(self.accumulate)
        return Nest(
            parallel=others[-1].shape,
            elementwise=int(self.accumulate) * (1 + x.is_complex),
            reads=(there, *(other.elements for other in others)),
            writes=(x.elements if self.copies else written,),
        )
