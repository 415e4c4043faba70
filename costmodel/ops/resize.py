"""Resizing of images."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op, need_rank
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import as_sizes

# Operations for one output element: none, or the weighted sum of 2^2 or 4^2 neighbours.
RESIZES: dict[str, int] = {"nearest": 0, "bilinear": 7, "bicubic": 31}


@dataclass(frozen=True, slots=True)
class Resize(Op):
    """The input at another resolution.

    Parameters
    ----------
    output : tuple of Dim
        Size along each spatial axis. [1]
    kind : {"nearest", "bilinear", "bicubic"}
        The interpolation.

    Examples
    --------
    >>> Resize((14, 14)).infer(Tensor((1, 8, 7, 7)))[0].shape
    (1, 8, 14, 14)
    """

    output: tuple[Dim, ...]
    kind: str = "nearest"
    kernel_kinds = ("resample",)

    def __post_init__(self) -> None:
        if self.kind not in RESIZES:
            raise ShapeError(f"unknown resize {self.kind!r}; known are {', '.join(RESIZES)}")
        object.__setattr__(self, "output", as_sizes(self.output, len(self.output)))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        need_rank(self, x, 2 + len(self.output), "batch, channels, spatial sizes")
        return (x.with_shape(*x.shape[:2], *self.output),)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=self.infer(*inputs)[0].shape, elementwise=RESIZES[self.kind])
