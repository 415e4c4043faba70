"""ONNX activations, arithmetic, reductions."""

from __future__ import annotations

import numpy as np

from costmodel.importers.einsum import einsum
from costmodel.importers.emitter import Operand
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.onnx_file.load import dtype_of
from costmodel.ops import AdaptivePool, Cast, Elementwise, Reduce, Softmax

_UNARY = {
    "Abs": "abs",
    "Ceil": "ceil",
    "Celu": "elu",
    "Cos": "cos",
    "Elu": "elu",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "HardSigmoid": "hard_sigmoid",
    "HardSwish": "hard_swish",
    "LeakyRelu": "leaky_relu",
    "Log": "log",
    "Mish": "mish",
    "Neg": "neg",
    "Not": "not",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Round": "round",
    "Selu": "elu",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Softplus": "softplus",
    "Sqrt": "sqrt",
    "Swish": "silu",
    "Tanh": "tanh",
}
_BINARY = {
    "Add": "add",
    "And": "and",
    "Div": "div",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Max": "max",
    "Min": "min",
    "Mod": "mod",
    "Mul": "mul",
    "Or": "or",
    "Pow": "pow",
    "Sub": "sub",
    "Sum": "add",
    "Xor": "xor",
}
_REDUCTIONS = {
    "ReduceMax": "max",
    "ReduceMean": "mean",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceSum": "sum",
    "ReduceL2": "norm",
}


@HANDLERS.register(*_UNARY)
def _unary(call: Call) -> Result:
    return call.emit.add(Elementwise(_UNARY[call.node.op_type]), call.operand())


@HANDLERS.register("Gelu")
def _gelu(call: Call) -> Result:
    kind = "gelu_tanh" if call.attribute("approximate") == "tanh" else "gelu"
    return call.emit.add(Elementwise(kind), call.operand())


@HANDLERS.register("Clip")
def _clip(call: Call) -> Result:
    low, high = (
        call.walk.known(call.node.input[slot]) if call.has(slot) else call.attribute(name)
        for slot, name in ((1, "min"), (2, "max"))
    )
    if low is not None and float(np.asarray(low).item()) == 0:
        if high is None:
            return call.emit.add(Elementwise("relu"), call.operand())
        if float(np.asarray(high).item()) == 6:
            return call.emit.add(Elementwise("relu6"), call.operand())
    return call.emit.add(Elementwise("clamp"), call.operand())


@HANDLERS.register(*_BINARY)
def _binary(call: Call) -> Result:
    kind = _BINARY[call.node.op_type]
    number, slot = _number(call)
    if number is not None:
        x = call.operand(1 - slot)
        if kind == "pow" and slot == 1 and number in (2.0, 0.5):
            return call.emit.add(Elementwise("square" if number == 2 else "sqrt"), x)
        return call.emit.add(Elementwise(kind, value=number), x)
    first, *others = call.operands()
    if not others:
        return first
    for other in others:
        first = call.emit.add(Elementwise(kind), first, other)
    return first


def _number(call: Call) -> tuple[float | None, int]:
    """Return a known single number among two inputs, and its slot."""
    if len(call.node.input) == 2:
        for slot in (1, 0):
            value = call.walk.known(call.node.input[slot])
            single = value is not None and value.size == 1 and value.dtype != object
            if single and value.ndim <= len(call.operand(1 - slot).shape):
                return float(value.item()), slot
    return None, 0


@HANDLERS.register("Where")
def _where(call: Call) -> Result:
    return call.emit.add(Elementwise("where"), *call.operands())


@HANDLERS.register("Cast", "CastLike")
def _cast(call: Call) -> Result:
    if call.node.op_type == "CastLike":
        dtype = call.operand(1).tensor.dtype
    else:
        dtype = dtype_of(call.attribute("to"), call.node.name)
    x = call.operand()
    return x if x.tensor.dtype == dtype else call.emit.add(Cast(dtype), x)


@HANDLERS.register("Softmax", "LogSoftmax")
def _softmax(call: Call) -> Result:
    return call.emit.add(Softmax(call.attribute("axis", -1)), call.operand())


@HANDLERS.register(*_REDUCTIONS)
def _reduce(call: Call) -> Result:
    x = call.operand()
    rank = len(x.shape)
    given = call.sizes(1, "axes")
    if not given and call.attribute("noop_with_empty_axes", 0):
        return x
    axes = tuple(int(axis) % rank for axis in given) if given else tuple(range(rank))
    keep = bool(call.attribute("keepdims", 1))
    kind = _REDUCTIONS[call.node.op_type]
    if kind == "mean" and rank in (4, 5) and sorted(axes) == list(range(2, rank)):
        y: Operand = call.emit.add(AdaptivePool("avg", (1,) * (rank - 2)), x)
        return y if keep else call.emit.reshape(y, y.shape[:2])
    return call.emit.add(Reduce(kind, axes, keep), x)


@HANDLERS.register("ArgMax", "ArgMin")
def _arg(call: Call) -> Result:
    axis, keep = call.attribute("axis", 0), bool(call.attribute("keepdims", 1))
    return call.emit.add(Reduce(call.node.op_type.lower(), (axis,), keep), call.operand())


@HANDLERS.register("CumSum")
def _cumsum(call: Call) -> Result:
    axes = call.sizes(1) or [0]
    return call.emit.add(Reduce("cumsum", (int(axes[0]),)), call.operand())


@HANDLERS.register("Einsum")
def _einsum(call: Call) -> Result:
    return einsum(call.emit, call.attribute("equation"), call.operands())
