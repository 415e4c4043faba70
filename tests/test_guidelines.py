"""Advice that acts: rewrites keep what they promise, pay what they say, and can be applied."""

from __future__ import annotations

import json

import jsonschema
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.errors import DataError, GraphError
from costmodel.guidelines import Case, advise
from costmodel.guidelines.advise import NOISE, RULES, _valid
from costmodel.guidelines.branches import added_branches, merged_siblings
from costmodel.guidelines.channels import equal_widths, fewer_groups, packed
from costmodel.guidelines.drafts import drafts_of, outputs_of, rebuilt
from costmodel.guidelines.elementwise import (
    folded_norms,
    needless_shuffles,
)
from costmodel.guidelines.throughout import throughout
from costmodel.guidelines.windows import smaller_kernels
from costmodel.ops import AdaptivePool, BatchNorm, ChannelShuffle, Concat, Conv, Elementwise
from costmodel.platforms import load_platform
from costmodel.report import schema

GPU = "gtx-1080-ti/torch-eager"
ARM = "snapdragon-810/paper"
PI = "raspberry-pi-4/ncnn"


def case(graph, platform=GPU):
    return Case(graph, load_platform(platform))


def only(rule, graph, platform=GPU):
    (rewrite,) = rule(case(graph, platform))
    return rewrite, rebuilt(rewrite.change(drafts_of(graph)), graph)


def run(*arguments, code=0):
    result = CliRunner().invoke(app, list(arguments), prog_name="costmodel")
    assert result.exit_code == code, result.output
    return result


# ---- every rewrite of every network


@pytest.mark.parametrize("platform", [GPU, PI])
@pytest.mark.parametrize(
    "name", ["shufflenet_v1", "mobilenet_v3", "densenet", "googlenet", "shufflenet_v2", "resnet18"]
)
def test_rewrites_are_valid_networks_with_the_outputs_they_had(name, platform):
    graph = cm.zoo.build(name)
    where = case(graph, platform)
    made = list(_valid(where, [rewrite for rule in RULES for rewrite in rule(where)]))
    assert made
    for rewrite, changed in made:
        cm.validate(changed)
        if rewrite.inputs == 1:
            assert outputs_of(changed) == outputs_of(graph), rewrite.title
        assert rewrite.layers
        if rewrite.guideline in ("G1", "G2"):
            kept = pytest.approx(cm.multiply_adds(graph), rel=0.05)
            assert cm.multiply_adds(changed) == kept, rewrite.title


@pytest.mark.parametrize("spec", ["densenet", "googlenet", "mobilenet_v2", "shufflenet_v1"])
def test_savings_are_those_of_the_networks_and_surely_positive(spec):
    graph = cm.network(spec)
    advice = advise(graph, GPU)
    assert advice.findings
    savings = [f.saving for f in advice.findings]
    assert savings == sorted(savings, reverse=True)
    for f in advice.findings:
        alone = cm.latency(f.graph, GPU).seconds / f.rewrite.inputs
        assert f.saving == pytest.approx(advice.prediction.seconds - alone, rel=1e-9)
        assert 0 < f.interval[0] < f.saving * 1.5
        assert f.share >= NOISE
        assert f.params == cm.params(f.graph) - cm.params(graph)
        assert f.multiply_adds == cm.multiply_adds(f.graph) - cm.multiply_adds(graph)


# ---- widths and groups


def test_equal_widths_are_no_finding():
    assert list(equal_widths(case(cm.zoo.g1_stack(128, 128), ARM))) == []


@pytest.mark.parametrize("channels", [(90, 180), (52, 312), (36, 432)])
def test_unequal_widths_become_those_of_table_1(channels):
    graph = cm.zoo.g1_stack(*channels)
    _, changed = only(equal_widths, graph)
    widths = {op.out_channels for _, op in changed.nodes(data="op") if isinstance(op, Conv)}
    assert len(widths - {channels[0]}) == 1  # the last convolution makes the output
    assert cm.mac(changed) < cm.mac(graph)
    # The bound of Eq. (1): no widths of these multiply-adds move less, but for the two ends.
    assert cm.mac(changed) < 1.1 * cm.mac_lower_bound(changed)


def test_a_residual_trunk_is_changed_in_all_layers_that_add_to_it():
    graph = cm.zoo.mobilenet_v2()
    for rewrite in equal_widths(case(graph)):
        changed = rebuilt(rewrite.change(drafts_of(graph)), graph)
        for name in changed:
            op = changed.nodes[name]["op"]
            if isinstance(op, Elementwise) and op.kind == "add":
                a, b = (t.shape for t in cm.graph.inputs_of(changed, name))
                assert a == b
        dense = [changed.nodes[n]["op"].out_channels for n in rewrite.layers]
        assert len(set(dense)) == 1


