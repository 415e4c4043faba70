"""Claims of the ShuffleNet V2 paper that multiply-adds do not tell, on its two platforms."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
import sympy

import costmodel as cm
from costmodel import zoo
from costmodel.graph import Builder
from costmodel.ops import Conv
from costmodel_validation.scores.bench import Guess
from costmodel_validation.scores.paper_scores import (
    contradicted,
    cost_of_contradictions,
    paper_bench,
)
from costmodel_validation.scores.paper_tables import cells
from costmodel_validation.scores.splits import Split

FRAGMENTS = ("4-fragment-series", "4-fragment-parallel")
GPU, ARM = "gtx-1080-ti/paper", "snapdragon-810/paper"
LEVEL = {  # of 140 M multiply-adds, with what Table 8 prints: GPU batches and ARM images a second
    "shufflenet_v2?width=1.0": (341, 24.4),
    "shufflenet_v1?width=1.0&groups=3": (213, 21.8),
    "mobilenet_v1?width=0.5": (382, 16.5),
}
COLUMNS = {GPU: ((128, 128), (90, 180), (52, 312), (36, 432))}
COLUMNS[ARM] = ((32, 32), (22, 44), (13, 78), (9, 108))


def stack(channels: list[int], windows: list[int], size: int, batch: int) -> nx.DiGraph:
    b = Builder("stack")
    x = b.input((batch, channels[0], size, size))
    for c, k in zip(channels[1:], windows, strict=True):
        x = b.add(Conv(c, (k, k), 1, k // 2, bias=False), x)
    return b.finish(x)


def against_dense(c: int, size: int, batch: int, runtime: str) -> float:
    """Time of a decomposed convolution relative to the dense one."""
    pair = (
        stack([c, c * 27 // 64, c * 27 // 64, c], [1, 3, 1], size, batch),
        stack([c, c], [3], size, batch),
    )
    assert 1 - cm.flops(pair[0]) / cm.flops(pair[1]) == pytest.approx(0.72, abs=0.015)
    small, dense = (cm.latency(net, f"gtx-1080-ti/{runtime}").seconds for net in pair)
    return float(small / dense)


@pytest.mark.parametrize(("platform", "batch", "printed"), [(GPU, 8, 0), (ARM, 1, 1)])
def test_figure_1_equal_multiply_adds_different_speed(
    platform: str, batch: int, printed: int
) -> None:
    nets = {spec: cm.network(f"{spec}&batch={batch}") for spec in LEVEL}
    counts = [cm.flops(net) for net in nets.values()]
    assert max(counts) < 1.1 * min(counts)
    speed = {s: 1 / cm.latency(net, f"{platform}?transfers=yes").seconds for s, net in nets.items()}
    assert max(speed.values()) > 1.15 * min(speed.values())
    v2, v1 = "shufflenet_v2?width=1.0", "shufflenet_v1?width=1.0&groups=3"
    assert speed[v2] > speed[v1]
    assert LEVEL[v2][printed] > LEVEL[v1][printed]


def test_a_decomposition_that_saves_72_percent_and_no_time() -> None:
    assert against_dense(64, 56, 1, "paper") > 0.9
    assert against_dense(64, 56, 1, "torch-eager") > 2
    assert against_dense(512, 28, 8, "paper") < 0.7
    assert against_dense(512, 28, 8, "torch-eager") < 0.7


@pytest.mark.parametrize("platform", [GPU, ARM])
def test_a_3x3_convolution_is_not_nine_1x1_ones(platform: str) -> None:
    wide, narrow = (stack([128, 128], [k], 28, 1) for k in (3, 1))
    assert cm.flops(wide) == 9 * cm.flops(narrow)
    ratio = cm.latency(wide, platform).seconds / cm.latency(narrow, platform).seconds
    assert abs(ratio / 9 - 1) > 0.5


@pytest.mark.parametrize("platform", [GPU, ARM])
def test_macs_order_is_times_order_in_table_1(platform: str) -> None:
    nets = [cm.network(f"g1_stack?c1={c1}&c2={c2}") for c1, c2 in COLUMNS[platform]]
    for cost in (cm.mac, lambda net: cm.latency(net, platform).seconds):
        costs = [float(cost(net)) for net in nets]
        # 1:1 and 1:2 come out 0.4 % the wrong way round on ARM, where the paper has 4.5 %.
        assert all(after > 0.99 * before for before, after in itertools.pairwise(costs))
        assert costs[1:] == sorted(costs[1:])
        assert costs[-1] > 1.2 * costs[0]


def test_two_thirds_of_the_traffic_of_a_bottleneck_are_element_wise() -> None:
    m, h = sympy.symbols("m h", positive=True, integer=True)
    unit, bare = (
        cm.mac(zoo.g4_stack(c=4 * m, inner=m, size=h, blocks=1, relu=kept, shortcut=kept))
        for kept in (True, False)
    )
    share = sympy.simplify(1 - bare / unit - 24 * h**2 / (36 * h**2 + 17 * m))
    assert share == 0


def test_contradicted_cells_time_one_kernel_apart_from_table_2() -> None:
    found = {c.network: c.seconds for c in cells("gpu")}
    out = [c for c, o in zip(cells("gpu"), contradicted(tuple(cells("gpu"))), strict=True) if o]
    assert [c.network for c in out] == [f"g3_stack?structure={n}&c=128" for n in FRAGMENTS]
    # Ten layers of four groups, and ten units of four fragments: 40 kernels from 64 to 64 channels.
    again = found["g2_stack?c=256&groups=4"]
    assert again == pytest.approx(40 * 24e-6, rel=0.02)
    assert [c.seconds for c in out] == pytest.approx([40 * 33e-6, 40 * 36e-6], rel=0.02)


@pytest.mark.slow
def test_contradicted_cells_cost_the_other_tables_little() -> None:
    stacks = paper_bench("gpu")
    rows = np.arange(len(stacks.cells))
    nothing = Guess(stacks.bench.seconds)
    facts = cost_of_contradictions("gpu", stacks, Split(np.array([], dtype=int), rows), nothing)
    assert facts["gpu contradicted cells"] == 0
    assert 0.03 < facts["gpu tables 1-4 without them"] < 0.09
    assert cost_of_contradictions("arm", paper_bench("arm"), Split(rows[:0], rows), nothing) == {}
