"""ONNX operators with weights, normalizations, pooling, resizing, recurrence."""

from __future__ import annotations

from typing import Any

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import same
from costmodel.graph.builder import Value
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.learned import convolve, linear
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.patterns.pieces import Note
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import (
    AdaptivePool,
    BatchNorm,
    Conv,
    ConvTranspose,
    Elementwise,
    GroupNorm,
    LayerNorm,
    LocalResponseNorm,
    MatMul,
    PixelShuffle,
    Pool,
    PReLU,
    Recurrent,
    Resize,
    Slice,
)


@HANDLERS.register("Conv")
def _conv(call: Call) -> Result:
    weight = call.operand(1)
    rank = len(weight.shape) - 2
    dilation = tuple(call.attribute("dilations", [1] * rank))
    op = Conv(
        taken(weight.shape[0]),
        taken(weight.shape[2:]),
        stride=tuple(call.attribute("strides", [1] * rank)),
        padding=_padding(call, rank),
        dilation=dilation,
        groups=call.attribute("group", 1),
    )
    return convolve(call.emit, op, call.operand(0), weight, call.optional(2))


@HANDLERS.register("ConvTranspose")
def _conv_transpose(call: Call) -> Result:
    weight = call.operand(1)
    rank = len(weight.shape) - 2
    groups = call.attribute("group", 1)
    if call.attribute("output_shape") is not None or _padding(call, rank) == "same":
        raise UnsupportedFormError("padding that follows from the output size")
    op = ConvTranspose(
        taken(weight.shape[1] * groups),
        taken(weight.shape[2:]),
        stride=tuple(call.attribute("strides", [1] * rank)),
        padding=_padding(call, rank),
        output_padding=tuple(call.attribute("output_padding", [0] * rank)),
        dilation=tuple(call.attribute("dilations", [1] * rank)),
        groups=groups,
    )
    return convolve(call.emit, op, call.operand(0), weight, call.optional(2))


