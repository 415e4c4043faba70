"""Rules for arithmetic and for products of activations."""

from __future__ import annotations

import math

from costmodel.graph import Node
from costmodel.ops import Attention, Elementwise, Input, Linear, MatMul

from ..bench.program import Shape
from .axes import MOST_AXES, collapsed, last_of_four
from .shaping import expanded
from .state import Params, RefusedError, State

UNARY = {
    "hard_sigmoid": "hsigmoid",
    "hard_swish": "hswish",
    **{
        kind: kind
        for kind in (
            *("relu", "relu6", "sigmoid", "silu", "tanh", "gelu", "gelu_tanh", "leaky_relu", "elu"),
            *("exp", "neg", "abs", "square", "sqrt", "rsqrt", "reciprocal", "hard_tanh"),
            *("erf", "floor", "ceil", "round", "sign", "clamp", "mish", "sin", "cos"),
            "softplus",
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
    elif op.kind == "pow" and _is_number(op.value):
        _power(state, node, float(op.value or 0))
    elif op.kind in BINARY and _is_number(op.value):
        assert op.value is not None
        end, fused, _ = state.fused_tail(node, fold_norm=False)
        params: Params = {**fused, "value": f"{float(op.value):.9g}"}
        state.write(node, f"{op.kind}_number", state.inputs(node), params, end)
    else:
        raise RefusedError(op.kind if op.value is None else f"{op.kind} with a number")


def _is_number(value: float | None) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _power(state: State, node: Node, power: float) -> None:
    (source,) = state.graph.predecessors(node.name)
    if not power.is_integer() and isinstance(state.graph.nodes[source]["op"], Input):
        raise RefusedError(f"the power {power:g} of an input, which has both signs")
    state.write(node, "pow_number", state.inputs(node), {"value": f"{power:.9g}"})


def _binary(state: State, node: Node, kind: str) -> None:
    (out,) = node.outputs
    reads, shape = state.inputs(node), None
    if any(tensor.shape != out.shape for tensor in node.inputs):
        shapes, whole = _seen_shapes(node)
        if len(whole) > MOST_AXES:  # more than the kernel broadcasts: as tensors of one shape
            reads = [
                expanded(state, number, extents, whole, node.name)
                for number, extents in zip(reads, shapes, strict=True)
            ]
            whole = (math.prod(whole[:-1]), whole[-1])
            shapes = [whole, whole]
        shape = last_of_four(whole)
        numbers = zip(reads, shapes, strict=True)
        reads = [state.seen(number, last_of_four(extents)) for number, extents in numbers]
        a, b = node.inputs
        if kind in ("add", "mul", "max", "min") and a.elements < b.elements:
            reads.reverse()  # what is broadcast comes second
    reads = state.apart(reads)
    end, fused, _ = state.fused_tail(node, fold_norm=False)
    state.write(node, kind, reads, fused, end, shape=shape)


def _seen_shapes(node: Node) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    """Return images as they are, others with the axes together that are broadcast alike."""
    (out,) = node.outputs
    if out.rank == 4 and out.shape[3] != 1:
        return [(1,) * (4 - t.rank) + tuple(t.shape) for t in node.inputs], tuple(out.shape)
    return collapsed([tensor.shape for tensor in node.inputs], out.shape)


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
    params: Params = {**ending, **fused, **state.narrow(node), "seed": state.seed(node.weights)}
    state.write(node, "linear", reads, params, end, shape=(rows, int(op.out_features), 1, 1))


def matmul(state: State, node: Node) -> None:
    """Write a product of two activations in batches."""
    op = node.op
    assert isinstance(op, MatMul)
    a, b = (tuple(tensor.shape) for tensor in node.inputs)
    a = a if len(a) > 1 else ((a[0], 1) if op.transpose_a else (1, a[0]))
    b = b if len(b) > 1 else ((1, b[0]) if op.transpose_b else (b[0], 1))
    m, n = a[-1 if op.transpose_a else -2], b[-2 if op.transpose_b else -1]
    batch = node.outputs[0].elements // (m * n)
    outer = _broadcast(a[:-2], b[:-2])
    assert math.prod(outer) == batch
    (left, right), whole = collapsed([a[:-2], b[:-2]], outer)
    if len(whole) > 2:
        raise RefusedError(f"{len(whole)} axes of batches that differ; the kernel takes 2")
    shapes = [last_of_four((*left, *a[-2:])), last_of_four((*right, *b[-2:]))]
    numbers = zip(state.inputs(node), shapes, strict=True)
    reads = state.apart([state.seen(number, shape) for number, shape in numbers])
    params: Params = {"swap_a": 1} if op.transpose_a else {}
    params |= {"swap_b": 1} if op.transpose_b else {}
    state.write(node, "matmul", reads, params, shape=last_of_four((*whole, m, n)))


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    return tuple(max(pair) for pair in pairs)


def attention_scores(state: State, node: Node) -> None:
    """Write products of queries, scaled, and keys; heads that share keys are batches of one."""
    q, k = (tensor.shape for tensor in node.inputs)
    params: Params = {"swap_b": 1, "value": f"{float(q[-1]) ** -0.5:.9g}"}
    _of_heads(state, node, q, k, params)


def attention_mix(state: State, node: Node) -> None:
    """Write sums of values by their weights."""
    weights, v = (tensor.shape for tensor in node.inputs)
    _of_heads(state, node, weights, v, {})


def _of_heads(
    state: State, node: Node, a: tuple[int, ...], b: tuple[int, ...], params: Params
) -> None:
    batches, group = math.prod(b[:-2]), a[-3] // b[-3]
    out = node.outputs[0].shape
    shapes = [last_of_four((batches, group, *a[-2:])), last_of_four((batches, 1, *b[-2:]))]
    numbers = zip(state.inputs(node), shapes, strict=True)
    reads = state.apart([state.seen(number, shape) for number, shape in numbers])
    state.write(node, "matmul", reads, params, shape=(batches, group, out[-2], out[-1]))


def attention(state: State, node: Node) -> None:
    """Write scaled dot-product attention."""
    op = node.op
    assert isinstance(op, Attention)
    numbers = zip(state.inputs(node), node.inputs, strict=True)
    reads = state.apart([state.seen(number, _heads(t.shape)) for number, t in numbers])
    causal: Params = {"causal": 1} if op.causal else {}
    state.write(node, "attention", reads, causal, shape=_heads(node.outputs[0].shape))


def _heads(shape: tuple[int, ...]) -> Shape:
    """Return the axes of batches as one, before heads, places and depth."""
    heads, length, depth = shape[-3:]
    return math.prod(shape[:-3]), heads, length, depth
