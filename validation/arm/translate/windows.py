"""Rules for windows that slide over one, two or three axes: convolution, pooling, other sizes.

What has one axis is an image of one row. A volume is an image whose channels hold the planes of
each; pooling and interpolation of one are done over rows and columns first, then over planes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from costmodel.graph import Node
from costmodel.ops import AdaptivePool, Conv, ConvTranspose, Pool, Resize
from costmodel.ops.tensor import Tensor

from ..bench.program import Shape
from .state import Params, RefusedError, State, is_same

# Winograd pays once there are channels to share its transforms among
_WINOGRAD_CHANNELS = 16
_LARGEST = 64  # number of a window in the program


class _Axis(NamedTuple):
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def plain(self) -> bool:
        return self == _ONE


_ONE = _Axis(1, 1, 1, 0, 0)


def image(tensor: Tensor) -> Shape:
    """Return batch, channels, rows and columns; the planes of a volume go with its channels."""
    n, c, *sizes = tensor.shape
    depth = math.prod(sizes[:-2])
    h, w = (1, *sizes)[-2:]
    return n, c * depth, h, w


def _axes(node: Node, op: Conv | Pool) -> list[_Axis]:
    """Return three axes of a window: planes, rows, columns."""
    if len(op.kernel) > 3:
        raise RefusedError(f"a window over {len(op.kernel)} axes")
    sizes, places = node.inputs[0].shape[2:], node.outputs[0].shape[2:]
    axes = []
    for i, (k, s, d) in enumerate(zip(op.kernel, op.stride, op.dilation, strict=True)):
        if op.padding == "same":
            total = max(0, (places[i] - 1) * s + d * (k - 1) + 1 - sizes[i])
            before, after = total // 2, total - total // 2
        else:
            before, after = op.padding[i]
        axes.append(_Axis(int(k), int(s), int(d), int(before), int(after)))
    if max(map(max, axes)) > _LARGEST or min(map(min, axes)) < 0:
        raise RefusedError(f"a number of its window above {_LARGEST} or below 0")
    return [_ONE] * (3 - len(axes)) + axes


def _window(rows: _Axis, columns: _Axis) -> Params:
    """Parameters of a window over two axes, with what is at its default left out."""
    params: Params = {"kh": rows.kernel, "kw": columns.kernel, "stride": rows.stride}
    if columns.stride != rows.stride:
        params["stride_w"] = columns.stride
    for key, axis in (("ph", rows), ("pw", columns)):
        if axis.before or axis.after:
            params[key] = axis.before
        if axis.after != axis.before:
            params[f"{key}_end"] = axis.after
    if rows.dilation != 1:
        params["dilation"] = rows.dilation
    if columns.dilation != rows.dilation:
        params["dilation_w"] = columns.dilation
    return params


def conv(state: State, node: Node) -> None:
    """Write a convolution with the norm and the activation after it."""
    op = node.op
    assert isinstance(op, Conv)
    planes, rows, columns = _axes(node, op)
    if all(axis.plain for axis in (planes, rows, columns)):
        flat, kernel = _flat, "conv1x1"
        params: Params = {}
    else:
        flat, params = image, _window(rows, columns)
        kernel, dropped = _conv_kernel(op, node, params)
        if state.narrow(node) and kernel in {"conv3x3", "winograd3x3"}:
            kernel, dropped = "conv", set()
        params = {key: value for key, value in params.items() if key not in dropped}
        params |= _planes(node, planes)
    if kernel in {"conv1x1", "conv"}:
        params |= state.narrow(node)
        params |= {"groups": int(op.groups)} if op.groups != 1 else {}
    reads = [state.seen(state.inputs(node)[0], flat(node.inputs[0]))]
    end, fused, folded = state.fused_tail(node, fold_norm=True)
    ending: Params = {"bias": 1} if op.bias or folded else {}
    params = {**params, **ending, **fused, "seed": state.seed(node.weights)}
    state.write(node, kernel, reads, params, end, shape=flat(node.outputs[0]))


def _flat(tensor: Tensor) -> Shape:
    """Return an image as it is, others with their places in one row."""
    if tensor.rank == 4:
        return image(tensor)
    return tensor.shape[0], tensor.shape[1], 1, math.prod(tensor.shape[2:])


def _planes(node: Node, axis: _Axis) -> Params:
    if node.inputs[0].rank != 5:
        return {}
    params: Params = {"depth": node.inputs[0].shape[2], "kd": axis.kernel, "stride_d": axis.stride}
    return params | {"pd": axis.before, "pd_end": axis.after, "dilation_d": axis.dilation}


def _conv_kernel(op: Conv, node: Node, window: Mapping[str, int | str]) -> tuple[str, set[str]]:
    """Which kernel runs a convolution, and the parameters that go without saying."""
    cin, cout = node.inputs[0].shape[1], node.outputs[0].shape[1]
    if len(op.kernel) == 3:
        return "conv", set()
    if op.groups == cin == cout:
        return "depthwise", set()
    plain = window.keys().isdisjoint({"dilation", "stride_w", "dilation_w"})
    if op.groups == 1 and (window["kh"], window["kw"]) == (3, 3) and plain:
        if window["stride"] == 1 and min(cin, cout) >= _WINOGRAD_CHANNELS:
            return "winograd3x3", {"kh", "kw", "stride"}
        if window["stride"] in {1, 2}:
            return "conv3x3", {"kh", "kw"}
    return "conv", set()


def conv_transpose(state: State, node: Node) -> None:
    """Write a transposed convolution of rows or images."""
    op = node.op
    assert isinstance(op, ConvTranspose)
    if len(op.kernel) > 2:
        raise RefusedError(f"a window over {len(op.kernel)} axes")
    if op.padding == "same":
        raise RefusedError("padding 'same'")
    pairs = zip(op.kernel, op.stride, op.dilation, op.padding, strict=True)
    axes = [_Axis(int(k), int(s), int(d), int(p[0]), int(p[0])) for k, s, d, p in pairs]
    rows, columns = [_ONE] * (2 - len(axes)) + axes
    params = {**_window(rows, columns), "groups": int(op.groups), "seed": state.seed(node.weights)}
    params |= {"bias": 1} if op.bias else {}
    reads = [state.seen(state.inputs(node)[0], image(node.inputs[0]))]
    state.write(node, "deconv", reads, params, shape=image(node.outputs[0]))


def pool(state: State, node: Node) -> None:
    """Write a pooling, of volumes in two parts."""
    op = node.op
    assert isinstance(op, Pool)
    axes = _axes(node, op)
    if op.kind == "avg" and any(axis.dilation != 1 for axis in axes):
        raise RefusedError("an average of a dilated window")
    if any(2 * axis.before > _reach(axis) or axis.after >= _reach(axis) > 1 for axis in axes):
        raise RefusedError("padded by more than half of its window")
    how: Params = {"ceil": 1} if op.ceil_mode else {}
    how |= {"include_pad": 0} if op.kind == "avg" and not op.include_pad else {}
    kernel = f"{op.kind}pool"
    planes, rows, columns = axes
    steps = _steps(node, planes, rows, columns, kernel, how)
    if not steps:
        state.write(node, "copy", state.inputs(node), {})
    else:
        _in_turn(state, node, steps)


def _reach(axis: _Axis) -> int:
    return axis.dilation * (axis.kernel - 1) + 1


_Step = tuple[str, Params, Shape, Shape]
"""Kernel, parameters, shapes of its input and output."""


def _steps(
    node: Node, planes: _Axis, rows: _Axis, columns: _Axis, kernel: str, how: Params
) -> list[_Step]:
    steps: list[_Step] = []
    small, large = node.outputs[0], node.inputs[0]
    (n, c, h, w), (_, _, oh, ow) = image(large), image(small)
    if not (rows.plain and columns.plain):
        steps.append((kernel, {**_window(rows, columns), **how}, (n, c, h, w), (n, c, oh, ow)))
    if not planes.plain:
        deep, to, c = large.shape[2], small.shape[2], large.shape[1]
        params = {**_window(planes, _ONE), **how}
        steps.append((kernel, params, (n, c, deep, oh * ow), (n, c, to, oh * ow)))
    return steps


def _in_turn(state: State, node: Node, steps: Sequence[_Step]) -> None:
    (number,) = state.inputs(node)
    for kernel, params, inside, outside in steps:
        number = state.made(kernel, [state.seen(number, inside)], params, outside, node.name)
    state.put(node, number)


def adaptive_pool(state: State, node: Node) -> None:
    """Write a pooling to a given size."""
    op = node.op
    assert isinstance(op, AdaptivePool)
    sizes, wanted = node.inputs[0].shape[2:], tuple(map(int, op.output))
    if sizes == wanted:
        state.view(node, 0)
    elif op.kind == "avg" and all(size == 1 for size in wanted):
        shape = _flat(node.inputs[0])
        reads = [state.seen(state.inputs(node)[0], shape)]
        state.write(node, "globalpool", reads, {}, shape=(*shape[:2], 1, 1))
    elif len(wanted) == 2 and is_same(_windows(sizes, wanted)):
        k = sizes[0] // wanted[0]
        state.write(node, f"{op.kind}pool", state.inputs(node), {"k": k, "stride": k})
    else:
        _in_turn(state, node, _resampled(node, f"adaptive{op.kind}"))


def _windows(sizes: Sequence[int], wanted: Sequence[int]) -> list[float]:
    """Return the sides of the windows; no whole numbers where they are unequal."""
    sides = [size / to for size, to in zip(sizes, wanted, strict=True)]
    return sides if all(side.is_integer() for side in sides) else [0.5, 1.5]


def resize(state: State, node: Node) -> None:
    """Write an interpolation."""
    op = node.op
    assert isinstance(op, Resize)
    if op.kind == "bicubic" and len(op.output) != 2:
        raise RefusedError(f"bicubic along {len(op.output)} axes")
    _in_turn(state, node, _resampled(node, op.kind))


def _resampled(node: Node, kernel: str) -> list[_Step]:
    """Rows and columns take their size first, then planes."""
    n, c, h, w = image(node.inputs[0])
    _, _, oh, ow = image(node.outputs[0])
    steps: list[_Step] = []
    if (h, w) != (oh, ow) or node.inputs[0].rank < 5:
        steps.append((kernel, {}, (n, c, h, w), (n, c, oh, ow)))
    if node.inputs[0].rank == 5:
        channels, depth, to = node.inputs[0].shape[1], *(t.shape[2] for t in _ends(node))
        if depth != to or not steps:
            steps.append((kernel, {}, (n, channels, depth, oh * ow), (n, channels, to, oh * ow)))
    return steps


def _ends(node: Node) -> tuple[Any, Any]:
    return node.inputs[0], node.outputs[0]
