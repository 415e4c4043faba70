"""Convolutions, normalizations, pooling, resizing, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.learned import convolve
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.ops import (
    AdaptivePool,
    BatchNorm,
    Cast,
    ChannelShuffle,
    Conv,
    ConvTranspose,
    Elementwise,
    Embedding,
    EmbeddingBag,
    Gather,
    GroupNorm,
    LayerNorm,
    Op,
    PixelShuffle,
    Pool,
    Reduce,
    Resize,
)


@ATEN.register("conv1d", "conv2d", "conv3d", "convolution", "_convolution")
def _conv(call: Call) -> Result:
    if call.get("transposed", False):
        return _conv_transpose(call)
    out, _, *kernel = call.operand("weight").shape
    rank = len(kernel)
    op = Conv(
        taken(out),
        taken(tuple(kernel)),
        stride=call.sizes("stride", rank),
        padding=taken(_padding(call, kernel)),
        dilation=call.sizes("dilation", rank),
        groups=taken(call.size("groups")),
    )
    return _convolve(call, op)


@ATEN.register("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _conv_transpose(call: Call) -> Result:
    weight = call.operand("weight")
    rank = len(weight.shape) - 2
    groups = call.size("groups")
    op = ConvTranspose(
        taken(weight.shape[1] * groups),
        taken(weight.shape[2:]),
        stride=call.sizes("stride", rank),
        padding=call.sizes("padding", rank),
        output_padding=call.sizes("output_padding", rank),
        dilation=call.sizes("dilation", rank),
        groups=taken(groups),
    )
    return _convolve(call, op)


def _convolve(call: Call, op: Conv | ConvTranspose) -> Result:
    x = call.operand("input")
    single = len(x.shape) == len(op.kernel) + 1
    if single:
        x = call.emit.reshape(x, (1, *x.shape))
    y = convolve(call.emit, op, x, call.operand("weight"), call.optional("bias"))
    return call.emit.reshape(y, y.shape[1:]) if single else y


def _padding(call: Call, kernel: Sequence[Dim]) -> Any:
    if call.get("padding") == "valid":
        return 0
    if call.get("padding") == "same":
        # Torch allows "same" for stride 1 only; the larger half goes to the far side.
        dilation = call.sizes("dilation", len(kernel))
        spans = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return tuple((span // 2, span - span // 2) for span in spans)
    return call.sizes("padding", len(kernel))


@ATEN.register("batch_norm", "_native_batch_norm_legit_no_training", "native_batch_norm")
def _batch_norm(call: Call) -> Result:
    x = call.operand("input")
    if call.get("training", False):
        # Statistics of the data per channel, as in instance normalization.
        return _normalize(call, GroupNorm(taken(x.shape[1]), affine="weight" in call))
    return _normalize(call, BatchNorm(affine="weight" in call))


@ATEN.register("instance_norm")
def _instance_norm(call: Call) -> Result:
    channels = taken(call.operand("input").shape[1])
    return _normalize(call, GroupNorm(channels, affine="weight" in call))


@ATEN.register("group_norm", "native_group_norm")
def _group_norm(call: Call) -> Result:
    groups = call.size("num_groups") if "num_groups" in call else call.size("group")
    return _normalize(call, GroupNorm(groups, affine="weight" in call))


@ATEN.register("layer_norm", "native_layer_norm", "rms_norm", "_fused_rms_norm")
def _layer_norm(call: Call) -> Result:
    rms = "rms" in str(call.node.target)
    axes = len(call.sizes("normalized_shape"))
    bias = "bias" in call
    return _normalize(call, LayerNorm(axes, affine="weight" in call, rms=rms, bias=bias))


def _normalize(call: Call, op: BatchNorm | GroupNorm | LayerNorm) -> Result:
    x, weight, bias = call.operand("input"), call.optional("weight"), call.optional("bias")
    whole = isinstance(op, LayerNorm) or (weight is None) == (bias is None)
    if not whole or (weight is not None and not isinstance(weight, Stored)):
        y: Operand = call.emit.add(op.with_fields(affine=False), x)
        y = _scaled(call, y, weight, bias, trailing=not isinstance(op, LayerNorm))
    else:
        name = call.emit.weight_name(weight, bias) if weight is not None else None
        y = call.emit.add(op, x, weights=name)
    # Native forms also return their statistics, which inference does not use.
    return (y, None, None) if len(call.metas) > 1 else y


def _scaled(
    call: Call, y: Operand, weight: Operand | None, bias: Operand | None, trailing: bool
) -> Operand:
    """Emit scale and shift one by one, where only one is learned or they are computed."""
    ones = [1] * (len(y.shape) - 2) if trailing else []
    for kind, factor in (("mul", weight), ("add", bias)):
        if factor is not None:
            wide = call.emit.reshape(factor, (*factor.shape, *ones))
            y = call.emit.add(Elementwise(kind), y, wide)
    return y


@ATEN.register("max_pool1d", "max_pool2d", "max_pool3d")
@ATEN.register("max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices")
def _max_pool(call: Call) -> Result:
    return _pool(call, "max")


@ATEN.register("avg_pool1d", "avg_pool2d", "avg_pool3d")
def _avg_pool(call: Call) -> Result:
    return _pool(call, "avg")


def _pool(call: Call, kind: str) -> Result:
    x = call.operand("self", "input")
    rank = int(str(call.node.target).split("pool")[1][0])
    kernel = taken(call.sizes("kernel_size", rank))
    op = Pool(
        kind,
        kernel,
        stride=taken(call.sizes("stride", rank)) or kernel,
        padding=taken(call.sizes("padding", rank)),
        dilation=call.sizes("dilation", rank) or 1,
        ceil_mode=bool(call.get("ceil_mode", False)),
        include_pad=bool(call.get("count_include_pad", True)),
    )
    return _windows(call, op, x, rank)


@ATEN.register("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
@ATEN.register("_adaptive_avg_pool2d", "_adaptive_avg_pool3d")
@ATEN.register("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d")
def _adaptive_pool(call: Call) -> Result:
    kind = "max" if "max" in str(call.node.target) else "avg"
    x = call.operand("self")
    rank = len(call.sizes("output_size"))
    return _windows(call, AdaptivePool(kind, taken(call.sizes("output_size"))), x, rank)


def _windows(call: Call, op: Op, x: Operand, rank: int) -> Result:
    single = len(x.shape) == rank + 1
    if single:
        x = call.emit.reshape(x, (1, *x.shape))
    y: Operand = call.emit.add(op, x)
    y = call.emit.reshape(y, y.shape[1:]) if single else y
    if len(call.metas) < 2:
        return y
    # There is one index per maximum.
    return y, call.emit.add(Cast("int64"), y) if call.is_used(1) else None


@ATEN.register("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d")
@ATEN.register("_upsample_nearest_exact1d", "_upsample_nearest_exact2d")
@ATEN.register("_upsample_nearest_exact3d")
@ATEN.register("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d")
@ATEN.register("_upsample_bilinear2d_aa", "upsample_bicubic2d", "_upsample_bicubic2d_aa")
def _resize(call: Call) -> Result:
    name = str(call.node.target)
    kind = "nearest" if "nearest" in name else "bicubic" if "bicubic" in name else "bilinear"
    return call.emit.add(Resize(taken(call.output.shape[2:]), kind), call.operand("input", "self"))


@ATEN.register("embedding")
def _embedding(call: Call) -> Result:
    table = call.operand("weight")
    rows, features = table.shape
    name = call.emit.weight_name(table)
    call.emit.owns_bias(name, None)
    op = Embedding(rows, features, table.tensor.dtype)
    return call.emit.add(op, call.operand("indices"), weights=name)


@ATEN.register("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only")
def _embedding_bag(call: Call) -> Result:
    table, indices = call.operand("weight"), call.operand("indices")
    factors, begins = call.optional("per_sample_weights"), call.optional("offsets")
    rows, features = taken(table.shape)
    op = EmbeddingBag(
        rows,
        features,
        bags=taken(call.output.shape[0]),
        mean=call.get("mode", 0) == 1,
        weighted=factors is not None,
        dtype=table.tensor.dtype,
    )
    name = call.emit.weight_name(table)
    call.emit.owns_bias(name, None)
    inputs = [x for x in (indices, begins, factors) if x is not None]
    y = call.emit.add(op, *inputs, weights=name)
    return (y, *[None] * (len(call.metas) - 1)) if len(call.metas) > 1 else y


@ATEN.register("_weight_norm", "_weight_norm_interface")
def _weight_norm(call: Call) -> Result:
    """Emit the weight that is computed: its direction over its length, times the length learned."""
    direction, length = call.operand("v"), call.operand("g")
    rank, axis = len(direction.shape), call.get("dim", 0)
    axes = tuple(i for i in range(rank) if i != axis % rank)
    norm = call.emit.add(Reduce("norm", axes, keepdims=True), direction)
    factor = call.emit.add(Elementwise("div"), length, norm)
    y = call.emit.add(Elementwise("mul"), direction, factor)
    return (y, norm) if len(call.metas) > 1 else y


@ATEN.register("mse_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy")
def _loss(call: Call) -> Result:
    """Emit a difference and a function of each element, and their mean."""
    x, target = call.operand("self"), call.operand("target")
    y: Operand = call.emit.add(Elementwise("sub"), target, x)
    y = call.emit.add(Elementwise("square"), y)
    axes = tuple(range(len(y.shape)))
    return y if call.output.shape else call.emit.add(Reduce("mean", axes), y)


@ATEN.register("nll_loss", "nll_loss_nd", "nll_loss2d", "nll_loss_forward", "nll_loss2d_forward")
def _likelihood(call: Call) -> Result:
    """Emit the pick of one number for each target, and their mean."""
    x, target = call.operand("self"), call.operand("target")
    picked = call.emit.add(Gather(0), call.emit.reshape(x, (x.tensor.elements,)), target)
    axes = tuple(range(len(picked.shape)))
    y = picked if call.output.shape else call.emit.add(Reduce("mean", axes), picked)
    return (y, None) if len(call.metas) > 1 else y


@ATEN.register("native_channel_shuffle", "channel_shuffle")
def _channel_shuffle(call: Call) -> Result:
    return call.emit.add(ChannelShuffle(taken(call.size("groups"))), call.operand("self", "input"))


@ATEN.register("pixel_shuffle")
def _pixel_shuffle(call: Call) -> Result:
    return call.emit.add(PixelShuffle(call.size("upscale_factor")), call.operand("self"))