def test_groups_become_one_at_the_same_multiply_adds():
    b = cm.Builder("grouped")
    x = b.input((1, 256, 28, 28))
    y = b.add(Conv(128, (1, 1)), x)
    y = b.add(Conv(128, (3, 3), padding=1, groups=32), y, name="grouped")
    graph = b.finish(b.add(Conv(256, (1, 1)), y))
    rewrite, changed = only(fewer_groups, graph)
    assert rewrite.layers == ("grouped",)
    assert changed.nodes["grouped"]["op"].groups == 1
    assert cm.multiply_adds(changed) == pytest.approx(cm.multiply_adds(graph), rel=0.03)
    assert cm.mac(changed) < cm.mac(graph)


def test_depthwise_convolutions_are_not_in_groups():
    assert list(fewer_groups(case(cm.zoo.mobilenet_v2()))) == []


def test_widths_are_moved_to_the_pack_of_the_engine():
    graph = cm.zoo.build("shufflenet_v2")
    where = case(graph, PI)
    assert where.pack == 4
    for rewrite in packed(where):
        changed = rebuilt(rewrite.change(drafts_of(graph)), graph)
        for name in rewrite.layers:
            assert changed.nodes[name]["op"].out_channels % 4 == 0
    assert any(r.title == "56 channels in place of 58" for r in packed(where))
    assert list(packed(case(cm.zoo.g1_stack(64, 128), PI))) == []


WIDE = [
    *("mobilenet_v2", "mobilenet_v3", "shufflenet_v1", "shufflenet_v2", "resnet50", "googlenet"),
    *("densenet", "efficientnet_b0", "squeezenet"),
]


@pytest.mark.parametrize("platform", [GPU, ARM, PI, "host/onnxruntime", "t4/torch-eager"])
@pytest.mark.parametrize("name", WIDE)
def test_proposed_widths_are_multiples_of_the_pack(name, platform):
    graph = cm.zoo.build(name)
    where = case(graph, platform)
    rules = (equal_widths, fewer_groups, packed)
    for rewrite, _ in _valid(where, [r for rule in rules for r in rule(where)]):
        for node, draft in rewrite.change(where.drafts).items():
            before = where.drafts[node].op
            if draft.op != before and isinstance(draft.op, Conv) and draft.op.groups == 1:
                width = draft.op.out_channels
                assert width == before.out_channels or width % where.pack == 0, rewrite.title


def test_widths_are_divisible_by_groups_too():
    b = cm.Builder("grouped")
    x = b.add(Conv(96, (1, 1)), b.input((1, 24, 28, 28)))
    y = b.add(Conv(384, (1, 1)), x)
    y = b.add(Conv(384, (3, 3), padding=1, groups=24), y, name="grouped")
    y = b.add(Elementwise("add"), b.add(Conv(96, (1, 1)), y), x)
    graph = b.finish(b.add(Conv(10, (1, 1)), y))
    where = case(graph, PI)
    widths = {op.out_channels for r in equal_widths(where) for op in _convolutions(where, r)}
    assert widths
    assert all(width % 24 == 0 and width % where.pack == 0 for width in widths)


def _convolutions(where, rewrite):
    changed = rewrite.change(where.drafts)
    return [changed[name].op for name in rewrite.layers]


def test_gates_do_not_decide_how_wide_what_they_gate_is():
    graph = cm.zoo.build("efficientnet_b0")
    for rewrite in equal_widths(case(graph, PI)):
        assert not any(int(word) < 16 for word in rewrite.title.split() if word.isdigit())
        shapes = [graph.nodes[n]["outputs"][0].shape for n in rewrite.layers]
        assert any(shape[2] > 1 for shape in shapes)


def test_places_that_are_alike_are_changed_together():
    engine = "xeon-gold-6240/onnxruntime"
    graph = cm.network("mobilenet_v2")
    advice = advise(graph, engine)
    (finding,) = [f for f in advice.findings if f.rewrite.guideline == "G1"]
    assert "more like it" in finding.rewrite.title
    single = [len(r.layers) for r in equal_widths(case(graph, engine))]
    assert len(finding.rewrite.layers) > max(single)
    assert finding.graph.nodes["block0.conv_2"]["op"].out_channels == 32
    assert finding.multiply_adds == pytest.approx(0, abs=0.05 * cm.multiply_adds(graph))


def test_of_rewrites_that_concern_one_layer_the_first_is_taken():
    graph = cm.zoo.build("shufflenet_v2")
    rewrites = list(packed(case(graph, PI)))
    down, up = [r for r in rewrites if " 58" in r.title]
    assert throughout([down, up]) is None
    others = [r for r in rewrites if " 58" not in r.title]
    joined = throughout([down, up, *others[:1]])
    assert (joined is None) == (not others)


