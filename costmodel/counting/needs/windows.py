"""Elements needed by sliding windows: the pixels and taps that meet."""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, ceil_div, exact_div, maximum, minimum, product, same
from costmodel.counting.needs.base import Needs, Part, needs_of
from costmodel.ops import AdaptivePool, Conv, ConvTranspose, DeformConv, GridSample, Pool, Resize
from costmodel.ops.reach import Axis, hits, inside, landing, reuse, taps, touched
from costmodel.ops.tensor import Tensor

Tensors = tuple[Tensor, ...]
Parts = tuple[Part, ...]


def axes_of(op: Conv | Pool | DeformConv, x: Tensor) -> list[Axis]:
    """Return the axes along which the windows of a convolution or pooling slide."""
    windows = op.infer(x)[0].shape[2:]
    found = []
    for i, (size, out) in enumerate(zip(x.shape[2:], windows, strict=True)):
        k, s, d = op.kernel[i], op.stride[i], op.dilation[i]
        if op.padding == "same":
            missing = maximum(0, (out - 1) * s + d * (k - 1) + 1 - size)
            before = missing // 2
            after = missing - before
        else:
            before, after = op.padding[i]
        found.append(Axis(size, out, k, s, d, before, after))
    return found


def scattered_axes(op: ConvTranspose, x: Tensor) -> list[Axis]:
    """Return the axes of the output, along which each input pixel scatters a window."""
    sizes = op.infer(x)[0].shape[2:]
    return [
        Axis(size, pixels, op.kernel[i], op.stride[i], op.dilation[i], op.padding[i][0])
        for i, (size, pixels) in enumerate(zip(sizes, x.shape[2:], strict=True))
    ]


def pairs_of(axis: Axis, windows: Dim) -> Dim:
    """Return the least number of taps inside the axis of any ``windows`` windows [1]."""
    if same(windows, axis.windows):
        return hits(axis)
    return maximum(0, hits(axis) - (axis.windows - windows) * axis.kernel)


def _pixels(axis: Axis, windows: Dim) -> Dim:
    """Return the least number of positions met by any ``windows`` windows [1]."""
    if same(windows, axis.windows):
        return touched(axis)
    missing = axis.windows - windows
    return maximum(
        ceil_div(pairs_of(axis, windows), reuse(axis)),
        *(inside(axis, t) - missing for t in range(axis.kernel if _few(axis.kernel) else 1)),
        touched(axis) - missing * axis.kernel,
        0,
    )


def _few(kernel: Dim) -> bool:
    return isinstance(kernel, int) and kernel <= 64


def _grouped(part: Dim, size: Dim, groups: Dim, channels: Dim) -> Dim:
    """Return the channels on the other side of the groups with ``part`` of ``size`` channels."""
    if same(part, size):
        return channels
    return ceil_div(part, exact_div(size, groups)) * exact_div(channels, groups)


@needs_of.register
def _conv(op: Conv, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    images, channels, *pixels = part.box
    axes = list(zip(axes_of(op, x), pixels, strict=True))
    per_group = exact_div(x.shape[1], op.groups)
    taken = _grouped(channels, op.out_channels, op.groups, x.shape[1])
    weights = product((channels, per_group, *(taps(axis, n) for axis, n in axes)))
    box = (images, taken, *(_pixels(axis, n) for axis, n in axes))
    return Needs((Part.of(*box),), weights + channels * int(op.bias))


@needs_of.register
def _transposed(op: ConvTranspose, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    images, channels, *pixels = part.box
    taken = _grouped(channels, op.out_channels, op.groups, x.shape[1])
    per_group = exact_div(x.shape[1], op.groups)
    axes = list(zip(scattered_axes(op, x), pixels, strict=True))
    box = [_scattering(axis, n) for axis, n in axes]
    weights = product((channels, per_group, *(_landed(axis, n) for axis, n in axes)))
    return Needs((Part.of(images, taken, *box),), weights + channels * int(op.bias))


def scattered_pairs(axis: Axis, outputs: Dim) -> Dim:
    """Return the number of (input pixel, tap) pairs that land on any ``outputs`` pixels [1]."""
    if same(outputs, axis.size):
        return hits(axis)
    return maximum(0, hits(axis) - (axis.size - outputs) * reuse(axis))


def _scattering(axis: Axis, outputs: Dim) -> Dim:
    """Return the least number of input pixels that land on any ``outputs`` pixels [1]."""
    if same(outputs, axis.size):
        return landing(axis)
    lost = (axis.size - outputs) * reuse(axis)
    return maximum(ceil_div(scattered_pairs(axis, outputs), axis.kernel), landing(axis) - lost)


def _landed(axis: Axis, outputs: Dim) -> Dim:
    """Return the least number of taps that land on any ``outputs`` pixels [1]."""
    if same(outputs, axis.size):
        return taps(axis, axis.windows)
    lost = (axis.size - outputs) * reuse(axis)
    read = taps(axis, axis.windows) - lost
    return maximum(ceil_div(scattered_pairs(axis, outputs), axis.windows), read)


@needs_of.register
def _deformed(op: DeformConv, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x, *others) = parts, inputs
    images, channels, *pixels = part.box
    taken = _grouped(channels, op.out_channels, op.groups, x.shape[1])
    samples = product((*pixels, *op.kernel))
    seen = minimum(product(x.shape[2:]), samples)
    weights = product((channels, exact_div(x.shape[1], op.groups), *op.kernel))
    whole_x = same(taken, x.shape[1])
    moved = [
        Part.of(images, n if whole_x else ceil_div(taken * n, x.shape[1]), *pixels)
        for n in (y.shape[1] for y in others)
    ]
    return Needs((_scattered(x, images, taken, seen), *moved), weights + channels * int(op.bias))


@needs_of.register
def _pool(op: Pool, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    axes = zip(axes_of(op, x), part.box[2:], strict=True)
    return Needs((Part.of(*part.box[:2], *(_pixels(axis, n) for axis, n in axes)),))


@needs_of.register
def _adaptive(op: AdaptivePool, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    box = []
    for size, windows, n in zip(x.shape[2:], op.output, part.box[2:], strict=True):
        # Windows adjoin or overlap and meet every pixel; each has at most this many taps.
        lost = (windows - n) * (ceil_div(size, windows) + 1)
        box.append(size if same(windows, n) else maximum(0, size - lost))
    return Needs((Part.of(*part.box[:2], *box),))


@needs_of.register
def _resize(op: Resize, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    box = []
    for size, out, n in zip(x.shape[2:], op.output, part.box[2:], strict=True):
        # Results come from different pixels, or from all pixels.
        box.append(maximum(ceil_div(n, ceil_div(out, size)), minimum(size, out) - (out - n)))
    return Needs((Part.of(*part.box[:2], *box),))


@needs_of.register
def _grid_sample(op: GridSample, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x, grid) = parts, inputs
    images, channels, *pixels = part.box
    seen = minimum(product(x.shape[2:]), product(pixels))
    image = _scattered(x, images, channels, seen)
    return Needs((image, Part.of(images, *pixels, grid.shape[-1])))


def _scattered(x: Tensor, images: Dim, channels: Dim, pixels: Dim) -> Part:
    """Return ``pixels`` pixels anywhere in an image: not a box, unless they are all of it."""
    there = Part.of(pixels).covers(product(x.shape[2:]))
    box = (images, channels, *(n * there for n in x.shape[2:]))
    return Part(box, product((images, channels, pixels)))
