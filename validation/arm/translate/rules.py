"""One rule an operator: which kernel runs it, with which parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from costmodel.graph import Node
from costmodel.ops import (
    AdaptivePool,
    BatchNorm,
    ChannelShuffle,
    Concat,
    Contiguous,
    Conv,
    Elementwise,
    Identity,
    Input,
    Linear,
    Op,
    Output,
    Pool,
    Reduce,
    Reshape,
    Slice,
    Softmax,
    Split,
)
from validation.arm.bench.program import Call
from validation.arm.translate.state import Params, RefusedError, State, four_axes

_UNARY = {
    "relu": "relu",
    "relu6": "relu6",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "hard_sigmoid": "hsigmoid",
    "hard_swish": "hswish",
    "tanh": "tanh",
}
# Winograd pays once there are channels to share its transforms among
_WINOGRAD_CHANNELS = 16


def _input(state: State, node: Node) -> None:
    shape = four_axes(node.outputs[0])
    state.tensors[node.name, 0] = state.builder.tensor(shape, seed=state.seed(node.name))


def _output(state: State, node: Node) -> None:
    """Nothing to do: the tensor is there."""


def _window(node: Node, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Params:
    """Parameters of a sliding window over two axes, with what is at its default left out."""
    if len(kernel) != 2:
        raise RefusedError(f"a window over {len(kernel)} axes")
    if stride[0] != stride[1] or dilation[0] != dilation[1]:
        raise RefusedError("different strides or dilations along its axes")
    sizes, places = node.inputs[0].shape[2:], node.outputs[0].shape[2:]
    pairs = []
    for axis in range(2):
        if padding == "same":
            reach = (places[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + 1
            total = max(0, reach - sizes[axis])
            pairs.append((total // 2, total - total // 2))
        else:
            pairs.append(padding[axis])
    params: Params = {"kh": kernel[0], "kw": kernel[1], "stride": stride[0]}
    for key, (before, after) in zip(("ph", "pw"), pairs, strict=True):
        if before or after:
            params[key] = before
        if after != before:
            params[f"{key}_end"] = after
    if dilation[0] != 1:
        params["dilation"] = dilation[0]
    return params


def _conv(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, Conv)
    window = _window(node, op.kernel, op.stride, op.padding, op.dilation)
    kernel, dropped = _conv_kernel(op, node, window)
    params = {key: value for key, value in window.items() if key not in dropped}
    if kernel in {"conv1x1", "conv"} and op.groups != 1:
        params["groups"] = op.groups
    _weighted(state, node, kernel, params, op.bias)


def _conv_kernel(op: Conv, node: Node, window: Mapping[str, int | str]) -> tuple[str, set[str]]:
    """Which kernel runs a convolution, and the parameters that go without saying."""
    cin, cout = node.inputs[0].shape[1], node.outputs[0].shape[1]
    size = (window["kh"], window["kw"])
    if size == (1, 1) and window.keys() == {"kh", "kw", "stride"} and window["stride"] == 1:
        return "conv1x1", {"kh", "kw", "stride"}
    if op.groups == cin == cout:
        return "depthwise", set()
    if op.groups == 1 and size == (3, 3) and "dilation" not in window:
        if window["stride"] == 1 and min(cin, cout) >= _WINOGRAD_CHANNELS:
            return "winograd3x3", {"kh", "kw", "stride"}
        if window["stride"] in {1, 2}:
            return "conv3x3", {"kh", "kw"}
    return "conv", set()


def _weighted(state: State, node: Node, kernel: str, params: Params, bias: bool) -> None:
    """Write an operator with weights, the norm and activation after it included."""
    inputs = state.inputs(node)
    end, fused, folded = state.fused_tail(node, fold_norm=True)
    ending: Params = {"bias": 1} if bias or folded else {}
    state.write(
        node, kernel, inputs, {**params, **ending, **fused, "seed": state.seed(node.weights)}, end
    )


def _linear(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, Linear)
    if node.inputs[0].rank != 2:
        raise RefusedError(
            f"a tensor of {node.inputs[0].rank} axes, the kernel takes batch and features"
        )
    _weighted(state, node, "linear", {}, op.bias)


def _batch_norm(state: State, node: Node) -> None:
    inputs = state.inputs(node)
    end, fused, _ = state.fused_tail(node, fold_norm=False)
    state.write(node, "batchnorm", inputs, {**fused, "seed": state.seed(node.weights)}, end)


def _pool(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, Pool)
    params = _window(node, op.kernel, op.stride, op.padding, op.dilation)
    if "dilation" in params:
        raise RefusedError("a dilated pooling window")
    if op.ceil_mode:
        params["ceil"] = 1
    if op.kind == "avg" and not op.include_pad:
        params["include_pad"] = 0
    state.write(node, f"{op.kind}pool", state.inputs(node), params)


def _adaptive_pool(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, AdaptivePool)
    sizes, wanted = node.inputs[0].shape[2:], tuple(op.output)
    if sizes == wanted:
        state.view(node, 0)
    elif op.kind == "avg" and wanted == (1, 1):
        state.write(node, "globalpool", state.inputs(node), {})
    elif len(wanted) == 2 and all(size % to == 0 for size, to in zip(sizes, wanted, strict=True)):
        kh, kw = (size // to for size, to in zip(sizes, wanted, strict=True))
        if kh != kw:
            raise RefusedError("different windows along its axes")
        state.write(node, f"{op.kind}pool", state.inputs(node), {"k": kh, "stride": kh})
    else:
        raise RefusedError(f"windows of unequal size, from {sizes} to {wanted}")


def _reduce(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, Reduce)
    rank = node.inputs[0].rank
    if op.kind != "mean" or rank != 4 or sorted(axis % rank for axis in op.axes) != [2, 3]:
        raise RefusedError(
            f"{op.kind} over axes {op.axes}; only the mean over the last two of four"
        )
    state.write(node, "globalpool", state.inputs(node), {})


def _elementwise(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, Elementwise)
    if op.kind in _UNARY:
        state.write(node, _UNARY[op.kind], state.inputs(node), {})
    elif op.kind in {"add", "mul"} and op.value is None:
        _binary(state, node, op.kind)
    else:
        raise RefusedError(op.kind if op.value is None else f"{op.kind} with a number")


def _binary(state: State, node: Node, kind: str) -> None:
    inputs = state.inputs(node)
    shapes = [state.builder.shape(number) for number in inputs]
    if math.prod(shapes[0]) < math.prod(shapes[1]):
        inputs, shapes = inputs[::-1], shapes[::-1]
    out, other = shapes
    if out != four_axes(node.outputs[0]) or (
        other != out and other not in {(*out[:2], 1, 1), (1, out[1], 1, 1)}
    ):
        raise RefusedError(f"{kind} of shapes {shapes[0]} and {shapes[1]}")
    if inputs[0] == inputs[1]:
        inputs = [inputs[0], state.builder.view(inputs[1], other)]
    end, fused, _ = state.fused_tail(node, fold_norm=False)
    state.write(node, kind, inputs, fused, end)


def _shuffle(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, ChannelShuffle)
    state.write(node, "shuffle", state.inputs(node), {"groups": op.groups})


def _softmax(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, Softmax)
    if op.causal or op.axis % node.inputs[0].rank != 1:
        raise RefusedError(f"along axis {op.axis}; the kernel works along channels (axis 1)")
    state.write(node, "softmax", state.inputs(node), {})


def _concat(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, Concat)
    _need_channels(op.axis, node)
    state.write(node, "concat", state.inputs(node), {})


def _need_channels(axis: int, node: Node) -> None:
    if axis % node.inputs[0].rank != 1:
        raise RefusedError(f"along axis {axis}; the kernel works along channels (axis 1)")


def _split(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, Split)
    _need_channels(op.axis, node)
    if four_axes(node.inputs[0])[0] == 1:  # the parts lie one after the other
        offset = 0
        for output, tensor in enumerate(node.outputs):
            state.view(node, output, offset)
            offset += math.prod(four_axes(tensor))
        return
    outs = [state.builder.tensor(four_axes(tensor)) for tensor in node.outputs]
    state.builder.add(Call("split", tuple(state.inputs(node)), tuple(outs), {}, node.name))
    state.tensors.update({(node.name, output): number for output, number in enumerate(outs)})


def _slice(state: State, node: Node) -> None:
    op = node.op
    assert isinstance(op, Slice)
    _need_channels(op.axis, node)
    if op.step != 1:
        raise RefusedError(f"a step of {op.step}")
    _, _, h, w = shape = four_axes(node.inputs[0])
    if shape[0] == 1:
        state.view(node, 0, op.start * h * w)
    else:
        state.write(node, "slice", state.inputs(node), {"begin": op.start})


def _same_elements(state: State, node: Node) -> None:
    state.view(node, 0)


def _contiguous(state: State, node: Node) -> None:
    state.write(node, "copy", state.inputs(node), {})


RULES: dict[type[Op], Callable[[State, Node], None]] = {
    Input: _input,
    Output: _output,
    Identity: _same_elements,
    Reshape: _same_elements,
    Conv: _conv,
    Linear: _linear,
    BatchNorm: _batch_norm,
    Pool: _pool,
    AdaptivePool: _adaptive_pool,
    Reduce: _reduce,
    Elementwise: _elementwise,
    Softmax: _softmax,
    ChannelShuffle: _shuffle,
    Concat: _concat,
    Split: _split,
    Slice: _slice,
    Contiguous: _contiguous,
}
