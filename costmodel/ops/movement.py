"""Operators that move or rename elements without arithmetic: views, copies, look-ups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.algebra.arrays import exact_product
from costmodel.algebra.later import is_expression, sympy
from costmodel.algebra.sizes import check_dim, check_shape
from costmodel.algebra.symbols import Dim, exact_div, product, same, total
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op, need_axis, need_rank
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import Padding, as_padding, check_sizes


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


@dataclass(frozen=True, slots=True)
class ChannelShuffle(Op):
    """Interleaving of the channels of ``groups`` groups: reshape, transpose, copy.

    Parameters
    ----------
    groups : Dim
        Number of interleaved groups. [1]

    Examples
    --------
    >>> ChannelShuffle(2).infer(Tensor((1, 116, 28, 28)))[0].shape
    (1, 116, 28, 28)
    """

    groups: Dim
    kernel_kinds = ("copy",)

    def __post_init__(self) -> None:
        check_sizes(self, "groups")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        if x.rank < 2:
            raise ShapeError(f"ChannelShuffle needs an input with a channel axis, got {x}")
        exact_div(x.shape[1], self.groups, "ChannelShuffle channels")
        return (x,)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=inputs[0].shape)

    def pieces(self, *inputs: Tensor) -> Dim:
        return product(inputs[0].shape[:2])


@dataclass(frozen=True, slots=True)
class Concat(Op):
    """The inputs concatenated along ``axis``, copied.

    Parameters
    ----------
    axis : int
        The concatenated axis.

    Examples
    --------
    >>> x = Tensor((1, 58, 28, 28))
    >>> Concat(1).infer(x, x)[0].shape
    (1, 116, 28, 28)
    """

    axis: int
    kernel_kinds = ("copy",)
    arity = None

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        first = inputs[0]
        axis = need_axis(self, first, self.axis)
        for other in inputs[1:]:
            if other.rank != first.rank or not all(
                same(a, b)
                for i, (a, b) in enumerate(zip(first.shape, other.shape, strict=True))
                if i != axis
            ):
                raise ShapeError(f"Concat along axis {self.axis} cannot join {first} and {other}")
        shape = list(first.shape)
        shape[axis] = total(x.shape[axis] for x in inputs)
        return (first.with_shape(*shape),)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=self.infer(*inputs)[0].shape)


@dataclass(frozen=True, slots=True)
class Split(Op):
    """The input split along ``axis`` into several views.

    Parameters
    ----------
    axis : int
        The axis that is cut.
    parts : int or tuple of Dim
        The number of equal parts, or the size of each. [1]

    Examples
    --------
    >>> [y.shape for y in Split(1, 2).infer(Tensor((1, 116, 28, 28)))]
    [(1, 58, 28, 28), (1, 58, 28, 28)]
    """

    axis: int
    parts: int | tuple[Dim, ...]
    kernel_kinds = ("copy",)
    is_view = True

    def __post_init__(self) -> None:
        if isinstance(self.parts, tuple):
            sizes = tuple(check_dim(size, "Split size", 0) for size in self.parts)
            object.__setattr__(self, "parts", sizes)
        count = len(self.parts) if isinstance(self.parts, tuple) else self.parts
        if type(count) is not int:
            raise ShapeError(f"Split parts must be a number or a tuple of sizes, got {count!r}")
        if not 1 <= count <= _MOST_PARTS:
            raise ShapeError(f"Split parts must lie between 1 and {_MOST_PARTS}, got {count}")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        axis = need_axis(self, x, self.axis)
        size = x.shape[axis]
        if isinstance(self.parts, tuple):
            sizes = self.parts
        else:
            sizes = (exact_div(size, self.parts, "Split size"),) * self.parts
        if not same(total(sizes), size):
            raise ShapeError(f"Split sizes {sizes} do not add up to {size} of {x}")
        return tuple(x.with_shape(*x.shape[:axis], s, *x.shape[axis + 1 :]) for s in sizes)


@dataclass(frozen=True, slots=True)
class Slice(Op):
    """A view of part of one axis.

    Parameters
    ----------
    axis : int
        The axis that is cut.
    start : int
        The first element.
    size : Dim
        Number of elements. [1]
    step : int
        Distance between elements.

    Examples
    --------
    >>> Slice(1, 0, 58).infer(Tensor((1, 116, 28, 28)))[0].shape
    (1, 58, 28, 28)
    """

    axis: int
    start: int
    size: Dim
    step: int = 1
    kernel_kinds = ("copy",)
    is_view = True

    def __post_init__(self) -> None:
        check_sizes(self, "step")
        check_sizes(self, "size", smallest=0)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        axis = need_axis(self, x, self.axis)
        end = self.start
        if not isinstance(self.size, int) or self.size > 0:
            end = end + (self.size - 1) * self.step + 1
        available = x.shape[axis]
        if self.start < 0 or not _may_fit(end, available):
            raise ShapeError(f"Slice {self.start}:{end}:{self.step} is outside axis {axis} of {x}")
        return (x.with_shape(*x.shape[:axis], self.size, *x.shape[axis + 1 :]),)


@dataclass(frozen=True, slots=True)
class Pad(Op):
    """The input with a border, copied.

    Parameters
    ----------
    padding : tuple
        One number or (before, after) pair for every axis. [element]

    Examples
    --------
    >>> Pad((0, 0, 1, 1)).infer(Tensor((1, 3, 224, 224)))[0].shape
    (1, 3, 226, 226)
    """

    padding: Padding
    kernel_kinds = ("copy",)

    def __post_init__(self) -> None:
        if not isinstance(self.padding, tuple):
            raise ShapeError(
                f"Pad padding must be a tuple, one entry per axis, got {self.padding!r}"
            )
        object.__setattr__(self, "padding", as_padding(self.padding, len(self.padding)))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        need_rank(self, inputs[0], len(self.padding), "one padding per axis")
        sizes = zip(inputs[0].shape, self.padding, strict=True)
        return (inputs[0].with_shape(*(size + a + b for size, (a, b) in sizes)),)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=self.infer(*inputs)[0].shape)


@dataclass(frozen=True, slots=True)
class PixelShuffle(Op):
    """Channels rearranged into pixels (depth to space), copied.

    Parameters
    ----------
    factor : Dim
        Factor by which height and width grow. [1]

    Examples
    --------
    >>> PixelShuffle(2).infer(Tensor((1, 16, 7, 7)))[0].shape
    (1, 4, 14, 14)
    """

    factor: Dim
    kernel_kinds = ("copy",)

    def __post_init__(self) -> None:
        check_sizes(self, "factor")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        need_rank(self, x, 4, "batch, channels, height, width")
        n, c, h, w = x.shape
        f = self.factor
        return (x.with_shape(n, exact_div(c, f * f, "PixelShuffle channels"), h * f, w * f),)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=inputs[0].shape)


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


def _may_fit(size: Dim, available: Dim) -> bool:
    """Return whether ``size`` is, or for symbols may be, at most ``available``."""
    if is_expression(size) or is_expression(available):
        return (size - available).is_positive is not True
    return bool(np.all(size <= available))


def _exact_rest(x: Tensor, known: list[Dim]) -> Dim:
    """Return the elements of ``x`` divided by the product of ``known``."""
    rest = exact_div(exact_product(x.shape), exact_product(known), "Reshape elements")
    return rest.astype(float) if isinstance(rest, np.ndarray) and rest.dtype == object else rest


def _is_free(size: Dim) -> bool:
    number = isinstance(size, int | np.integer) and not isinstance(size, bool)
    return (number or is_expression(size)) and bool(size == -1)
