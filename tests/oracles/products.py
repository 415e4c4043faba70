"""Linear layers, matrix products and attention, index by index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from costmodel.testing import Count
from costmodel.testing.counting import Shape
from oracles.arithmetic import softmax
from oracles.loops import ORACLES, broadcast, joint_shape, points, size_of


@ORACLES.register("Linear")
def linear(op: Any, x: Shape) -> Count:
    count = Count([(*x[:-1], op.out_features)], touched=[set()])
    for row in points(x[:-1]):
        for o in range(op.out_features):
            for i in range(x[-1]):
                count.multiply_adds += 1
                count.touched[0].add((*row, i))
                count.weights.add((o, i))
            if op.bias:
                count.elementwise += 1
                count.weights.add(o)
            count.written.add((*row, o))
    return count


@ORACLES.register("MatMul")
def matmul(op: Any, a: Shape, b: Shape) -> Count:
    rows, inner = a[-2:] if not op.transpose_a else (a[-1], a[-2])
    columns = b[-1] if not op.transpose_b else b[-2]
    batch = joint_shape(a[:-2], b[:-2])
    count = Count([(*batch, rows, columns)], touched=[set(), set()])
    for at in points(batch):
        for i, j in points((rows, columns)):
            for k in range(inner):
                count.multiply_adds += 1
                left, right = broadcast(at, a[:-2]), broadcast(at, b[:-2])
                count.touched[0].add((*left, *((k, i) if op.transpose_a else (i, k))))
                count.touched[1].add((*right, *((j, k) if op.transpose_b else (k, j))))
            count.written.add((*at, i, j))
    return count


@ORACLES.register("GroupedLinear")
def grouped_linear(op: Any, x: Shape, ends: Shape) -> Count:
    rows, features = x
    count = Count([(rows, op.out_features)], touched=[set(), {(e,) for e in range(ends[0])}])
    for row in range(rows):
        # Convention: the rows go to as many experts as can be, one after the other.
        expert = row % ends[0]
        for o in range(op.out_features):
            for i in range(features):
                count.multiply_adds += 1
                count.touched[0].add((row, i))
                count.weights.add((expert, i, o))
            count.written.add((row, o))
    return count


@ORACLES.register("AttentionScores")
def attention_scores(op: Any, q: Shape, k: Shape) -> Count:
    *outer, heads, length, depth = q
    keys, shared = k[-2], heads // k[-3]
    count = Count([(*q[:-1], keys)], touched=[set(), set()])
    for at in points((*outer, heads)):
        for i, j in points((length, keys)):
            if op.causal and j > i:
                continue
            for d in range(depth):
                count.multiply_adds += 1
                count.touched[0].add((*at, i, d))
                count.touched[1].add((*at[:-1], at[-1] // shared, j, d))
            count.written.add((*at, i, j))
    # Convention: q and k are counted whole, also keys that the mask hides from every query.
    return count


@ORACLES.register("AttentionMix")
def attention_mix(op: Any, a: Shape, v: Shape) -> Count:
    *outer, heads, length, keys = a
    shared = heads // v[-3]
    count = Count([(*a[:-1], v[-1])], touched=[set(), set()])
    for at in points((*outer, heads)):
        for i, e in points((length, v[-1])):
            for j in range(keys):
                if op.causal and j > i:
                    continue
                count.multiply_adds += 1
                count.touched[0].add((*at, i, j))
                count.touched[1].add((*at[:-1], at[-1] // shared, j, e))
            count.written.add((*at, i, e))
    count.reads = len(count.touched[0]) + size_of(v)  # convention: the values are counted whole
    return count


@ORACLES.register("Attention")
def attention(op: Any, q: Shape, k: Shape, v: Shape) -> Count:
    scores = attention_scores(op, q, k)
    scores.reads = size_of(q) + size_of(k)
    weights = softmax(_Causal(op.causal), scores.outputs[0])
    return chain(scores, weights, attention_mix(op, weights.outputs[0], v))


@dataclass
class _Causal:
    causal: bool
    axis: int = -1


def chain(*parts: Count) -> Count:
    """Add up the parts of a program that passes its intermediate results through memory."""
    count = Count(parts[-1].outputs)
    count.reads = count.weight_reads = count.writes = 0
    for part in parts:
        if not any(map(size_of, part.outputs)):
            continue  # convention: a part with nothing to make touches nothing
        count.multiply_adds += part.multiply_adds
        count.elementwise += part.elementwise
        count.reads += part.reads or 0
        count.weight_reads += len(part.weights)
        count.writes += len(part.written)
    return count
