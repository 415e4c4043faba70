"""Advice G1-G4: that it names what breaks a guideline, and only that, with savings that hold."""

from __future__ import annotations

import pytest

import costmodel as cm
from costmodel.errors import DataError
from costmodel.guidelines import advise, elementwise
from costmodel.guidelines.case import Case
from costmodel.ops import Conv
from costmodel.platforms import load_platform
from costmodel.prediction import Prediction
from costmodel.prediction.latency import latency

GPU = "gtx-1080-ti/paper"
EAGER = "gtx-1080-ti/torch-eager"
ARM = "snapdragon-810/paper"


def found(graph, platform, guideline):
    return [f for f in advise(graph, platform).findings if f.guideline == guideline]


def test_equal_channels_are_no_finding():
    assert found(cm.zoo.g1_stack(128, 128), GPU, "G1") == []


@pytest.mark.parametrize("platform", [GPU, ARM])
def test_unequal_channels_cost_more_the_further_they_are_apart(platform):
    # Table 1 of the paper: 1:1, 1:2, 1:6, 1:12 at the same multiply-adds.
    ratios = {1: (128, 128), 2: (90, 180), 6: (52, 312), 12: (36, 432)}
    excess = {
        r: sum(f.mac_saving for f in found(cm.zoo.g1_stack(*c), platform, "G1"))
        for r, c in ratios.items()
    }
    assert excess[1] == 0 < excess[2] < excess[6] < excess[12]


def test_mac_saving_of_g1_is_the_gap_to_equation_1():
    graph = cm.zoo.pointwise(56, 56, 32, 288)
    (finding,) = found(graph, GPU, "G1")
    # hw (sqrt(c1) - sqrt(c2))**2
    assert finding.mac_saving == pytest.approx(56 * 56 * (288**0.5 - 32**0.5) ** 2)
    assert finding.layers == ("conv",)
    assert "1:9" in finding.message
    assert "96 to 96 channels" in finding.message


def test_balanced_channels_with_a_stride_are_equal_tensors():
    b = cm.Builder("strided")
    x = b.input((1, 64, 56, 56))
    graph = b.finish(b.add(cm.ops.Conv(256, (1, 1), stride=2), x))
    assert found(graph, GPU, "G1") == []  # c2 = stride**2 c1 is the least


def test_a_stride_is_balanced_by_equal_tensors():
    b = cm.Builder("strided")
    x = b.input((1, 64, 56, 56))
    (finding,) = found(b.finish(b.add(cm.ops.Conv(64, (1, 1), stride=2), x)), GPU, "G1")
    assert "which 32 to 128 channels would reach" in finding.message


def test_groups_are_found_with_the_layers_and_depthwise_is_not_among_them():
    findings = found(cm.zoo.shufflenet_v1(), GPU, "G2")
    assert findings
    assert all("3 groups" in f.title for f in findings)
    graph = cm.zoo.shufflenet_v1()
    for name in (layer for f in findings for layer in f.layers):
        assert cm.ops.Conv is type(graph.nodes[name]["op"])
        assert graph.nodes[name]["op"].groups == 3
    assert found(cm.zoo.mobilenet_v1(), GPU, "G2") == []


def test_more_groups_cost_more_mac():
    macs = []
    for c, groups in ((180, 2), (256, 4), (360, 8)):
        (finding,) = found(cm.zoo.g2_stack(c, groups), GPU, "G2")
        macs.append(finding.mac_saving)
        assert len(finding.layers) == 10
    assert macs == sorted(macs)


def test_one_group_of_the_same_multiply_adds_is_what_groups_are_compared_with():
    grouped, plain = cm.zoo.g2_stack(256, 4), cm.zoo.g2_stack(128, 1)
    assert cm.flops(grouped) == cm.flops(plain)
    (finding,) = found(grouped, GPU, "G2")
    assert "(128 to 128 channels)" in finding.message
    assert finding.mac_saving == cm.mac(grouped) - cm.mac(plain)


def test_saving_of_fragmentation_is_all_launches_but_one_of_a_block():
    graph = cm.zoo.g3_stack("4-fragment-series", 128)
    (finding,) = found(graph, GPU, "G3")
    launches = [k.terms.launch for k in latency(graph, GPU).kernels]
    assert len(set(launches)) == 1
    assert finding.saving == pytest.approx(sum(launches) * 3 / 4)


