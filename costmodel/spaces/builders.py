"""Networks of design spaces that are not in the zoo."""

from __future__ import annotations

from typing import Any

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.graph.builder import Builder, Value
from costmodel.ops import Linear
from costmodel.zoo.layers import (
    activation,
    add,
    classify,
    conv_bn,
    depthwise_bn,
    image,
    max_pool,
    pooled,
    squeeze_excite,
)

FBNET_STAGES = (
    (16, 1, 1), (24, 2, 4), (32, 2, 4), (64, 2, 4), (112, 1, 4), (184, 2, 4), (352, 1, 1),
)  # fmt: skip
"""Output channels, stride and blocks of each stage of FBNet."""
FBNET_BLOCKS = (
    "k3_e1",
    "k3_e1_g2",
    "k3_e3",
    "k3_e6",
    "k5_e1",
    "k5_e1_g2",
    "k5_e3",
    "k5_e6",
    "skip",
)
"""Kernel, expansion and groups of the blocks of FBNet."""
_OFA = ((24, 2, False, "relu"), (40, 2, True, "relu"), (80, 2, False, "hard_swish"),
        (112, 1, True, "hard_swish"), (160, 2, True, "hard_swish"))  # fmt: skip


def fbnet(**blocks: str) -> nx.DiGraph:
    """Return a network of the space of FBNet (Wu et al., CVPR 2019, Tables 1 and 2).

    Parameters
    ----------
    **blocks : str
        ``first0`` to ``first6``, the first block of each stage, and ``rest1`` to ``rest5``, the
        other blocks of stages that have more; these are equal here (in the paper they may all
        differ). Each is one of :data:`FBNET_BLOCKS`. A block that changes the shape of its input
        cannot be skipped: in that case ``"skip"`` is a pointwise convolution with the stride, as in
        the authors' code.
    """
    b = Builder("fbnet")
    x = image(b, 224, 1, "float32")
    with b.module("conv1"):
        x = conv_bn(b, x, 16, 3, 2)
    for stage, (out, stride, repeats) in enumerate(FBNET_STAGES):
        for i in range(repeats):
            with b.module(f"stage{stage}"), b.module(str(i)):
                block = blocks[f"rest{stage}" if i else f"first{stage}"]
                x = _fbnet_block(b, x, out, 1 if i else stride, block)
    with b.module("conv_last"):
        x = conv_bn(b, x, 1504)
    return classify(b, x, 1000)


def _fbnet_block(b: Builder, x: Value, out: int, stride: int, block: str) -> Value:
    same = stride == 1 and x.shape[1] == out
    if block == "skip":
        return x if same else conv_bn(b, x, out, 1, stride)
    kernel, expansion, *grouped = block.split("_")
    groups = 2 if grouped else 1
    y = conv_bn(b, x, x.shape[1] * int(expansion[1:]), groups=groups)
    y = depthwise_bn(b, y, int(kernel[1:]), stride, "relu")
    y = conv_bn(b, y, out, act=None, groups=groups)
    return add(b, x, y) if same else y


def ofa_mobilenet_v3(size: Dim = 224, **stages: int) -> nx.DiGraph:
    """Return a network of the space of Once-for-all's MobileNet v3 (Cai et al., ICLR 2020).

    Parameters
    ----------
    size : Dim
        Input height and width. [pixel]
    **stages : int
        ``depth0`` to ``depth4``, ``kernel0`` ... and ``expansion0`` ...: blocks of each stage,
        windows of its depthwise convolutions and expansion, the same within a stage.
    """
    b = Builder("ofa_mobilenet_v3")
    x = image(b, size, 1, "float32")
    with b.module("conv1"):
        x = conv_bn(b, x, 16, 3, 2, act="hard_swish")
        x = add(b, x, conv_bn(b, depthwise_bn(b, x, 3, 1, "relu"), 16, act=None))
    for i, (out, stride, se, act) in enumerate(_OFA):
        for j in range(stages[f"depth{i}"]):
            with b.module(f"stage{i}"), b.module(str(j)):
                step = stride if j == 0 else 1
                x = _ofa_block(
                    b, x, out, stages[f"kernel{i}"], stages[f"expansion{i}"], step, se, act
                )
    with b.module("classifier"):
        y = pooled(b, conv_bn(b, x, 960, act="hard_swish"))
        y = b.add(Linear(1000), activation(b, b.add(Linear(1280), y), "hard_swish"))
    return b.finish(y)


def _ofa_block(
    b: Builder, x: Value, out: int, k: int, expansion: int, stride: int, se: bool, act: str
) -> Value:
    inner = x.shape[1] * expansion
    y = depthwise_bn(b, conv_bn(b, x, inner, act=act), k, stride, act)
    if se:
        y = squeeze_excite(b, y, -(-inner // 32) * 8, gate="hard_sigmoid")
    y = conv_bn(b, y, out, act=None)
    return add(b, x, y) if stride == 1 and x.shape[1] == out else y


def resnet_widths(**stages: Any) -> nx.DiGraph:
    """Return a ResNet of basic blocks.

    Parameters
    ----------
    **stages : Dim
        ``depth1`` to ``depth4``, blocks of each stage, and ``width1`` to ``width4``, their
        channels; widths may be arrays.
    """
    b = Builder("resnet")
    x = image(b, 224, 1, "float32")
    with b.module("conv1"):
        x = max_pool(b, conv_bn(b, x, stages["width1"], 7, 2))
    for i in range(1, 5):
        for j in range(stages[f"depth{i}"]):
            with b.module(f"layer{i}"), b.module(str(j)):
                x = _basic(
                    b, x, stages[f"width{i}"], 2 if i > 1 and j == 0 else 1, j == 0 and i > 1
                )
    return classify(b, x, 1000)


def _basic(b: Builder, x: Value, out: Dim, stride: int, projected: bool) -> Value:
    y = conv_bn(b, conv_bn(b, x, out, 3, stride), out, 3, act=None)
    shortcut = conv_bn(b, x, out, 1, stride, act=None) if projected else x
    return activation(b, add(b, y, shortcut))
