"""The operators: one file a family, one frozen dataclass an operator."""

from costmodel.ops.attention import Attention, AttentionMix, AttentionScores
from costmodel.ops.base import Expansion, Nest, Op, Program, Step
from costmodel.ops.convolution import Conv, ConvTranspose, DeformConv
from costmodel.ops.elementwise import Cast, Elementwise, PReLU
from costmodel.ops.matmul import Linear, MatMul
from costmodel.ops.movement import (
    BroadcastTo,
    ChannelShuffle,
    Concat,
    Contiguous,
    Embedding,
    Gather,
    Identity,
    Pad,
    PixelShuffle,
    Reshape,
    Slice,
    Split,
    Transpose,
)
from costmodel.ops.normalization import BatchNorm, GroupNorm, LayerNorm, LocalResponseNorm
from costmodel.ops.pooling import AdaptivePool, Pool
from costmodel.ops.recurrent import Recurrent, RecurrentSteps
from costmodel.ops.reduction import Reduce, Softmax
from costmodel.ops.resize import GridSample, Resize
from costmodel.ops.terminal import Constant, Input, Output, Parameter

__all__ = [
    "OPERATORS",
    "AdaptivePool",
    "Attention",
    "AttentionMix",
    "AttentionScores",
    "BatchNorm",
    "BroadcastTo",
    "Cast",
    "ChannelShuffle",
    "Concat",
    "Constant",
    "Contiguous",
    "Conv",
    "ConvTranspose",
    "DeformConv",
    "Elementwise",
    "Embedding",
    "Expansion",
    "Gather",
    "GridSample",
    "GroupNorm",
    "Identity",
    "Input",
    "LayerNorm",
    "Linear",
    "LocalResponseNorm",
    "MatMul",
    "Nest",
    "Op",
    "Output",
    "PReLU",
    "Pad",
    "Parameter",
    "PixelShuffle",
    "Pool",
    "Program",
    "Recurrent",
    "RecurrentSteps",
    "Reduce",
    "Reshape",
    "Resize",
    "Slice",
    "Softmax",
    "Split",
    "Step",
    "Transpose",
]

OPERATORS: dict[str, type[Op]] = {
    name: value
    for name, value in globals().items()
    if isinstance(value, type) and issubclass(value, Op) and value is not Op
}
"""Every operator by name: what a graph file may hold."""