def test_what_a_split_or_an_output_needs_stays():
    graph = cm.zoo.build("shufflenet_v2")
    widths = case(graph).widths
    fixed = {m for c in widths.classes if c.fixed for m in c.makers}
    assert "classifier.linear" in fixed
    assert any(n.startswith("stage2.1.main") for n in fixed)


# ---- element-wise operators, branches, windows


def small(*steps):
    """Return a network of 8 channels of the given operators, in a row."""
    b = cm.Builder("small")
    y = b.input((2, 8, 8, 8))
    for op in steps:
        y = b.add(op, y)
    return b.finish(y)


def test_folded_norms_leave_convolutions_with_a_bias():
    graph = cm.zoo.build("resnet18")
    rewrite, changed = only(folded_norms, graph)
    assert not any(isinstance(op, BatchNorm) for _, op in changed.nodes(data="op"))
    # A scale and a shift of each channel become one bias.
    norms = sum(cm.params(BatchNorm(), graph.nodes[n]["outputs"][0]) for n in rewrite.layers)
    assert cm.params(changed) == cm.params(graph) - norms // 2
    behind = small(Conv(8, (1, 1)), Elementwise("relu"), BatchNorm())
    assert list(folded_norms(case(behind))) == []


def test_siblings_are_merged_and_cut_only_where_they_part():
    b = cm.Builder("siblings")
    x = b.input((1, 16, 8, 8))
    ends = []
    for width in (8, 24):
        y = b.add(BatchNorm(), b.add(Conv(width, (1, 1)), x))
        ends.append(b.add(Elementwise("relu"), y))
    joined = b.finish(b.add(Concat(1), *ends))
    _, changed = only(merged_siblings, joined)
    assert cm.multiply_adds(changed) == cm.multiply_adds(joined)
    assert cm.mac(changed) < cm.mac(joined)
    assert [type(op).__name__ for _, op in changed.nodes(data="op")] == [
        "Input", "Conv", "BatchNorm", "Elementwise", "Concat", "Output",
    ]  # fmt: skip
    apart = cm.Builder("apart")
    x = apart.input((1, 16, 8, 8))
    ends = [apart.add(Conv(w, (1, 1)), x) for w in (8, 24)]
    graph = apart.finish(*ends)
    _, changed = only(merged_siblings, graph)
    assert outputs_of(changed) == outputs_of(graph)
    assert any(type(op).__name__ == "Split" for _, op in changed.nodes(data="op"))


def test_added_convolutions_become_one_of_the_larger_window():
    b = cm.Builder("added")
    x = b.input((1, 8, 8, 8))
    y = b.add(Conv(8, (3, 3), padding=1), x, name="large")
    z = b.add(Conv(8, (1, 1)), x, name="small")
    graph = b.finish(b.add(Elementwise("add"), y, z))
    _, changed = only(added_branches, graph)
    assert cm.multiply_adds(changed) == 9 * 64 * 64
    b = cm.Builder("shifted")
    x = b.input((1, 8, 8, 8))
    y = b.add(Conv(8, (3, 3)), b.add(cm.ops.Pad(((0, 0), (0, 0), (1, 1), (1, 1))), x))
    assert list(added_branches(case(b.finish(b.add(Elementwise("add"), y, x))))) == []


def test_shuffles_go_where_only_dense_convolutions_see_them():
    kept = small(Conv(8, (1, 1), groups=2), ChannelShuffle(2), Conv(8, (1, 1), groups=2))
    assert list(needless_shuffles(case(kept))) == []
    graph = small(ChannelShuffle(2), Conv(8, (3, 3), padding=1, groups=8), Conv(8, (1, 1)))
    _, changed = only(needless_shuffles, graph)
    assert not any(isinstance(op, ChannelShuffle) for _, op in changed.nodes(data="op"))
    last = small(Conv(8, (1, 1)), ChannelShuffle(2))
    assert list(needless_shuffles(case(last))) == []


