"""Views, which cost nothing, and the copies that give them a layout of their own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.algebra.arrays import exact_product
from costmodel.algebra.later import is_expression, sympy
from costmodel.algebra.sizes import check_dim, check_shape
from costmodel.algebra.symbols import Dim, exact_div, product, same
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op, need_axis
from costmodel.ops.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Identity(Op):
    """The input itself: dropout at inference, a skip connection.

    Examples
    --------
    >>> Identity().is_view
    True
    """

    kernel_kinds = ("copy",)
    is_view = True

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return inputs


@dataclass(frozen=True, slots=True)
class Reshape(Op):
    """The same elements in another shape, without a copy (view, flatten, squeeze).

    Parameters
    ----------
    shape : tuple of Dim
        The new shape; one entry may be -1 and is inferred. [element]

    Examples
    --------
    >>> Reshape((1, -1)).infer(Tensor((1, 8, 7, 7)))[0].shape
    (1, 392)
    """

    shape: tuple[Dim, ...]
    kernel_kinds = ("copy",)
    is_view = True

    def __post_init__(self) -> None:
        if not isinstance(self.shape, tuple | list):
            raise ShapeError(f"Reshape shape must be a tuple of sizes, got {self.shape!r}")
        sizes = (-1 if _is_free(d) else check_dim(d, "Reshape size", 0) for d in self.shape)
        object.__setattr__(self, "shape", tuple(sizes))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        known = [d for d in self.shape if not _is_free(d)]
        if len(known) < len(self.shape) - 1:
            raise ShapeError(f"Reshape shape {self.shape} has more than one -1")
        if len(known) < len(self.shape):
            if np.any(product(known) == 0):
                raise ShapeError(
                    f"Reshape shape {self.shape} leaves -1 open beside a size of 0; write the size"
                )
            rest = _exact_rest(x, known)
            rest = sympy.cancel(rest) if is_expression(rest) else rest
            return (x.with_shape(*(rest if _is_free(d) else d for d in self.shape)),)
        if not same(exact_product(self.shape), exact_product(x.shape)):
            raise ShapeError(f"Reshape of {x} to {self.shape} changes the number of elements")
        return (x.with_shape(*self.shape),)


@dataclass(frozen=True, slots=True)
class Transpose(Op):
    """The axes in another order, without a copy; a following :class:`Contiguous` makes the copy.

    Parameters
    ----------
    order : tuple of int
        The input axis of each output axis.

    Examples
    --------
    >>> Transpose((0, 2, 1)).infer(Tensor((1, 8, 49)))[0].shape
    (1, 49, 8)
    """

    order: tuple[int, ...]
    kernel_kinds = ("copy",)
    is_view = True

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        axes = tuple(need_axis(self, x, a) for a in self.order)
        if sorted(axes) != list(range(x.rank)):
            raise ShapeError(f"Transpose order {self.order} must permute the axes of {x}")
        return (x.with_shape(*(x.shape[a] for a in axes)),)


@dataclass(frozen=True, slots=True)
class BroadcastTo(Op):
    """A view that repeats axes of size 1 without a copy.

    Parameters
    ----------
    shape : tuple of Dim
        The new shape. [element]

    Examples
    --------
    >>> BroadcastTo((4, 8)).infer(Tensor((1, 8)))[0].shape
    (4, 8)
    """

    shape: tuple[Dim, ...]
    kernel_kinds = ("copy",)
    is_view = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        tail = self.shape[len(self.shape) - x.rank :]
        if x.rank > len(self.shape) or not all(
            same(a, b) or same(a, 1) for a, b in zip(x.shape, tail, strict=True)
        ):
            raise ShapeError(f"BroadcastTo cannot repeat {x} to {self.shape}")
        return (x.with_shape(*self.shape),)


@dataclass(frozen=True, slots=True)
class Contiguous(Op):
    """A copy of the input in the order of its axes: one read and one write of all elements.

    Examples
    --------
    >>> Contiguous().nest(Tensor((2, 3))).parallel
    (2, 3)
    """

    kernel_kinds = ("copy",)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return inputs

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=inputs[0].shape)


@dataclass(frozen=True, slots=True)
class Merge(Op):
    """A tensor after the second input was written in place to part of its memory.

    It costs nothing, because the producer of the part has written it. It preserves the order: later
    reads of the tensor depend on the part. The positions of the written elements do not affect any
    cost and are not stored.

    Examples
    --------
    >>> Merge().infer(Tensor((1, 8, 7, 7)), Tensor((1, 2, 7, 7)))[0].shape
    (1, 8, 7, 7)
    """

    kernel_kinds = ("copy",)
    arity = 2
    is_view = True

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, part = inputs
        sizes = part.elements, x.elements
        larger = all(isinstance(n, int) for n in sizes) and sizes[0] > sizes[1]
        if x.dtype != part.dtype or larger:
            raise ShapeError(f"Merge cannot write {part} into {x}")
        return (x,)


def _exact_rest(x: Tensor, known: list[Dim]) -> Dim:
    """Return the elements of ``x`` divided by the product of ``known``."""
    rest = exact_div(exact_product(x.shape), exact_product(known), "Reshape elements")
    return rest.astype(float) if isinstance(rest, np.ndarray) and rest.dtype == object else rest


def _is_free(size: Dim) -> bool:
    number = isinstance(size, int | np.integer) and not isinstance(size, bool)
    return (number or is_expression(size)) and bool(size == -1)
