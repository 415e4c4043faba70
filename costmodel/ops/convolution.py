"""Convolution and transposed convolution in one, two or three dimensions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from costmodel.algebra.sizes import check_dim, taken
from costmodel.algebra.symbols import Dim, exact_div, product, same
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op, need_rank
from costmodel.ops.product import Product
from costmodel.ops.reach import most_taps
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import (
    Padding,
    Window,
    as_padding,
    as_sizes,
    check_sizes,
    need_pixels,
    window_size,
)

_FIELDS = ("out_channels", "kernel", "stride", "padding", "dilation", "groups", "bias")
"""The fields of a convolution."""
CONVOLUTIONS = ("pointwise", "convolution", "grouped", "depthwise")
"""The kinds of kernel of convolutions."""
_LAYOUT = "batch, channels, spatial sizes"


@dataclass(frozen=True, slots=True)
class Conv(Op):
    r"""Convolution: ``len(kernel)`` spatial dimensions, batch and channels first.

    Parameters
    ----------
    out_channels : Dim
        Output channels ``c2``. [1]
    kernel : tuple of Dim
        Taps along each spatial axis. [1]
    stride, dilation : Dim or tuple of Dim
        Step between windows and between taps. [1]
    padding : int, tuple, or "same"
        Zeros added along each axis, a number or a (before, after) pair per axis; ``"same"`` makes
        outputs of ``ceil(size / stride)``.
    groups : Dim
        Groups ``g``; ``groups = c1`` is a depthwise convolution. [1]
    bias : bool
        Whether a bias of ``out_channels`` elements is added.

    Notes
    -----
    .. math:: B = A_2 c_2\,(c_1/g)\,\kappa \qquad
              \mathrm{MAC} = A_1 c_1 + A_2 c_2 + c_1 c_2 \kappa / g

    with ``A1`` and ``A2`` the input and output pixels of the whole batch and ``kappa`` the taps.
    Taps on padding count as multiply-adds, as is usual in the field. The whole input counts as
    read, even if a stride larger than the kernel skips pixels.

    Examples
    --------
    >>> depthwise = Conv(58, (3, 3), stride=2, padding=1, groups=58)
    >>> depthwise.infer(Tensor((1, 58, 56, 56)))[0].shape
    (1, 58, 28, 28)
    """

    out_channels: Dim
    kernel: tuple[Dim, ...]
    stride: Window = 1
    padding: Padding = 0
    dilation: Window = 1
    groups: Dim = 1
    bias: bool = False
    kernel_kinds = CONVOLUTIONS

    def __post_init__(self) -> None:
        rank = len(self.kernel)
        object.__setattr__(self, "kernel", as_sizes(self.kernel, rank))
        object.__setattr__(self, "stride", as_sizes(self.stride, rank))
        object.__setattr__(self, "dilation", as_sizes(self.dilation, rank))
        object.__setattr__(self, "padding", as_padding(self.padding, rank))
        check_sizes(self, "out_channels", "groups")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        need_rank(self, x, 2 + len(self.kernel), _LAYOUT)
        exact_div(x.shape[1], self.groups, "Conv input channels")
        exact_div(self.out_channels, self.groups, "Conv output channels")
        sizes = window_size(self, x, self.kernel, self.stride, self.padding, self.dilation)
        return (x.with_shape(x.shape[0], self.out_channels, *sizes),)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        per_group = exact_div(x.shape[1], self.groups)
        kernel = x.with_shape(self.out_channels, per_group, *self.kernel)
        return (kernel, x.with_shape(self.out_channels)) if self.bias else (kernel,)

    def nest(self, *inputs: Tensor) -> Nest:
        (x,) = inputs
        return Nest(
            parallel=self.infer(x)[0].shape,
            reduced=(exact_div(x.shape[1], self.groups), *self.kernel),
            multiply_adds=1,
            epilogue=int(self.bias),
        )

    def kernel_kind(self, *inputs: Tensor) -> str:
        return kind_of_convolution(self.kernel, self.groups, inputs[0].shape[1])

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        (x,) = inputs
        sizes = self.infer(x)[0].shape[2:]
        height, width = product(sizes[:-1]), sizes[-1]
        every = all(same(s, 1) for s in (*self.stride, *self.dilation))  # pixel, that is
        dense = every and same(self.groups, 1)
        channelwise = not dense and same(self.groups, x.shape[1])
        winograd = every and not channelwise and len(sizes) == 2
        winograd = winograd and all(same(k, 3) for k in self.kernel)
        return (
            Product(
                batch=self.groups,
                m=exact_div(self.out_channels, self.groups),
                n=x.shape[0] * height * width,
                k=exact_div(x.shape[1], self.groups) * product(self.kernel),
                height=height,
                width=width,
                taps=product(self.kernel),
                winograd=winograd,
                axes=len(sizes),
                fourier=dense and not all(same(k, 1) for k in self.kernel),
            ),
        )


@dataclass(frozen=True, slots=True)
class ConvTranspose(Op):
    """Transposed convolution: each input pixel is scattered over ``kernel`` outputs.

    Parameters
    ----------
    out_channels, kernel, stride, dilation, groups, bias
        As in :class:`Conv`.
    padding : int or tuple
        Pixels cropped from the output along each axis.
    output_padding : Dim or tuple of Dim
        Extra pixels at the far end of the output. [1]

    Notes
    -----
    Multiply-adds are those of the scattered form, ``A1 c1 (c2/g) kappa`` with ``A1`` input pixels;
    counters that use the output pixels instead are wrong by ``stride**2``. An output is the sum of
    at most ``(c1/g) ceil(k/s)`` products per axis of ``k`` taps, which is its span, and a bias.

    Examples
    --------
    >>> up = ConvTranspose(8, (2, 2), stride=2)
    >>> up.infer(Tensor((1, 16, 7, 7)))[0].shape
    (1, 8, 14, 14)
    """

    out_channels: Dim
    kernel: tuple[Dim, ...]
    stride: Window = 1
    padding: Padding = 0
    output_padding: Window = 0
    dilation: Window = 1
    groups: Dim = 1
    bias: bool = False
    kernel_kinds = CONVOLUTIONS

    def __post_init__(self) -> None:
        rank = len(self.kernel)
        for name in ("kernel", "stride", "dilation", "output_padding"):
            smallest = 0 if name == "output_padding" else 1
            object.__setattr__(self, name, as_sizes(getattr(self, name), rank, smallest))
        padding = as_padding(self.padding, rank)
        if padding == "same":
            raise ShapeError("ConvTranspose padding must be numbers, not 'same'")
        object.__setattr__(self, "padding", padding)
        check_sizes(self, "out_channels", "groups")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        need_rank(self, x, 2 + len(self.kernel), _LAYOUT)
        need_pixels(self, x)
        exact_div(x.shape[1], self.groups, "ConvTranspose input channels")
        exact_div(self.out_channels, self.groups, "ConvTranspose output channels")
        sizes = tuple(
            check_dim(
                (size - 1) * s - before - after + d * (k - 1) + extra + 1,
                "ConvTranspose output size",
                stated=False,
            )
            for size, k, s, (before, after), d, extra in zip(
                x.shape[2:],
                self.kernel,
                self.stride,
                self.padding,
                self.dilation,
                self.output_padding,
                strict=True,
            )
        )
        return (x.with_shape(x.shape[0], self.out_channels, *sizes),)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        per_group = exact_div(self.out_channels, self.groups)
        kernel = x.with_shape(x.shape[1], per_group, *self.kernel)
        return (kernel, x.with_shape(self.out_channels)) if self.bias else (kernel,)

    def nest(self, *inputs: Tensor) -> Nest:
        (x,) = inputs
        per_group = exact_div(self.out_channels, self.groups)
        output = self.infer(x)[0].elements
        # Input pixels are independent except for the sums of overlapping windows. The bias is one
        # addition per output, which the input loops do not cover.
        points = x.shape[0] * product(x.shape[2:]) * per_group * self.groups
        channels = exact_div(x.shape[1], self.groups)
        axes = zip(x.shape[2:], self.kernel, self.stride, self.dilation, strict=True)
        met = product(most_taps(size, k, s, d) for size, k, s, d in axes)
        return Nest(
            parallel=(points,),
            reduced=(channels * product(self.kernel),),
            multiply_adds=1,
            extra=output if self.bias else 0,
            chain=channels * met + int(self.bias),
        )

    def kernel_kind(self, *inputs: Tensor) -> str:
        return kind_of_convolution(self.kernel, self.groups, inputs[0].shape[1])

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        (x,) = inputs
        return (
            Product(
                batch=self.groups,
                m=exact_div(self.out_channels, self.groups) * product(self.kernel),
                n=x.shape[0] * product(x.shape[2:]),
                k=exact_div(x.shape[1], self.groups),
            ),
        )


@dataclass(frozen=True, slots=True)
class DeformConv(Op):
    r"""Deformable convolution: every tap reads an interpolated value at an offset position.

    Inputs are ``x [n, c1, h, w]``, ``offsets [n, 2 o k, h', w']`` and, if ``modulated``, a weight
    for each sample ``[n, o k, h', w']``, with ``k`` taps and ``o`` offset groups.

    Parameters
    ----------
    out_channels, kernel, stride, dilation, groups, bias
        As in :class:`Conv`, of two axes.
    padding : int or tuple
        As in :class:`Conv`, in numbers.
    offset_groups : Dim
        Groups of input channels that share their offsets, ``o``. [1]
    modulated : bool
        Whether each sample is multiplied by a weight (deformable convolution v2).

    Notes
    -----
    Multiply-adds are those of the convolution. Each of the :math:`A_2 c_1 \kappa` samples takes 7
    further operations (a weighted sum of 4 neighbours), and one for its weight. Libraries write the
    samples to memory and read them again (im2col), which is not counted here.

    Examples
    --------
    >>> x, offsets = Tensor((1, 8, 14, 14)), Tensor((1, 18, 14, 14))
    >>> DeformConv(16, (3, 3), padding=1).infer(x, offsets)[0].shape
    (1, 16, 14, 14)
    """

    out_channels: Dim
    kernel: tuple[Dim, ...]
    stride: Window = 1
    padding: Padding = 0
    dilation: Window = 1
    groups: Dim = 1
    offset_groups: Dim = 1
    modulated: bool = False
    bias: bool = False
    kernel_kinds = ("convolution", "grouped")
    arity = None

    def __post_init__(self) -> None:
        if self.padding == "same":
            raise ShapeError("DeformConv padding must be numbers, not 'same'")
        if len(self.kernel) != 2:
            raise ShapeError(f"DeformConv needs a kernel of two axes, got {self.kernel}")
        stated = {name: getattr(self, name) for name in _FIELDS}
        for name, value in Conv(**stated).fields().items():
            object.__setattr__(self, name, value)
        check_sizes(self, "offset_groups")

    def kernel_kind(self, *inputs: Tensor) -> str:
        return "convolution" if same(self.groups, 1) else "grouped"

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if len(inputs) != 2 + self.modulated:
            raise ShapeError(f"DeformConv takes {2 + self.modulated} inputs, got {len(inputs)}")
        x, *others = inputs
        (y,) = self._convolution().infer(x)
        exact_div(x.shape[1], self.offset_groups, "DeformConv input channels")
        samples = self.offset_groups * product(self.kernel)
        for tensor, channels in zip(others, (2 * samples, samples), strict=False):
            needed = (x.shape[0], channels, *y.shape[2:])
            if tensor.rank != 4 or not all(map(same, tensor.shape, needed)):
                raise ShapeError(f"DeformConv on {x} needs offsets or weights {needed}: {tensor}")
        return (y,)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self._convolution().weights(inputs[0])

    def nest(self, *inputs: Tensor) -> Nest:
        x = inputs[0]
        conv = self._convolution()
        n, _, *sizes = conv.infer(x)[0].shape
        samples = n * product(sizes) * x.shape[1] * product(self.kernel)
        nest = conv.nest(x)
        sampling = 7 + self.modulated  # operations of one sample, in order
        return dataclasses.replace(
            nest,
            extra=sampling * samples,
            chain=sampling + product(nest.reduced) + nest.epilogue,
        )

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        (p,) = self._convolution().products(inputs[0])
        return (dataclasses.replace(p, winograd=False, fourier=False),)

    def _convolution(self) -> Conv:
        """Return the convolution without offsets."""
        return Conv(**{name: taken(getattr(self, name)) for name in _FIELDS})


def kind_of_convolution(kernel: tuple[Dim, ...], groups: Dim, channels: Dim) -> str:
    """Return the kind of kernel of a convolution of ``channels`` input channels.

    Examples
    --------
    >>> kind_of_convolution((3, 3), 8, 8), kind_of_convolution((1, 1), 1, 8)
    ('depthwise', 'pointwise')
    """
    if not same(groups, 1):
        return "depthwise" if same(groups, channels) else "grouped"
    return "pointwise" if all(same(k, 1) for k in kernel) else "convolution"