@pytest.mark.parametrize("k", [5, 7])
def test_smaller_kernels_keep_all_sizes(k):
    graph = small(Conv(8, (k, k), stride=2, padding=k // 2))
    _, changed = only(smaller_kernels, graph)
    assert outputs_of(changed) == outputs_of(graph)
    assert cm.multiply_adds(changed) * k * k == cm.multiply_adds(graph) * 9
    valid = small(Conv(8, (k, k)))  # without padding a smaller window would make a larger image
    assert list(smaller_kernels(case(valid))) == []


# ---- applied


def test_findings_are_applied_one_after_the_other():
    graph = cm.network("googlenet")
    advice = advise(graph, GPU)
    single = [i for i, f in enumerate(advice.findings, 1) if f.rewrite.inputs == 1]
    assert len(single) > 1
    both = advice.apply(single[:2])
    cm.validate(both)
    seconds = [cm.latency(advice.findings[i - 1].graph, GPU).seconds for i in single[:2]]
    assert cm.latency(both, GPU).seconds <= min(seconds) * 1.001
    with pytest.raises(GraphError, match="no finding 99"):
        advice.apply([99])
    with pytest.raises(GraphError, match="cannot follow"):
        advice.apply([single[0], single[0]])
    for wrong in ("1", 1, None):
        with pytest.raises(GraphError, match="findings must be a list of their numbers, got"):
            advice.apply(wrong)
    for wrong in (["1"], [1.0], [None], [0]):
        with pytest.raises(GraphError, match="there is no finding"):
            advice.apply(wrong)


def test_symbols_and_empty_networks():
    with pytest.raises(DataError, match="c1, c2, h, w are free"):
        advise(cm.zoo.pointwise(*cm.symbols("h w c1 c2")), GPU)
    assert advise(cm.zoo.resnet18(batch=0), GPU).findings == ()
    assert len(RULES) == len(set(RULES))


def test_networks_of_other_ranks_have_advice_too():
    b = cm.Builder("pooled")
    x = b.input((1, 8, 8, 8))
    graph = b.finish(b.add(AdaptivePool("avg"), x), b.add(Elementwise("exp"), x))
    advise(graph, GPU)
    advise(cm.zoo.build("bert", layers=1), GPU)


# ---- the command


def test_some_findings_are_printed_and_all_on_demand(monkeypatch):
    from costmodel.cli import advise as command

    monkeypatch.setattr(command, "SHOWN", 2)
    out = run("advise", "googlenet", "-p", GPU).stdout
    assert "2. " in out
    assert "3. " not in out
    assert "more with --all" in out
    assert "predicted saving" in out
    assert len(out.splitlines()) < 60
    assert "3. " in run("advise", "googlenet", "-p", GPU, "--all").stdout
    document = json.loads(run("advise", "googlenet", "-p", GPU, "--json").stdout)
    jsonschema.validate(document, schema())
    assert len(document["findings"]) > 2


def test_a_better_network_is_written(tmp_path):
    file = tmp_path / "better.json"
    run("advise", "densenet", "-p", GPU, "--apply", "2", "-o", str(file))
    better = cm.load(file)
    assert cm.latency(better, GPU).seconds < cm.latency(cm.zoo.densenet(), GPU).seconds
    run("advise", "densenet", "-p", GPU, "--apply", "2", code=2)
    run("advise", "densenet", "-p", GPU, "--apply", "x", "-o", str(file), code=2)


class Entry:
    def load(self):
        return lambda backend, graphs: [(0.02, 0.01), *[(0.01, 0.01)] * (len(graphs) - 1)]


def test_rewrites_are_checked_by_what_measures(monkeypatch):
    from costmodel.cli import advise as command

    monkeypatch.setattr(command, "entry_points", lambda **_: [Entry()])
    out = run("advise", "densenet", "-p", f"{PI}?threads=4", "--check", "torch").stdout
    assert "measured by torch, on one thread and in the dtype of the network: 20 ms" in out
    assert "measured 50 %" in out
    document = json.loads(run("advise", "densenet", "-p", PI, "--check", "ncnn", "--json").stdout)
    jsonschema.validate(document, schema())
    assert document["findings"][0]["measured_share"] == 0.5
    monkeypatch.setattr(command, "entry_points", lambda **_: [])
    run("advise", "densenet", "-p", PI, "--check", "torch", code=2)


def test_measured_rewrites_are_scored():
    pytest.importorskip("torch")
    from costmodel_validation.measuring.clock import Plan
    from costmodel_validation.rewritten import Tried, measure_rewrites, score

    plan = Plan(precision=0.5, budget=0.05, warm_up=0.01, turn=0.01, rounds=1, min_samples=3)
    chain = [small(*[Conv(64, (3, 3), padding=1)] * n) for n in (1, 8)]
    (short, _), (long, _) = measure_rewrites("torch", chain, plan)
    assert long > 2 * short
    ends = (0.15, 0.6)
    tried = [Tried("n", "t", 0.2, 0.1, 0.0, ends), Tried("n", "t", 0.3, 0.5, 0.0, ends)]
    assert score(tried) == {
        "right": 1.0,
        "size": pytest.approx(0.15),
        "proposed": 0.25,
        "within": 0.5,
    }
