"""Matrix products."""

from __future__ import annotations

from costmodel.algebra.symbols import product as times
from costmodel.algebra.symbols import same
from costmodel.importers.einsum import einsum
from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.importers.learned import grouped, linear
from costmodel.importers.registry import UnsupportedFormError
from costmodel.importers.torch_module.call import ATEN, Call, Result, packet_name
from costmodel.importers.torch_module.handlers.elementwise import binary
from costmodel.ops import Elementwise, MatMul, Reduce


@ATEN.register("linear")
def _linear(call: Call) -> Result:
    a, b = _dense(call, "input"), _dense(call, "weight")
    return linear(call.emit, a, b, call.optional("bias"))


def _dense(call: Call, *names: str) -> Operand:
    """Return a factor; rejects sparse ones, whose number of products is unknown."""
    for name in names:
        if call.optional(name) is not None:
            layout = str(getattr(call.meta_of(name), "layout", "torch.strided"))
            if layout != "torch.strided":
                raise UnsupportedFormError(f"factor in {layout}")
    return call.operand(*names)


@ATEN.register("matmul", "mm", "bmm", "_int_mm", "linalg_matmul")
def _matmul(call: Call) -> Result:
    a, b = _dense(call, "self", "input"), _dense(call, "other", "mat2")
    y = product(call.emit, a, b)
    out = call.get("out_dtype")
    return y if out is None else call.emit.reshape(y, call.output.shape)


@ATEN.register("mv", "dot", "vdot", "inner")
def _vector(call: Call) -> Result:
    a, b = call.operand("self"), call.operand("vec", "tensor", "other")
    if packet_name(call.node.target) == "inner" and len(b.shape) > 1:
        return linear(call.emit, a, b, None)
    return product(call.emit, a, b)


@ATEN.register("addmm", "baddbmm", "addbmm", "addmv", "addr", "_addmm_activation")
def _addmm(call: Call) -> Result:
    """Emit ``beta * self + alpha * (a @ b)``; factors that are not 1 are operations."""
    emit = call.emit
    a = _dense(call, "mat1", "batch1", "mat", "vec1")
    b = _dense(call, "mat2", "batch2", "vec", "vec2")
    offset, beta, alpha = call.operand("self"), call.get("beta", 1), call.get("alpha", 1)
    name = packet_name(call.node.target)
    plain = beta == 1 and alpha == 1 and isinstance(b, Stored) and len(b.shape) == 2
    if plain and len(offset.shape) == 1:
        y: Operand = linear(emit, a, b, offset, transposed=False)
    else:
        y = _product_of(call, name, a, b)
        if alpha != 1:
            y = emit.add(Elementwise("mul", value=float(alpha)), y)
        if beta not in (0, 1):
            offset = emit.add(Elementwise("mul", value=float(beta)), offset)
        y = y if beta == 0 else emit.add(Elementwise("add"), y, offset)
    if name == "_addmm_activation":
        y = emit.add(Elementwise("gelu" if call.get("use_gelu") else "relu"), y)
    return y


def _product_of(call: Call, name: str, a: Operand, b: Operand) -> Operand:
    if name == "addr":
        return binary(call, "mul", call.emit.reshape(a, (*a.shape, 1)), b)
    if name == "addbmm":
        return call.emit.add(Reduce("sum", (0,)), product(call.emit, a, b))
    return product(call.emit, a, b)


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


@ATEN.register("tensordot")
def _tensordot(call: Call) -> Result:
    a, b = call.operand("self"), call.operand("other")
    inner_a = [axis % len(a.shape) for axis in call.get("dims_self")]
    inner_b = [axis % len(b.shape) for axis in call.get("dims_other")]
    in_a = [chr(ord("a") + i) for i in range(len(a.shape))]
    in_b = [chr(ord("a") + len(in_a) + i) for i in range(len(b.shape))]
    for i, j in zip(inner_a, inner_b, strict=True):
        in_b[j] = in_a[i]
    out = [c for i, c in enumerate(in_a) if i not in inner_a]
    out += [c for j, c in enumerate(in_b) if j not in inner_b]
    return einsum(call.emit, f"{''.join(in_a)},{''.join(in_b)}->{''.join(out)}", [a, b])


@ATEN.register("bilinear")
def _bilinear(call: Call) -> Result:
    a, b, weight = call.operand("input1"), call.operand("input2"), call.operand("weight")
    y = _between(call.emit, a, weight, b)
    bias = call.optional("bias")
    return y if bias is None else call.emit.add(Elementwise("add"), y, bias)


@ATEN.register("_trilinear")
def _trilinear(call: Call) -> Result:
    """Emit the bilinear form that torch writes like this; of other sums we know no product."""
    form = [list(call.get(name)) for name in ("expand1", "expand2", "expand3", "sumdim")]
    if form != [[1, 3], [0], [1, 2], [2, 3]]:
        raise UnsupportedFormError("sums of three factors other than a bilinear form")
    return _between(call.emit, call.operand("i1"), call.operand("i2"), call.operand("i3"))


def _between(emit: Emitter, a: Operand, weight: Operand, b: Operand) -> Operand:
    """Emit ``y[o] = a @ weight[o] @ b``: all rows with ``a``, then a product with ``b``."""
    out, rows, columns = weight.shape
    turned = emit.reshape(emit.transpose(weight, (1, 0, 2)), (rows, out * columns))
    left: Operand = linear(emit, a, turned, None, transposed=False)
    left = emit.reshape(left, (*a.shape[:-1], out, columns))
    y = emit.add(MatMul(), left, emit.reshape(b, (*b.shape, 1)))
    return emit.reshape(y, (*a.shape[:-1], out))


@ATEN.register("cdist", "_cdist_forward", "_euclidean_dist")
def _distances(call: Call) -> Result:
    """Emit a multiply-add for each feature of each pair, whether by a product or one by one."""
    emit, a, b = call.emit, call.operand("x1"), call.operand("x2")
    y = emit.add(MatMul(transpose_b=True), a, b)
    if call.get("p", 2) == 2:
        return emit.add(Elementwise("sqrt"), y)
    return emit.add(Elementwise("pow", value=1 / float(call.get("p"))), y)


@ATEN.register("_grouped_mm", "_scaled_grouped_mm", "transformers.grouped_mm_fallback")
def _grouped(call: Call) -> Result:
    """Emit the product of the rows of each expert with its matrix."""
    a, b = call.operand("self", "input"), call.operand("mat2", "weight")
    ends, bias = call.optional("offs"), call.optional("bias")
    if len(a.shape) == 3 and len(b.shape) == 3:
        y: Operand = call.emit.add(MatMul(), a, b)
    elif len(a.shape) == 2 and len(b.shape) == 3 and ends is not None:
        y = grouped(call.emit, a, b, ends)
    else:
        raise UnsupportedFormError("groups of the inner axis")
    if bias is None:
        return y
    wide = call.emit.reshape(bias, (times(bias.shape),))
    if not same(wide.shape[0], y.shape[-1]):
        raise UnsupportedFormError("a bias for each group")
    return call.emit.add(Elementwise("add"), y, wide)


@ATEN.register("_scaled_mm")
def _scaled(call: Call) -> Result:
    """Emit a product of floats of 8 bits; the scales are part of writing it."""
    a, b = call.operand("self"), call.operand("mat2")
    y = product(call.emit, a, b)
    bias = call.optional("bias")
    return y if bias is None else call.emit.add(Elementwise("add"), y, bias)
