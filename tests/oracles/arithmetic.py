"""Elementwise operators, reductions and normalizations, index by index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costmodel.testing import Count
from costmodel.testing.counting import Shape
from oracles.loops import ORACLES, broadcast, joint_shape, points

# Arithmetic operations of one element, written down again on purpose. A transcendental function is
# one operation; sigmoid(x) = 1 / (1 + exp(-x)) has three beside the sign; and so on.
OPERATIONS = {
    **dict.fromkeys(
        [
            "abs",
            "add",
            "and",
            "ceil",
            "cos",
            "div",
            "equal",
            "erf",
            "exp",
            "floor",
            "greater",
            "greater_equal",
            "less",
            "less_equal",
            "log",
            "max",
            "min",
            "mul",
            "neg",
            "not",
            "not_equal",
            "or",
            "pow",
            "reciprocal",
            "relu",
            "round",
            "sign",
            "sin",
            "special",
            "special_of_two",
            "sqrt",
            "square",
            "sub",
            "tanh",
            "where",
            "xor",
        ],
        1,
    ),
    **dict.fromkeys(["clamp", "floor_div", "hard_tanh", "leaky_relu", "mod", "relu6", "rsqrt"], 2),
    **dict.fromkeys(["sigmoid", "softplus"], 3),
    **dict.fromkeys(["elu", "hard_sigmoid", "silu"], 4),
    **dict.fromkeys(["gelu", "hard_swish", "mish"], 5),
    "gelu_tanh": 8,
}


@ORACLES.register("Elementwise")
def elementwise(op: Any, *shapes: Shape) -> Count:
    out = joint_shape(*shapes)
    count = Count([out], touched=[set() for _ in shapes])
    for index in points(out):
        count.elementwise += OPERATIONS[op.kind]
        for touched, shape in zip(count.touched, shapes, strict=True):
            touched.add(broadcast(index, shape))
        count.written.add(index)
    return count


@ORACLES.register("Softmax")
def softmax(op: Any, x: Shape) -> Count:
    axis = op.axis % len(x)
    count = Count([x], touched=[set()])
    for index in points(x):
        if op.causal and index[-1] > index[-2]:
            continue
        count.elementwise += len(["maximum", "minus it", "exponential", "sum", "over the sum"])
        count.touched[0].add(index)
        count.written.add(index)
    assert 0 <= axis < len(x)
    count.reads = len(count.touched[0])  # convention: what the mask hides is not moved
    return count


@ORACLES.register("LayerNorm")
def layer_norm(op: Any, x: Shape) -> Count:
    count = Count([x], touched=[set()])
    steps = ["square", "sum", "scale"] if op.rms else ["mean", "centre", "square", "sum", "scale"]
    learned = ["scale"] if op.rms else ["scale", "shift"]
    for index in points(x):
        count.elementwise += len(steps)
        count.touched[0].add(index)
        if op.affine:
            count.elementwise += len(learned)
            count.weights |= {(name, *index[-op.axes :]) for name in learned}
        count.written.add(index)
    return count


@ORACLES.register("GroupNorm")
def group_norm(op: Any, x: Shape) -> Count:
    count = Count([x], touched=[set()])
    for index in points(x):
        count.elementwise += len(["mean", "centre", "square", "sum", "scale"])
        count.touched[0].add(index)
        if op.affine:
            count.elementwise += 2
            count.weights |= {("scale", index[1]), ("shift", index[1])}
        count.written.add(index)
    return count


@ORACLES.register("LocalResponseNorm")
def local_response_norm(op: Any, x: Shape) -> Count:
    count = Count([x], touched=[set()])
    for index in points(x):
        # Convention: a window counts in full at the first and the last channels, too.
        for _ in range(op.size):
            count.elementwise += len(["square", "sum"])
        count.elementwise += len(["scale", "power", "division"])
        count.touched[0].add(index)
        count.written.add(index)
    return count


@ORACLES.register("Reduce")
def reduce(op: Any, x: Shape) -> Count:
    axes = {axis % len(x) for axis in op.axes}
    if op.kind == "cumsum":
        out: Shape = x
    elif op.keepdims:
        out = tuple(1 if i in axes else n for i, n in enumerate(x))
    else:
        out = tuple(n for i, n in enumerate(x) if i not in axes)
    steps = {"norm": ["square", "sum"], "var": ["sum", "centre", "square", "sum"]}
    count = Count([out], touched=[set()], written=set(points(out)))
    for index in points(x):
        count.elementwise += len(steps.get(op.kind, ["accumulate"]))
        count.touched[0].add(index)
    return count


def per_element(
    operations: int, learned: Callable[[Any, Shape], set[Any]] = lambda op, i: set()
) -> Callable[..., Count]:
    """Return the oracle of an operator that treats every element alone."""

    def oracle(op: Any, x: Shape) -> Count:
        count = Count([x], touched=[set()])
        for index in points(x):
            count.elementwise += operations
            count.touched[0].add(index)
            count.weights |= learned(op, index)
            count.written.add(index)
        return count

    return oracle


def _batch_norm_weights(op: Any, index: Shape) -> set[Any]:
    read = {("mean", index[1]), ("variance", index[1])}
    return read | ({("scale", index[1]), ("shift", index[1])} if op.affine else set())


ORACLES.register("BatchNorm")(per_element(2, _batch_norm_weights))
ORACLES.register("Cast")(per_element(0))
ORACLES.register("PReLU")(per_element(2, lambda op, index: {0 if op.shared else index[1]}))