def test_fragmentation_is_found_and_grows_with_the_fragments():
    savings = {}
    for structure in ("2-fragment-series", "4-fragment-series"):
        (finding,) = found(cm.zoo.g3_stack(structure, 128), GPU, "G3")
        savings[structure] = finding.saving
        assert finding.layers[0].startswith("block")
    assert savings["4-fragment-series"] > savings["2-fragment-series"] > 0
    assert found(cm.zoo.g3_stack("1-fragment", 128), GPU, "G3") == []


def test_kernels_in_series_tells_parallel_from_series():
    (series,) = found(cm.zoo.g3_stack("4-fragment-series", 128), EAGER, "G3")
    (parallel,) = found(cm.zoo.g3_stack("4-fragment-parallel", 128), EAGER, "G3")
    assert series.title == "40 kernels, 40 in series"
    # A block is four convolutions and the three additions that join them.
    assert parallel.title == "70 kernels, 40 in series"


def test_elementwise_operators_are_found_one_by_one():
    titles = {f.title for f in found(cm.zoo.g4_stack(128), EAGER, "G4")}
    assert titles == {"relu x 30", "add x 10"}
    assert found(cm.zoo.g4_stack(128, relu=False, shortcut=False), EAGER, "G4") == []


def test_saving_of_elementwise_kernels_is_that_of_the_network_without_them():
    full, bare = cm.zoo.g4_stack(128), cm.zoo.g4_stack(128, relu=False, shortcut=False)
    saved = latency(full, EAGER).seconds - latency(bare, EAGER).seconds
    claimed = sum(f.saving for f in found(full, EAGER, "G4"))
    # Not exactly: without them, tensors stay in the cache for longer.
    assert claimed == pytest.approx(saved, rel=0.1)


def test_what_is_fused_pays_for_its_pass_once():
    graph = cm.zoo.shufflenet_v1()
    case = Case(graph, load_platform(GPU), latency(graph, GPU))
    findings = list(elementwise(case))
    kinds = ("depthwise", "copy", "elementwise", "batch_norm", "norm", "softmax")
    own = [k for k in case.prediction.kernels if k.kernel.kind in kinds]
    others = [k for k in case.prediction.kernels if k not in own]
    assert any(len(k.kernel.nodes) > 2 and k.terms.passes for k in others)
    # A follower of an element-wise kernel is saved with it, and by itself.
    passes = sum(k.terms.passes for k in case.prediction.kernels)
    assert sum(f.saving for f in findings) == pytest.approx(sum(k.seconds for k in own) + passes)


@pytest.mark.parametrize("platform", [GPU, EAGER, ARM])
@pytest.mark.parametrize("name", ["shufflenet_v1", "mobilenet_v2"])
def test_savings_are_sorted_and_below_the_latency(name, platform):
    advice = advise(cm.zoo.build(name), platform)
    savings = [f.saving for f in advice.findings]
    assert savings == sorted(savings, reverse=True)
    for f in advice.findings:
        assert 0 <= f.saving < advice.prediction.seconds
        assert f.share == f.saving / advice.prediction.seconds
        assert f.layers
        assert f.mac_saving >= 0


def test_a_device_that_waits_for_its_host_gains_nothing_from_faster_kernels():
    graph = cm.zoo.pointwise(56, 56, 8, 8)
    p = Prediction("n", EAGER, 11.0, None, 0.9, (), 1.0, 0.0, 10.0, 0.0, "priors")
    case = Case(graph, load_platform(EAGER), p)
    assert case.saved(device=5.0) == 0.0
    assert case.saved(device=5.0, host=4.0) == 4.0
    assert Case(graph, load_platform(GPU), p).saved(device=5.0) == 5.0


def test_free_symbols_are_refused():
    with pytest.raises(DataError, match="c1, c2, h, w are free"):
        advise(cm.zoo.pointwise(*cm.symbols("h w c1 c2")), GPU)


def test_empty_tensors_break_no_guideline():
    assert advise(cm.zoo.resnet18(batch=0), EAGER).findings == ()
    b = cm.Builder()
    x = b.input((1, 0, 14, 14))  # a convolution of no channels, beside one that counts
    left = b.add(Conv(8, (1, 1)), x)
    right = b.add(Conv(64, (1, 1)), b.input((1, 8, 14, 14)))
    findings = advise(b.finish(left, right), EAGER).findings
    assert [f.layers for f in findings if f.guideline == "G1"] == [("conv_2",)]
