"""Elements needed by matrix products and attention."""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, ceil_div, exact_div, minimum, product, same
from costmodel.counting.needs.base import Needs, Part, every_axis, needs_of
from costmodel.counting.needs.pointwise import triangle
from costmodel.ops import Attention, AttentionMix, AttentionScores, Linear, MatMul
from costmodel.ops.reduction import lower_triangle
from costmodel.ops.tensor import Tensor

Tensors = tuple[Tensor, ...]
Parts = tuple[Part, ...]


@needs_of.register
def _linear(op: Linear, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (x,) = parts, inputs
    *rows, columns = part.box
    features = x.shape[-1]
    return Needs((Part.of(*rows, features),), columns * features + columns * int(op.bias))


@needs_of.register
def _matmul(op: MatMul, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (a, b) = parts, inputs
    *batch, rows, columns = part.box
    inner = a.shape[-2] if op.transpose_a else a.shape[-1]
    left = (inner, rows) if op.transpose_a else (rows, inner)
    right = (columns, inner) if op.transpose_b else (inner, columns)
    return Needs(
        (
            Part.of(*every_axis(a.shape[:-2], tuple(batch)), *left),
            Part.of(*every_axis(b.shape[:-2], tuple(batch)), *right),
        )
    )


def seen_pairs(op: Attention | AttentionScores | AttentionMix, queries: Dim, keys: Dim) -> Dim:
    """Return the least number of (query, key) pairs of any ``queries`` queries [1]."""
    return lower_triangle(queries, keys) if op.causal else queries * keys


def _shared(heads: Dim, x: Tensor, of: Tensor) -> Dim:
    """Return the least number of heads of ``of`` used by any ``heads`` heads of ``x``."""
    if same(heads, x.shape[-3]):
        return of.shape[-3]
    return ceil_div(heads, exact_div(x.shape[-3], of.shape[-3]))


def _keys(op: Attention | AttentionMix, queries: Dim, keys: Dim) -> Dim:
    """Return the least number of keys seen by this many queries: as many, with a mask."""
    return minimum(queries, keys) if op.causal else keys


@needs_of.register
def _attention(op: Attention, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (q, k, v) = parts, inputs
    *outer, heads, length, columns = part.box
    keys = _keys(op, length, k.shape[-2])
    there = minimum(1, k.shape[-2]) if not _symbol(k.shape[-2]) else 1
    return Needs(
        (
            Part.of(*outer, heads, length * there, q.shape[-1]),
            Part.of(*outer, _shared(heads, q, k), keys, k.shape[-1]),
            Part.of(*outer, _shared(heads, q, v), keys, columns),
        )
    )


def _symbol(size: Dim) -> bool:
    return not isinstance(size, int) and hasattr(size, "free_symbols")


@needs_of.register
def _scores(op: AttentionScores, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (q, k) = parts, inputs
    *outer, heads, length, keys = part.box
    if op.causal:
        pairs = product(q.shape[:-2]) * lower_triangle(q.shape[-2], k.shape[-2])
        there = part.covers(pairs if part.seen else product((*q.shape[:-1], k.shape[-2])))
        *outer, heads = (n * there for n in q.shape[:-2])
        length, keys = q.shape[-2], minimum(q.shape[-2], k.shape[-2])
    return Needs(
        (
            Part.of(*outer, heads, length, q.shape[-1]),
            Part.of(*outer, _shared(heads, q, k), keys, k.shape[-1]),
        )
    )


@needs_of.register
def _mix(op: AttentionMix, inputs: Tensors, parts: Parts) -> Needs:
    (part,), (a, v) = parts, inputs
    *outer, heads, length, columns = part.box
    keys = a.shape[-1]
    if op.causal:
        pairs = product((*outer, heads)) * lower_triangle(length, keys)
        box = triangle((*outer, heads, length, keys), pairs, 1)
    else:
        box = Part.of(*outer, heads, length, keys)
    values = Part.of(*outer, _shared(heads, a, v), _keys(op, length, v.shape[-2]), columns)
    return Needs((box, values))
