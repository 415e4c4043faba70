"""Networks side by side: whose probability, which differences, where they cross."""

from __future__ import annotations

import json

import jsonschema
import numpy as np
import pytest
import sympy
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.comparison import Axis, parse_axis
from costmodel.comparison.situations import situation
from costmodel.errors import CostModelError, DataError, GraphError
from costmodel.platforms import load_platform
from costmodel.platforms.varied import quantity, varied
from costmodel.prediction.joint import Ratio, joint
from costmodel.report import schema

GPU = "gtx-1080-ti/paper"
PI = "raspberry-pi-4/ncnn"


def run(*arguments, code=0):
    result = CliRunner().invoke(app, list(arguments), prog_name="costmodel")
    assert result.exit_code == code, result.output
    return result


# ---- probabilities


@pytest.mark.parametrize("platform", [GPU, PI, "t4/torch-eager"])
def test_draws_spread_as_the_predictions_do(platform):
    where = load_platform(platform)
    graphs = [cm.zoo.resnet18(), cm.zoo.mobilenet_v2()]
    found = joint(graphs, where)
    for i, p in enumerate(cm.latencies(graphs, where)):
        assert found.seconds[i] == pytest.approx(p.seconds, rel=1e-12)
        # Gradients are exact for small errors only, and ranges cut the draws.
        assert 0.6 < np.std(np.log(found.draws[:, i])) / p.uncertainty() < 1.2


def test_draws_do_not_depend_on_the_library_of_linear_algebra(monkeypatch):
    """Eigenvectors may point either way, which differs between libraries and thread counts."""
    graphs = [cm.zoo.resnet18(), cm.zoo.mobilenet_v2()]
    before = joint(graphs, load_platform(PI)).draws
    found = np.linalg.eigh

    def other_way(matrix):
        values, vectors = found(matrix)
        return values, vectors * np.where(np.arange(len(values)) % 2, 1, -1)

    monkeypatch.setattr(np.linalg, "eigh", other_way)
    assert np.allclose(joint(graphs, load_platform(PI)).draws, before, rtol=1e-9)


def test_a_network_is_as_fast_as_itself_and_surely_faster_than_twice_itself():
    c = cm.compare([cm.zoo.resnet18(), cm.zoo.resnet18(), cm.zoo.resnet18(batch=2)], PI)
    same, twice = c.differences
    assert (same.ratio, same.faster, same.interval) == (1.0, 0.5, (1.0, 1.0))
    # Intervals overlap, since each may be off by a third; errors are shared, so that it is sure.
    a, b = (c.entries[i].prediction.interval for i in (0, 2))
    assert b[0] < a[1]
    assert twice.faster < 0.01


def test_a_network_with_one_kernel_more_is_surely_slower():
    b = cm.Builder("more")
    x = b.input((1, 64, 28, 28))
    y = b.add(cm.ops.Conv(64, (3, 3), padding=1), x)
    less = b.finish(y)
    b = cm.Builder("less")
    x = b.input((1, 64, 28, 28))
    y = b.add(cm.ops.Conv(64, (3, 3), padding=1), x)
    more = b.finish(b.add(cm.ops.Pool("avg", (3, 3), padding=1), y))
    (d,) = cm.compare([less, more], "host/torch-eager").differences
    # Nobody knows how long the pooling takes, but it takes some time.
    assert d.faster < 0.02
    assert d.interval[1] / d.interval[0] > 1.02


def test_shared_errors_make_a_difference_surer_than_independent_ones_would():
    c = cm.compare(["mobilenet_v2", "mobilenet_v2?width=0.75"], PI)
    (d,) = c.differences
    alone = Ratio(d.ratio, c.draws[:, 1] / np.roll(c.draws[:, 0], 7))
    assert d.faster > alone.faster


def test_errors_on_different_platforms_are_independent():
    c = cm.compare(["resnet18"], [GPU, PI])
    # 128 mirrored pairs: a correlation of nothing has a standard error of 0.09.
    assert abs(np.corrcoef(np.log(c.draws), rowvar=False)[0, 1]) < 0.3
    (d,) = c.differences
    assert (d.first, d.second) == (0, 1)
    c = cm.compare(["resnet18"], [PI, PI + "?threads=4"])
    assert np.corrcoef(np.log(c.draws), rowvar=False)[0, 1] > 0.8


