"""EfficientNet-Lite 0 to 4, as in the measured TFLite files."""

from __future__ import annotations

import math

import networkx as nx

from costmodel.graph.builder import Builder
from costmodel.zoo.efficientnet import STAGES
from costmodel.zoo.layers import classify, conv_bn, rounded
from costmodel.zoo.mobilenets import inverted_residual

# Width, depth and input size of each version (TensorFlow TPU repository, efficientnet/lite).
_VERSIONS = ((1.0, 1.0, 224), (1.0, 1.1, 240), (1.1, 1.2, 260), (1.2, 1.4, 280), (1.4, 1.8, 300))
_HEAD = 1280


def efficientnet_lite(version: int, dtype: str = "float32") -> nx.DiGraph:
    """Return EfficientNet-Lite ``version``: B0 scaled, with ReLU6, without squeeze-and-excitation.

    Stem and head keep their width, the first and the last stage their depth.

    Examples
    --------
    >>> import costmodel as cm
    >>> [round(cm.params(efficientnet_lite(v)) / 1e6, 1) for v in range(5)]
    [4.7, 5.4, 6.1, 8.2, 13.0]
    """
    width, depth, size = _VERSIONS[version]
    b = Builder(f"efficientnet_lite{version}")
    x = b.input((1, 3, size, size), dtype)
    x = conv_bn(b, x, 32, 3, 2, act="relu6")
    for number, (expansion, k, channels, repeats, stride) in enumerate(STAGES):
        deepens = 0 < number < len(STAGES) - 1
        for i in range(math.ceil(repeats * depth) if deepens else repeats):
            with b.module(f"stage{number}"), b.module(str(i)):
                out = rounded(channels, width)
                x = inverted_residual(b, x, out, expansion, k, stride if i == 0 else 1, "relu6")
    return classify(b, conv_bn(b, x, _HEAD, act="relu6"), 1000)
