"""ONNX operators on integers: products, convolutions, and ONNX Runtime's arithmetic."""

from __future__ import annotations

from costmodel.errors import DataError
from costmodel.importers.emitter import Operand
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.onnx_file.handlers.convolutions import convolution, first_to_last
from costmodel.importers.onnx_file.handlers.pooling import pooled, pooled_whole
from costmodel.importers.onnx_file.handlers.products import multiplied, times
from costmodel.importers.onnx_file.handlers.quantization import as_floats
from costmodel.importers.onnx_file.handlers.reductions import reduced
from costmodel.ops import Cast, Concat, Elementwise, Softmax

_MS = "com.microsoft."


@HANDLERS.register("QLinearConv", f"{_MS}QLinearConv")
def _qlinear_conv(call: Call) -> Result:
    x, weight = call.operand(0), call.operand(3)
    last = bool(call.attribute("channels_last", 0))
    image = first_to_last(call, x, back=True) if last else x
    y = convolution(call, image, weight, call.optional(8))
    return as_type_of(call, first_to_last(call, y) if last else y, 7)


@HANDLERS.register("ConvInteger")
def _conv_integer(call: Call) -> Result:
    return as_floats(call, convolution(call, call.operand(0), call.operand(1), None))


@HANDLERS.register("MatMulInteger")
def _matmul_integer(call: Call) -> Result:
    return as_floats(call, multiplied(call, call.operand(0), call.operand(1)))


@HANDLERS.register("QLinearMatMul")
def _qlinear_matmul(call: Call) -> Result:
    return as_type_of(call, multiplied(call, call.operand(0), call.operand(3)), 7)


@HANDLERS.register(f"{_MS}QGemm")
def _qgemm(call: Call) -> Result:
    a, b = call.operand(0), call.operand(3)
    if call.attribute("transA", 0):
        a = call.emit.transpose(a, (1, 0))
    y = times(call, a, b, call.optional(6), bool(call.attribute("transB", 0)))
    return as_type_of(call, y, 8) if call.has(8) else call.emit.add(Cast("float32"), y)


@HANDLERS.register(f"{_MS}MatMulIntegerToFloat")
def _matmul_integer_to_float(call: Call) -> Result:
    y = call.emit.add(Cast("float32"), multiplied(call, call.operand(0), call.operand(1)))
    bias = call.optional(6)
    return y if bias is None else call.emit.add(Elementwise("add"), y, bias)


@HANDLERS.register(f"{_MS}DynamicQuantizeMatMul")
def _dynamic_matmul(call: Call) -> Result:
    integers = call.emit.add(Cast("uint8"), call.operand(0))
    y = call.emit.add(Cast("float32"), multiplied(call, integers, call.operand(1)))
    bias = call.optional(4)
    return y if bias is None else call.emit.add(Elementwise("add"), y, bias)


def as_type_of(call: Call, y: Operand, slot: int) -> Operand:
    """Return integers in the type of the zero point in input ``slot``."""
    zero = call.optional(slot)
    if zero is None or zero.tensor.dtype == y.tensor.dtype:
        return y
    return call.emit.add(Cast(zero.tensor.dtype), y)


_BINARY = {"QLinearAdd": "add", "QLinearMul": "mul"}


@HANDLERS.register(*(f"{_MS}{name}" for name in _BINARY))
def _qlinear_binary(call: Call) -> Result:
    kind = _BINARY[call.kind]
    return call.emit.add(Elementwise(kind), call.operand(0), call.operand(3))


_UNARY = {"QLinearLeakyRelu": "leaky_relu", "QLinearSigmoid": "sigmoid"}


@HANDLERS.register(*(f"{_MS}{name}" for name in _UNARY))
def _qlinear_unary(call: Call) -> Result:
    return call.emit.add(Elementwise(_UNARY[call.kind]), call.operand())


@HANDLERS.register(f"{_MS}QLinearSoftmax")
def _qlinear_softmax(call: Call) -> Result:
    x = call.operand()
    return call.emit.add(Softmax(call.axis(len(x.shape), -1)), x)


@HANDLERS.register(f"{_MS}QLinearAveragePool", f"{_MS}QLinearGlobalAveragePool")
def _qlinear_pool(call: Call) -> Result:
    x, last = call.operand(), bool(call.attribute("channels_last", 0))
    image = first_to_last(call, x, back=True) if last else x
    y = pooled_whole(call, image) if "Global" in call.kind else pooled(call, image)
    return first_to_last(call, y) if last else y


@HANDLERS.register(f"{_MS}NhwcMaxPool")
def _nhwc_pool(call: Call) -> Result:
    image = first_to_last(call, call.operand(), back=True)
    return first_to_last(call, pooled(call, image))


@HANDLERS.register(f"{_MS}QLinearReduceMean")
def _qlinear_mean(call: Call) -> Result:
    x, rank = call.operand(), len(call.operand().shape)
    axes = call.attribute("axes") or range(rank)
    return reduced(call, x, "mean", tuple(axis % rank for axis in axes))


@HANDLERS.register(f"{_MS}QLinearConcat")
def _qlinear_concat(call: Call) -> Result:
    """Join tensors in every third input, after the scale and zero point of the result."""
    parts = [call.operand(slot) for slot in range(2, len(call.node.input), 3)]
    if not parts:
        raise DataError("it has no inputs")
    return call.emit.add(Concat(call.attribute("axis", 0)), *parts)


@HANDLERS.register(f"{_MS}QLinearWhere")
def _qlinear_where(call: Call) -> Result:
    inputs = [call.operand(slot) for slot in (0, 1, 4)]
    return call.emit.add(Elementwise("where"), *inputs)
