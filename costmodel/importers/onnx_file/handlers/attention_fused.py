"""Attention as ONNX Runtime fuses it: with projections, packed inputs, caches."""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, exact_div, same
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.learned import linear
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.onnx_file.handlers.attention import (
    attend,
    behind,
    is_causal,
    join_heads,
    split_heads,
    turned,
)
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Cast, Concat, Elementwise, Slice, Split
from costmodel.ops.tensor import Tensor


@HANDLERS.register("com.microsoft.Attention", "com.microsoft.QAttention")
def _projected_attention(call: Call) -> Result:
    """Emit one projection to queries, keys and values, and attention of them."""
    quantised = call.kind == "QAttention"
    x, weight, bias = call.operand(0), call.operand(1), call.optional(2)
    heads = call.attribute("num_heads")
    y: Operand = linear(call.emit, x, weight, bias, transposed=False)
    if quantised:
        y = call.emit.add(Cast("float32"), y)
    width = weight.shape[1]
    sizes = call.attribute("qkv_hidden_sizes") or [exact_div(width, 3, "Attention width")] * 3
    parts: tuple[Dim, ...] | int = 3 if len(set(sizes)) == 1 else tuple(sizes)
    projected = call.emit.add_many(Split(2, parts), y)
    q, k, v = (split_heads(call, part, heads) for part in projected)
    length = k.shape[-2]
    past = call.optional(8 if quantised else 4)
    if past is not None:
        k, v = (_with_past(call, past, i, part) for i, part in enumerate((k, v)))
    causal = is_causal(bool(call.attribute("unidirectional", 0)), q, k, length)
    mask = None if quantised else call.optional(5)
    y = attend(call, q, k, v, mask, causal)
    present = None
    if call.makes(1):
        both = [call.emit.reshape(part, (1, *part.shape)) for part in (k, v)]
        present = call.emit.add(Concat(0), *both)
    return [join_heads(call, y), present]


def _with_past(call: Call, past: Operand, i: int, x: Operand) -> Operand:
    """Put keys (0) or values (1) of an earlier step before ``x``."""
    one = call.emit.add(Slice(0, i, 1), past)
    cached = call.emit.reshape(one, past.shape[1:])
    return x if 0 in cached.shape else call.emit.add(Concat(2), cached, x)


@HANDLERS.register("com.microsoft.MultiHeadAttention")
def _multi_head_attention(call: Call) -> Result:
    heads = call.attribute("num_heads")
    q, k, v = _given(call, heads)
    length = k.shape[-2]
    k, v = behind(call, k, 6), behind(call, v, 7)
    causal = is_causal(bool(call.attribute("unidirectional", 0)), q, k, length)
    y = attend(call, q, k, v, call.optional(5), causal)
    return [join_heads(call, y), k, v]


def _given(call: Call, heads: int) -> tuple[Operand, Operand, Operand]:
    """Return queries, keys and values from one packed input, two or three; their bias added."""
    query = call.operand(0)
    if len(query.shape) == 5:  # [batch, length, heads, 3, depth]
        return tuple(_unpacked(call, query, i) for i in range(3))  # type: ignore[return-value]
    key, value, bias = call.optional(1), call.optional(2), call.optional(3)
    if key is None:
        raise UnsupportedFormError("no keys")
    if len(key.shape) == 5:  # [batch, length, heads, 2, depth]
        return split_heads(call, query, heads), _unpacked(call, key, 0), _unpacked(call, key, 1)
    if value is None:
        raise UnsupportedFormError("no values")
    parts = [query, key, value]
    if bias is not None:
        starts = [0, query.shape[-1], query.shape[-1] + query.shape[-1]]
        parts = [_biased(call, x, bias, start) for x, start in zip(parts, starts, strict=True)]
    q, k, v = (split_heads(call, x, heads) for x in parts)
    return q, k, v


def _unpacked(call: Call, packed: Operand, i: int) -> Operand:
    batch, length, heads, _, depth = packed.shape
    one = call.emit.add(Slice(3, i, 1), packed)
    flat = call.emit.reshape(one, (batch, length, heads, depth))
    return call.emit.transpose(flat, (0, 2, 1, 3))


def _biased(call: Call, x: Operand, bias: Operand, start: Dim) -> Operand:
    if len(x.shape) != 3:
        return x  # keys and values of another sequence, which have theirs
    width = x.shape[-1]
    part: Operand
    if isinstance(bias, Stored):
        part = bias.view((width,), f"from {start}")
    else:
        part = call.emit.add(Slice(0, start, width), bias)
    return call.emit.add(Elementwise("add"), x, part)


@HANDLERS.register("com.microsoft.GroupQueryAttention")
def _group_query_attention(call: Call) -> Result:
    """Emit causal attention of grouped queries on a cache and the new keys."""
    heads, shared = call.attribute("num_heads"), call.attribute("kv_num_heads")
    x = call.operand(0)
    if call.attribute("local_window_size", -1) > 0:
        raise UnsupportedFormError("a window of keys")
    if call.has(1):
        q = split_heads(call, x, heads)
        k, v = (split_heads(call, call.operand(slot), shared) for slot in (1, 2))
    else:  # one packed input
        depth = exact_div(x.shape[-1], heads + 2 * shared, "GroupQueryAttention width")
        parts = call.emit.add_many(Split(2, (heads * depth, shared * depth, shared * depth)), x)
        q, k, v = (
            split_heads(call, part, n)
            for part, n in zip(parts, (heads, shared, shared), strict=True)
        )
    if call.attribute("do_rotary", 0):
        q, k = turned(call, q), turned(call, k)
    new = k.shape[-2]
    k, v = _cached(call, k, 3), _cached(call, v, 4)
    y = attend(call, q, k, v, call.optional(10), is_causal(True, q, k, new))
    return [join_heads(call, y), k, v]


def _cached(call: Call, x: Operand, slot: int) -> Operand:
    """Put the cache before ``x``; where the file says how long both are, they are that long."""
    past = call.optional(slot)
    if past is None or 0 in past.shape:
        return x
    total = call.peek(6)
    if total is not None and isinstance(total.item(), int):
        kept = total.item() - x.shape[-2]
        if isinstance(kept, int) and isinstance(past.shape[2], int) and 0 <= kept < past.shape[2]:
            past = call.emit.add(Slice(2, 0, kept), past)
    elif _shares_buffer(call, slot - 2, past):
        raise UnsupportedFormError("a cache of unknown length in a buffer")
    return x if 0 in past.shape else call.emit.add(Concat(2), past, x)


def _shares_buffer(call: Call, output: int, past: Operand) -> bool:
    """Return whether the file states a cache of fixed size: a partly filled buffer."""
    names = call.node.output
    stated = call.walk.declared(names[output]) if output < len(names) else None
    present: Tensor | None = stated
    return present is not None and same(present.shape[2], past.shape[2])