def test_differences_by_term_and_by_module_add_up():
    c = cm.compare(["mobilenet_v2", "shufflenet_v2"], PI)
    (d,) = c.differences
    a, b = c.seconds
    assert sum(d.terms.values()) == pytest.approx(b - a)
    devices = [e.prediction.device_seconds for e in c.entries]
    assert sum(d.modules.values()) == pytest.approx(devices[1] - devices[0])


def test_what_cannot_be_compared_is_refused():
    for networks, platforms in (
        (["pointwise"], GPU),
        ([], GPU),
        ("resnet18", GPU),
        (["resnet18"], []),
        (["resnet18"], "gtx/none"),
    ):
        with pytest.raises(CostModelError):
            cm.compare(networks, platforms)
    with pytest.raises(GraphError, match="such as a list"):
        cm.compare(cm.zoo.resnet18(), GPU)


# ---- one quantity varied


def test_hardware_varied_is_what_a_device_of_that_quantity_would_be():
    where = load_platform(GPU)
    for name in ("bandwidth", "clock"):
        assert quantity(varied(where, name, 2 * quantity(where, name)), name) == pytest.approx(
            2 * quantity(where, name)
        )
    fast = varied(where, "clock", 2 * quantity(where, "clock")).hardware
    assert fast.peak_for("float32") == pytest.approx(2 * where.hardware.peak_for("float32"))
    arm = load_platform(PI)
    twice = varied(arm, "clock", 2 * arm.hardware.clock).hardware
    assert twice.peak_for("float32", 1) == pytest.approx(2 * arm.hardware.peak_for("float32", 1))
    with pytest.raises(DataError, match="bandwidth, clock"):
        varied(where, "colour", 1.0)


@pytest.mark.parametrize(
    ("spec", "axis", "limit"),
    [
        ("mobilenet_v2", Axis("width", 0.25, 1.4), 0.1),
        ("resnet18", Axis("batch", 1, 64), 2.0),
        ("mobilenet_v2", Axis("clock", 2e8, 3e9), 0.3),
        ("pointwise?h=56&w=56&c1=64", Axis("c2", 8, 4096), 0.02),
    ],
)
def test_a_limit_is_met_where_it_is_said_and_not_just_before(spec, axis, limit):
    (value,) = cm.meet(spec, PI, axis, limit)
    where = load_platform(PI)

    def seconds(x):
        return cm.latency(*situation(spec, where, axis.name, x)).seconds

    step = 1.0 if axis.name in ("batch", "c2") else 1e-3 * value
    assert (seconds(value) - limit) * (seconds(value - step) - limit) <= 0


def test_a_crossover_is_where_the_faster_one_changes():
    one, platform = "conv2d?cin=128&cout=128&k=3&size=56", "gtx-1080-ti/torch-eager"
    b = cm.Builder("chain")  # many small kernels: slow where launches count, fast where work does
    x = b.input((1, 64, 56, 56))
    for _ in range(12):
        x = b.add(cm.ops.Elementwise("relu"), x)
    chain = b.finish(x)
    (batch,) = cm.crossovers(one, chain, platform, Axis("batch", 1, 256))
    where = load_platform(platform)
    times = [
        [cm.latency(*situation(n, where, "batch", x)).seconds for n in (one, chain)]
        for x in (batch - 1, batch)
    ]
    assert (times[0][0] - times[0][1]) * (times[1][0] - times[1][1]) <= 0


def test_what_is_varied_is_read_with_its_unit():
    assert parse_axis("clock=1 GHz:2GHz") == Axis("clock", 1e9, 2e9)
    for text in ("batch", "batch=1", "batch=4:2", "width=a:b", "=1:2", "batch=0:4"):
        with pytest.raises(CostModelError):
            parse_axis(text)
    with pytest.raises(DataError, match="no 'colour' to vary"):
        cm.meet("resnet18", GPU, Axis("colour", 1, 2), 1.0)


# ---- sensitivities


def test_elasticities_are_those_of_the_latency():
    graph, where = cm.zoo.mobilenet_v2(), load_platform(PI)
    found = cm.sensitivities(graph, where)
    faster = varied(where, "clock", quantity(where, "clock") * 1.01)
    change = np.log(cm.latency(graph, faster).seconds / cm.latency(graph, where).seconds)
    assert found["clock"] == pytest.approx(change / np.log(1.01), rel=0.02)
    assert list(found.values()) == sorted(found.values(), key=lambda v: -abs(v))


