"""from_onnx: files that torch exports count as the modules that they come from."""

from __future__ import annotations

import collections
from collections.abc import Callable
from pathlib import Path

import pytest
from exported import export, randomized

import costmodel as cm
from costmodel.importers import from_onnx, from_torch
from costmodel.ops import Conv

pytest.importorskip("onnx")
torch = pytest.importorskip("torch")
nn = torch.nn


def kinds(graph: object) -> collections.Counter:
    return collections.Counter(type(op).__name__ for _, op in graph.nodes(data="op"))


@pytest.mark.parametrize("dynamo", [False, True], ids=["legacy", "dynamo"])
def test_shuffle_net_three_ways(dynamo: bool, tmp_path: Path) -> None:
    from torch_shufflenet_v2 import ShuffleNetV2

    net = randomized(ShuffleNetV2(0.5))
    example = torch.zeros(1, 3, 224, 224)
    graph = from_onnx(export(net, example, tmp_path / "net.onnx", dynamo=dynamo))
    zoo = cm.zoo.shufflenet_v2(width=0.5)
    traced = from_torch(net, example)
    assert cm.multiply_adds(graph) == cm.multiply_adds(traced) == cm.multiply_adds(zoo)
    for kind in ("Conv", "ChannelShuffle", "Concat", "Linear", "Pool", "AdaptivePool"):
        assert kinds(graph)[kind] == kinds(traced)[kind] == kinds(zoo)[kind]
    # The exporters fold batch norms: a bias a channel is left of scale and shift.
    channels = sum(op.out_channels for _, op in zoo.nodes(data="op") if isinstance(op, Conv))
    assert cm.params(graph) == cm.params(zoo) - channels
    modules = {m.module for m in cm.by_module(graph)}
    assert {"conv1", "stage2", "stage3", "stage4", "conv5", "fc"} <= modules


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 32)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, activation="gelu")

    def forward(self, tokens: object) -> object:
        return self.layer(self.embed(tokens))


class Hourglass(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), nn.InstanceNorm2d(8, affine=True), nn.SiLU()
        )
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)

    def forward(self, x: object) -> object:
        y = self.down(x)
        y = nn.functional.interpolate(self.up(y), scale_factor=2) + 1
        return torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1).softmax(-1)


@pytest.mark.parametrize("dynamo", [False, True], ids=["legacy", "dynamo"])
@pytest.mark.parametrize(
    ("make", "example"),
    [
        (Attention, torch.zeros(2, 9, dtype=torch.int64)),
        (Hourglass, torch.zeros(1, 3, 16, 16)),
        (lambda: nn.GRU(8, 16, bidirectional=True), torch.zeros(5, 2, 8)),
    ],
    ids=["transformer", "hourglass", "gru"],
)
def test_counts_equal_those_of_the_module(
    make: Callable[[], object], example: object, dynamo: bool, tmp_path: Path
) -> None:
    net = randomized(make())
    graph = from_onnx(export(net, example, tmp_path / "net.onnx", dynamo=dynamo))
    cm.validate(graph)
    traced = from_torch(net, example)
    assert cm.multiply_adds(graph) == cm.multiply_adds(traced)
    assert cm.params(graph) == cm.params(traced)
