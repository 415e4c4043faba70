"""ONNX activations, arithmetic, reductions."""

from __future__ import annotations

import math

import numpy as np

from costmodel.importers.clip import clip_kind
from costmodel.importers.einsum import einsum
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.onnx_file.load import dtype_of
from costmodel.importers.patterns.pieces import Note
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
_COMMUTATIVE = frozenset({"add", "and", "equal", "max", "min", "mul", "or", "xor"})
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


@HANDLERS.register("HardSigmoid")
def _hard_sigmoid(call: Call) -> Result:
    y = call.emit.add(Elementwise("hard_sigmoid"), call.operand())
    slope, offset = call.attribute("alpha", 0.2), call.attribute("beta", 0.5)
    right = math.isclose(slope, 1 / 6, rel_tol=1e-5) and offset == 0.5
    return y if right else call.emit.note(y, Note.OTHER)


@HANDLERS.register("Clip")
def _clip(call: Call) -> Result:
    kind = clip_kind(_limit(call, 1, "min"), _limit(call, 2, "max"))
    return call.emit.add(Elementwise(kind), call.operand())


def _limit(call: Call, slot: int, name: str) -> float | None:
    """Return a limit, None where there is none; one that is computed is not a number."""
    if not call.has(slot):
        limit: float | None = call.attribute(name)
        return limit
    value = call.walk.known(call.node.input[slot])
    return math.nan if value is None else float(np.asarray(value).item())


@HANDLERS.register(*_BINARY)
def _binary(call: Call) -> Result:
    kind = _BINARY[call.node.op_type]
    number, slot = _number(call)
    if number is not None:
        x = call.operand(1 - slot)
        if kind == "pow" and slot == 1 and number in (2.0, 0.5):
            return call.emit.add(Elementwise("square" if number == 2 else "sqrt"), x)
        if kind == "div" and slot == 0 and number == 1:
            return call.emit.add(Elementwise("reciprocal"), x)
        y = call.emit.add(Elementwise(kind, value=number), x)
        # As a field of the operator, the number has the place of the second input.
        return y if slot == 1 or kind in _COMMUTATIVE else call.emit.note(y, Note.OTHER)
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
    return call.emit.add(Elementwise("where"), *(_plain_number(x) for x in call.operands()))


def _plain_number(x: Operand) -> Operand:
    """Return a stored number as a constant: it is written in the network, not learned."""
    single = isinstance(x, Stored) and x.tensor.elements == 1
    return Stored(x.key, x.tensor, learned=False) if isinstance(x, Stored) and single else x


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
