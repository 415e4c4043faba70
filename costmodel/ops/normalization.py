"""Normalizations at inference."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, exact_div, product
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import check_sizes


@dataclass(frozen=True, slots=True)
class BatchNorm(Op):
    """Batch normalization with fixed statistics: one scale and shift per channel.

    Parameters
    ----------
    affine : bool
        Whether scale and shift are learned. The two statistics are always read.

    Notes
    -----
    Two operations per element and 4 (or 2) reads per channel. The statistics count as read but not
    as parameters: they are not learned by gradient descent, and published counts omit them.

    Examples
    --------
    >>> BatchNorm().infer(Tensor((1, 8, 7, 7)))[0].shape
    (1, 8, 7, 7)
    """

    affine: bool = True
    kernel_kinds = ("batch_norm",)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if inputs[0].rank < 2:
            raise ShapeError(f"BatchNorm needs an input with a channel axis, got {inputs[0]}")
        return (inputs[0],)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        channel = inputs[0].with_shape(inputs[0].shape[1])
        return (channel,) * 2 if self.affine else ()

    def nest(self, *inputs: Tensor) -> Nest:
        channels = inputs[0].shape[1]
        return Nest(
            parallel=inputs[0].shape,
            elementwise=2,
            weight_reads=(4 if self.affine else 2) * channels,
        )

    def pieces(self, *inputs: Tensor) -> Dim:
        return product(inputs[0].shape[:2])


@dataclass(frozen=True, slots=True)
class LayerNorm(Op):
    """Normalization over the last ``axes`` axes with the statistics of the data.

    Parameters
    ----------
    axes : int
        Number of trailing axes normalized together.
    affine : bool
        Whether scale and shift are learned.
    rms : bool
        Whether to divide only by the root mean square (RMSNorm), without mean and shift.
    bias : bool
        Whether an affine layer normalization has a shift in addition to the scale.

    Notes
    -----
    Operations per element: mean 1, subtraction 1, square and sum 2, division 1, and 2 for scale and
    shift. RMSNorm: square and sum 2, division 1, and 1 for the learned scale. One read, one write.

    Examples
    --------
    >>> LayerNorm().weights(Tensor((8, 197, 768)))[0].shape
    (768,)
    """

    axes: int = 1
    affine: bool = True
    rms: bool = False
    bias: bool = True
    kernel_kinds = ("norm",)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if not 1 <= self.axes <= inputs[0].rank:
            raise ShapeError(f"LayerNorm over {self.axes} axes does not fit the input {inputs[0]}")
        return (inputs[0],)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        learned = inputs[0].with_shape(*inputs[0].shape[-self.axes :])
        return (learned,) * (1 + (self.bias and not self.rms)) if self.affine else ()

    def nest(self, *inputs: Tensor) -> Nest:
        shape = inputs[0].shape
        operations = (3 + self.affine) if self.rms else (5 + self.affine * (1 + self.bias))
        return Nest(
            parallel=shape[: -self.axes], reduced=shape[-self.axes :], elementwise=operations
        )

    def pieces(self, *inputs: Tensor) -> Dim:
        return product(inputs[0].shape[: -self.axes])

    def merged(self, *inputs: Tensor) -> Dim:
        return 0 if self.rms else self.pieces(*inputs)


@dataclass(frozen=True, slots=True)
class GroupNorm(Op):
    """Normalization over the pixels and channels of each group; ``groups = channels``: instance.

    Parameters
    ----------
    groups : Dim
        Groups of channels. [1]
    affine : bool
        Whether a scale and shift per channel are learned.

    Examples
    --------
    >>> GroupNorm(4).nest(Tensor((1, 8, 7, 7))).parallel
    (1, 4)
    """

    groups: Dim
    affine: bool = True
    kernel_kinds = ("norm",)

    def __post_init__(self) -> None:
        check_sizes(self, "groups")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if inputs[0].rank < 2:
            raise ShapeError(f"GroupNorm needs an input with a channel axis, got {inputs[0]}")
        exact_div(inputs[0].shape[1], self.groups, "GroupNorm channels")
        return (inputs[0],)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        channel = inputs[0].with_shape(inputs[0].shape[1])
        return (channel,) * 2 if self.affine else ()

    def nest(self, *inputs: Tensor) -> Nest:
        n, channels, *sizes = inputs[0].shape
        return Nest(
            parallel=(n, self.groups),
            reduced=(exact_div(channels, self.groups), product(sizes)),
            elementwise=5 + 2 * self.affine,
        )

    def pieces(self, *inputs: Tensor) -> Dim:
        return inputs[0].shape[0] * self.groups

    def merged(self, *inputs: Tensor) -> Dim:
        return self.pieces(*inputs)


@dataclass(frozen=True, slots=True)
class LocalResponseNorm(Op):
    """Division by the energy of ``size`` neighbouring channels (AlexNet, GoogLeNet).

    Parameters
    ----------
    size : int
        Channels in a window. [1]

    Examples
    --------
    >>> LocalResponseNorm(5).nest(Tensor((1, 8, 7, 7))).elementwise
    13
    """

    size: int = 5
    kernel_kinds = ("norm",)

    def __post_init__(self) -> None:
        check_sizes(self, "size")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if inputs[0].rank < 2:
            raise ShapeError(f"LocalResponseNorm needs a channel axis, got {inputs[0]}")
        return (inputs[0],)

    def nest(self, *inputs: Tensor) -> Nest:
        # A square and a sum per neighbour, then scale, power and division.
        return Nest(parallel=inputs[0].shape, elementwise=2 * self.size + 3)
