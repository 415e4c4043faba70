"""Resampled images: resized, or sampled at the positions of a grid."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, same
from costmodel.errors import ShapeError, suggest
from costmodel.ops.base import Nest, Op, need_rank
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import as_sizes, need_pixels

# Operations per output element: none, or the weighted sum of 2^2 or 4^2 neighbours.
RESIZES: dict[str, int] = {"nearest": 0, "bilinear": 7, "bicubic": 31}


@dataclass(frozen=True, slots=True)
class Resize(Op):
    """The input resized to another resolution.

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
            raise ShapeError(f"unknown resize {self.kind!r}; {suggest(self.kind, RESIZES)}")
        object.__setattr__(self, "output", as_sizes(self.output, len(self.output)))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        need_rank(self, x, 2 + len(self.output), "batch, channels, spatial sizes")
        need_pixels(self, x)
        return (x.with_shape(*x.shape[:2], *self.output),)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=self.infer(*inputs)[0].shape, elementwise=RESIZES[self.kind])


@dataclass(frozen=True, slots=True)
class GridSample(Op):
    r"""Values of an image at the positions of a grid, interpolated.

    Inputs are ``x [n, c, *sizes]`` and ``grid [n, *outputs, rank]``, a position for each output
    pixel.

    Parameters
    ----------
    kind : {"nearest", "bilinear", "bicubic"}
        The interpolation; ``"bilinear"`` is trilinear on volumes.

    Notes
    -----
    An output element is the weighted sum of :math:`2^r` (linear) or :math:`4^r` (cubic) neighbours
    on :math:`r` axes: as many products, and one sum less. The arithmetic on positions, shared by
    all channels, is not counted. The whole image counts as read, wherever the grid points.

    Examples
    --------
    >>> x, grid = Tensor((1, 8, 14, 14)), Tensor((1, 7, 7, 2))
    >>> GridSample().infer(x, grid)[0].shape, GridSample().nest(x, grid).elementwise
    ((1, 8, 7, 7), 7)
    """

    kind: str = "bilinear"
    kernel_kinds = ("resample",)
    arity = 2

    def __post_init__(self) -> None:
        if self.kind not in RESIZES:
            raise ShapeError(f"unknown sampling {self.kind!r}; {suggest(self.kind, RESIZES)}")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, grid = inputs
        if x.rank < 3 or grid.rank != x.rank:
            raise ShapeError(
                f"GridSample needs x [n, c, *sizes] and a grid of its rank: {x}, {grid}"
            )
        if not same(grid.shape[-1], x.rank - 2) or not same(grid.shape[0], x.shape[0]):
            raise ShapeError(
                f"GridSample needs {x.rank - 2} coordinates per position and the batch of {x}, "
                f"got the grid {grid}"
            )
        return (x.with_shape(*x.shape[:2], *grid.shape[1:-1]),)

    def nest(self, *inputs: Tensor) -> Nest:
        rank = inputs[0].rank - 2
        neighbours = {"nearest": 1, "bilinear": 2**rank, "bicubic": 4**rank}[self.kind]
        operations = 2 * neighbours - 1 if neighbours > 1 else 0
        return Nest(parallel=self.infer(*inputs)[0].shape, elementwise=operations)
