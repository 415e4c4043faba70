"""ONNX normalizations, plain and as ONNX Runtime fuses them."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import same
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import HANDLERS, Call, Made, Result
from costmodel.importers.onnx_file.handlers.convolutions import first_to_last
from costmodel.importers.patterns.pieces import Note
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import (
    BatchNorm,
    Elementwise,
    Embedding,
    GroupNorm,
    LayerNorm,
    LocalResponseNorm,
    Reduce,
)


@HANDLERS.register("BatchNormalization")
def _batch_norm(call: Call) -> Result:
    x = call.operand()
    if not call.attribute("training_mode", 0):
        return normalized(call, BatchNorm(affine=_affine(call)), x, 1, 2)
    # Statistics of the data per channel, as in instance normalization.
    y = normalized(call, GroupNorm(taken(x.shape[1]), affine=_affine(call)), x, 1, 2)
    return [y, *_statistics(call, x, tuple(i for i in range(len(x.shape)) if i != 1), False)]


@HANDLERS.register("InstanceNormalization")
def _instance_norm(call: Call) -> Result:
    x = call.operand()
    return normalized(call, GroupNorm(taken(x.shape[1]), affine=_affine(call)), x, 1, 2)


@HANDLERS.register("GroupNormalization")
def _group_norm(call: Call) -> Result:
    x, groups = call.operand(), call.attribute("num_groups")
    scale = call.operand(1)
    if scale.shape == (x.shape[1],):
        return normalized(call, GroupNorm(groups, affine=_affine(call)), x, 1, 2)
    # One scale and shift per group (the first version of the operator), not per channel.
    batch, channels, *pixels = x.shape
    y: Operand = call.emit.add(GroupNorm(groups, affine=False), x)
    y = call.emit.reshape(y, (batch, groups, -1))
    for kind, slot in (("mul", 1), ("add", 2)):
        factor = call.emit.reshape(call.operand(slot), (groups, 1))
        y = call.emit.add(Elementwise(kind), y, factor)
    return call.emit.reshape(y, (batch, channels, *pixels))


@HANDLERS.register("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization")
def _layer_norm(call: Call) -> Result:
    x = call.operand()
    rank = len(x.shape)
    first = call.axis(rank, -1)
    rms = call.kind != "LayerNormalization"
    affine = _affine(call)
    bias = affine and call.has(2) and not _stands_in(call, 2, 0)
    op = LayerNorm(rank - first, affine=affine, rms=rms, bias=bias)
    return [normalized(call, op, x, 1, 2), *_statistics(call, x, tuple(range(first, rank)), True)]


def _statistics(call: Call, x: Operand, axes: tuple[int, ...], keep: bool) -> list[Made | None]:
    """Return mean and deviation where they are used: the second and third output."""
    kinds = {1: "mean", 2: "var"}
    return [
        call.emit.add(Reduce(kind, axes, keep), x) if call.makes(i) else None
        for i, kind in kinds.items()
    ]


def normalized(
    call: Call, op: BatchNorm | GroupNorm | LayerNorm, x: Operand, scale: int, shift: int
) -> Operand:
    """Emit a normalization with scale and shift in these slots."""
    factor = call.optional(scale)
    if op.affine and factor is not None and not isinstance(factor, Stored):
        return _scaled(call, call.emit.add(op.with_fields(affine=False), x), scale, shift)
    if op.affine and isinstance(op, LayerNorm) and factor is not None:
        last = x.shape[len(x.shape) - op.axes :]
        if len(factor.shape) != op.axes or not all(map(same, factor.shape, last)):
            return _scaled(call, call.emit.add(op.with_fields(affine=False), x), scale, shift)
    name = call.emit.weight_name(factor) if op.affine and factor is not None else None
    y = call.emit.add(op, x, weights=name)
    plain = call.holds_only(scale, 1) and call.holds_only(shift, 0)
    return call.emit.note(y, Note.PLAIN) if plain else y


def _scaled(call: Call, y: Operand, scale: int, shift: int) -> Operand:
    """Emit scale and shift separately, if they are computed or have another shape."""
    last = "Layer" in call.kind or "RMS" in call.kind
    trailing = [] if last else [1] * (len(y.shape) - 2)
    for kind, slot in (("mul", scale), ("add", shift)):
        factor = call.optional(slot)
        if factor is not None:
            wide = call.emit.reshape(factor, (*factor.shape, *trailing))
            y = call.emit.add(Elementwise(kind), y, wide)
    return y


def _affine(call: Call) -> bool:
    """Return whether scale and shift are learned; the format requires them in any case."""
    return not (_stands_in(call, 1, 1) and (not call.has(2) or _stands_in(call, 2, 0)))


def _stands_in(call: Call, slot: int, number: int) -> bool:
    """Return whether an exporter wrote a constant in place of an absent tensor."""
    if not call.has(slot):
        return True
    return not call.walk.is_learned(call.node.input[slot]) and call.holds_only(slot, number)


@HANDLERS.register("LRN")
def _local_response_norm(call: Call) -> Result:
    return call.emit.add(LocalResponseNorm(call.attribute("size")), call.operand())


@HANDLERS.register(
    "com.microsoft.SkipLayerNormalization", "com.microsoft.SkipSimplifiedLayerNormalization"
)
def _skip_layer_norm(call: Call) -> Result:
    """Emit a residual sum, with a bias where there is one, and its normalization."""
    rms = "Simplified" in call.kind
    total: Operand = call.emit.add(Elementwise("add"), call.operand(0), call.operand(1))
    bias = call.optional(3 if rms else 4)
    if bias is not None:
        total = call.emit.add(Elementwise("add"), total, bias)
    op = LayerNorm(1, rms=rms, bias=not rms and call.has(3))
    statistics = _statistics(call, total, (len(total.shape) - 1,), True)
    return [normalized(call, op, total, 2, 3), *statistics, total]


@HANDLERS.register("com.microsoft.EmbedLayerNormalization")
def _embed_layer_norm(call: Call) -> Result:
    """Emit look-ups of words, positions and segments, their sum and its normalization."""
    words = call.operand(0)
    total = _looked_up(call, words, 2)
    positions = call.operand(8) if call.has(8) else words
    total = call.emit.add(Elementwise("add"), total, _looked_up(call, positions, 3))
    if call.has(4) and call.has(1):
        total = call.emit.add(Elementwise("add"), total, _looked_up(call, call.operand(1), 4))
    mask = call.emit.add(Reduce("sum", (1,)), words) if call.makes(1) else None
    return [normalized(call, LayerNorm(1, bias=call.has(6)), total, 5, 6), mask, total]


def _looked_up(call: Call, indices: Operand, slot: int) -> Operand:
    table = call.operand(slot)
    if not isinstance(table, Stored) or len(table.shape) != 2:
        raise UnsupportedFormError("a table that is computed")
    name = call.emit.weight_name(table)
    call.emit.owns_bias(name, None)
    op = Embedding(table.shape[0], table.shape[1], table.tensor.dtype)
    return call.emit.add(op, indices, weights=name)


@HANDLERS.register("com.microsoft.GroupNorm", "com.microsoft.SkipGroupNorm")
def _fused_group_norm(call: Call) -> Result:
    """Emit a group normalization of images, channels last, and the activation fused into it."""
    x = call.operand()
    skip = call.kind == "SkipGroupNorm"
    if skip:
        x = call.emit.add(Elementwise("add"), x, call.operand(3))
        if call.has(4):
            x = call.emit.add(Elementwise("add"), x, call.operand(4))
    last = bool(call.attribute("channels_last", 1))
    image = first_to_last(call, x, back=True) if last else x
    y = normalized(call, GroupNorm(call.attribute("groups")), image, 1, 2)
    if call.attribute("activation", 0):
        y = call.emit.add(Elementwise("silu"), y)
    return [first_to_last(call, y) if last else y, x if skip else None]
