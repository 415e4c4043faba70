"""Matrix products and attention."""

from __future__ import annotations

from costmodel.importers.einsum import einsum
from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.importers.learned import linear
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.ops import (
    Attention,
    AttentionMix,
    AttentionScores,
    Elementwise,
    MatMul,
    Softmax,
)


@ATEN.register("linear")
def _linear(call: Call) -> Result:
    return linear(call.emit, call.operand("input"), call.operand("weight"), call.optional("bias"))


@ATEN.register("matmul", "mm", "bmm")
def _matmul(call: Call) -> Result:
    return product(call.emit, call.operand("self"), call.operand("other", "mat2"))


@ATEN.register("mv", "dot")
def _vector(call: Call) -> Result:
    return product(call.emit, call.operand("self"), call.operand("vec", "tensor"))


@ATEN.register("addmm", "baddbmm")
def _addmm(call: Call) -> Result:
    a, b = call.operand("mat1", "batch1"), call.operand("mat2", "batch2")
    offset = call.operand("self")
    if isinstance(b, Stored) and len(b.shape) == 2 and len(offset.shape) == 1:
        return linear(call.emit, a, b, offset, transposed=False)
    return call.emit.add(Elementwise("add"), product(call.emit, a, b), offset)


def product(emit: Emitter, a: Operand, b: Operand) -> Operand:
    """Emit ``a @ b`` by the rules of NumPy, vectors included."""
    if len(b.shape) == 2 and isinstance(b, Stored):
        return linear(emit, a, b, None, transposed=False)
    row, column = len(a.shape) == 1, len(b.shape) == 1
    left = emit.reshape(a, (1, *a.shape)) if row else a
    right = emit.reshape(b, (*b.shape, 1)) if column else b
    y: Operand = emit.add(MatMul(), left, right)
    shape = list(y.shape)
    if row:
        del shape[-2]
    if column:
        del shape[-1]
    return emit.reshape(y, shape)


@ATEN.register("einsum")
def _einsum(call: Call) -> Result:
    return einsum(call.emit, call.get("equation"), call.operands("tensors"))


@ATEN.register("scaled_dot_product_attention")
def _attention(call: Call) -> Result:
    q, k, v = call.operand("query"), call.operand("key"), call.operand("value")
    causal = bool(call.get("is_causal", False))
    mask = call.optional("attn_mask")
    emit = call.emit
    if mask is None and len(q.shape) > 2:
        return emit.add(Attention(causal), q, k, v)
    if len(q.shape) == 2:
        q, k, v = (emit.reshape(x, (1, *x.shape)) for x in (q, k, v))
    scores: Operand = emit.add(AttentionScores(causal), q, k)
    if mask is not None:
        scores = emit.add(Elementwise("add"), mask, scores)
    weights = emit.add(Softmax(causal=causal), scores)
    y = emit.add(AttentionMix(causal), weights, v)
    return emit.reshape(y, call.output.shape)
