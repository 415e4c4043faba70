"""``padding="same"`` in the functions of the zoo and in specs: outputs of ceil(size / stride)."""

from __future__ import annotations

import math

import numpy as np
import pytest

import costmodel as cm
from costmodel.ops import Conv, Pool

FUNCTIONS = {"conv2d": "conv", "depthwise": "conv", "pool": "pool"}


def output(graph) -> tuple:
    (node,) = [n for n, op in graph.nodes(data="op") if isinstance(op, Conv | Pool)]
    return graph.nodes[node]["outputs"][0].shape[2:]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("size", [7, 8, 9])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_outputs_of_same_padding(name: str, size: int, k: int, stride: int) -> None:
    graph = getattr(cm.zoo, name)(size=size, k=k, stride=stride, padding="same")
    assert output(graph) == (math.ceil(size / stride),) * 2
    written = cm.network(f"{name}?size={size}&k={k}&stride={stride}&padding=same")
    assert cm.mac(written) == cm.mac(graph)


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("k", [2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2])
def test_it_is_the_count_of_the_asymmetric_zeros(size: int, k: int, stride: int) -> None:
    zeros = max((math.ceil(size / stride) - 1) * stride + k - size, 0)
    ends = ((zeros // 2, zeros - zeros // 2),) * 2
    x = cm.Tensor((1, 3, size, size))
    for wanted in (cm.multiply_adds, cm.mac, cm.work):
        explicit = wanted(Conv(8, (k, k), stride, ends), x)
        assert wanted(Conv(8, (k, k), stride, "same"), x) == explicit
        assert wanted(cm.zoo.conv2d(1, 3, size, 8, k, stride, "same")) == explicit


def test_sizes_may_be_symbols_and_arrays() -> None:
    h = cm.dim("h")
    graph = cm.zoo.conv2d(size=h, k=4, stride=2, padding="same")
    assert str(output(graph)[0]) == "ceiling(h/2)"
    sizes = np.array([7, 8, 9])
    assert output(cm.zoo.conv2d(size=sizes, stride=2, padding="same"))[0].tolist() == [4, 4, 5]
    assert [output(cm.at(graph, h=int(s)))[0] for s in sizes] == [4, 4, 5]


@pytest.mark.parametrize("platform", ["gtx-1080-ti/paper", "raspberry-pi-4/ncnn"])
def test_it_has_a_latency(platform: str) -> None:
    same = cm.latency(cm.zoo.conv2d(padding="same"), platform)
    assert same.seconds == pytest.approx(cm.latency(cm.zoo.conv2d(), platform).seconds, rel=0.05)


def test_torch_makes_the_same_shape() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Conv2d(64, 64, 4, padding="same", bias=False)
    graph = cm.from_torch(module, torch.zeros(1, 64, 9, 9))
    ours = cm.zoo.conv2d(size=9, k=4, padding="same")
    assert cm.multiply_adds(graph) == cm.multiply_adds(ours)


@pytest.mark.parametrize("wrong", ["valid", "SAME", "half"])
def test_other_words_are_refused(wrong: str) -> None:
    with pytest.raises(cm.CostModelError, match="'padding' must be .*or 'same'"):
        cm.network(f"conv2d?padding={wrong}")
    with pytest.raises(cm.CostModelError, match="padding must be"):
        cm.zoo.conv2d(padding=wrong)
