"""Sorting, searching and counting; results depend on the data."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.registry import UnsupportedFormError
from costmodel.importers.torch_module.call import ATEN, Call, Result, packet_name
from costmodel.ops import (
    Cast,
    Elementwise,
    Gather,
    NonMaxSuppression,
    NonZero,
    Reduce,
    SearchSorted,
    Slice,
    Sort,
    Split,
)


@ATEN.register("topk", "sort", "argsort", "msort")
def _sort(call: Call) -> Result:
    x, axis = call.operand("self"), _axis(call)
    if not x.shape:
        x, axis = call.emit.reshape(x, (1,)), 0
    keep = call.size("k") if "k" in call else x.shape[axis]
    values, places = call.emit.add_many(Sort(taken(keep), axis), x)
    made = [call.emit.reshape(y, call.output.shape) for y in (values, places)]
    return {"argsort": made[1], "msort": made[0]}.get(packet_name(call.node.target), made)


def _axis(call: Call) -> int:
    return 0 if packet_name(call.node.target) == "msort" else int(call.get("dim", -1))


@ATEN.register("kthvalue", "median", "nanmedian", "mode")
def _order_statistic(call: Call) -> Result:
    """Sort up to the requested element, half of them for a median."""
    x = call.operand("self")
    name, axis = packet_name(call.node.target), call.get("dim")
    if axis is None and name not in ("kthvalue", "mode"):
        x, axis = call.emit.reshape(x, (x.tensor.elements,)), 0
    axis = -1 if axis is None else int(axis)
    size = x.shape[axis] if x.shape else 1
    half = size // 2 + 1 if isinstance(size, int) else size
    keep = call.size("k") if "k" in call else size if name == "mode" else half
    ordered = call.emit.add_many(Sort(taken(keep), axis), x)
    made = [_last(call, y, axis, keep) for y in ordered[: len(call.metas)]]
    return made if len(made) > 1 else made[0]


def _last(call: Call, y: Operand, axis: int, size: Dim) -> Operand:
    start = size - 1 if isinstance(size, int) else 0
    one = call.emit.add(Slice(axis, start, 1), y)
    return call.emit.reshape(one, call.output.shape)


@ATEN.register("multinomial")
def _multinomial(call: Call) -> Result:
    """Draw the largest of as many random numbers as there are weights, each over its weight."""
    x = call.operand("self")
    keys = call.emit.add(Elementwise("div"), x, Stored(call.node.name, x.tensor, learned=False))
    with_replacement = bool(call.get("replacement", False))
    keep = call.output.shape[-1] if not with_replacement else x.shape[-1]
    places: Operand = call.emit.add_many(Sort(taken(keep)), keys)[1]
    if with_replacement:
        sums = call.emit.add(Reduce("cumsum", (-1,)), keys)
        drawn = Stored(f"{call.node.name}_drawn", x.tensor.with_shape(*call.output.shape), False)
        places = call.emit.add(SearchSorted(), sums, drawn)
    return places


@ATEN.register("nonzero", "nonzero_static", "argwhere")
def _nonzero(call: Call) -> Result:
    return call.emit.add(NonZero(taken(call.output.shape[0])), call.operand("self"))


@ATEN.register("nonzero_numpy")
def _nonzero_numpy(call: Call) -> Result:
    return places(call, call.operand("self"))


def places(call: Call, x: Operand) -> list[Operand]:
    """Emit the positions of nonzero elements, one output per axis."""
    found = call.emit.add(NonZero(taken(call.output.shape[0])), x)
    columns = call.emit.add_many(Split(1, len(x.shape)), found)
    return [call.emit.reshape(column, call.output.shape) for column in columns]


def selected(call: Call, mask: Operand, count: Dim) -> Operand:
    """Emit the places in the flat ``mask`` that are true, ``count`` of them."""
    flat = call.emit.reshape(mask, (mask.tensor.elements,))
    places = call.emit.add(NonZero(taken(count)), flat)
    return call.emit.reshape(places, (count,))


@ATEN.register("masked_select")
def _masked_select(call: Call) -> Result:
    x, mask = call.operand("self"), call.operand("mask")
    if len(x.shape) < len(mask.shape):
        raise UnsupportedFormError("a mask of more axes than the tensor")
    places = selected(call, mask, call.output.shape[0])
    return call.emit.add(Gather(0), call.emit.reshape(x, (x.tensor.elements,)), places)


@ATEN.register("searchsorted")
def _search(call: Call) -> Result:
    edges = call.operand("sorted_sequence")
    values = call.optional("self") or Stored(call.node.name, edges.tensor.with_shape(), False)
    return call.emit.add(SearchSorted(), edges, values)


@ATEN.register("bucketize")
def _bucketize(call: Call) -> Result:
    edges = call.operand("boundaries")
    values = call.optional("self") or Stored(call.node.name, edges.tensor.with_shape(), False)
    return call.emit.add(SearchSorted(), edges, values)


@ATEN.register("_unique2", "unique_consecutive", "unique_dim")
def _unique(call: Call) -> Result:
    """Sort, compare neighbours, and take those that differ."""
    emit, x = call.emit, call.operand("self")
    count = call.output.shape[0]
    if len(x.shape) > 1 and call.get("dim") is not None:
        raise UnsupportedFormError("unique rows")
    values: Operand = emit.reshape(x, (x.tensor.elements,))
    if packet_name(call.node.target) != "unique_consecutive":
        values = emit.add(Sort(taken(x.tensor.elements), 0), values)
    differ = emit.add(Elementwise("not_equal"), values, values)
    first = selected(call, differ, count)
    made: list[Operand | None] = [emit.add(Gather(0), values, first)]
    number = emit.add(Reduce("cumsum", (0,)), emit.add(Cast("int64"), differ))
    inverse = call.outputs[1]
    made.append(emit.reshape(number, inverse.shape) if inverse.elements != 0 else None)
    counts = call.outputs[2].elements != 0
    made.append(emit.add(Elementwise("sub"), first, first) if counts else None)
    return made


@ATEN.register("torchvision.nms")
def _nms(call: Call) -> Result:
    op = NonMaxSuppression(taken(call.output.shape[0]))
    return call.emit.add(op, call.operand("dets"), call.operand("scores"))


@ATEN.register("item", "_local_scalar_dense", "is_nonzero", "equal", "allclose", "is_same_size")
def _number(call: Call) -> Result:
    """Emit nothing for a number that the program itself asks for."""
    return None
