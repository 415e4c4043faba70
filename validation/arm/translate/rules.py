"""One rule an operator: which kernel runs it, with which parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from costmodel.graph import Node
from costmodel.ops import (
    AdaptivePool,
    Attention,
    BatchNorm,
    BroadcastTo,
    ChannelShuffle,
    Concat,
    Constant,
    Contiguous,
    Conv,
    ConvTranspose,
    Elementwise,
    Embedding,
    Gather,
    GroupNorm,
    Identity,
    Input,
    LayerNorm,
    Linear,
    MatMul,
    Merge,
    Op,
    Output,
    Parameter,
    Pool,
    PReLU,
    Reduce,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Split,
    Transpose,
)

from . import products, shaping
from .state import Params, RefusedError, State, four_axes, is_same

# Winograd pays once there are channels to share its transforms among
_WINOGRAD_CHANNELS = 16


def _input(state: State, node: Node) -> None:
    if node.outputs[0].dtype != "float32":
        return  # an index: whoever reads it makes it, or refuses
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
    elif len(wanted) == 2 and is_same(_windows(sizes, wanted)):
        k = sizes[0] // wanted[0]
        state.write(node, f"{op.kind}pool", state.inputs(node), {"k": k, "stride": k})
    elif len(wanted) == 2:
        state.write(node, f"adaptive{op.kind}", state.inputs(node), {})
    else:
        raise RefusedError(f"windows over {len(wanted)} axes")


def _windows(sizes: Sequence[int], wanted: Sequence[int]) -> list[float]:
    """Return the sides of the windows; no whole numbers where they are unequal."""
    sides = [size / to for size, to in zip(sizes, wanted, strict=True)]
    return sides if all(side.is_integer() for side in sides) else [0.5, 1.5]


def _same_elements(state: State, node: Node) -> None:
    state.view(node, 0)


def _merge(state: State, node: Node) -> None:
    """Make a tensor that was written in place what was written, where that is all of it."""
    whole, part = node.inputs
    if whole.elements != part.elements:
        raise RefusedError("a part of a tensor is written in place")
    written = state.inputs(node)[1]
    state.tensors[node.name, 0] = state.seen(written, four_axes(node.outputs[0]))


def _contiguous(state: State, node: Node) -> None:
    state.write(node, "copy", state.inputs(node), {})


def _constant(state: State, node: Node) -> None:
    """Nothing to do: whoever reads it makes it, or refuses."""
    if node.outputs[0].dtype == "float32":
        parameter_like = four_axes(node.outputs[0])
        state.tensors[node.name, 0] = state.builder.tensor(
            parameter_like, seed=state.seed(node.name)
        )


RULES: dict[type[Op], Callable[[State, Node], None]] = {
    Input: _input,
    Output: _output,
    Parameter: products.parameter,
    Constant: _constant,
    Identity: _same_elements,
    Reshape: _same_elements,
    Merge: _merge,
    Conv: _conv,
    ConvTranspose: products.conv_transpose,
    Linear: products.linear,
    MatMul: products.matmul,
    Attention: products.attention,
    BatchNorm: _batch_norm,
    LayerNorm: products.layer_norm,
    GroupNorm: products.group_norm,
    Pool: _pool,
    AdaptivePool: _adaptive_pool,
    Reduce: products.reduce,
    Resize: products.resize,
    Elementwise: products.elementwise,
    PReLU: products.prelu,
    Softmax: products.softmax,
    ChannelShuffle: shaping.shuffle,
    Concat: shaping.concat,
    Split: shaping.split,
    Slice: shaping.slice_,
    Gather: shaping.gather,
    Embedding: shaping.embedding,
    Transpose: shaping.transpose,
    BroadcastTo: shaping.broadcast,
    Contiguous: _contiguous,
}
