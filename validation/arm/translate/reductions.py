"""Rules for norms, reductions and softmax: statistics of many elements."""

from __future__ import annotations

import math

from costmodel.graph import Node
from costmodel.ops import (
    BatchNorm,
    GroupNorm,
    LayerNorm,
    LocalResponseNorm,
    PReLU,
    Reduce,
    Softmax,
)

from .axes import along, around, channels
from .shaping import permuted
from .state import Params, RefusedError, State


def batch_norm(state: State, node: Node) -> None:
    """Write a batch norm that goes into no operator before it."""
    assert isinstance(node.op, BatchNorm)
    shape = channels(node.inputs[0])
    reads = [state.seen(state.inputs(node)[0], shape)]
    end, fused, _ = state.fused_tail(node, fold_norm=False)
    params: Params = {**fused, "seed": state.seed(node.weights)}
    state.write(node, "batchnorm", reads, params, end, shape=shape)


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
    _of_channels(state, node, "groupnorm", params)


def prelu(state: State, node: Node) -> None:
    """Write a leaky rectifier with learned slopes."""
    op = node.op
    assert isinstance(op, PReLU)
    shared: Params = {"groups": 2} if op.shared else {}
    _of_channels(state, node, "prelu", {**shared, "seed": state.seed(node.weights)})


def local_response_norm(state: State, node: Node) -> None:
    """Write a division by the energy of neighbouring channels."""
    op = node.op
    assert isinstance(op, LocalResponseNorm)
    _of_channels(state, node, "lrn", {"inner": int(op.size)})


def _of_channels(state: State, node: Node, kernel: str, params: Params) -> None:
    shape = channels(node.inputs[0])
    reads = [state.seen(state.inputs(node)[0], shape)]
    state.write(node, kernel, reads, params, shape=shape)


def softmax(state: State, node: Node) -> None:
    """Write a softmax along any axis."""
    op = node.op
    assert isinstance(op, Softmax)
    (x,) = node.inputs
    causal: Params = {"causal": 1, "inner": x.shape[-2]} if op.causal else {}
    shape = around(x.shape, -1) if op.causal else along(x, op.axis)
    reads = [state.seen(state.inputs(node)[0], shape)]
    state.write(node, "softmax", reads, causal, shape=shape)


def reduce(state: State, node: Node) -> None:
    """Write one number for all places along some axes; those that part go last first."""
    op = node.op
    assert isinstance(op, Reduce)
    shape = node.inputs[0].shape
    axes = sorted({axis % len(shape) for axis in op.axes})
    (number,) = state.inputs(node)
    if op.kind == "cumsum" and len(axes) != 1:
        raise RefusedError("cumsum along several axes")
    if op.kind == "cumsum":
        out = around(shape, axes[0])
        state.write(node, "cumsum", [state.seen(number, out)], {}, shape=out)
        return
    between = [a for a in range(axes[0], axes[-1]) if a not in axes and shape[a] != 1]
    if between:
        rest = [a for a in range(len(shape)) if a not in axes]
        number = permuted(state, number, shape, (*rest, *axes), node.name)
        shape = tuple(shape[a] for a in (*rest, *axes))
        axes = list(range(len(rest), len(shape)))
    before, count = math.prod(shape[: axes[0]]), math.prod(shape[axes[0] : axes[-1] + 1])
    after = math.prod(shape[axes[-1] + 1 :])
    if op.kind == "var" and count == 1:
        raise RefusedError("the variance of one element")
    if op.kind == "mean" and after == 1:
        reads = [state.seen(number, (before, 1, count, 1))]
        state.write(node, "globalpool", reads, {}, shape=(before, 1, 1, 1))
        return
    reads = [state.seen(number, (before, count, 1, after))]
    state.write(node, f"reduce_{op.kind}", reads, {}, shape=(before, 1, 1, after))
