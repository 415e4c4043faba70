"""Activations and arithmetic."""

from __future__ import annotations

import math

from costmodel.importers.clip import clip_kind
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.torch_module.call import ATEN, Call, Result, packet_name
from costmodel.importers.torch_module.handlers.sorting import places
from costmodel.ops import Elementwise, PReLU, Split
from costmodel.ops.tensor import Tensor

# The kind determines the cost per element: names of equal cost share one.
_UNARY = {
    "abs": "abs",
    "ceil": "ceil",
    "celu": "elu",
    "cos": "cos",
    "elu": "elu",
    "erf": "erf",
    "erfc": "erf",
    "exp": "exp",
    "exp2": "exp",
    "expm1": "exp",
    "floor": "floor",
    "frac": "floor",
    "hardshrink": "leaky_relu",
    "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish",
    "leaky_relu": "leaky_relu",
    "log": "log",
    "log10": "log",
    "log1p": "log",
    "log2": "log",
    "log_sigmoid": "softplus",
    "isfinite": "not",
    "isinf": "not",
    "isnan": "not",
    "logical_not": "not",
    "bitwise_not": "not",
    "mish": "mish",
    "neg": "neg",
    "reciprocal": "reciprocal",
    "relu": "relu",
    "relu6": "relu6",
    "round": "round",
    "rrelu": "leaky_relu",
    "rsqrt": "rsqrt",
    "selu": "elu",
    "sigmoid": "sigmoid",
    "sgn": "sign",
    "sign": "sign",
    "silu": "silu",
    "sin": "sin",
    "softplus": "softplus",
    "softshrink": "leaky_relu",
    "sqrt": "sqrt",
    "square": "square",
    "tan": "sin",
    "tanh": "tanh",
    "threshold": "leaky_relu",
    "trunc": "round",
}
_BINARY = {
    "__and__": "and",
    "__or__": "or",
    "__xor__": "xor",
    "__iand__": "and",
    "__ior__": "or",
    "__ixor__": "xor",
    "__lshift__": "mul",
    "__rshift__": "div",
    "add": "add",
    "atan2": "div",
    "bitwise_and": "and",
    "bitwise_left_shift": "mul",
    "bitwise_or": "or",
    "bitwise_right_shift": "div",
    "bitwise_xor": "xor",
    "div": "div",
    "divide": "div",
    "eq": "equal",
    "floor_divide": "floor_div",
    "fmax": "max",
    "fmin": "min",
    "fmod": "mod",
    "ge": "greater_equal",
    "greater": "greater",
    "gt": "greater",
    "le": "less_equal",
    "less": "less",
    "logical_and": "and",
    "logical_or": "or",
    "logical_xor": "xor",
    "lt": "less",
    "maximum": "max",
    "minimum": "min",
    "mul": "mul",
    "multiply": "mul",
    "ne": "not_equal",
    "pow": "pow",
    "remainder": "mod",
    "rsub": "sub",
    "sub": "sub",
    "subtract": "sub",
    "true_divide": "div",
}


@ATEN.register(*_UNARY)
def _unary(call: Call) -> Result:
    return call.emit.add(Elementwise(_UNARY[_name(call)]), call.operand("self"))


@ATEN.register("gelu")
def _gelu(call: Call) -> Result:
    kind = "gelu_tanh" if call.get("approximate") == "tanh" else "gelu"
    return call.emit.add(Elementwise(kind), call.operand("self"))


@ATEN.register("clamp", "clamp_max", "clamp_min", "clip", "hardtanh")
def _clip(call: Call) -> Result:
    limits = ("min_val", "max_val") if _name(call) == "hardtanh" else ("min", "max")
    low, high = (_limit(call.get(name)) for name in limits)
    return call.emit.add(Elementwise(clip_kind(low, high)), call.operand("self"))


def _limit(value: object) -> float | None:
    """Return a limit, None where there is none; one that is computed is not a number."""
    return float(value) if isinstance(value, int | float) else None if value is None else math.nan


