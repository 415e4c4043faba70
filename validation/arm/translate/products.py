"""Rules for products, norms, arithmetic and other sizes of images."""

from __future__ import annotations

import math

from costmodel.graph import Node
from costmodel.ops import (
    Attention,
    ConvTranspose,
    Elementwise,
    GroupNorm,
    LayerNorm,
    Linear,
    MatMul,
    Parameter,
    PReLU,
    Reduce,
    Resize,
    Softmax,
)

from ..bench.program import Shape
from .shaping import aligned, along
from .state import Params, RefusedError, State, four_axes, is_same

UNARY = {
    "hard_sigmoid": "hsigmoid",
    "hard_swish": "hswish",
    **{
        kind: kind
        for kind in (
            *("relu", "relu6", "sigmoid", "silu", "tanh", "gelu", "gelu_tanh", "leaky_relu", "elu"),
            *("exp", "neg", "abs", "square", "sqrt", "rsqrt", "reciprocal", "hard_tanh"),
        )
    },
}
BINARY = ("add", "sub", "mul", "div", "max", "min")


def elementwise(state: State, node: Node) -> None:
    """Write an activation, or arithmetic of one shape, broadcast, or with a number."""
    op = node.op
    assert isinstance(op, Elementwise)
    if op.kind in UNARY and len(node.inputs) == 1:
        state.write(node, UNARY[op.kind], state.inputs(node), {})
    elif op.kind in BINARY and len(node.inputs) == 2:
        _binary(state, node, op.kind)
    elif op.kind in BINARY and isinstance(op.value, int | float) and math.isfinite(op.value):
        end, fused, _ = state.fused_tail(node, fold_norm=False)
        params: Params = {**fused, "value": f"{float(op.value):.9g}"}
        state.write(node, f"{op.kind}_number", state.inputs(node), params, end)
    else:
        raise RefusedError(op.kind if op.value is None else f"{op.kind} with a number")


def _binary(state: State, node: Node, kind: str) -> None:
    rank = node.outputs[0].rank
    if rank > 4 and any(tensor.shape != node.outputs[0].shape for tensor in node.inputs):
        raise RefusedError(f"{kind} of {rank} axes, broadcast")
    reads = state.inputs(node)
    if rank <= 4:
        reads = [
            state.seen(number, aligned(tensor.shape, rank))
            for number, tensor in zip(reads, node.inputs, strict=True)
        ]
        if (
            kind in ("add", "mul", "max", "min")
            and node.inputs[0].elements < node.inputs[1].elements
        ):
            reads.reverse()  # what is broadcast comes second
    if reads[0] == reads[1]:
        reads[1] = state.builder.view(reads[1], state.builder.shape(reads[1]))
    end, fused, _ = state.fused_tail(node, fold_norm=False)
    state.write(node, kind, reads, fused, end)


def linear(state: State, node: Node) -> None:
    """Write a linear layer: rows are whatever lies before the last axis."""
    op = node.op
    assert isinstance(op, Linear)
    *before, features = node.inputs[0].shape
    rows = math.prod(before)
    reads = [state.seen(state.inputs(node)[0], (rows, features, 1, 1))]
    fold = len(before) == 1  # a norm of channels finds them in the second of two axes alone
    end, fused, folded = state.fused_tail(node, fold_norm=fold)
    ending: Params = {"bias": 1} if op.bias or folded else {}
    params: Params = {**ending, **fused, "seed": state.seed(node.weights)}
    state.write(node, "linear", reads, params, end, shape=(rows, int(op.out_features), 1, 1))


def layer_norm(state: State, node: Node) -> None:
    """Write a layer norm over the last axes."""
    op = node.op
    assert isinstance(op, LayerNorm)
    inner = math.prod(node.inputs[0].shape[-op.axes :])
    params: Params = {"inner": inner, "seed": state.seed(node.weights)}
    params |= {"affine": 1} if op.affine else {}
    params |= {"rms": 1} if op.rms else {}
    params |= {"bias": 1} if op.affine and op.bias and not op.rms else {}
    state.write(node, "layernorm", state.inputs(node), params)


def group_norm(state: State, node: Node) -> None:
    """Write a group norm."""
    op = node.op
    assert isinstance(op, GroupNorm)
    params: Params = {"groups": int(op.groups), "seed": state.seed(node.weights)}
    params |= {"affine": 1} if op.affine else {}
    state.write(node, "groupnorm", state.inputs(node), params)


def prelu(state: State, node: Node) -> None:
    """Write a leaky rectifier with learned slopes."""
    op = node.op
    assert isinstance(op, PReLU)
    shared: Params = {"groups": 2} if op.shared else {}
    state.write(node, "prelu", state.inputs(node), {**shared, "seed": state.seed(node.weights)})


