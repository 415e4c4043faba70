"""The operators: one file per family, one frozen dataclass per operator."""

from costmodel.ops.attention import Attention, AttentionMix, AttentionScores
from costmodel.ops.base import Expansion, Nest, Op, Program, Step
from costmodel.ops.convolution import Conv, ConvTranspose, DeformConv
from costmodel.ops.elementwise import Cast, Elementwise, PReLU
from costmodel.ops.fourier import FourierTransform
from costmodel.ops.grouped import GroupedLinear
from costmodel.ops.lookup import Embedding, Gather
from costmodel.ops.matmul import Linear, MatMul
from costmodel.ops.movement import ChannelShuffle, Concat, Pad, PixelShuffle, Slice, Split
from costmodel.ops.normalization import BatchNorm, GroupNorm, LayerNorm, LocalResponseNorm
from costmodel.ops.pooling import AdaptivePool, Pool
from costmodel.ops.recurrent import Recurrent, RecurrentSteps
from costmodel.ops.reduction import Reduce, Softmax
from costmodel.ops.region import RoiAlign
from costmodel.ops.resize import GridSample, Resize
from costmodel.ops.selection import (
    EmbeddingBag,
    NonMaxSuppression,
    NonZero,
    SearchSorted,
    Sort,
)
from costmodel.ops.storage import Bitcast, Scatter, StridedView
from costmodel.ops.terminal import Constant, Input, Output, Parameter
from costmodel.ops.views import BroadcastTo, Contiguous, Identity, Merge, Reshape, Transpose

__all__ = [
    "OPERATORS",
    "AdaptivePool",
    "Attention",
    "AttentionMix",
    "AttentionScores",
    "BatchNorm",
    "Bitcast",
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
    "EmbeddingBag",
    "Expansion",
    "FourierTransform",
    "Gather",
    "GridSample",
    "GroupNorm",
    "GroupedLinear",
    "Identity",
    "Input",
    "LayerNorm",
    "Linear",
    "LocalResponseNorm",
    "MatMul",
    "Merge",
    "Nest",
    "NonMaxSuppression",
    "NonZero",
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
    "RoiAlign",
    "Scatter",
    "SearchSorted",
    "Slice",
    "Softmax",
    "Sort",
    "Split",
    "Step",
    "StridedView",
    "Transpose",
]

OPERATORS: dict[str, type[Op]] = {
    name: value
    for name, value in globals().items()
    if isinstance(value, type) and issubclass(value, Op) and value is not Op
}
"""All operators allowed in a graph file, by name."""