@pytest.mark.parametrize("platform", [GPU, PI])
def test_a_derivative_in_closed_form_is_the_slope_of_the_latency(platform):
    graph = cm.zoo.pointwise(56, 56, 64, cm.dim("c2"))
    slope = sympy.lambdify(cm.dim("c2"), cm.sensitivity(graph, platform, "c2"))
    low, high = (cm.latency(cm.at(graph, c2=c), platform).seconds for c in (1024, 2048))
    assert cm.sensitivity(graph, platform, cm.dim("c2")) == cm.sensitivity(graph, platform, "c2")
    assert slope(1536.5) == pytest.approx((high - low) / 1024, rel=0.1)
    with pytest.raises(DataError, match="free are: c2"):
        cm.sensitivity(graph, platform, "c3")


# ---- commands


def test_compare_prints_and_says_all_as_json(tmp_path):
    arguments = ["compare", "mobilenet_v2", "shufflenet_v2", "-p", GPU, "-p", PI]
    out = run(*arguments, "--over", "batch=1:8").stdout
    for words in ("faster with probability", "terms:", "modules:", "batch=1:8"):
        assert words in out
    document = json.loads(run(*arguments, "--json", "--over", "batch=1:4").stdout)
    jsonschema.validate(document, schema())
    assert len(document["entries"]) == 4
    assert len(document["differences"]) == 4
    assert len(document["crossovers"]) == 2


def test_batches_and_dtypes_are_compared_too():
    arguments = ["compare", "resnet18", "--batch", "1", "--batch", "8", "-p", "t4/torch-eager"]
    document = json.loads(
        run(*arguments, "--dtype", "float32", "--dtype", "float16", "--json").stdout
    )
    assert {e["network"] for e in document["entries"]} == {"resnet18 x 1", "resnet18 x 8"}
    assert any("float16" in e["platform"] for e in document["entries"])
    run("compare", "resnet18", "resnet18", "-p", GPU, code=2)


def test_exit_codes_for_continuous_integration():
    run("compare", "resnet18", "resnet50", "-p", PI, "--fail-if-slower", "5%", code=1)
    run("compare", "resnet50", "resnet18", "-p", PI, "--fail-if-slower", "5%")
    run("compare", "resnet18", "resnet50", "-p", PI, "--fail-if-slower", "900%")
    run("compare", "resnet18", "resnet50", "-p", PI, "--fail-if-slower", "much", code=2)
    run("report", "resnet18", "-p", PI, "--max-latency", "1ms", code=1)
    run("report", "resnet18", "-p", PI, "--max-latency", "100 s")
    run("report", "resnet18", "--max-latency", "1ms", code=2)
    run("report", "resnet18", "-p", PI, "--max-latency", "1 kg", code=2)


def test_whatif_answers_in_three_ways():
    assert "clock" in run("whatif", "mobilenet_v2", "-p", PI).stdout
    meeting = ["--max-latency", "100ms", "--over", "width=0.25:1.4"]
    assert "crosses 100ms at width" in run("whatif", "mobilenet_v2", "-p", PI, *meeting).stdout
    symbolic = ["whatif", "pointwise?h=56&w=56&c1=64", "-p", PI, "--by", "c2"]
    for arguments in (["whatif", "mobilenet_v2", "-p", PI], symbolic):
        jsonschema.validate(json.loads(run(*arguments, "--json").stdout), schema())
    document = json.loads(run("whatif", "mobilenet_v2", "-p", PI, *meeting, "--json").stdout)
    jsonschema.validate(document, schema())
    run("whatif", "mobilenet_v2", "-p", PI, "--max-latency", "1ms", code=2)
    run("whatif", "pointwise", "-p", PI, code=2)


def test_latencies_are_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "compared.png"
    run("compare", "resnet18", "resnet50", "-p", GPU, "--plot", str(file))
    assert file.stat().st_size > 1000


@pytest.mark.parametrize("width", ["60", "80"])
def test_rows_of_a_table_can_be_told_apart_and_fit(width):
    specs = [f"g1_stack?c1={c1}&c2={c2}" for c1, c2 in ((128, 128), (52, 312), (36, 426))]
    words = ("compare", *specs, "-p", GPU, "-p", "snapdragon-810/paper")
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": width})
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= int(width)
    assert "\u2026" not in result.stdout
    starts = [line.split("  ")[0] for line in lines if line.startswith("g1_s") and " to " in line]
    assert len(starts) == 6
    assert len(set(starts[:3])) == len(set(starts[3:])) == 3
    assert "\n%" not in result.stdout
