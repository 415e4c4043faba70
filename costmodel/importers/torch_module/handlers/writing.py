"""Writing where indices say: scatters, histograms, folded windows."""

from __future__ import annotations

from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.ops import Cast, Elementwise, Reduce, Scatter

_ADDING = ("add", "reduce", "prod", "amax", "amin", "mean", "sum")


@ATEN.register("scatter", "scatter_add", "scatter_reduce", "slice_scatter", "select_scatter")
@ATEN.register("index_put", "_unsafe_index_put", "_index_put_impl", "index_copy", "index_add")
@ATEN.register("index_reduce", "index_fill", "diagonal_scatter", "as_strided_scatter", "put")
def _scatter(call: Call) -> Result:
    target = call.operand("self")
    new = call.optional("src", "values", "value", "source", "updates")
    indices = _indices(call)
    if new is None:
        shape = indices[0].shape if indices else ()
        new = Stored(f"{call.node.name}_number", target.tensor.with_shape(*shape), learned=False)
    return _write(call, target, indices[:1], new)


def _write(call: Call, target: Operand, indices: list[Operand], new: Operand) -> Operand:
    """Emit a write into ``target``: into a copy of it, unless the operator works in place."""
    name = str(call.node.target).split(".")[1]
    adds = any(word in name.split("_") for word in _ADDING) or bool(call.get("accumulate", False))
    return call.emit.add(Scatter(adds, not name.endswith("_")), target, *indices, new)


def _indices(call: Call) -> list[Operand]:
    single = call.optional("index", "indices")
    if single is not None:
        return [single]
    listed = call.get("indices", ())
    found = [call.walk.operand(node) for node in listed if node is not None]
    return sorted((x for x in found if x is not None), key=lambda x: -len(x.shape))


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
