"""Regions of an image, resampled to a fixed size."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op, need_rank
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import as_sizes, check_sizes


@dataclass(frozen=True, slots=True)
class RoiAlign(Op):
    r"""Boxes of an image, each resampled to ``output`` pixels.

    Inputs are ``x [n, c, h, w]``, the boxes ``[k, 4]`` or ``[k, 5]`` (with the image index first),
    and for ``[k, 4]`` the image index of each box.

    Parameters
    ----------
    output : tuple of Dim
        Height and width of a result. [1]
    samples : Dim
        Samples per result along each axis; their mean is the result. [1]

    Notes
    -----
    A sample is the weighted sum of four neighbours: four products and sums, continued into the
    mean. The arithmetic on positions, shared by all channels, is not counted. The whole image
    counts as read, wherever the boxes are.

    Examples
    --------
    >>> x, boxes = Tensor((1, 256, 50, 50)), Tensor((100, 5))
    >>> RoiAlign((7, 7)).infer(x, boxes)[0].shape, RoiAlign((7, 7)).nest(x, boxes).reduced
    ((100, 256, 7, 7), (2, 2))
    """

    output: tuple[Dim, ...]
    samples: Dim = 2
    kernel_kinds = ("resample",)
    arity = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "output", as_sizes(self.output, 2))
        check_sizes(self, "samples")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, *others = inputs
        need_rank(self, x, 4, "batch, channels, height, width")
        if len(others) not in (1, 2) or others[0].rank != 2:
            raise ShapeError(
                f"RoiAlign needs boxes [k, 4] and their images, or boxes [k, 5]: "
                f"{', '.join(map(str, others))}"
            )
        return (x.with_shape(others[0].shape[0], x.shape[1], *self.output),)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(
            parallel=self.infer(*inputs)[0].shape,
            reduced=(self.samples, self.samples),
            elementwise=8,
            epilogue=1,
        )
