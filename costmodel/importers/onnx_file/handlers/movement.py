"""ONNX operators that move elements."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, exact_div, product, same
from costmodel.errors import ShapeError
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.onnx_file.load import dtype_of
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import (
    BroadcastTo,
    Concat,
    Contiguous,
    Embedding,
    Gather,
    Identity,
    Pad,
    Reshape,
    Slice,
    Split,
)
from costmodel.ops.broadcast import broadcast_shapes
from costmodel.ops.tensor import Tensor


@HANDLERS.register("Identity")
def _same(call: Call) -> Result:
    return call.operand()


@HANDLERS.register("Dropout")
def _dropout(call: Call) -> Result:
    return [call.emit.add(Identity(), call.operand()), None]


@HANDLERS.register("Reshape")
def _reshape(call: Call) -> Result:
    x, target = call.operand(), call.sizes(1, "shape") or []
    if not call.attribute("allowzero", 0):
        target = [x.shape[i] if same(size, 0) else size for i, size in enumerate(target)]
    if any(same(size, -1) for size in target):
        free = [i for i, size in enumerate(target) if same(size, -1)]
        if isinstance(x, Stored):
            known = product(size for size in target if not same(size, -1))
            target[free[0]] = exact_div(x.tensor.elements, known)
        else:
            target = list(Reshape(taken(tuple(target))).infer(x.tensor)[0].shape)
    return call.emit.reshape(x, target)


@HANDLERS.register("Flatten")
def _flatten(call: Call) -> Result:
    x = call.operand()
    axis = call.attribute("axis", 1)
    axis = axis if axis >= 0 else axis + len(x.shape)
    return call.emit.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))


@HANDLERS.register("Squeeze")
def _squeeze(call: Call) -> Result:
    x = call.operand()
    given = call.sizes(1, "axes")
    axes = {int(a) % len(x.shape) for a in given} if given is not None else None
    gone = {i for i, size in enumerate(x.shape) if (same(size, 1) if axes is None else i in axes)}
    return call.emit.reshape(x, [size for i, size in enumerate(x.shape) if i not in gone])


@HANDLERS.register("Unsqueeze")
def _unsqueeze(call: Call) -> Result:
    x = call.operand()
    axes = call.sizes(1, "axes") or []
    rank = len(x.shape) + len(axes)
    new = {int(axis) % rank for axis in axes}
    sizes = iter(x.shape)
    return call.emit.reshape(x, [1 if i in new else next(sizes) for i in range(rank)])


@HANDLERS.register("Transpose")
def _transpose(call: Call) -> Result:
    x = call.operand()
    order = call.attribute("perm") or list(range(len(x.shape)))[::-1]
    y = call.emit.transpose(x, order)
    if isinstance(y, Stored) or y is x or _keeps_order(x.shape, order):
        return y
    return call.emit.add(Contiguous(), y)


def _keeps_order(shape: Sequence[Dim], order: Sequence[int]) -> bool:
    """Say whether only axes of size 1 move, so that no element does."""
    moving = [axis for axis in order if not same(shape[axis], 1)]
    return moving == sorted(moving)


@HANDLERS.register("Concat")
def _concat(call: Call) -> Result:
    parts = [x for x in call.operands() if x.shape != (0,)]
    return call.emit.add(Concat(call.attribute("axis")), *parts)


@HANDLERS.register("Split")
def _split(call: Call) -> Result:
    x = call.operand()
    axis = call.attribute("axis", 0) % len(x.shape)
    count = len(call.node.output)
    sizes = call.sizes(1, "split")
    if sizes is None:
        length = x.shape[axis]
        whole = -(-length // count) if isinstance(length, int) else length / count
        sizes = [whole] * (count - 1)
        sizes.append(length - whole * (count - 1))
    if isinstance(x, Stored):
        shapes = [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]
        return [x.view(shape, f"{call.node.output[0]} {i}") for i, shape in enumerate(shapes)]
    equal = all(same(size, sizes[0]) for size in sizes)
    return call.emit.add_many(Split(axis, count if equal else taken(tuple(sizes))), x)


@HANDLERS.register("Slice")
def _slice(call: Call) -> Result:
    x = call.operand()
    starts, ends = call.sizes(1, "starts") or [], call.sizes(2, "ends") or []
    axes = call.sizes(3, "axes") or list(range(len(starts)))
    steps = call.sizes(4) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = _cut(call, x, int(axis) % len(x.shape), start, end, int(step))
    return x


def _cut(call: Call, x: Operand, axis: int, start: Dim, end: Dim, step: int) -> Operand:
    length = x.shape[axis]
    if all(isinstance(v, int) for v in (start, end, length)):
        kept = range(length)[slice(start, end if step > 0 or end >= -length else None, step)]
        first, size = (min(kept[0], kept[-1]), len(kept)) if len(kept) else (0, 0)
    else:
        if step != 1:
            raise UnsupportedFormError("step through a symbolic axis")
        last = length if isinstance(end, int) and end >= 2**31 else end
        last = length + last if isinstance(last, int) and last < 0 else last
        first = start if isinstance(start, int) and start >= 0 else 0
        begin = length + start if isinstance(start, int) and start < 0 else start
        size = last - begin
    if same(size, length):
        return x if step > 0 else call.emit.add(Contiguous(), x)
    if isinstance(x, Stored):
        shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
        return x.view(shape, f"axis {axis} from {first} by {step}")
    return call.emit.add(Slice(axis, first, taken(size), abs(step)), x)


@HANDLERS.register("Gather")
def _gather(call: Call) -> Result:
    x, indices = call.operand(0), call.operand(1)
    axis = call.attribute("axis", 0) % len(x.shape)
    if isinstance(x, Stored) and x.learned and axis == 0 and len(x.shape) == 2:
        name = call.emit.weight_name(x)
        call.emit.owns_bias(name, None)
        op = Embedding(x.shape[0], x.shape[1], x.tensor.dtype)
        return call.emit.add(op, indices, weights=name)
    known = call.walk.known(call.node.input[1])
    if known is not None and known.size == 1 and not isinstance(x, Stored):
        # One index is a view: a slice, its axis dropped where the index has none.
        index = int(known.item())
        length = x.shape[axis]
        start = index + length if index < 0 and isinstance(length, int) else max(index, 0)
        one = call.emit.add(Slice(axis, start, 1), x)
        return call.emit.reshape(one, (*x.shape[:axis], *known.shape, *x.shape[axis + 1 :]))
    return call.emit.add(Gather(axis), x, indices)


@HANDLERS.register("GatherElements")
def _gather_elements(call: Call) -> Result:
    flat = call.emit.reshape(call.operand(), (call.operand().tensor.elements,))
    return call.emit.add(Gather(0), flat, call.operand(1))


@HANDLERS.register("GatherND")
def _gather_nd(call: Call) -> Result:
    """Pick by positions on the first axes, taken as one axis."""
    x, indices = call.operand(0), call.operand(1)
    depth = indices.shape[-1]
    if call.attribute("batch_dims", 0) or not isinstance(depth, int):
        raise UnsupportedFormError("batch axes")
    if depth > len(x.shape):
        raise ShapeError(f"positions on {depth} axes do not fit the input {x.tensor}")
    flat = call.emit.reshape(x, (product(x.shape[:depth]), *x.shape[depth:]))
    one = call.emit.add(Slice(len(indices.shape) - 1, 0, 1), indices)
    return call.emit.add(Gather(0), flat, call.emit.reshape(one, indices.shape[:-1]))


@HANDLERS.register("ScatterND", "ScatterElements")
def _scatter(call: Call) -> Result:
    """Write part of a copy: what is kept and what is written move once."""
    call.emit.add(Contiguous(), call.operand(2))
    return call.emit.add(Contiguous(), call.operand(0))


@HANDLERS.register("Pad")
def _pad(call: Call) -> Result:
    x = call.operand()
    pads = call.sizes(1, "pads") or []
    axes = [int(a) % len(x.shape) for a in call.sizes(3) or range(len(pads) // 2)]
    pairs: list[tuple[Dim, Dim]] = [(0, 0)] * len(x.shape)
    for i, axis in enumerate(axes):
        pairs[axis] = (pads[i], pads[i + len(axes)])
    if any(isinstance(v, int) and v < 0 for pair in pairs for v in pair):
        raise UnsupportedFormError("negative padding")
    if all(same(v, 0) for pair in pairs for v in pair):
        return x
    return call.emit.add(Pad(taken(tuple(pairs))), x)


@HANDLERS.register("Expand")
def _expand(call: Call) -> Result:
    x = call.operand()
    shape = broadcast_shapes(x.shape, tuple(call.sizes(1) or ()), "Expand")
    if len(shape) == len(x.shape) and all(map(same, shape, x.shape)):
        return x
    return call.emit.add(BroadcastTo(taken(shape)), x)


@HANDLERS.register("Tile")
def _tile(call: Call) -> Result:
    x, times = call.operand(), call.sizes(1) or []
    if all(same(t, 1) for t in times):
        return x
    apart = [size for old in x.shape for size in (1, old)]
    wide = [size for old, t in zip(x.shape, times, strict=True) for size in (t, old)]
    view = call.emit.add(BroadcastTo(taken(tuple(wide))), call.emit.reshape(x, apart))
    copy = call.emit.add(Contiguous(), view)
    return call.emit.reshape(copy, [a * b for a, b in zip(x.shape, times, strict=True)])


@HANDLERS.register("ConstantOfShape", "Range")
def _made(call: Call) -> Result:
    if call.node.op_type == "Range":
        raise UnsupportedFormError("of a length that depends on data")
    shape = tuple(call.sizes(0) or ())
    value = call.attribute("value")
    dtype = "float32" if value is None else dtype_of(value.data_type, call.node.output[0])
    return Stored(call.node.output[0], Tensor.inferred(shape, dtype), learned=False)
