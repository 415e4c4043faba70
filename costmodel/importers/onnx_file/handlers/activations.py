"""ONNX operators on every element of one tensor."""

from __future__ import annotations

import math

import numpy as np

from costmodel.importers.clip import clip_kind
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.onnx_file.load import dtype_of
from costmodel.importers.patterns.pieces import Note
from costmodel.ops import Cast, Elementwise, PReLU

_UNARY = {
    "Abs": "abs",
    "BitwiseNot": "neg",
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
    "Tanh": "tanh",
    "ThresholdedRelu": "leaky_relu",
    "com.microsoft.QuickGelu": "silu",
}
_ALIKE = {
    "Acos": "sin",
    "Acosh": "tanh",
    "Asin": "sin",
    "Asinh": "tanh",
    "Atan": "sin",
    "Atanh": "tanh",
    "Cosh": "tanh",
    "IsInf": "not",
    "IsNaN": "not",
    "Shrink": "hard_tanh",
    "Sinh": "tanh",
    "Softsign": "softplus",
    "Tan": "sin",
}
"""Functions without their own kind: they use a kind of equal cost."""


@HANDLERS.register(*_UNARY)
def _unary(call: Call) -> Result:
    name = f"{call.node.domain}.{call.kind}" if call.kind == "QuickGelu" else call.kind
    return call.emit.add(Elementwise(_UNARY[name]), call.operand())


@HANDLERS.register(*_ALIKE)
def _alike(call: Call) -> Result:
    y = call.emit.add(Elementwise(_ALIKE[call.kind]), call.operand())
    return call.emit.note(y, Note.OTHER)


@HANDLERS.register("Swish")
def _swish(call: Call) -> Result:
    y = call.emit.add(Elementwise("silu"), call.operand())
    return y if call.attribute("alpha", 1.0) == 1 else call.emit.note(y, Note.OTHER)


@HANDLERS.register("Gelu", "com.microsoft.Gelu")
def _gelu(call: Call) -> Result:
    kind = "gelu_tanh" if call.attribute("approximate") == "tanh" else "gelu"
    return call.emit.add(Elementwise(kind), call.operand())


@HANDLERS.register("com.microsoft.BiasGelu", "com.microsoft.FastGelu")
def _bias_gelu(call: Call) -> Result:
    x = call.operand()
    if call.has(1):
        x = call.emit.add(Elementwise("add"), x, call.operand(1))
    return call.emit.add(Elementwise("gelu" if call.kind == "BiasGelu" else "gelu_tanh"), x)


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
    value = call.peek(slot)
    return math.nan if value is None else float(np.asarray(value).item())


@HANDLERS.register("PRelu")
def _prelu(call: Call) -> Result:
    x, slope = call.operand(), call.operand(1)
    one_a_channel = (*x.shape[1:2], *([1] * (len(x.shape) - 2)))
    shared = slope.tensor.elements == 1
    fits = slope.shape in (one_a_channel, (1, *one_a_channel))
    if len(x.shape) > 1 and (shared or fits):
        op = PReLU(shared=shared)
        return call.emit.add(op, x, weights=call.emit.weight_name(slope))
    scaled = call.emit.add(Elementwise("mul"), x, slope)
    return call.emit.add(Elementwise("max"), scaled, x)


@HANDLERS.register("Cast", "CastLike", "BitCast")
def _cast(call: Call) -> Result:
    if call.kind == "CastLike":
        dtype = call.operand(1).tensor.dtype
    else:
        dtype = dtype_of(call.attribute("to"), "the type that it makes")
    x = call.operand()
    return x if x.tensor.dtype == dtype else call.emit.add(Cast(dtype), x)
