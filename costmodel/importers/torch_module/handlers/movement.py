"""Views, copies and cuts."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, same
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.torch_module.call import ATEN, DROPOUTS, Call, Result
from costmodel.ops import (
    Bitcast,
    BroadcastTo,
    Cast,
    Contiguous,
    Gather,
    Identity,
    Reduce,
    Scatter,
    SearchSorted,
    Slice,
    Split,
    StridedView,
)


@ATEN.register(*DROPOUTS, "native_dropout")
def _dropout(call: Call) -> Result:
    y = call.emit.add(Identity(), call.operand("input", "self"))
    return (y, None) if len(call.metas) > 1 else y


@ATEN.register("alias", "detach", "lift_fresh", "lift_fresh_copy", "positive", "requires_grad")
@ATEN.register("_conj", "conj", "resolve_conj", "_neg_view", "resolve_neg")
@ATEN.register("alias_copy", "detach_copy")
def _same(call: Call) -> Result:
    return call.operand("self")


@ATEN.register("_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_size")
@ATEN.register("sym_numel", "sym_stride", "sym_constrain_range_for_size", "sym_constrain_range")
def _nothing(call: Call) -> Result:
    return None


@ATEN.register("to", "_to_copy", "type_as", "contiguous", "clone")
def _copy(call: Call) -> Result:
    """Emit a cast where the dtype changes, a copy where the storage does, else nothing."""
    x = call.operand("self")
    if call.output.dtype != x.tensor.dtype:
        return call.emit.add(Cast(call.output.dtype), x)
    if isinstance(x, Stored) or call.is_view("self"):
        return x
    return call.emit.add(Contiguous(), x)


@ATEN.register("copy")
def _copy_into(call: Call) -> Result:
    return _broadcast(call, call.emit.add(Contiguous(), call.operand("src")))


@ATEN.register("fill", "zero")
def _fill(call: Call) -> Result:
    target = call.operand("self")
    return call.emit.add(Contiguous(), Stored(call.node.name, target.tensor, learned=False))


@ATEN.register("view", "reshape", "_unsafe_view", "flatten", "unflatten", "view_as", "reshape_as")
@ATEN.register("squeeze", "unsqueeze", "_reshape_alias", "_reshape_copy", "view_copy", "ravel")
@ATEN.register("squeeze_copy", "unsqueeze_copy")
def _reshape(call: Call) -> Result:
    x = call.operand("self")
    if call.output.dtype != x.tensor.dtype:
        return call.emit.add(Bitcast(call.output.dtype), x)
    if not isinstance(x, Stored) and not call.is_view("self"):
        x = call.emit.add(Contiguous(), x)
    return call.emit.reshape(x, call.output.shape)


@ATEN.register("as_strided", "unfold", "diagonal", "as_strided_copy", "unfold_copy")
@ATEN.register("diagonal_copy")
def _strided(call: Call) -> Result:
    x, shape = call.operand("self"), call.output.shape
    if isinstance(x, Stored):
        return x.view(shape, call.node.name)
    return call.emit.add(StridedView(taken(shape)), x)


@ATEN.register("im2col")
def _unfold(call: Call) -> Result:
    """Windows that overlap, side by side in memory."""
    windows = call.emit.add(StridedView(taken(call.output.shape)), call.operand("self"))
    return call.emit.add(Contiguous(), windows)


@ATEN.register("diag_embed", "diag")
def _diagonal(call: Call) -> Result:
    x, shape = call.operand("self"), call.output.shape
    if len(shape) < len(x.shape):
        return call.emit.add(Contiguous(), call.emit.add(StridedView(taken(shape)), x))
    zeros = Stored(f"{call.node.name}_zeros", call.output, learned=False)
    return call.emit.add(Scatter(), zeros, x)


@ATEN.register("meshgrid")
def _meshgrid(call: Call) -> Result:
    made = []
    for x, y in zip(call.operands("tensors"), call.outputs, strict=True):
        axis = next((i for i, n in enumerate(y.shape) if same(n, x.tensor.elements)), 0)
        apart = [x.tensor.elements if i == axis else 1 for i in range(len(y.shape))]
        made.append(call.emit.add(BroadcastTo(taken(y.shape)), call.emit.reshape(x, apart)))
    return made


@ATEN.register("permute", "permute_copy")
def _permute(call: Call) -> Result:
    return call.emit.transpose(call.operand("self"), call.sizes("dims"))


@ATEN.register("transpose", "swapaxes", "swapdims", "transpose_copy")
def _transpose(call: Call) -> Result:
    first = call.size("dim0" if "dim0" in call else "axis0")
    second = call.size("dim1" if "dim1" in call else "axis1")
    return _swap(call, first, second)


@ATEN.register("t", "t_copy", "numpy_T", "mT", "adjoint", "matrix_H")
def _t(call: Call) -> Result:
    return _swap(call, -2, -1) if len(call.operand("self").shape) > 1 else call.operand("self")


def _swap(call: Call, first: int, second: int) -> Operand:
    x = call.operand("self")
    order = list(range(len(x.shape)))
    order[first], order[second] = order[second], order[first]
    return call.emit.transpose(x, order)


@ATEN.register("movedim", "moveaxis")
def _movedim(call: Call) -> Result:
    x = call.operand("self")
    rank = len(x.shape)
    source = [axis % rank for axis in call.sizes("source")]
    target = [axis % rank for axis in call.sizes("destination")]
    order = [axis for axis in range(rank) if axis not in source]
    for to, axis in sorted(zip(target, source, strict=True)):
        order.insert(to, axis)
    return call.emit.transpose(x, order)


@ATEN.register("expand", "expand_as", "broadcast_to", "expand_copy")
def _expand(call: Call) -> Result:
    return _broadcast(call, call.operand("self"))


@ATEN.register("repeat", "tile")
def _repeat(call: Call) -> Result:
    x = call.operand("self")
    shape = call.output.shape
    padded = (1,) * (len(shape) - len(x.shape)) + tuple(x.shape)
    x = call.emit.reshape(x, padded)
    if all(same(a, 1) or same(a, b) for a, b in zip(padded, shape, strict=True)):
        return call.emit.add(Contiguous(), _broadcast(call, x))
    # An axis of more than one element is repeated: a view with the copies as a separate axis.
    times = call.sizes("repeats") if "repeats" in call else call.sizes("dims")
    times = (1,) * (len(shape) - len(times)) + times
    apart = [size for old in padded for size in (1, old)]
    wide = [size for old, t in zip(padded, times, strict=True) for size in (t, old)]
    view = call.emit.add(BroadcastTo(taken(tuple(wide))), call.emit.reshape(x, apart))
    return call.emit.reshape(call.emit.add(Contiguous(), view), shape)


@ATEN.register("repeat_interleave")
def _repeat_interleave(call: Call) -> Result:
    if call.optional("repeats") is not None or "self" not in call:
        return _repeat_by(call)
    x, axis = call.operand("self"), call.get("dim")
    if axis is None:
        x, axis = call.emit.reshape(x, (x.tensor.elements,)), 0
    axis %= len(x.shape)
    times = call.size("repeats")
    apart = (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :])
    wide = (*x.shape[: axis + 1], times, *x.shape[axis + 1 :])
    view = call.emit.add(BroadcastTo(taken(wide)), call.emit.reshape(x, apart))
    return call.emit.reshape(call.emit.add(Contiguous(), view), call.output.shape)


def _repeat_by(call: Call) -> Operand:
    """Pick each row as often as a tensor says; the places follow from the sums of the repeats."""
    x, repeats = call.optional("self"), call.operand("repeats")
    axis = call.get("dim") or 0
    sums = call.emit.add(Reduce("cumsum", (0,)), repeats)
    count = call.output.shape[axis] if call.output.shape else 1
    numbers = Stored(f"{call.node.name}_places", repeats.tensor.with_shape(count), learned=False)
    places = call.emit.add(SearchSorted(), sums, numbers)
    if x is None:
        return places
    if "dim" not in call:
        x = call.emit.reshape(x, (x.tensor.elements,))
    return call.emit.add(Gather(axis), x, places)


def _broadcast(call: Call, x: Operand) -> Operand:
    shape = call.output.shape
    if len(shape) == len(x.shape) and all(map(same, shape, x.shape)):
        return x
    return call.emit.add(BroadcastTo(taken(shape)), x)


@ATEN.register("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split")
@ATEN.register("unsafe_split_with_sizes", "split_copy", "split_with_sizes_copy")
def _split(call: Call) -> Result:
    x = call.operand("self")
    axis = call.size("dim", 0) % len(x.shape)
    return _cut(call, x, axis, [part.shape[axis] for part in call.outputs])


@ATEN.register("unbind", "unbind_copy")
def _unbind(call: Call) -> Result:
    x = call.operand("self")
    axis = call.size("dim", 0) % len(x.shape)
    parts = _cut(call, x, axis, [1] * len(call.metas))
    return [call.emit.reshape(part, call.output.shape) for part in parts]


def _cut(call: Call, x: Operand, axis: int, sizes: Sequence[Dim]) -> list[Operand]:
    if isinstance(x, Stored):
        shapes = [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]
        return [x.view(shape, f"{call.node.name} {i}") for i, shape in enumerate(shapes)]
    equal = all(same(size, sizes[0]) for size in sizes)
    parts = len(sizes) if equal else taken(tuple(sizes))
    return list(call.emit.add_many(Split(axis, parts), x))


@ATEN.register("slice", "narrow", "slice_copy", "narrow_copy")
def _slice(call: Call) -> Result:
    x = call.operand("self")
    axis = call.size("dim", 0) % len(x.shape)
    size = call.output.shape[axis]
    if same(size, x.shape[axis]):
        return x
    step = call.size("step", 1)
    return _part(call, x, axis, _start(call, x.shape[axis], size, step), size, step)


@ATEN.register("select", "select_copy")
def _select(call: Call) -> Result:
    x = call.operand("self")
    axis = call.size("dim") % len(x.shape)
    index = call.size("index")
    length = x.shape[axis]
    start = index + length if isinstance(index, int) and index < 0 else index
    one = _part(call, x, axis, start if isinstance(start, int) else 0, 1, 1)
    return call.emit.reshape(one, call.output.shape)


def _start(call: Call, length: Dim, size: Dim, step: Dim) -> int:
    """Return where a slice begins; it does not change the cost, so that a symbol may read 0."""
    start = call.size("start", 0)
    if not all(isinstance(v, int) for v in (start, length, size, step)):
        return 0
    start = start + length if start < 0 else start
    return int(min(max(start, 0), length - (size - 1) * step - 1))


def _part(call: Call, x: Operand, axis: int, start: int, size: Dim, step: int) -> Operand:
    if isinstance(x, Stored):
        shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
        return x.view(shape, f"axis {axis} from {start} by {step}")
    return call.emit.add(Slice(axis, start, taken(size), step), x)
