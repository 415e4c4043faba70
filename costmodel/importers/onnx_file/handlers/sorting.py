"""ONNX operators that sort, search and select; the size of their results depends on the data."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, product
from costmodel.importers.emitter import Operand
from costmodel.importers.onnx_file.call import DECLARED, HANDLERS, Call, Made, Result
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import (
    BroadcastTo,
    Cast,
    Contiguous,
    Elementwise,
    Gather,
    NonMaxSuppression,
    NonZero,
    Reduce,
    RoiAlign,
    Sort,
    Transpose,
)
from costmodel.ops.tensor import Tensor


@HANDLERS.register("TopK")
def _top_k(call: Call) -> Result:
    x, keep = call.operand(), call.sizes(1, "k")
    return _sorted(call, x, (keep or [1])[0])


@DECLARED.register("TopK")
def _top_k_as_stated(call: Call, stated: list[Tensor]) -> Result:
    x = call.operand()
    return _sorted(call, x, stated[0].shape[call.axis(len(x.shape), -1)])


def _sorted(call: Call, x: Operand, keep: Dim) -> list[Made | None]:
    return list(call.emit.add_many(Sort(taken(keep), call.axis(len(x.shape), -1)), x))


def found(call: Call, output: int, axis: int) -> Dim:
    """Return the size of the result: as stated in the file, or a symbol named after the output."""
    name = call.node.output[output]
    stated = call.walk.declared(name)
    if stated is not None and axis < len(stated.shape):
        return stated.shape[axis]
    return call.walk.new_size(name)


@HANDLERS.register("NonZero")
def _non_zero(call: Call) -> Result:
    places = call.emit.add(NonZero(taken(found(call, 0, 1))), call.operand())
    return call.emit.add(Transpose((1, 0)), places)


@HANDLERS.register("Compress")
def _compress(call: Call) -> Result:
    """Keep the slices that a condition selects."""
    x, mask, given = call.operand(), call.operand(1), call.attribute("axis")
    axis = 0 if given is None else call.axis(len(x.shape))
    known = call.peek(1)
    count = found(call, 0, axis) if known is None else int(known.astype(bool).sum())
    flat = call.emit.reshape(x, (x.tensor.elements,)) if given is None else x
    places = call.emit.add(NonZero(taken(count)), mask)
    return call.emit.add(Gather(axis), flat, call.emit.reshape(places, (count,)))


@HANDLERS.register("Unique")
def _unique(call: Call) -> Result:
    """Sort, compare neighbours, and take those that differ."""
    emit, x = call.emit, call.operand()
    if call.attribute("axis") is not None and len(x.shape) > 1:
        raise UnsupportedFormError("unique slices")
    count, total = found(call, 0, 0), x.tensor.elements
    ordered = emit.add(Sort(taken(total), 0), emit.reshape(x, (total,)))
    differ = emit.add(Elementwise("not_equal"), ordered, ordered)
    first = emit.reshape(emit.add(NonZero(taken(count)), differ), (count,))
    values = emit.add(Gather(0), ordered, first)
    inverse = emit.add(Reduce("cumsum", (0,)), emit.add(Cast("int64"), differ))
    counts = emit.add(Elementwise("sub"), first, first) if call.makes(3) else None
    return [values, first, inverse, counts]


@HANDLERS.register("NonMaxSuppression")
def _non_max_suppression(call: Call) -> Result:
    """Emit the suppression of every class of every image; rows of three numbers are kept."""
    emit, boxes, scores = call.emit, call.operand(0), call.operand(1)
    batch, classes, spots = scores.shape
    kept = found(call, 0, 0)
    flat = emit.reshape(scores, (product((batch, classes, spots)),))
    wide = emit.reshape(boxes, (product(boxes.shape[:2]), 4))
    places = emit.add(NonMaxSuppression(taken(kept)), wide, flat)
    # Image, class and place of every box that is kept.
    apart = emit.reshape(places, (kept, 1))
    return emit.add(Contiguous(), emit.add(BroadcastTo(taken((kept, 3))), apart))


@HANDLERS.register("RoiAlign")
def _roi_align(call: Call) -> Result:
    samples = call.attribute("sampling_ratio", 0)
    if samples < 1:
        raise UnsupportedFormError("as many samples as a box is large")
    output = (call.attribute("output_height", 1), call.attribute("output_width", 1))
    inputs = [call.operand(slot) for slot in range(3)]
    return call.emit.add(RoiAlign(output, samples), *inputs)