def _padding(call: Call, rank: int) -> Any:
    if call.attribute("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
        return "same"
    pads = call.attribute("pads") or [0] * (2 * rank)
    return tuple((pads[i], pads[i + rank]) for i in range(rank))


@HANDLERS.register("Gemm")
def _gemm(call: Call) -> Result:
    a, b, offset = call.operand(0), call.operand(1), call.optional(2)
    if call.attribute("transA", 0):
        a = call.emit.transpose(a, (1, 0))
    transposed = bool(call.attribute("transB", 0))
    if isinstance(b, Stored):
        if offset is not None and len(offset.shape) != 1:
            y = linear(call.emit, a, b, None, transposed)
            return call.emit.add(Elementwise("add"), y, offset)
        return linear(call.emit, a, b, offset, transposed)
    y = call.emit.add(MatMul(transpose_b=transposed), a, b)
    return y if offset is None else call.emit.add(Elementwise("add"), y, offset)


@HANDLERS.register("MatMul")
def _matmul(call: Call) -> Result:
    a, b = call.operand(0), call.operand(1)
    emit = call.emit
    if isinstance(b, Stored) and len(b.shape) == 2:
        bias = _bias_after(call, b)
        return linear(emit, a, b, bias, transposed=False)
    row, column = len(a.shape) == 1, len(b.shape) == 1
    a = emit.reshape(a, (1, *a.shape)) if row else a
    b = emit.reshape(b, (*b.shape, 1)) if column else b
    y: Operand = emit.add(MatMul(), a, b)
    shape = list(y.shape)
    if row:
        del shape[-2]
    if column:
        del shape[-1]
    return emit.reshape(y, shape)


def _bias_after(call: Call, weight: Stored) -> Stored | None:
    """Return the stored vector that the only next node adds; that node is then done with."""
    name = call.node.output[0]
    taker = call.walk.only_taker(name)
    if taker is None or taker.op_type != "Add":
        return None
    other = next((i for i in taker.input if i != name), None)
    bias = call.walk.operand(other) if other is not None and call.walk.is_stored(other) else None
    if not isinstance(bias, Stored) or len(bias.shape) != 1 or not bias.learned:
        return None
    if not same(bias.shape[0], weight.shape[1]):
        return None
    call.walk.merge(taker, name)
    return bias


@HANDLERS.register("BatchNormalization")
def _batch_norm(call: Call) -> Result:
    return _normalize(call, BatchNorm(affine=_affine(call)))


@HANDLERS.register("InstanceNormalization")
def _instance_norm(call: Call) -> Result:
    return _normalize(call, GroupNorm(taken(call.operand().shape[1]), affine=_affine(call)))


@HANDLERS.register("GroupNormalization")
def _group_norm(call: Call) -> Result:
    return _normalize(call, GroupNorm(call.attribute("num_groups"), affine=_affine(call)))


@HANDLERS.register("LayerNormalization", "RMSNormalization")
def _layer_norm(call: Call) -> Result:
    rank = len(call.operand().shape)
    axes = rank - call.attribute("axis", -1) % rank
    affine, rms = _affine(call), call.node.op_type.startswith("RMS")
    bias = affine and call.has(2) and not _stands_in(call, 2, 0)
    return _normalize(call, LayerNorm(axes, affine=affine, rms=rms, bias=bias))


def _normalize(call: Call, op: BatchNorm | GroupNorm | LayerNorm) -> Result:
    name = call.emit.weight_name(call.operand(1)) if op.affine else None
    y = call.emit.add(op, call.operand(0), weights=name)
    plain = call.holds_only(1, 1) and call.holds_only(2, 0)
    return call.emit.note(y, Note.PLAIN) if plain else y


def _affine(call: Call) -> bool:
    """Say whether scale and shift are learned: the format has no form without them."""
    return not (_stands_in(call, 1, 1) and (not call.has(2) or _stands_in(call, 2, 0)))


def _stands_in(call: Call, slot: int, number: int) -> bool:
    """Say whether an exporter has put a constant in the place of a tensor that there is not."""
    return not call.walk.is_learned(call.node.input[slot]) and call.holds_only(slot, number)


@HANDLERS.register("LRN")
def _local_response_norm(call: Call) -> Result:
    return call.emit.add(LocalResponseNorm(call.attribute("size")), call.operand())


@HANDLERS.register("PRelu")
def _prelu(call: Call) -> Result:
    slope = call.operand(1)
    op = PReLU(shared=slope.tensor.elements == 1)
    return call.emit.add(op, call.operand(), weights=call.emit.weight_name(slope))


@HANDLERS.register("MaxPool", "AveragePool")
def _pool(call: Call) -> Result:
    kernel = tuple(call.attribute("kernel_shape"))
    op = Pool(
        "max" if call.node.op_type == "MaxPool" else "avg",
        kernel,
        stride=tuple(call.attribute("strides", [1] * len(kernel))),
        padding=_padding(call, len(kernel)),
        dilation=tuple(call.attribute("dilations", [1] * len(kernel))),
        ceil_mode=bool(call.attribute("ceil_mode", 0)),
    )
    return call.emit.add(op, call.operand())


@HANDLERS.register("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(call: Call) -> Result:
    kind = "max" if "Max" in call.node.op_type else "avg"
    return call.emit.add(AdaptivePool(kind, (1,) * (len(call.operand().shape) - 2)), call.operand())


@HANDLERS.register("DepthToSpace")
def _depth_to_space(call: Call) -> Result:
    return call.emit.add(PixelShuffle(call.attribute("blocksize")), call.operand())


@HANDLERS.register("Resize", "Upsample")
def _resize(call: Call) -> Result:
    x = call.operand()
    kinds = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
    kind = kinds[call.attribute("mode", "nearest")]
    resize = call.node.op_type == "Resize"
    sizes = call.sizes(3) if resize and call.has(3) else None
    if sizes is None:
        slot = (2 if call.has(2) else 1) if resize else 1
        scales = call.known(slot, "scales")
        if scales is None:
            raise UnsupportedFormError("no sizes and no scales")
        sizes = [
            size * int(scale) if float(scale).is_integer() else int(size * float(scale))
            for size, scale in zip(x.shape, scales, strict=True)
        ]
    if list(sizes[:2]) != list(x.shape[:2]):
        raise UnsupportedFormError("batch or channels resized")
    return call.emit.add(Resize(taken(tuple(sizes[2:])), kind), x)


@HANDLERS.register("LSTM", "GRU", "RNN")
def _recurrent(call: Call) -> Result:
    """Emit the layer; like torch, ONNX hands on [time, directions, batch, hidden]."""
    x, weight = call.operand(0), call.operand(1)
    hidden = call.attribute("hidden_size")
    directions = weight.shape[0]
    op = Recurrent(call.node.op_type.lower(), hidden, 1, directions == 2, bias=call.has(3))
    if isinstance(weight, Value):
        # Put together from several stored tensors: each of them is a node that counts itself.
        for slot in (2, 3):
            if call.has(slot):
                call.emit.value(call.operand(slot))
    y = call.emit.add(op, x, weights=call.emit.weight_name(weight))
    time, batch, _ = y.shape
    apart = call.emit.reshape(y, (time, batch, directions, hidden))
    return [call.emit.transpose(apart, (0, 2, 1, 3)), *_last_state(call, apart)]


def _last_state(call: Call, apart: Operand) -> list[Operand]:
    """Return stand-ins for the last states: the last step, whichever the direction."""
    if not any(call.node.output[1:]):
        return []
    time, batch, directions, hidden = apart.shape
    start = time - 1 if isinstance(time, int) else 0
    row = call.emit.reshape(call.emit.add(Slice(0, start, 1), apart), (batch, directions, hidden))
    last = call.emit.transpose(row, (1, 0, 2))
    return [last, last]
