"""ONNX operators that make integers of floating-point numbers and back."""

from __future__ import annotations

from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import HANDLERS, Call, Made, Result
from costmodel.importers.onnx_file.load import dtype_of
from costmodel.ops import Cast, Reduce
from costmodel.ops.tensor import FLOATING, Tensor


@HANDLERS.register("QuantizeLinear", "com.microsoft.QuantizeLinear")
def _quantize(call: Call) -> Result:
    """Emit the conversion to integers, unless the value is already computed in integers."""
    x = call.operand()
    dtype = _integer_dtype(call)
    if isinstance(x, Stored):
        return Stored(x.key, Tensor.inferred(x.shape, dtype), x.learned)
    return x if x.tensor.dtype not in FLOATING else call.emit.add(Cast(dtype), x)


def _integer_dtype(call: Call) -> str:
    zero = call.optional(2)
    if zero is not None:
        return zero.tensor.dtype
    code = call.attribute("output_dtype", 0)
    return dtype_of(code, "its integers") if code else "uint8"


@HANDLERS.register("DequantizeLinear", "com.microsoft.DequantizeLinear")
def _dequantize(call: Call) -> Result:
    """Hand on stored weights as they are; others are converted where a node takes floats."""
    x, scale = call.operand(), call.operand(1)
    code = call.attribute("output_dtype", 0)
    dtype = dtype_of(code, "its floats") if code else scale.tensor.dtype
    if isinstance(x, Stored):
        return Stored(x.key, Tensor.inferred(x.shape, dtype), x.learned)
    call.walk.defer(call.node.output[0], call.node.input[0], dtype)
    return [None]


@HANDLERS.register("DynamicQuantizeLinear")
def _dynamic_quantize(call: Call) -> Result:
    """Emit the search for the range, which gives the scale, and the conversion."""
    x = call.operand()
    axes = tuple(range(len(x.shape)))
    low, high = (call.emit.add(Reduce(kind, axes), x) for kind in ("min", "max"))
    return [call.emit.add(Cast("uint8"), x), high, call.emit.add(Cast("uint8"), low)]


def as_floats(call: Call, y: Operand) -> Made:
    """Return integers as the floating-point numbers that the next nodes would make of them.

    Where a conversion and a product with scales are all that follows, they are part of this node.
    """
    name = call.node.output[0]
    converts = call.walk.only_taker(name)
    if converts is None or converts.op_type != "Cast" or len(converts.input) != 1:
        return call.emit.add(Cast("int32"), y)
    floats = call.emit.add(Cast("float32"), y)
    call.walk.merge(converts, name)
    scales = call.walk.only_taker(converts.output[0])
    if scales is not None and scales.op_type == "Mul" and len(scales.input) == 2:
        other = [name for name in scales.input if name != converts.output[0]]
        if other and _is_scale(call, other[0]):
            call.walk.merge(scales, name)
    return floats


def _is_scale(call: Call, name: str) -> bool:
    """Return whether a tensor is a scale: stored, or computed from the scale of a range."""
    if call.walk.is_stored(name) or call.walk.known(name) is not None:
        return True
    maker = call.walk.maker(name)
    if maker is None:
        return False
    if maker.op_type == "DynamicQuantizeLinear":
        return bool(name == maker.output[1])
    return maker.op_type == "Mul" and all(_is_scale(call, taken) for taken in maker.input)