def matmul(state: State, node: Node) -> None:
    """Write a product of two activations in batches."""
    op = node.op
    assert isinstance(op, MatMul)
    a, b = node.inputs
    if min(a.rank, b.rank) < 2:
        raise RefusedError("of a vector")
    rank = max(a.rank, b.rank)
    reads = [
        state.seen(number, _batched(tensor.shape, rank))
        for number, tensor in zip(state.inputs(node), node.inputs, strict=True)
    ]
    params: Params = {"swap_a": 1} if op.transpose_a else {}
    params |= {"swap_b": 1} if op.transpose_b else {}
    state.write(node, "matmul", reads, params, shape=_batched(node.outputs[0].shape, rank))


def _batched(shape: tuple[int, ...], rank: int) -> Shape:
    """Return two axes of batches before the last two."""
    if rank > 4:
        raise RefusedError(f"of {rank} axes; the kernel takes 4")
    n, c, h, w = (1,) * (4 - len(shape)) + tuple(shape)
    return n, c, h, w


def attention(state: State, node: Node) -> None:
    """Write scaled dot-product attention."""
    op = node.op
    assert isinstance(op, Attention)
    ranks = {tensor.rank for tensor in node.inputs}
    if not ranks <= {3, 4}:
        raise RefusedError(f"of {max(ranks)} axes; the kernel takes 4")
    if op.causal and node.inputs[0].shape[-2] != node.inputs[1].shape[-2]:
        raise RefusedError("causal, of more keys than queries")
    reads = [
        state.seen(number, _batched(tensor.shape, 4))
        for number, tensor in zip(state.inputs(node), node.inputs, strict=True)
    ]
    reads = state.apart(reads)
    causal: Params = {"causal": 1} if op.causal else {}
    state.write(node, "attention", reads, causal, shape=_batched(node.outputs[0].shape, 4))


def softmax(state: State, node: Node) -> None:
    """Write a softmax along any axis."""
    op = node.op
    assert isinstance(op, Softmax)
    if op.causal:
        raise RefusedError("with a causal mask")
    shape = along(node.inputs[0], op.axis)
    reads = [state.seen(state.inputs(node)[0], shape)]
    state.write(node, "softmax", reads, {}, shape=shape)


def reduce(state: State, node: Node) -> None:
    """Write the mean over the last axes."""
    op = node.op
    assert isinstance(op, Reduce)
    shape = node.inputs[0].shape
    axes = sorted(axis % len(shape) for axis in op.axes)
    if op.kind != "mean" or axes != list(range(axes[0], len(shape))):
        raise RefusedError(f"{op.kind} over axes {op.axes}; only the mean over the last ones")
    rows, inner = math.prod(shape[: axes[0]]), math.prod(shape[axes[0] :])
    reads = [state.seen(state.inputs(node)[0], (rows, 1, inner, 1))]
    state.write(node, "globalpool", reads, {}, shape=(rows, 1, 1, 1))


def resize(state: State, node: Node) -> None:
    """Write an interpolation of images."""
    op = node.op
    assert isinstance(op, Resize)
    if op.kind not in ("nearest", "bilinear") or node.inputs[0].rank != 4:
        raise RefusedError(f"{op.kind} of {node.inputs[0].rank} axes")
    state.write(node, op.kind, state.inputs(node), {})


def conv_transpose(state: State, node: Node) -> None:
    """Write a transposed convolution of images."""
    op = node.op
    assert isinstance(op, ConvTranspose)
    if len(op.kernel) != 2 or not is_same(op.stride) or not is_same(op.dilation):
        raise RefusedError(f"a window over {len(op.kernel)} axes, or different strides")
    if op.padding == "same":
        raise RefusedError("padding 'same'")
    (ph, _), (pw, _) = op.padding
    params: Params = {
        "kh": op.kernel[0],
        "kw": op.kernel[1],
        "stride": op.stride[0],
        "dilation": op.dilation[0],
        "groups": int(op.groups),
        "ph": ph,
        "pw": pw,
        "seed": state.seed(node.weights),
    }
    params |= {"bias": 1} if op.bias else {}
    state.write(node, "deconv", state.inputs(node), params)


def parameter(state: State, node: Node) -> None:
    """Fill a tensor that is stored with the network."""
    assert isinstance(node.op, Parameter)
    shape = four_axes(node.outputs[0])
    state.tensors[node.name, 0] = state.builder.tensor(shape, seed=state.seed(node.name))
