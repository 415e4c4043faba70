"""Transformers: ViT, an encoder as in BERT, a decoder as in GPT-2."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, exact_div
from costmodel.errors import DataError
from costmodel.graph.builder import Builder, Value
from costmodel.ops import (
    Attention,
    BroadcastTo,
    Concat,
    Contiguous,
    Conv,
    Embedding,
    LayerNorm,
    Linear,
    Parameter,
    Reshape,
    Slice,
    Split,
    Transpose,
)
from costmodel.zoo.layers import Size, activation, add, image

VITS: dict[str, tuple[int, int, int]] = {
    "tiny": (192, 12, 3),
    "small": (384, 12, 6),
    "base": (768, 12, 12),
    "large": (1024, 24, 16),
}
"""Features, layers and heads of ViT by name."""


def vit(
    variant: str = "tiny",
    patch: int = 16,
    size: Size = 224,
    batch: Dim = 1,
    classes: Dim = 1000,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return the vision transformer of :cite:t:`dosovitskiy2021image`.

    Parameters
    ----------
    variant : {"tiny", "small", "base", "large"}
        Which network.
    patch : int
        Side of a patch. [pixel]
    size : Size
        Input height and width. [pixel]
    batch, classes : Dim
        Images, classes. [1]
    dtype : str
        Element type.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.params(vit("tiny")), cm.params(vit("base"))
    (5717416, 86567656)
    """
    if variant not in VITS:
        raise DataError(f"variant must be one of {', '.join(VITS)}, got {variant!r}")
    features, layers, heads = VITS[variant]
    b = Builder(f"vit_{variant}")
    x = image(b, size, batch, dtype)
    with b.module("embed"):
        x = _patches(b, x, features, patch, dtype)
    for i in range(layers):
        with b.module(f"layer{i}"):
            x = _pre_norm_layer(b, x, heads, "gelu", causal=False)
    with b.module("classifier"):
        first = b.add(Slice(1, 0, 1), b.add(LayerNorm(), x))
        first = b.add(Reshape((batch, features)), first)
        logits = b.add(Linear(classes), first)
    return b.finish(logits)


def bert(
    layers: int = 12,
    hidden: Dim = 768,
    heads: Dim = 12,
    length: Dim = 128,
    batch: Dim = 1,
    vocabulary: Dim = 30522,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return the encoder of BERT :cite:p:`devlin2019bert`, without pooler and task head.

    Parameters
    ----------
    layers : int
        Layers.
    hidden, heads : Dim
        Features of a token, attention heads. [1]
    length, batch : Dim
        Tokens of a sequence, sequences. [1]
    vocabulary : Dim
        Rows of the token table. [1]
    dtype : str
        Element type.

    Notes
    -----
    Token types are looked up in a table of two rows, positions in one of ``length`` rows.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.params(bert(length=512))
    108891648
    """
    b = Builder("bert")
    tokens, types = (b.input((batch, length), "int64", name) for name in ("tokens", "types"))
    with b.module("embed"):
        x = b.add(Embedding(vocabulary, hidden, dtype), tokens)
        kinds = b.add(Embedding(2, hidden, dtype), types)
        position = b.add(Parameter((length, hidden), dtype))
        x = b.add(LayerNorm(), add(b, add(b, x, kinds), position))
    for i in range(layers):
        with b.module(f"layer{i}"):
            x = b.add(LayerNorm(), add(b, x, _attention(b, x, heads, fused=False)))
            x = b.add(LayerNorm(), add(b, x, _mlp(b, x, "gelu")))
    return b.finish(x)


def gpt2(
    layers: int = 12,
    hidden: Dim = 768,
    heads: Dim = 12,
    length: Dim = 1024,
    batch: Dim = 1,
    vocabulary: Dim = 50257,
    dtype: str = "float32",
) -> nx.DiGraph:
    """Return GPT-2 :cite:p:`radford2019language` on a whole sequence, with all logits.

    Parameters
    ----------
    layers, hidden, heads, length, batch, vocabulary, dtype
        As in :func:`bert`.

    Notes
    -----
    The last product uses the token table as its matrix: its parameters count once, its traffic
    twice.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.params(gpt2())
    124439808
    """
    b = Builder("gpt2")
    tokens = b.input((batch, length), "int64", "tokens")
    with b.module("embed"):
        table = b.add(Embedding(vocabulary, hidden, dtype), tokens)
        x = add(b, table, b.add(Parameter((length, hidden), dtype)))
    for i in range(layers):
        with b.module(f"layer{i}"):
            x = _pre_norm_layer(b, x, heads, "gelu_tanh", causal=True)
    with b.module("head"):
        x = b.add(Linear(vocabulary, bias=False), b.add(LayerNorm(), x), weights=table.node)
    return b.finish(x)


def _patches(b: Builder, x: Value, features: int, patch: int, dtype: str) -> Value:
    """Add patch embedding, class token and positions: ``[batch, patches + 1, features]``."""
    y = b.add(Conv(features, (patch, patch), patch, bias=True), x)
    batch, _, rows, columns = y.shape
    y = b.add(Reshape(taken((batch, features, rows * columns))), y)
    y = b.add(Transpose((0, 2, 1)), y)
    token = b.add(Parameter((1, 1, features), dtype), name="class_token")
    token = b.add(BroadcastTo((batch, 1, features)), token)
    y = b.add(Concat(1), token, y)
    positions = b.add(Parameter(taken((1, *y.shape[1:])), dtype), name="positions")
    return add(b, y, positions)


def _pre_norm_layer(b: Builder, x: Value, heads: Dim, act: str, causal: bool) -> Value:
    y = _attention(b, b.add(LayerNorm(), x), heads, fused=True, causal=causal)
    x = add(b, x, y)
    return add(b, x, _mlp(b, b.add(LayerNorm(), x), act))


def _attention(b: Builder, x: Value, heads: Dim, fused: bool, causal: bool = False) -> Value:
    """Add self-attention; ``fused`` computes queries, keys and values in one linear layer."""
    batch, length, features = x.shape
    with b.module("attention"):
        if fused:
            parts = b.add_many(Split(-1, 3), b.add(Linear(3 * features), x))
        else:
            parts = tuple(b.add(Linear(features), x) for _ in range(3))
        split = (batch, length, heads, taken(exact_div(features, heads, "features")))
        by_head = [b.add(Transpose((0, 2, 1, 3)), b.add(Reshape(split), p)) for p in parts]
        y = b.add(Attention(causal), *by_head)
        y = b.add(Contiguous(), b.add(Transpose((0, 2, 1, 3)), y))
        return b.add(Linear(features), b.add(Reshape(x.shape), y))


def _mlp(b: Builder, x: Value, act: str) -> Value:
    features = x.shape[-1]
    with b.module("mlp"):
        y = activation(b, b.add(Linear(4 * features), x), act)
        return b.add(Linear(features), y)
