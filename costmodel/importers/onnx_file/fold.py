"""Computations on shapes, done with NumPy while importing."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy

from costmodel.algebra.symbols import Dim, ceil_div, maximum, minimum
from costmodel.importers.registry import Registry

MAX_ELEMENTS = 4096
"""Largest tensor that is worth knowing: shapes, axes, scales. [element]"""

FOLDS: Registry[Callable[[Any, list[Any]], Any]] = Registry("foldable ONNX")
"""For each operator on known arrays, a function of its node and them."""


def shape_array(shape: tuple[Dim, ...]) -> np.ndarray:
    """Return a shape as an array; of objects where it holds symbols.

    >>> shape_array((1, 3)).dtype
    dtype('int64')
    """
    if any(isinstance(size, sympy.Expr) for size in shape):
        return np.array([*shape, None], dtype=object)[:-1]
    return np.array(shape, dtype=np.int64)


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """Return attribute ``name`` of ``node``: a number, text, list, or tensor message."""
    for entry in node.attribute:
        if entry.name == name:
            return _attribute_value(entry)
    return default


def _attribute_value(entry: Any) -> Any:
    match entry.type:
        case 1:
            return float(entry.f)
        case 2:
            return int(entry.i)
        case 3:
            return entry.s.decode("utf-8", "replace")
        case 4:
            return entry.t
        case 6:
            return [float(v) for v in entry.floats]
        case 7:
            return [int(v) for v in entry.ints]
        case 8:
            return [v.decode("utf-8", "replace") for v in entry.strings]
    return None


def _divide(a: Dim, b: Dim) -> Dim:
    return ceil_div(a - b + 1, b)  # floor(a / b)


_ARITHMETIC: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    # With numbers, with symbols.
    "Add": (np.add, lambda a, b: a + b),
    "Sub": (np.subtract, lambda a, b: a - b),
    "Mul": (np.multiply, lambda a, b: a * b),
    "Max": (np.maximum, maximum),
    "Min": (np.minimum, minimum),
    "Neg": (np.negative, lambda a: -a),
    "Abs": (np.abs, lambda a: a),
    "Floor": (np.floor, sympy.floor),
    "Ceil": (np.ceil, sympy.ceiling),
    "Sqrt": (np.sqrt, sympy.sqrt),
    "Equal": (np.equal, lambda a, b: a == b),
    "Greater": (np.greater, lambda a, b: bool(a > b)),
    "Less": (np.less, lambda a, b: bool(a < b)),
    "Not": (np.logical_not, lambda a: not a),
    "And": (np.logical_and, lambda a, b: a and b),
    "Pow": (np.power, lambda a, b: a**b),
    "Mod": (np.mod, lambda a, b: a % b),
}


@FOLDS.register(*_ARITHMETIC)
def _arithmetic(node: Any, inputs: list[Any]) -> Any:
    numeric, symbolic = _ARITHMETIC[node.op_type]
    if any(x.dtype == object for x in inputs):
        return np.vectorize(symbolic, otypes=[object])(*inputs)
    return np.asarray(numeric(*inputs))


@FOLDS.register("Div")
def _div(node: Any, inputs: list[Any]) -> Any:
    a, b = inputs
    if object in (a.dtype, b.dtype):
        return np.vectorize(_divide, otypes=[object])(a, b)
    if a.dtype.kind in "iu":
        # ONNX truncates towards zero; sizes are positive.
        return (a // b).astype(a.dtype)
    return np.asarray(a / b)


@FOLDS.register("Cast")
def _cast(node: Any, inputs: list[Any]) -> Any:
    import onnx

    (x,) = inputs
    target = onnx.helper.tensor_dtype_to_np_dtype(attribute(node, "to"))
    return x if x.dtype == object else x.astype(target)


@FOLDS.register("Identity")
def _identity(node: Any, inputs: list[Any]) -> Any:
    return inputs[0]


@FOLDS.register("Gather")
def _gather(node: Any, inputs: list[Any]) -> Any:
    return np.asarray(np.take(inputs[0], inputs[1].astype(np.int64), attribute(node, "axis", 0)))


@FOLDS.register("Concat")
def _concat(node: Any, inputs: list[Any]) -> Any:
    return np.concatenate(inputs, attribute(node, "axis", 0))


@FOLDS.register("Unsqueeze")
def _unsqueeze(node: Any, inputs: list[Any]) -> Any:
    axes = attribute(node, "axes") or inputs[1].tolist()
    return np.expand_dims(inputs[0], tuple(axes))


@FOLDS.register("Squeeze")
def _squeeze(node: Any, inputs: list[Any]) -> Any:
    axes = attribute(node, "axes") or (inputs[1].tolist() if len(inputs) > 1 else None)
    return np.squeeze(inputs[0], None if axes is None else tuple(axes))


@FOLDS.register("Reshape")
def _reshape(node: Any, inputs: list[Any]) -> Any:
    return inputs[0].reshape([int(v) for v in inputs[1]])


@FOLDS.register("Transpose")
def _transpose(node: Any, inputs: list[Any]) -> Any:
    return np.transpose(inputs[0], attribute(node, "perm"))


@FOLDS.register("Slice")
def _slice(node: Any, inputs: list[Any]) -> Any:
    x = inputs[0]
    if len(inputs) > 1:
        starts, ends = inputs[1].tolist(), inputs[2].tolist()
        axes = inputs[3].tolist() if len(inputs) > 3 else list(range(len(starts)))
        steps = inputs[4].tolist() if len(inputs) > 4 else [1] * len(starts)
    else:
        starts, ends = attribute(node, "starts"), attribute(node, "ends")
        axes = attribute(node, "axes") or list(range(len(starts)))
        steps = [1] * len(starts)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        low = -x.shape[axis] - 1
        stop = None if step < 0 and end < low else end
        index[axis] = slice(start, stop, step)
    return x[tuple(index)]


@FOLDS.register("Range")
def _range(node: Any, inputs: list[Any]) -> Any:
    start, stop, step = (x.item() for x in inputs)
    if math.ceil((stop - start) / step) > MAX_ELEMENTS:
        return None
    return np.arange(start, stop, step, dtype=inputs[0].dtype)


@FOLDS.register("Where")
def _where(node: Any, inputs: list[Any]) -> Any:
    return np.where(inputs[0].astype(bool), inputs[1], inputs[2])


@FOLDS.register("ReduceProd")
def _reduce_prod(node: Any, inputs: list[Any]) -> Any:
    return np.asarray(np.prod(inputs[0], keepdims=bool(attribute(node, "keepdims", 1))))


@FOLDS.register("Expand")
def _expand(node: Any, inputs: list[Any]) -> Any:
    shape = np.broadcast_shapes(inputs[0].shape, tuple(int(v) for v in inputs[1]))
    return np.broadcast_to(inputs[0], shape) if math.prod(shape) <= MAX_ELEMENTS else None


@FOLDS.register("ConstantOfShape")
def _constant_of_shape(node: Any, inputs: list[Any]) -> Any:
    import onnx

    shape = [int(v) for v in inputs[0]]
    if math.prod(shape) > MAX_ELEMENTS:
        return None
    value = attribute(node, "value")
    fill = np.zeros(1, np.float32) if value is None else onnx.numpy_helper.to_array(value)
    return np.full(shape, fill.item(), fill.dtype)
