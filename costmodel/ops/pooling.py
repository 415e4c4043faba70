"""Pooling over windows, fixed or adaptive."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, ceil_div
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op, need_rank
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import (
    Padding,
    Window,
    as_padding,
    as_sizes,
    need_pixels,
    window_size,
)

_LAYOUT = "batch, channels, spatial sizes"


@dataclass(frozen=True, slots=True)
class Pool(Op):
    """Maximum or average of each window.

    Parameters
    ----------
    kind : {"max", "avg"}
        What is taken of a window.
    kernel : tuple of Dim
        Taps along each spatial axis. [1]
    stride, dilation, padding
        As in :class:`~costmodel.ops.Conv`.
    ceil_mode : bool
        Whether a partial last window counts.
    include_pad : bool
        Whether an average counts the padding, as torch does by default and ONNX does not. The cost
        is the same either way; the values differ.

    Examples
    --------
    >>> Pool("max", (3, 3), stride=2, padding=1).infer(Tensor((1, 24, 112, 112)))[0].shape
    (1, 24, 56, 56)
    """

    kind: str
    kernel: tuple[Dim, ...]
    stride: Window = 1
    padding: Padding = 0
    dilation: Window = 1
    ceil_mode: bool = False
    include_pad: bool = True
    kernel_kinds = ("max_pool", "pool")

    def __post_init__(self) -> None:
        _check_kind(self.kind)
        rank = len(self.kernel)
        object.__setattr__(self, "kernel", as_sizes(self.kernel, rank))
        object.__setattr__(self, "stride", as_sizes(self.stride, rank))
        object.__setattr__(self, "dilation", as_sizes(self.dilation, rank))
        object.__setattr__(self, "padding", as_padding(self.padding, rank))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        need_rank(self, x, 2 + len(self.kernel), _LAYOUT)
        sizes = window_size(
            self, x, self.kernel, self.stride, self.padding, self.dilation, self.ceil_mode
        )
        return (x.with_shape(*x.shape[:2], *sizes),)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=self.infer(*inputs)[0].shape, reduced=self.kernel, elementwise=1)

    def kernel_kind(self, *inputs: Tensor) -> str:
        return "max_pool" if self.kind == "max" else "pool"


@dataclass(frozen=True, slots=True)
class AdaptivePool(Op):
    """Pooling to a fixed output size; ``(1, 1)`` is global pooling.

    Parameters
    ----------
    kind : {"max", "avg"}
        What is taken of a window.
    output : tuple of Dim
        Output size along each spatial axis. [1]

    Notes
    -----
    Windows have ``ceil(input/output)`` taps per axis, which is exact if the output size divides
    the input size.

    Examples
    --------
    >>> AdaptivePool("avg", (1, 1)).infer(Tensor((1, 1024, 7, 7)))[0].shape
    (1, 1024, 1, 1)
    """

    kind: str
    output: tuple[Dim, ...] = (1, 1)
    kernel_kinds = ("pool",)

    def __post_init__(self) -> None:
        _check_kind(self.kind)
        object.__setattr__(self, "output", as_sizes(self.output, len(self.output)))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        need_rank(self, x, 2 + len(self.output), _LAYOUT)
        need_pixels(self, x)
        return (x.with_shape(*x.shape[:2], *self.output),)

    def nest(self, *inputs: Tensor) -> Nest:
        sizes = zip(inputs[0].shape[2:], self.output, strict=True)
        return Nest(
            parallel=self.infer(*inputs)[0].shape,
            reduced=tuple(ceil_div(size, out) for size, out in sizes),
            elementwise=1,
        )


def _check_kind(kind: str) -> None:
    if kind not in ("max", "avg"):
        raise ShapeError(f"pooling kind must be 'max' or 'avg', got {kind!r}")
