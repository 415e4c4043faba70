"""ONNX operators that read and write elements at computed places."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import product
from costmodel.errors import DataError, ShapeError
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import DECLARED, HANDLERS, Call, Result
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import (
    BroadcastTo,
    Cast,
    Contiguous,
    Elementwise,
    Embedding,
    Gather,
    Scatter,
    Slice,
)
from costmodel.ops.tensor import Tensor


@HANDLERS.register("Gather")
def _gather(call: Call) -> Result:
    x, indices = call.operand(0), call.operand(1)
    axis = call.axis(len(x.shape))
    if isinstance(x, Stored) and x.learned and axis == 0 and len(x.shape) == 2:
        name = call.emit.weight_name(x)
        call.emit.owns_bias(name, None)
        op = Embedding(x.shape[0], x.shape[1], x.tensor.dtype)
        return call.emit.add(op, indices, weights=name)
    known = call.peek(1)
    if known is not None and known.size == 1 and not isinstance(x, Stored):
        # One index is a view: a slice, its axis dropped where the index has none.
        index = known.item()
        length = x.shape[axis]
        if not isinstance(index, int):
            raise UnsupportedFormError("a place that is a symbol")
        start = index + length if index < 0 and isinstance(length, int) else max(index, 0)
        one = call.emit.add(Slice(axis, start, 1), x)
        return call.emit.reshape(one, (*x.shape[:axis], *known.shape, *x.shape[axis + 1 :]))
    return call.emit.add(Gather(axis), x, indices)


@HANDLERS.register("GatherElements")
def _gather_elements(call: Call) -> Result:
    x, indices = call.operand(), call.operand(1)
    return call.emit.add(Gather(0), call.emit.reshape(x, (x.tensor.elements,)), indices)


@HANDLERS.register("GatherND")
def _gather_nd(call: Call) -> Result:
    """Pick by positions on the first axes behind those of the batch, taken as one axis."""
    x, indices = call.operand(0), call.operand(1)
    depth, batch = indices.shape[-1], call.attribute("batch_dims", 0)
    if not isinstance(depth, int) or batch < 0:
        raise UnsupportedFormError("positions on an unknown number of axes")
    if batch + depth > len(x.shape):
        raise ShapeError(f"positions on {depth} axes do not fit the input {x.tensor}")
    rest = x.shape[batch + depth :]
    flat = call.emit.reshape(x, (product(x.shape[: batch + depth]), *rest))
    one = call.emit.add(Slice(len(indices.shape) - 1, 0, 1), indices)
    return call.emit.add(Gather(0), flat, call.emit.reshape(one, indices.shape[:-1]))


@HANDLERS.register("ScatterND", "ScatterElements", "Scatter", "TensorScatter")
def _scatter(call: Call) -> Result:
    """Write part of a copy: kept and written elements move once."""
    x = call.operand(0)
    if call.kind == "TensorScatter":
        places = [call.operand(2)] if call.has(2) else []
        return call.emit.add(Scatter(), x, *places, call.operand(1))
    adds = call.attribute("reduction", "none") != "none"
    return call.emit.add(Scatter(accumulate=adds), x, call.operand(1), call.operand(2))


@HANDLERS.register("ReverseSequence")
def _reverse(call: Call) -> Result:
    return call.emit.add(Contiguous(), call.operand())


@HANDLERS.register("Trilu")
def _trilu(call: Call) -> Result:
    return call.emit.add(Contiguous(), call.operand())


@HANDLERS.register("OneHot")
def _one_hot(call: Call) -> Result:
    depth = call.sizes(1)
    if not depth:
        raise DataError("its depth is missing")
    indices = call.operand(0)
    axis = call.axis(len(indices.shape) + 1, -1)
    return _hot(call, indices, (*indices.shape[:axis], depth[0], *indices.shape[axis:]), axis)


@DECLARED.register("OneHot")
def _one_hot_as_stated(call: Call, stated: list[Tensor]) -> Result:
    indices = call.operand(0)
    return _hot(call, indices, stated[0].shape, call.axis(len(indices.shape) + 1, -1))


def _hot(call: Call, indices: Operand, shape: tuple[object, ...], axis: int) -> Operand:
    """Compare every index with every number, and write one of two values."""
    apart = call.emit.reshape(indices, (*indices.shape[:axis], 1, *indices.shape[axis:]))
    wide = call.emit.add(BroadcastTo(taken(shape)), apart)
    dtype = call.operand(2).tensor.dtype
    equal = call.emit.add(Elementwise("equal", value=0.0), wide)
    return call.emit.add(Cast(dtype), equal)
