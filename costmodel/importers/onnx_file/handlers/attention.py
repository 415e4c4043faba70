"""ONNX attention and rotary embeddings."""

from __future__ import annotations

from typing import Any

from costmodel.algebra.symbols import exact_div, same
from costmodel.errors import DataError, ShapeError
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.onnx_file.handlers.masked import is_triangle
from costmodel.ops import (
    Attention,
    AttentionMix,
    AttentionScores,
    Concat,
    Elementwise,
    Pad,
    Softmax,
)


@HANDLERS.register("Attention")
def _attention(call: Call) -> Result:
    """Emit attention; the keys and values of earlier steps are put before the new ones."""
    q = split_heads(call, call.operand(0), call.attribute("q_num_heads"))
    k = split_heads(call, call.operand(1), call.attribute("kv_num_heads"))
    v = split_heads(call, call.operand(2), call.attribute("kv_num_heads"))
    length = k.shape[-2]
    k, v = behind(call, k, 4), behind(call, v, 5)
    causal = is_causal(bool(call.attribute("is_causal", 0)), q, k, length)
    mask = call.optional(3)
    if mask is not None:
        triangle = is_triangle(call.walk.mask(call.node.input[3]), q, k)
        call.walk.note_mask(causal or triangle)
        causal, mask = causal or triangle, None if triangle else mask
    apart = call.makes(3) or bool(call.attribute("softcap", 0.0))
    scores = _scores(call, q, k, causal) if apart else None
    y = attend(call, q, k, v, mask, causal, scores)
    flat = len(call.operand(0).shape) == 3
    return [join_heads(call, y) if flat else y, k, v, scores]


def _scores(call: Call, q: Operand, k: Operand, causal: bool) -> Operand:
    y: Operand = call.emit.add(AttentionScores(causal), q, k)
    if call.attribute("softcap", 0.0):
        limit = float(call.attribute("softcap"))
        y = call.emit.add(Elementwise("mul", value=1 / limit), y)
        y = call.emit.add(Elementwise("mul", value=limit), call.emit.add(Elementwise("tanh"), y))
    return y


def attend(
    call: Call,
    q: Operand,
    k: Operand,
    v: Operand,
    mask: Operand | None = None,
    causal: bool = False,
    scores: Operand | None = None,
) -> Operand:
    """Emit attention, in one operator where nothing is added to the scores."""
    if mask is None and scores is None:
        return call.emit.add(Attention(causal), q, k, v)
    if scores is None:
        scores = call.emit.add(AttentionScores(causal), q, k)
    if mask is not None:
        kind = "where" if mask.tensor.dtype == "bool" else "add"
        least = Stored(f"least of {scores.tensor.dtype}", scores.tensor.with_shape(), False)
        others = (least, scores) if kind == "where" else (scores,)
        scores = call.emit.add(Elementwise(kind), widened(call, mask, scores), *others)
    weights = call.emit.add(Softmax(causal=causal), scores)
    return call.emit.add(AttentionMix(causal), weights, v)


def widened(call: Call, mask: Operand, scores: Operand) -> Operand:
    """Return a mask as it broadcasts to the scores, its last axis cut or left out."""
    missing = scores.shape[-1] - mask.shape[-1] if mask.shape else 0
    if same(missing, 0) or not isinstance(missing, int) or same(mask.shape[-1], 1):
        return mask
    if missing < 0:
        raise ShapeError(f"the mask {mask.tensor} does not fit scores {scores.tensor}")
    # The mask of a cache that is longer hides the rest.
    return call.emit.add(Pad((*[(0, 0)] * (len(mask.shape) - 1), (0, missing))), mask)


def is_causal(asked: bool, q: Operand, k: Operand, new: Any) -> bool:
    """Return whether to count the triangle: not for a single query or with a longer cache.

    The triangle of queries that follow cached keys has these in front: all pairs count there.
    """
    return asked and same(k.shape[-2], new) and not same(q.shape[-2], 1)


def split_heads(call: Call, x: Operand, heads: int | None) -> Operand:
    """Return ``[batch, length, heads * depth]`` as ``[batch, heads, length, depth]``."""
    if len(x.shape) != 3:
        return x
    if not heads:
        raise DataError("its number of heads is missing")
    batch, length, width = x.shape
    depth = exact_div(width, heads, "Attention width")
    apart = call.emit.reshape(x, (batch, length, heads, depth))
    return call.emit.transpose(apart, (0, 2, 1, 3))


def join_heads(call: Call, y: Operand) -> Operand:
    """Return ``[batch, heads, length, depth]`` as ``[batch, length, heads * depth]``."""
    batch, heads, length, depth = y.shape
    back = call.emit.transpose(y, (0, 2, 1, 3))
    return call.emit.reshape(back, (batch, length, heads * depth))


def behind(call: Call, x: Operand, slot: int) -> Operand:
    """Concatenate the cache in input ``slot`` with ``x``."""
    past = call.optional(slot)
    return x if past is None or 0 in past.shape else call.emit.add(Concat(2), past, x)


@HANDLERS.register("RotaryEmbedding", "com.microsoft.RotaryEmbedding")
def _rotary(call: Call) -> Result:
    """Emit the turn of pairs of elements: two products and a sum, in one kernel as it counts."""
    return turned(call, call.operand())


def turned(call: Call, x: Operand) -> Operand:
    """Emit a rotary embedding of ``x``: the product with a cosine, the sum with another."""
    cosine = call.emit.add(Elementwise("mul", value=1.0), x)
    return call.emit.add(Elementwise("add"), cosine, x)
