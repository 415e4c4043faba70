"""Copies of elements to other places: splits, slices, concatenations, shuffles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from costmodel.algebra.later import is_expression
from costmodel.algebra.sizes import check_dim
from costmodel.algebra.symbols import Dim, exact_div, product, same, total
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op, need_axis, need_rank
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import Padding, as_padding, check_sizes

_MOST_PARTS = 2**16


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


def _may_fit(size: Dim, available: Dim) -> bool:
    """Return whether ``size`` is, or for symbols may be, at most ``available``."""
    if is_expression(size) or is_expression(available):
        return (size - available).is_positive is not True
    return bool(np.all(size <= available))
