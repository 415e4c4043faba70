"""Arithmetic on known arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from costmodel.algebra.later import sympy
from costmodel.algebra.symbols import Dim, ceil_div, maximum, minimum
from costmodel.importers.onnx_file.folds import FOLDS, fit_together
from costmodel.importers.onnx_file.load import attribute

_MOST_DIGITS = 20
"""Largest exponent of a power with symbols."""


def _divide(a: Dim, b: Dim) -> Dim:
    return ceil_div(a - b + 1, b)  # floor(a / b)


def _power(a: Dim, b: Dim) -> Dim:
    if abs(b) > _MOST_DIGITS:
        raise ValueError("a power that is too high")
    return a**b


_ARITHMETIC: dict[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {
    # With numbers, with symbols.
    "Abs": (np.abs, lambda a: a),
    "Add": (np.add, lambda a, b: a + b),
    "And": (np.logical_and, lambda a, b: a and b),
    "Ceil": (np.ceil, sympy.ceiling),
    "Cos": (np.cos, None),
    "Equal": (np.equal, lambda a, b: bool(a == b)),
    "Exp": (np.exp, None),
    "Floor": (np.floor, sympy.floor),
    "Greater": (np.greater, lambda a, b: bool(a > b)),
    "GreaterOrEqual": (np.greater_equal, lambda a, b: bool(a >= b)),
    "IsNaN": (np.isnan, None),
    "Less": (np.less, lambda a, b: bool(a < b)),
    "LessOrEqual": (np.less_equal, lambda a, b: bool(a <= b)),
    "Log": (np.log, None),
    "Max": (np.maximum, maximum),
    "Min": (np.minimum, minimum),
    "Mod": (np.mod, lambda a, b: a % b),
    "Mul": (np.multiply, lambda a, b: a * b),
    "Neg": (np.negative, lambda a: -a),
    "Not": (np.logical_not, lambda a: not a),
    "Or": (np.logical_or, lambda a, b: a or b),
    "Pow": (np.power, _power),
    "Reciprocal": (np.reciprocal, lambda a: 1 / a),
    "Round": (np.round, None),
    "Sign": (np.sign, lambda a: 1),
    "Sin": (np.sin, None),
    "Sqrt": (np.sqrt, sympy.sqrt),
    "Sub": (np.subtract, lambda a, b: a - b),
    "Xor": (np.logical_xor, None),
}


@FOLDS.register(*_ARITHMETIC, "Sum")
def _arithmetic(node: Any, inputs: list[Any]) -> Any:
    numeric, symbolic = _ARITHMETIC["Add" if node.op_type == "Sum" else node.op_type]
    if not fit_together(*inputs):
        return None
    if any(x.dtype == object for x in inputs):
        if symbolic is None:
            return None
        function: Any = np.vectorize(symbolic, otypes=[object])
    else:
        function = numeric
    if len(inputs) == 1:
        return np.asarray(function(inputs[0])) if node.op_type not in _JOINING else inputs[0]
    found = np.asarray(reduce(function, inputs))
    whole = all(isinstance(v, bool) for v in found.ravel()) if found.dtype == object else False
    return found.astype(bool) if whole else found


ARITHMETIC = frozenset((*_ARITHMETIC, "Div", "ReduceProd", "ReduceSum", "Sum"))
"""Folds that make new formulas of symbols."""
_JOINING = ("Max", "Min", "Sum")


@FOLDS.register("Div")
def _div(node: Any, inputs: list[Any]) -> Any:
    a, b = inputs
    if not fit_together(a, b):
        return None
    if object in (a.dtype, b.dtype):
        if "f" in (a.dtype.kind, b.dtype.kind):
            return np.vectorize(lambda x, y: x / _whole(y), otypes=[object])(a, b)
        return np.vectorize(_divide, otypes=[object])(a, b)
    if a.dtype.kind in "iu":
        # ONNX truncates towards zero.
        quotient = np.abs(a) // np.abs(b)
        return (quotient * np.sign(a) * np.sign(b)).astype(a.dtype)
    return np.asarray(a / b)


def _whole(number: Any) -> Any:
    """Return a float without a fraction as an int, which stays exact beside symbols."""
    return int(number) if float(number).is_integer() else number


@FOLDS.register("Cast")
def _cast(node: Any, inputs: list[Any]) -> Any:
    import onnx

    (x,) = inputs
    target = onnx.helper.tensor_dtype_to_np_dtype(attribute(node, "to"))
    return x if x.dtype == object else x.astype(target)


@FOLDS.register("CastLike")
def _cast_like(node: Any, inputs: list[Any]) -> Any:
    x, like = inputs
    return x if object in (x.dtype, like.dtype) else x.astype(like.dtype)


@FOLDS.register("Clip")
def _clip(node: Any, inputs: list[Any]) -> Any:
    x, low, high = [*inputs, None, None][:3]
    if x.dtype == object or attribute(node, "min") is not None:
        return None
    return np.clip(x, low, high).astype(x.dtype)


@FOLDS.register("Where")
def _where(node: Any, inputs: list[Any]) -> Any:
    if inputs[0].dtype == object or not fit_together(*inputs):
        return None
    return np.where(inputs[0].astype(bool), inputs[1], inputs[2])


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "ReduceMax": np.max,
    "ReduceMean": np.mean,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
    "ReduceSum": np.sum,
}


@FOLDS.register(*_REDUCTIONS)
def _reduce(node: Any, inputs: list[Any]) -> Any:
    x = inputs[0]
    if x.dtype == object and node.op_type not in ("ReduceProd", "ReduceSum"):
        return None
    axes = attribute(node, "axes")
    if axes is None and len(inputs) > 1 and inputs[1] is not None:
        axes = inputs[1].tolist()
    if not axes and attribute(node, "noop_with_empty_axes", 0):
        return x
    how = {"axis": tuple(axes) if axes else None, "keepdims": bool(attribute(node, "keepdims", 1))}
    found = np.asarray(_REDUCTIONS[node.op_type](x, **how))
    return found if found.dtype == object else found.astype(x.dtype)


@FOLDS.register("ArgMax", "ArgMin")
def _arg(node: Any, inputs: list[Any]) -> Any:
    (x,) = inputs
    if x.dtype == object or attribute(node, "select_last_index", 0):
        return None
    axis, keep = attribute(node, "axis", 0), bool(attribute(node, "keepdims", 1))
    function = np.argmax if node.op_type == "ArgMax" else np.argmin
    return np.asarray(function(x, axis=axis, keepdims=keep)).astype(np.int64)


@FOLDS.register("CumSum")
def _cumsum(node: Any, inputs: list[Any]) -> Any:
    x, axis = inputs
    if attribute(node, "exclusive", 0) or attribute(node, "reverse", 0):
        return None
    return np.cumsum(x, int(axis.item())).astype(x.dtype)


@FOLDS.register("Range")
def _range(node: Any, inputs: list[Any]) -> Any:
    start, stop, step = (x.item() for x in inputs)
    count = math.ceil((stop - start) / step)
    if not 0 <= count <= 4096:
        return None if count > 0 else np.zeros(0, inputs[0].dtype)
    return (start + step * np.arange(count)).astype(inputs[0].dtype)


@FOLDS.register("Trilu")
def _trilu(node: Any, inputs: list[Any]) -> Any:
    k = int(inputs[1].item()) if len(inputs) > 1 and inputs[1] is not None else 0
    cut = np.triu if attribute(node, "upper", 1) else np.tril
    return cut(inputs[0], k)
