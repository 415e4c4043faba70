"""ncnn layers that move elements."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, product
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.ncnn.call import LAYERS, Blobs
from costmodel.importers.ncnn.parse import Layer
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import (
    ChannelShuffle,
    Concat,
    Contiguous,
    Identity,
    Pad,
    PixelShuffle,
    Resize,
    Slice,
    Split,
)
from costmodel.ops.tensor import Tensor

_REST = -233  # written for "what is left"
_ORDERS: dict[int, dict[int, tuple[int, ...]]] = {  # Permute order types by rank, batch in front
    2: {0: (0, 1, 2), 1: (0, 2, 1)},
    3: {
        0: (0, 1, 2, 3),
        1: (0, 1, 3, 2),
        2: (0, 2, 1, 3),
        3: (0, 2, 3, 1),
        4: (0, 3, 1, 2),
        5: (0, 3, 2, 1),
    },
}


def axis_of(axis: int, x: Operand) -> int:
    """Return our number of an ncnn axis: one more for the batch, negative ones from the end."""
    return axis + 1 if axis >= 0 else len(x.shape) + axis


@LAYERS.register("Input")
def _input(walk: Blobs, layer: Layer) -> Operand:
    return walk.emit.input(walk.input_shape, "float32", layer.outputs[0])


@LAYERS.register("MemoryData")
def _memory_data(walk: Blobs, layer: Layer) -> Operand:
    sizes = [layer.integer(key) for key in (2, 11, 1, 0)]
    shape = (1, *(size for size in sizes if size))
    return Stored(layer.name, Tensor(shape), learned=True)


@LAYERS.register("Split", "Noop")
def _fan_out(walk: Blobs, layer: Layer) -> list[Operand]:
    """Hand on the inputs: a blob that several layers take, or the end of several branches."""
    inputs = walk.inputs(layer)
    return inputs * len(layer.outputs) if layer.kind == "Split" else inputs[: len(layer.outputs)]


@LAYERS.register("Dropout")
def _dropout(walk: Blobs, layer: Layer) -> Operand:
    return walk.emit.add(Identity(), *walk.inputs(layer))


@LAYERS.register("ShuffleChannel")
def _shuffle(walk: Blobs, layer: Layer) -> Operand:
    (x,) = walk.inputs(layer)
    groups = layer.integer(0, 1)
    # Reversed, the file names the channels of a group instead of the groups.
    groups = x.shape[1] // groups if layer.integer(1) else groups
    return walk.emit.add(ChannelShuffle(taken(groups)), x)


@LAYERS.register("PixelShuffle")
def _pixel_shuffle(walk: Blobs, layer: Layer) -> Operand:
    return walk.emit.add(PixelShuffle(layer.integer(0, 1)), *walk.inputs(layer))


@LAYERS.register("Concat")
def _concat(walk: Blobs, layer: Layer) -> list[Operand]:
    inputs = walk.inputs(layer)
    if not inputs:
        return []  # joins constants of layers that are left out
    return [walk.emit.add(Concat(axis_of(layer.integer(0), inputs[0])), *inputs)]


@LAYERS.register("Slice")
def _slice(walk: Blobs, layer: Layer) -> list[Operand]:
    (x,) = walk.inputs(layer)
    axis = axis_of(layer.integer(1), x)
    total = x.shape[axis]
    parts: list[Dim] = []
    given = layer.array(0) or ()
    for i, size in enumerate(given):
        # "what is left" is shared evenly by this part and those after it
        rest = total - sum(parts)
        parts.append(size if size != _REST else rest // (len(given) - i))
    equal = all(part == parts[0] for part in parts)
    return list(walk.emit.add_many(Split(axis, len(parts) if equal else taken(tuple(parts))), x))


@LAYERS.register("Crop")
def _crop(walk: Blobs, layer: Layer) -> Operand:
    x, *reference = walk.inputs(layer)
    starts, ends, axes = layer.array(9), layer.array(10), layer.array(11)
    if starts is not None and ends is not None:
        axes = axes if axes is not None else tuple(range(len(starts)))
        windows = [
            (axis_of(axis, x), start, _clip(end, x.shape[axis_of(axis, x)]) - start)
            for axis, start, end in zip(axes, starts, ends, strict=True)
        ]
    else:
        offsets = (layer.integer(2), layer.integer(1), layer.integer(0))
        sizes = (layer.integer(5), layer.integer(4), layer.integer(3))
        if reference:
            sizes = tuple(reference[0].shape[1:])
        windows = [
            (i, start, size if size > 0 else x.shape[i] - start)
            for i, (start, size) in enumerate(zip(offsets, sizes, strict=True), 1)
        ]
    for axis, start, size in windows:
        if size != x.shape[axis]:
            x = walk.emit.add(Slice(axis, start, taken(size)), x)
    # ncnn's blobs are whole in memory: a crop of them is copied.
    return walk.emit.add(Contiguous(), x)


def _clip(end: int, size: Dim) -> Dim:
    return size + end if end < 0 else min(end, size)


@LAYERS.register("Padding")
def _padding(walk: Blobs, layer: Layer) -> Operand:
    (x,) = walk.inputs(layer)
    top, bottom, left, right = (layer.integer(key) for key in range(4))
    front, behind = layer.integer(7), layer.integer(8)
    return walk.emit.add(Pad(((0, 0), (front, behind), (top, bottom), (left, right))), x)


@LAYERS.register("Flatten")
def _flatten(walk: Blobs, layer: Layer) -> Operand:
    (x,) = walk.inputs(layer)
    return walk.emit.reshape(x, (x.shape[0], product(x.shape[1:])))


@LAYERS.register("Reshape")
def _reshape(walk: Blobs, layer: Layer) -> Operand:
    (x,) = walk.inputs(layer)
    sizes = [layer.integer(key, _REST) for key in (2, 11, 1, 0)]
    shape = [size for size in sizes if size != _REST]
    shape = [x.shape[-1 - i] if size == 0 else size for i, size in enumerate(reversed(shape))][::-1]
    known = product(size for size in shape if size != -1)
    rest = product(x.shape[1:]) // known
    return walk.emit.reshape(x, (x.shape[0], *(rest if size == -1 else size for size in shape)))


@LAYERS.register("Permute")
def _permute(walk: Blobs, layer: Layer) -> Operand:
    (x,) = walk.inputs(layer)
    order = _ORDERS.get(len(x.shape) - 1, {}).get(layer.integer(0))
    if order is None:
        raise UnsupportedFormError(f"order {layer.integer(0)} of {len(x.shape) - 1} axes")
    y = walk.emit.transpose(x, order)
    return y if y is x else walk.emit.add(Contiguous(), y)


@LAYERS.register("Interp")
def _interp(walk: Blobs, layer: Layer) -> Operand:
    x, *reference = walk.inputs(layer)
    kinds = {1: "nearest", 2: "bilinear", 3: "bicubic"}
    if reference:
        output = tuple(reference[0].shape[2:])
    elif layer.integer(3) and layer.integer(4):
        output = (layer.integer(3), layer.integer(4))
    else:
        scales = (layer.number(1, 1.0), layer.number(2, 1.0))
        output = tuple(
            size * int(scale) if scale == int(scale) else int(size * scale)
            for size, scale in zip(x.shape[2:], scales, strict=True)
        )
    return walk.emit.add(Resize(taken(output), kinds[layer.integer(0)]), x)
