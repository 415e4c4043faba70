"""Elementwise kinds in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from .torch_emitter import Emitter, Value

UNARY_CALLS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "abs": (torch.abs, {}),
    "ceil": (torch.ceil, {}),
    "clamp": (torch.clamp, {"min": 0.0, "max": 1.0}),
    "cos": (torch.cos, {}),
    "elu": (functional.elu, {}),
    "erf": (torch.erf, {}),
    "exp": (torch.exp, {}),
    "floor": (torch.floor, {}),
    "gelu": (functional.gelu, {}),
    "gelu_tanh": (functional.gelu, {"approximate": "tanh"}),
    "hard_sigmoid": (functional.hardsigmoid, {}),
    "hard_swish": (functional.hardswish, {}),
    "hard_tanh": (functional.hardtanh, {}),
    "leaky_relu": (functional.leaky_relu, {}),
    "log": (torch.log, {}),
    "mish": (functional.mish, {}),
    "neg": (torch.neg, {}),
    "not": (torch.logical_not, {}),
    "reciprocal": (torch.reciprocal, {}),
    "relu": (functional.relu, {}),
    "relu6": (functional.relu6, {}),
    "round": (torch.round, {}),
    "rsqrt": (torch.rsqrt, {}),
    "sigmoid": (torch.sigmoid, {}),
    "sign": (torch.sign, {}),
    "silu": (functional.silu, {}),
    "sin": (torch.sin, {}),
    "softplus": (functional.softplus, {}),
    "sqrt": (torch.sqrt, {}),
    "special": (torch.lgamma, {}),
    "square": (torch.square, {}),
    "tanh": (torch.tanh, {}),
}
"""Function and keyword arguments of each kind of one operand."""

BINARY_CALLS: dict[str, Callable[..., Any]] = {
    "add": torch.add,
    "and": torch.logical_and,
    "div": torch.div,
    "equal": torch.eq,
    "floor_div": torch.floor_divide,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
    "max": torch.maximum,
    "min": torch.minimum,
    "mod": torch.remainder,
    "mul": torch.mul,
    "not_equal": torch.ne,
    "or": torch.logical_or,
    "pow": torch.pow,
    "special_of_two": torch.hypot,
    "sub": torch.sub,
    "where": torch.where,
    "xor": torch.logical_xor,
}
"""Function of each kind of two or three operands."""


def with_number(e: Emitter, kind: str, x: Value, number: float) -> Value:
    """Add an operator whose second operand is a number."""
    if kind == "max":
        return e.call(torch.clamp, x, min=number)
    if kind == "min":
        return e.call(torch.clamp, x, max=number)
    if kind in ("and", "or", "xor"):
        return e.call(BINARY_CALLS[kind], x, e.tensor(torch.tensor(bool(number))))
    if kind == "special_of_two":
        return e.call(BINARY_CALLS[kind], x, e.tensor(torch.tensor(float(number))))
    # A whole number stays one, so that integer tensors keep their dtype.
    value = int(number) if float(number).is_integer() else number
    return e.call(BINARY_CALLS[kind], x, value)
