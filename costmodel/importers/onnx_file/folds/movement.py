"""Movement of the elements of known arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.importers.onnx_file.folds import FOLDS, fits
from costmodel.importers.onnx_file.load import array_of, attribute


def _given(node: Any, inputs: list[Any], slot: int, name: str) -> list[Any] | None:
    """Return numbers of attribute ``name`` or, in later versions, of an input."""
    value = attribute(node, name)
    if value is not None:
        return list(value)
    return inputs[slot].tolist() if slot < len(inputs) and inputs[slot] is not None else None


@FOLDS.register("Identity")
def _identity(node: Any, inputs: list[Any]) -> Any:
    return inputs[0]


@FOLDS.register("Gather")
def _gather(node: Any, inputs: list[Any]) -> Any:
    x, indices = inputs
    axis = attribute(node, "axis", 0)
    if not fits([x.size // max(1, x.shape[axis]), indices.size]):
        return None
    return np.asarray(np.take(x, indices.astype(np.int64), axis))


@FOLDS.register("GatherElements")
def _gather_elements(node: Any, inputs: list[Any]) -> Any:
    x, indices = inputs
    axis = attribute(node, "axis", 0)
    return np.take_along_axis(x, np.where(indices < 0, indices + x.shape[axis], indices), axis)


@FOLDS.register("GatherND")
def _gather_nd(node: Any, inputs: list[Any]) -> Any:
    x, indices = inputs
    picked = [*indices.shape[:-1], *x.shape[indices.shape[-1] :]]
    if attribute(node, "batch_dims", 0) or not fits(picked):
        return None
    return x[tuple(np.moveaxis(indices, -1, 0))]


@FOLDS.register("ScatterND")
def _scatter_nd(node: Any, inputs: list[Any]) -> Any:
    x, indices, updates = inputs
    if attribute(node, "reduction", "none") != "none":
        return None
    result = np.array(x, dtype=object if updates.dtype == object else x.dtype)
    result[tuple(np.moveaxis(indices, -1, 0))] = updates
    return result


@FOLDS.register("Concat")
def _concat(node: Any, inputs: list[Any]) -> Any:
    return np.concatenate(inputs, attribute(node, "axis", 0))


@FOLDS.register("Split")
def _split(node: Any, inputs: list[Any]) -> Any:
    x, axis, count = inputs[0], attribute(node, "axis", 0), len(node.output)
    sizes = _given(node, inputs, 1, "split")
    if sizes is None:
        whole = -(-x.shape[axis] // count)
        return np.split(x, [whole * (i + 1) for i in range(count - 1)], axis)
    return np.split(x, np.cumsum(sizes)[:-1].tolist(), axis) if len(sizes) == count else None


@FOLDS.register("Unsqueeze")
def _unsqueeze(node: Any, inputs: list[Any]) -> Any:
    return np.expand_dims(inputs[0], tuple(_given(node, inputs, 1, "axes") or ()))


@FOLDS.register("Squeeze")
def _squeeze(node: Any, inputs: list[Any]) -> Any:
    axes = _given(node, inputs, 1, "axes")
    return np.squeeze(inputs[0], None if axes is None else tuple(axes))


@FOLDS.register("Reshape")
def _reshape(node: Any, inputs: list[Any]) -> Any:
    x = inputs[0]
    target = [int(v) for v in _given(node, inputs, 1, "shape") or ()]
    if not attribute(node, "allowzero", 0):
        target = [x.shape[i] if size == 0 else size for i, size in enumerate(target)]
    return x.reshape(target)


@FOLDS.register("Flatten")
def _flatten(node: Any, inputs: list[Any]) -> Any:
    x, axis = inputs[0], attribute(node, "axis", 1)
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


@FOLDS.register("Transpose")
def _transpose(node: Any, inputs: list[Any]) -> Any:
    return np.transpose(inputs[0], attribute(node, "perm"))


@FOLDS.register("Slice")
def _slice(node: Any, inputs: list[Any]) -> Any:
    x = inputs[0]
    starts = _given(node, inputs, 1, "starts") or []
    ends = _given(node, inputs, 2, "ends") or []
    axes = _given(node, inputs, 3, "axes")
    axes = list(range(len(starts))) if axes is None else axes
    steps = inputs[4].tolist() if len(inputs) > 4 and inputs[4] is not None else [1] * len(starts)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        low = -x.shape[axis] - 1
        stop = None if step < 0 and end < low else end
        index[axis] = slice(start, stop, step)
    return x[tuple(index)]


@FOLDS.register("Expand")
def _expand(node: Any, inputs: list[Any]) -> Any:
    wanted = tuple(int(v) for v in inputs[1])
    rank = max(len(wanted), inputs[0].ndim)
    sides = ((1,) * (rank - len(shape)) + tuple(shape) for shape in (wanted, inputs[0].shape))
    shape = tuple(max(a, b) if 0 not in (a, b) else 0 for a, b in zip(*sides, strict=True))
    return np.broadcast_to(inputs[0], shape) if fits(shape) else None


@FOLDS.register("Tile")
def _tile(node: Any, inputs: list[Any]) -> Any:
    x, times = inputs
    shape = [a * int(b) for a, b in zip(x.shape, times, strict=True)]
    return np.tile(x, [int(t) for t in times]) if fits(shape) else None


@FOLDS.register("ConstantOfShape")
def _constant_of_shape(node: Any, inputs: list[Any]) -> Any:
    shape = [int(v) for v in inputs[0]]
    if min(shape, default=0) < 0 or not fits(shape):
        return None
    message = attribute(node, "value")
    fill = np.zeros(1, np.float32) if message is None else array_of(message, 1)
    return None if fill is None else np.full(shape, fill.item(), fill.dtype)


@FOLDS.register("EyeLike")
def _eye_like(node: Any, inputs: list[Any]) -> Any:
    import onnx

    dtype = attribute(node, "dtype")
    target = inputs[0].dtype if dtype is None else onnx.helper.tensor_dtype_to_np_dtype(dtype)
    rows, columns = inputs[0].shape
    return np.eye(rows, columns, attribute(node, "k", 0)).astype(target)


@FOLDS.register("NonZero")
def _non_zero(node: Any, inputs: list[Any]) -> Any:
    return None if inputs[0].dtype == object else np.array(np.nonzero(inputs[0]), dtype=np.int64)


@FOLDS.register("OneHot")
def _one_hot(node: Any, inputs: list[Any]) -> Any:
    indices, depth, values = inputs
    axis = attribute(node, "axis", -1)
    count = int(depth.item())
    if count < 0 or indices.size * count > 4096:
        return None
    hot = np.arange(count) == (indices % count)[..., None]
    return np.moveaxis(np.where(hot, values[1], values[0]), -1, axis)
