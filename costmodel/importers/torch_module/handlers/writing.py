"""Writing where indices say: scatters, histograms, folded windows."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, product, same
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.ops import BroadcastTo, Cast, Elementwise, Reduce, Scatter
from costmodel.ops.broadcast import broadcast_shapes

_ADDING = ("add", "reduce", "prod", "amax", "amin", "mean", "sum")


@ATEN.register("scatter", "scatter_add", "scatter_reduce", "slice_scatter", "select_scatter")
@ATEN.register("diagonal_scatter", "as_strided_scatter", "put")
def _scatter(call: Call) -> Result:
    """Write an element for each index; without indices, a slice."""
    target, index = call.operand("self"), call.optional("index")
    new = call.optional("src", "value", "source")
    if index is None:
        return _write(call, target, [], new or call.operand("src"))
    return _write(call, target, [index], _spread(call, target, new, index.shape))


@ATEN.register("index_copy", "index_add", "index_reduce", "index_fill")
def _scatter_rows(call: Call) -> Result:
    """Write a row of the tensor for each index."""
    target, index = call.operand("self"), call.operand("index")
    axis = call.size("dim") % len(target.shape)
    shape = (*target.shape[:axis], index.tensor.elements, *target.shape[axis + 1 :])
    new = _spread(call, target, call.optional("source", "value"), shape)
    return _write(call, target, [index], new)


@ATEN.register("index_put", "_unsafe_index_put", "_index_put_impl")
def _index_put(call: Call) -> Result:
    """Write where tensors of indices meet; one number under a mask is one selection per element."""
    target, new = call.operand("self"), call.operand("values")
    nodes = call.get("indices")
    indices = [x for n in nodes if n is not None and (x := call.walk.operand(n)) is not None]
    if not indices:
        return _write(call, target, [], new)
    if any(i.tensor.dtype == "bool" for i in indices):
        mask = indices[0]
        if len(new.shape) == 0 and len(indices) == 1 and not call.get("accumulate", False):
            wide = (*mask.shape, *[1] * (len(target.shape) - len(mask.shape)))
            return call.emit.add(Elementwise("where"), call.emit.reshape(mask, wide), new, target)
        return _write(call, target, [mask], new)
    met = indices[0].shape
    for other in indices[1:]:
        met = broadcast_shapes(met, other.shape, "index_put indices")
    kept = [n for axis, n in enumerate(target.shape) if axis >= len(nodes) or nodes[axis] is None]
    widest = max(indices, key=lambda x: len(x.shape))
    return _write(call, target, [widest], _spread(call, target, new, (*met, *kept)))


def _spread(call: Call, target: Operand, new: Operand | None, shape: Sequence[Dim]) -> Operand:
    """Return the written values as a tensor of ``shape``; a number has no tensor."""
    if new is None:
        new = Stored(f"{call.node.name}_number", target.tensor.with_shape(), learned=False)
    if same(new.tensor.elements, product(shape)):
        return new
    return call.emit.add(BroadcastTo(taken(tuple(shape))), new)


def _write(call: Call, target: Operand, indices: list[Operand], new: Operand) -> Operand:
    """Emit a write into ``target``: into a copy of it, unless the operator works in place."""
    name = str(call.node.target).split(".")[1]
    named = any(word in name.split("_") for word in _ADDING)
    adds = named or bool(call.get("accumulate", False)) or "reduce" in call
    return call.emit.add(Scatter(adds, not name.endswith("_")), target, *indices, new)


@ATEN.register("masked_scatter")
def _masked_scatter(call: Call) -> Result:
    return _write(call, call.operand("self"), [call.operand("mask")], call.operand("source"))


@ATEN.register("bincount")
def _bincount(call: Call) -> Result:
    new = call.optional("weights") or call.operand("self")
    indices = [call.operand("self")] if "weights" in call else []
    return call.emit.add(Scatter(accumulate=True), _zeros(call), *indices, new)


@ATEN.register("histc")
def _histc(call: Call) -> Result:
    """Emit the bin of each element by its distance to the least, and one more in that bin."""
    emit, x = call.emit, call.operand("self")
    low, high = call.get("min", 0), call.get("max", 0)
    if low == high:
        axes = tuple(range(len(x.shape)))
        ends = [emit.add(Reduce(kind, axes), x) for kind in ("min", "max")]
        x = emit.add(Elementwise("sub"), x, ends[0])
        x = emit.add(Elementwise("div"), x, ends[1])
    else:
        x = emit.add(Elementwise("sub", value=float(low)), x)
        x = emit.add(Elementwise("div", value=float(high - low)), x)
    return emit.add(Scatter(accumulate=True), _zeros(call), emit.add(Cast("int64"), x))


@ATEN.register("col2im", "unfold_backward")
def _fold(call: Call) -> Result:
    """Add windows that overlap into an image of zeros."""
    return call.emit.add(Scatter(True), _zeros(call), call.operand("self", "grad_in"))


@ATEN.register("max_unpool2d", "max_unpool3d")
def _unpool(call: Call) -> Result:
    x, indices = call.operand("self"), call.operand("indices")
    return call.emit.add(Scatter(), _zeros(call), indices, x)


@ATEN.register("one_hot")
def _one_hot(call: Call) -> Result:
    """Compare each number with all classes."""
    x, classes = call.operand("self"), call.output.shape[-1]
    numbers = Stored(f"{call.node.name}_classes", x.tensor.with_shape(classes), learned=False)
    wide = call.emit.reshape(x, (*x.shape, 1))
    return call.emit.add(Elementwise("equal"), wide, numbers)


def _zeros(call: Call) -> Stored:
    return Stored(f"{call.node.name}_zeros", call.output, learned=False)