@ATEN.register("prelu", "_prelu_kernel")
def _prelu(call: Call) -> Result:
    weight = call.operand("weight")
    return call.emit.add(
        PReLU(shared=weight.tensor.elements == 1),
        call.operand("self"),
        weights=call.emit.weight_name(weight),
    )


@ATEN.register("glu")
def _glu(call: Call) -> Result:
    halves = call.emit.add_many(Split(call.size("dim"), 2), call.operand("self"))
    gate = call.emit.add(Elementwise("sigmoid"), halves[1])
    return call.emit.add(Elementwise("mul"), halves[0], gate)


@ATEN.register(*_BINARY)
def _binary(call: Call) -> Result:
    kind = _BINARY[_name(call)]
    a, b = call.optional("self"), call.optional("other", "exponent")
    scale = call.get("alpha", 1)
    if b is None or a is None:
        only = a if a is not None else call.operand("other", "exponent")
        number = call.get("self") if a is None else call.get("other", call.get("exponent"))
        return _with_number(call, kind, only, number, left=a is None)
    if scale != 1:
        b = call.emit.add(Elementwise("mul", value=float(scale)), b)
    return binary(call, kind, a, b)


@ATEN.register("addcmul", "addcdiv")
def _add_product(call: Call) -> Result:
    kind = "mul" if _name(call) == "addcmul" else "div"
    y = binary(call, kind, call.operand("tensor1"), call.operand("tensor2"))
    return binary(call, "add", call.operand("self"), y)


@ATEN.register("lerp")
def _lerp(call: Call) -> Result:
    a, b = call.operand("self"), call.operand("end")
    step: Operand = binary(call, "sub", b, a)
    weight = call.optional("weight")
    if weight is None:
        step = call.emit.add(Elementwise("mul", value=float(call.get("weight"))), step)
    else:
        step = binary(call, "mul", step, weight)
    return binary(call, "add", a, step)


@ATEN.register("where")
def _where(call: Call) -> Result:
    if "self" not in call:
        return places(call, call.operand("condition"))
    branches = [_branch(call, name) for name in ("self", "other")]
    return call.emit.add(Elementwise("where"), call.operand("condition"), *branches)


@ATEN.register("masked_fill")
def _masked_fill(call: Call) -> Result:
    x = call.operand("self")
    value = call.optional("value") or _scalar(call, x)
    return call.emit.add(Elementwise("where"), call.operand("mask"), value, x)


def binary(call: Call, kind: str, a: Operand, b: Operand) -> Operand:
    """Emit a binary operator; the wider dtype goes last, since it decides the result's."""
    if _rank(a) > _rank(b):
        a, b = b, a
    return call.emit.add(Elementwise(kind), a, b)


def _with_number(call: Call, kind: str, x: Operand, number: object, left: bool) -> Operand:
    if kind == "pow" and number in (2, 0.5) and not left:
        return call.emit.add(Elementwise("square" if number == 2 else "sqrt"), x)
    if isinstance(number, int | float):
        return call.emit.add(Elementwise(kind, value=float(number)), x)
    # A size of the network that is symbolic: a number that is known only when it runs.
    return binary(call, kind, _scalar(call, x), x)


def _branch(call: Call, name: str) -> Operand:
    value = call.optional(name)
    return value if value is not None else _scalar(call, call.emit.value(call.operand("condition")))


def _scalar(call: Call, like: Operand) -> Operand:
    dtype = call.output.dtype if like.tensor.dtype == "bool" else like.tensor.dtype
    return Stored(f"{call.node.name}_number", Tensor((), dtype), learned=False)


def _rank(x: Operand) -> tuple[int, bool, bool]:
    """Order dtypes as torch promotes them, bool to complex; scalars lose to tensors."""
    dtype = x.tensor.dtype
    floating = 2 if x.tensor.is_complex else int("float" in dtype)
    return (floating, dtype != "bool", x.tensor.rank > 0)


def _name(call: Call) -> str:
    return packet_name(call.node.target)
