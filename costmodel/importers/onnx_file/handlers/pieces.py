"""ONNX operators that cut tensors and put them together."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, same
from costmodel.errors import ShapeError
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import DECLARED, HANDLERS, MOST_AXES, Call, Result, an_axis
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Concat, Contiguous, Pad, Slice, Split
from costmodel.ops.tensor import Tensor

_MOST_OUTPUTS = 4096


@HANDLERS.register("Concat")
def _concat(call: Call) -> Result:
    parts = call.operands()
    filled = [x for x in parts if x.shape != (0,)] or parts[:1]
    return call.emit.add(Concat(call.attribute("axis", 0)), *filled)


@HANDLERS.register("Split")
def _split(call: Call) -> Result:
    x = call.operand()
    return cut(call, x, call.axis(len(x.shape)), call.sizes(1, "split", _MOST_OUTPUTS))


@DECLARED.register("Split")
def _split_as_stated(call: Call, stated: list[Tensor]) -> Result:
    x = call.operand()
    axis = call.axis(len(x.shape))
    if len(stated) != len(call.node.output):
        raise UnsupportedFormError("sizes that depend on data")
    return cut(call, x, axis, [tensor.shape[axis] for tensor in stated])


def cut(
    call: Call, x: Operand, axis: int, sizes: Sequence[Dim] | None, count: int = 0
) -> list[Operand]:
    """Return the parts of ``x`` along ``axis``: of these sizes, or equal ones."""
    count = count or len(call.node.output)
    if sizes is None:
        length = x.shape[axis]
        whole = -(-length // count) if isinstance(length, int) else length / count
        sizes = [whole] * (count - 1)
        sizes.append(length - whole * (count - 1))
    if isinstance(x, Stored):
        Split(axis, taken(tuple(sizes))).infer(x.tensor)
        shapes = [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]
        return [x.view(shape, f"{call.node.output[0]} {i}") for i, shape in enumerate(shapes)]
    equal = all(same(size, sizes[0]) for size in sizes)
    return list(call.emit.add_many(Split(axis, len(sizes) if equal else taken(tuple(sizes))), x))


@HANDLERS.register("Slice")
def _slice(call: Call) -> Result:
    x = call.operand()
    starts, ends = call.sizes(1, "starts") or [], call.sizes(2, "ends") or []
    axes = call.sizes(3, "axes")
    axes = list(range(len(starts))) if axes is None else axes
    steps = call.sizes(4) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = _cut(call, x, an_axis(int(axis), len(x.shape)), start, end, int(step))
    return x


@DECLARED.register("Slice")
def _slice_as_stated(call: Call, stated: list[Tensor]) -> Result:
    x = call.operand()
    for axis, size in enumerate(stated[0].shape):
        if not same(size, x.shape[axis]):
            x = _part(call, x, axis, 0, size, 1)
    return x


def _cut(call: Call, x: Operand, axis: int, start: Dim, end: Dim, step: int) -> Operand:
    length = x.shape[axis]
    if step == 0:
        raise ShapeError("a step of 0 never ends")
    if all(isinstance(v, int) for v in (start, end, length)):
        kept = range(length)[slice(start, end if step > 0 or end >= -length else None, step)]
        first, size = (min(kept[0], kept[-1]), len(kept)) if len(kept) else (0, 0)
    else:
        if step != 1:
            raise UnsupportedFormError("step through a symbolic axis")
        last = length if isinstance(end, int) and end >= 2**31 - 1 else end
        last = length + last if isinstance(last, int) and last < 0 else last
        first = start if isinstance(start, int) and start >= 0 else 0
        begin = length + start if isinstance(start, int) and start < 0 else start
        size = last - begin
    if same(size, length):
        return x if step > 0 else call.emit.add(Contiguous(), x)
    return _part(call, x, axis, first, size, step)


def _part(call: Call, x: Operand, axis: int, first: int, size: Dim, step: int) -> Operand:
    op = Slice(axis, first, taken(size), abs(step))
    if isinstance(x, Stored):
        (tensor,) = op.infer(x.tensor)
        return x.view(tensor.shape, f"axis {axis} from {first} by {step}")
    return call.emit.add(op, x)


@HANDLERS.register("Pad")
def _pad(call: Call) -> Result:
    x = call.operand()
    pads = call.sizes(1, "pads", 2 * MOST_AXES) or []
    axes = [an_axis(int(a), len(x.shape)) for a in call.sizes(3) or range(len(pads) // 2)]
    pairs: list[tuple[Dim, Dim]] = [(0, 0)] * len(x.shape)
    for i, axis in enumerate(axes):
        pairs[axis] = (pads[i], pads[i + len(axes)])
    return padded(call, x, pairs)


@DECLARED.register("Pad")
def _pad_as_stated(call: Call, stated: list[Tensor]) -> Result:
    x = call.operand()
    sizes = zip(stated[0].shape, x.shape, strict=True)
    return padded(call, x, [(0, new - old) for new, old in sizes])


def padded(call: Call, x: Operand, pairs: list[tuple[Dim, Dim]]) -> Operand:
    """Emit a border; a negative one cuts the tensor."""
    for axis, (before, after) in enumerate(pairs):
        lost = [-v if isinstance(v, int) and v < 0 else 0 for v in (before, after)]
        if any(lost):
            x = _part(call, x, axis, lost[0], x.shape[axis] - sum(lost), 1)
    wide = tuple(tuple(0 if isinstance(v, int) and v < 0 else v for v in pair) for pair in pairs)
    if all(same(v, 0) for pair in wide for v in pair):
        return x
    return call.emit.add(Pad(taken(wide)), x)


@HANDLERS.register("CenterCropPad")
def _center_crop_pad(call: Call) -> Result:
    x = call.operand()
    sizes = call.sizes(1) or []
    given = call.attribute("axes")
    axes = range(len(x.shape)) if given is None else [an_axis(a, len(x.shape)) for a in given]
    pairs: list[tuple[Dim, Dim]] = [(0, 0)] * len(x.shape)
    for axis, size in zip(axes, sizes, strict=True):
        pairs[axis] = (0, size - x.shape[axis])
    return padded(call, x, pairs)


@DECLARED.register("CenterCropPad")
def _center_crop_pad_as_stated(call: Call, stated: list[Tensor]) -> Result:
    return _pad_as_stated(call, stated)
