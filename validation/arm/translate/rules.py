"""One rule per operator: its kernel and the parameters of the kernel."""

from __future__ import annotations

from collections.abc import Callable

from costmodel.graph import Node, sources_of
from costmodel.ops import (
    AdaptivePool,
    Attention,
    AttentionMix,
    AttentionScores,
    BatchNorm,
    BroadcastTo,
    ChannelShuffle,
    Concat,
    Contiguous,
    Conv,
    ConvTranspose,
    Elementwise,
    Embedding,
    Gather,
    GroupNorm,
    Identity,
    Input,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MatMul,
    Merge,
    Op,
    Output,
    Pad,
    PixelShuffle,
    Pool,
    PReLU,
    Reduce,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Split,
    Transpose,
)

from . import products, reductions, shaping, windows
from .state import FLOATS, RefusedError, State, four_axes


def _input(state: State, node: Node) -> None:
    if node.outputs[0].dtype not in FLOATS:
        return  # an index: whoever reads it makes it, or refuses
    shape = four_axes(node.outputs[0])
    state.tensors[node.name, 0] = state.builder.tensor(shape, seed=state.seed(node.name))


def _output(state: State, node: Node) -> None:
    """Nothing to do: the tensor is there."""


def _same_elements(state: State, node: Node) -> None:
    state.view(node, 0)


def _merge(state: State, node: Node) -> None:
    """Make a tensor that was written in place what was written, where that is all of it."""
    whole, part = node.inputs
    if whole.elements != part.elements:
        raise RefusedError("a part of a tensor is written in place")
    written = state.inputs(node)[1]
    state.tensors[node.name, 0] = state.seen(written, four_axes(node.outputs[0]))


def _contiguous(state: State, node: Node) -> None:
    """Copy; what a transpose or a slice has just written is one piece already."""
    ((source, _),) = sources_of(state.graph, node.name)
    moved = isinstance(state.graph.nodes[source]["op"], Transpose | Slice | BroadcastTo)
    if moved and source in state.written:
        state.view(node, 0)
    else:
        state.write(node, "copy", state.inputs(node), {})


RULES: dict[type[Op], Callable[[State, Node], None]] = {
    Input: _input,
    Output: _output,
    Identity: _same_elements,
    Reshape: _same_elements,
    Merge: _merge,
    Conv: windows.conv,
    ConvTranspose: windows.conv_transpose,
    Linear: products.linear,
    MatMul: products.matmul,
    Attention: products.attention,
    AttentionScores: products.attention_scores,
    AttentionMix: products.attention_mix,
    BatchNorm: reductions.batch_norm,
    LayerNorm: reductions.layer_norm,
    GroupNorm: reductions.group_norm,
    Pool: windows.pool,
    AdaptivePool: windows.adaptive_pool,
    Reduce: reductions.reduce,
    Resize: windows.resize,
    Elementwise: products.elementwise,
    PReLU: reductions.prelu,
    Softmax: reductions.softmax,
    ChannelShuffle: shaping.shuffle,
    Concat: shaping.concat,
    Split: shaping.split,
    Slice: shaping.slice_,
    Gather: shaping.gather,
    Embedding: shaping.embedding,
    Transpose: shaping.transpose,
    BroadcastTo: shaping.broadcast,
    Contiguous: _contiguous,
    Pad: shaping.pad,
    PixelShuffle: shaping.pixel_shuffle,
    LocalResponseNorm: reductions.local_response_norm,
}
