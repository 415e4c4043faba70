"""ONNX matrix products."""

from __future__ import annotations

from costmodel.algebra.symbols import same
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.learned import linear
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.onnx_file.handlers.masked import attended, masked_later
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Elementwise, MatMul

ACTIVATIONS = {
    "Clip": "clamp",
    "Elu": "elu",
    "Gelu": "gelu",
    "HardSigmoid": "hard_sigmoid",
    "HardSwish": "hard_swish",
    "LeakyRelu": "leaky_relu",
    "QuickGelu": "silu",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Swish": "silu",
    "Tanh": "tanh",
}
"""Kinds of the activations that a runtime fuses into the preceding operator."""


def activated(call: Call, y: Operand) -> Operand:
    """Emit the activation fused into the node, named by attribute ``activation``."""
    name = call.attribute("activation")
    if not name:
        return y
    if name not in ACTIVATIONS:
        raise UnsupportedFormError(f"activation {name!r}")
    return call.emit.add(Elementwise(ACTIVATIONS[name]), y)


@HANDLERS.register("Gemm", "com.microsoft.FusedGemm", "com.microsoft.GemmFloat8")
def _gemm(call: Call) -> Result:
    a, b, offset = call.operand(0), call.operand(1), call.optional(2)
    if call.attribute("transA", 0):
        a = call.emit.transpose(a, (1, 0))
    transposed = bool(call.attribute("transB", 0))
    return activated(call, times(call, a, b, offset, transposed))


def times(
    call: Call, a: Operand, b: Operand, offset: Operand | None, transposed: bool = False
) -> Operand:
    """Emit ``a @ b + offset``: a linear layer where the matrix is stored."""
    if isinstance(b, Stored):
        if offset is not None and len(offset.shape) != 1:
            y = linear(call.emit, a, b, None, transposed)
            return call.emit.add(Elementwise("add"), y, offset)
        return linear(call.emit, a, b, offset, transposed)
    y = call.emit.add(MatMul(transpose_b=transposed), a, b)
    return y if offset is None else call.emit.add(Elementwise("add"), y, offset)


@HANDLERS.register("MatMul")
def _matmul(call: Call) -> Result:
    b = call.operand(1)
    whole = attended(call, b)
    if whole is not None:
        return whole
    if masked_later(call, call.operand(0), b):
        return [None]
    bias = bias_after(call, b) if isinstance(b, Stored) and len(b.shape) == 2 else None
    return multiplied(call, call.operand(0), b, bias)


def multiplied(call: Call, a: Operand, b: Operand, bias: Operand | None = None) -> Operand:
    """Emit ``a @ b`` by the rules of NumPy: vectors have one axis, more axes broadcast."""
    emit = call.emit
    if isinstance(b, Stored) and len(b.shape) == 2:
        row = len(a.shape) == 1
        y: Operand = linear(emit, a, b, bias, transposed=False)
        return y if not row else emit.reshape(y, b.shape[1:])
    row, column = len(a.shape) == 1, len(b.shape) == 1
    a = emit.reshape(a, (1, *a.shape)) if row else a
    b = emit.reshape(b, (*b.shape, 1)) if column else b
    y = emit.add(MatMul(), a, b)
    shape = list(y.shape)
    if row:
        del shape[-2]
    if column:
        del shape[-1]
    return emit.reshape(y, shape)


def bias_after(call: Call, weight: Stored) -> Stored | None:
    """Return the stored vector added by the only consumer, and merge that node."""
    name = call.node.output[0]
    taker = call.walk.only_taker(name)
    if taker is None or taker.op_type != "Add" or len(taker.input) != 2:
        return None
    other = next((i for i in taker.input if i != name), None)
    bias = call.walk.operand(other) if other and call.walk.is_stored(other) else None
    if not isinstance(bias, Stored) or len(bias.shape) != 1 or not bias.learned:
        return None
    if not same(bias.shape[0], weight.shape[1]):
        return None
    call.walk.merge(taker, name)
    return bias


@HANDLERS.register("com.microsoft.FusedMatMul", "com.microsoft.TransposeMatMul")
def _fused_matmul(call: Call) -> Result:
    a, b = call.operand(0), call.operand(1)
    if call.attribute("transBatchA", 0):
        a = _batch_first(call, a)
    if call.attribute("transBatchB", 0):
        b = _batch_first(call, b)
    if call.attribute("transA", 0):
        a = _swapped(call, a)
    if call.attribute("transB", 0):
        if isinstance(b, Stored) and len(b.shape) == 2:
            return linear(call.emit, a, b, None, transposed=True)
        b = _swapped(call, b)
    # The factor alpha is folded into the product.
    return multiplied(call, a, b)


def _batch_first(call: Call, x: Operand) -> Operand:
    """Return a view of ``[rows, *batch, columns]`` as ``[*batch, rows, columns]``."""
    rank = len(x.shape)
    return x if rank < 3 else call.emit.transpose(x, (*range(1, rank - 1), 0, rank - 1))


def _swapped(call: Call, x: Operand) -> Operand:
    rank = len(x.shape)
    return x if rank < 2 else call.emit.transpose(x, (*range(rank - 2), rank - 1, rank - 2))


@HANDLERS.register("com.microsoft.FusedMatMulActivation")
def _matmul_activation(call: Call) -> Result:
    return activated(call, multiplied(call, call.operand(0), call.operand(1)))


@HANDLERS.register("com.microsoft.GemmFastGelu")
def _gemm_fast_gelu(call: Call) -> Result:
    y = times(call, call.operand(0), call.operand(1), call.optional(2))
    return call.emit.add(Elementwise("gelu_tanh"), y)


@HANDLERS.register("com.microsoft.MatMulNBits", "com.microsoft.MatMulBnb4")
def _matmul_n_bits(call: Call) -> Result:
    """Emit a product with a low-bit matrix, in the type of its input.

    The matrix is stored in blocks; the attributes ``K`` and ``N`` are its sizes.
    """
    x, packed = call.operand(0), call.operand(1)
    rows, columns = call.attribute("K"), call.attribute("N")
    if not isinstance(rows, int) or not isinstance(columns, int) or not isinstance(packed, Stored):
        raise UnsupportedFormError("a matrix without its sizes, or that is computed")
    weight = Stored(packed.key, x.tensor.with_shape(columns, rows), learned=True)
    bias = call.optional(5) if call.kind == "MatMulNBits" else None
    return linear(call.emit, x, weight, bias, transposed=True)
