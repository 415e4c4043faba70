"""Attention: scaled dot products under all their names, and the fused layers of torch."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, same
from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.importers.learned import linear
from costmodel.importers.registry import UnsupportedFormError
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.ops import (
    Attention,
    AttentionMix,
    AttentionScores,
    BroadcastTo,
    Elementwise,
    LayerNorm,
    Softmax,
)


@ATEN.register("scaled_dot_product_attention", "_scaled_dot_product_attention_math")
@ATEN.register("_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention")
@ATEN.register("_scaled_dot_product_flash_attention_for_cpu")
@ATEN.register("_scaled_dot_product_cudnn_attention")
@ATEN.register("_scaled_dot_product_fused_attention_overrideable")
def _attention(call: Call) -> Result:
    q, k, v = call.operand("query"), call.operand("key"), call.operand("value")
    mask = call.optional("attn_mask", "attn_bias")
    causal = bool(call.get("is_causal", False))
    if call.node.meta.get("causal"):  # the values of the mask say so
        mask, causal = None, True
    y = attend(call.emit, q, k, v, mask, causal)
    y = call.emit.reshape(y, call.output.shape)
    # Fused forms also return values for the backward pass.
    return y if len(call.metas) < 2 else (y, *[None] * (len(call.metas) - 1))


@ATEN.register("flex_attention")
def _flex(call: Call) -> Result:
    """Emit the full square of scores: which blocks a mask leaves out depends on a function."""
    q, k, v = call.operand("query"), call.operand("key"), call.operand("value")
    y = attend(call.emit, q, k, v, None, causal=False)
    return y if len(call.metas) < 2 else (y, *[None] * (len(call.metas) - 1))


def attend(
    emit: Emitter, q: Operand, k: Operand, v: Operand, mask: Operand | None, causal: bool
) -> Operand:
    """Emit attention of ``q`` on ``k`` and ``v``; a mask is added to the scores."""
    if len(q.shape) == 2:
        q, k, v = (emit.reshape(x, (1, *x.shape)) for x in (q, k, v))
    k, v = (_like(emit, x, q) for x in (k, v))
    if mask is None:
        return emit.add(Attention(causal), q, k, v)
    scores: Operand = emit.add(AttentionScores(causal), q, k)
    kind = "where" if mask.tensor.dtype == "bool" else "add"
    if kind == "where":
        least = Stored(f"least of {scores.tensor.dtype}", scores.tensor.with_shape(), False)
        scores = emit.add(Elementwise("where"), mask, least, scores)
    else:
        scores = emit.add(Elementwise("add"), mask, scores)
    weights = emit.add(Softmax(causal=causal), scores)
    return emit.add(AttentionMix(causal), weights, v)


def _like(emit: Emitter, x: Operand, q: Operand) -> Operand:
    """Return keys or values with the batch of the queries, to which torch broadcasts them."""
    batch = q.shape[:-3]
    if len(x.shape) == len(q.shape) and all(map(same, x.shape[:-3], batch)):
        return x
    x = emit.reshape(x, (*[1] * (len(q.shape) - len(x.shape)), *x.shape))
    return emit.add(BroadcastTo(taken((*batch, *x.shape[-3:]))), x)


@ATEN.register("_native_multi_head_attention")
def _multi_head(call: Call) -> Result:
    y = _heads(call, [call.operand(name) for name in ("query", "key", "value")], "num_head")
    return (y, None) if len(call.metas) > 1 else y


@ATEN.register("_transformer_encoder_layer_fwd")
def _encoder_layer(call: Call) -> Result:
    """Emit the layer of ``nn.TransformerEncoderLayer`` that torch has as one operator."""
    emit, x = call.emit, call.operand("src")
    first = bool(call.get("norm_first", False))
    attended = _heads(call, [_norm(call, x, 1) if first else x] * 3, "num_heads")
    x = emit.add(Elementwise("add"), x, attended)
    x = x if first else _norm(call, x, 1)
    y: Operand = _norm(call, x, 2) if first else x
    y = linear(emit, y, call.operand("ffn_weight_1"), call.operand("ffn_bias_1"))
    y = emit.add(Elementwise("gelu" if call.get("use_gelu") else "relu"), y)
    y = linear(emit, y, call.operand("ffn_weight_2"), call.operand("ffn_bias_2"))
    x = emit.add(Elementwise("add"), x, y)
    return x if first else _norm(call, x, 2)


def _norm(call: Call, x: Operand, number: int) -> Operand:
    learned = (call.operand(f"norm_{part}_{number}") for part in ("weight", "bias"))
    name = call.emit.weight_name(*learned)
    return call.emit.add(LayerNorm(1), x, weights=name)


def _heads(call: Call, inputs: list[Operand], heads: str) -> Operand:
    """Emit the projections, the attention of the heads, and the last projection."""
    emit, count, width = call.emit, call.size(heads), call.size("embed_dim")
    weight, bias = call.operand("qkv_weight"), call.operand("qkv_bias")
    parts: list[Operand] = []
    for i, x in enumerate(inputs):
        y: Operand = linear(emit, x, _third(weight, width, i), _third(bias, width, i))
        y = emit.reshape(y, (*y.shape[:-1], count, width // count))
        parts.append(emit.transpose(y, (0, 2, 1, 3)))
    q, k, v = parts
    y = attend(emit, q, k, v, call.optional("mask"), causal=False)
    y = emit.reshape(emit.transpose(y, (0, 2, 1, 3)), inputs[0].shape)
    return linear(emit, y, call.operand("proj_weight"), call.operand("proj_bias"))


def _third(x: Operand, width: Dim, number: int) -> Operand:
    """Return the rows of queries, keys or values of a matrix that holds all three."""
    if not isinstance(x, Stored):
        raise UnsupportedFormError("projections that are computed")
    return x.view((width, *x.shape[1:]), f"part {number}")
