"""Figures: what they draw is what the numbers are; units on the labels; readable in grey."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations, pairwise

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

import costmodel as cm
from costmodel import plots
from costmodel.errors import DataError
from costmodel.kernels import KINDS
from costmodel.plots import style

GPU, CPU, EAGER = "gtx-1080-ti/paper", "snapdragon-810/paper", "gtx-1080-ti/torch-eager"


@pytest.fixture
def ax():
    return Figure().add_subplot()


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def prediction(platform: str = GPU, network: str = "shufflenet_v2"):
    return cm.latency(cm.network(network), platform)


def test_importing_plots_does_not_import_matplotlib():
    code = "import sys, costmodel.plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "make",
    [
        lambda ax: plots.roofline(prediction(), ax),
        lambda ax: plots.breakdown(prediction(), ax=ax),
        lambda ax: plots.scatter([1.0], [1.0], ax=ax),
        lambda ax: plots.agreement([1.0], [1.0], ax=ax),
        lambda ax: plots.mac_beside_bound([1, 2], cm.zoo.pointwise(8, 8, np.array([4, 8]), 8), ax),
        lambda ax: plots.draw(cm.zoo.pointwise(8, 8, 4, 8), ax),
    ],
)
def test_axes_in_axes_out_and_a_new_figure_without(make, ax):
    assert make(ax) is ax
    assert make(None) is plt.gca()


# ---- roofline


@pytest.mark.parametrize("platform", [GPU, CPU, EAGER])
def test_roofline_draws_every_kernel_that_computes_at_its_intensity_and_speed(platform, ax):
    p = prediction(platform)
    plots.roofline(p, ax)
    expected = {
        (2 * k.kernel.multiply_adds + k.kernel.elementwise, k.kernel.bytes, k.seconds)
        for k in p.kernels
        if k.kernel.multiply_adds or k.kernel.elementwise
    }
    drawn = np.concatenate([c.get_offsets().data for c in ax.collections])
    wanted = np.array(sorted((flop / size, flop / s) for flop, size, s in expected))
    assert np.allclose(np.unique(drawn, axis=0), np.unique(wanted, axis=0))


def test_roof_is_the_datasheet_at_the_clock_that_boards_run_at(ax):
    plots.roofline(prediction(), ax)
    (roof,) = ax.lines
    x, y = roof.get_data()
    assert max(y) == pytest.approx(11.34e12 * 1710 / 1582, rel=0.01)
    assert y[0] / x[0] == pytest.approx(484e9)


def test_roofline_says_what_has_no_place_in_it(ax):
    p = prediction()
    copies = sum(k.seconds for k in p.kernels if k.kernel.kind == "copy") / p.device_seconds
    plots.roofline(p, ax)
    assert f"copies, not shown ({100 * copies:.0f} %)" in ax.get_legend().get_title().get_text()
    assert "[FLOP/byte]" in ax.get_xlabel()
    assert "[FLOP/s]" in ax.get_ylabel()


def test_roofline_refuses_symbols_and_networks_that_compute_nothing():
    h, w, c1, c2 = cm.symbols("h w c1 c2")
    with pytest.raises(DataError, match="no numbers"):
        plots.roofline(cm.latency(cm.zoo.pointwise(h, w, c1, c2), CPU))
    with pytest.raises(DataError, match="computes nothing"):
        plots.roofline(prediction(CPU, "channel_shuffle"))


# ---- breakdown


@pytest.mark.parametrize("by", ["kind", "term"])
@pytest.mark.parametrize("platform", [GPU, CPU, EAGER])
def test_the_parts_of_a_bar_add_up_to_the_prediction(by, platform, ax):
    predictions = [prediction(platform), prediction(platform, "mobilenet_v2?width=0.5")]
    plots.breakdown(predictions, by, ax)
    unit = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}[ax.get_xlabel().split("[")[1].rstrip("]")]
    for row, p in enumerate(predictions):
        widths = [b.get_width() for b in ax.patches if round(b.get_y() + b.get_height() / 2) == row]
        assert sum(widths) * unit == pytest.approx(p.seconds)
        ends = max(b.get_x() + b.get_width() for b in ax.patches if round(b.get_y() + 0.3) == row)
        assert ends * unit == pytest.approx(p.seconds)


def test_a_device_that_waits_for_its_host_shows_it(ax):
    plots.breakdown(prediction(EAGER), "term", ax)
    assert "dispatch" in ax.get_legend_handles_labels()[1]


def test_breakdown_names_platforms_only_where_they_differ(ax):
    plots.breakdown([prediction(GPU), prediction(CPU)], ax=ax)
    labels = [t.get_text() for t in ax.get_yticklabels()]
    assert labels == [f"shufflenet_v2\n{GPU}", f"shufflenet_v2\n{CPU}"]
    with pytest.raises(DataError, match="no predictions"):
        plots.breakdown([])


# ---- agreement


def test_agreement_holds_predicted_and_simulated_against_measured(ax):
    times = ([1.2, 2.0], [0.9, 1.0], [1.0, 2.0])
    plots.agreement(*times, intervals=[(1.0, 1.5), (1.5, 3.0)], ax=ax)
    lines = {line.get_label(): line for line in ax.lines if "error" in line.get_label()}
    assert list(lines) == ["predicted, mean error 10 %", "simulated, mean error 30 %"]
    for line, drawn in zip(lines.values(), times, strict=False):
        assert list(line.get_xdata()) == [1000.0, 2000.0]
        assert list(line.get_ydata()) == [1000 * t for t in drawn]
    markers = {line.get_marker() for line in lines.values()}
    assert len(markers) == 2
    assert ax.get_ylabel() == "predicted or simulated [ms]"


def test_agreement_with_simulated_times_says_that_none_is_measured(ax):
    plots.agreement([1.0], [2.0], ax=ax)
    assert ax.get_xlabel() == "simulated, not measured [ms]"
    assert ax.get_legend_handles_labels()[1] == ["predicted, mean error 50 %", "±10 % of simulated"]


@pytest.mark.parametrize(
    ("times", "reason"),
    [
        (([1.0],), "compared with simulated or measured ones"),
        (([1.0], None, [1.0, 2.0]), "1 times are predicted, 2 are measured"),
        (([1.0, 1.0], [1.0], [1.0, 2.0]), "1 times are simulated, 2 are measured"),
        (([1.0], [0.0], [1.0]), "positive"),
        (([],), "compared with"),
    ],
)
def test_agreement_refuses_what_it_cannot_draw(times, reason):
    with pytest.raises(DataError, match=reason):
        plots.agreement(*times)


# ---- scatter


def test_scatter_shows_milliseconds_intervals_and_the_error_of_each_group(ax):
    measured, predicted = [1e-3, 2e-3, 4e-3], [1.1e-3, 2e-3, 2e-3]
    intervals = [(0.9e-3, 1.2e-3), (1e-3, 3e-3), (1e-3, 5e-3)]
    plots.scatter(measured, predicted, intervals, ["a", "a", "b"], ax)
    labels = ax.get_legend_handles_labels()[1]
    assert labels[:2] == ["a, mean error 5 %", "b, mean error 50 %"]
    points = np.concatenate(
        [np.transpose(line.get_data()) for line in ax.lines if line.get_marker() != "None"]
    )
    assert points.tolist() == [[1.0, 1.1], [2.0, 2.0], [4.0, 2.0]]
    bars = np.concatenate([c.get_segments() for c in ax.collections])
    assert np.allclose(bars[:, :, 1], 1e3 * np.array(intervals))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("measured [ms]", "predicted [ms]")
    assert ax.get_xlim() == ax.get_ylim()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (([1.0], [1.0, 2.0]), "one length"),
        (([], []), "not empty"),
        (([0.0], [1.0]), "positive"),
        (([1.0], [np.nan]), "positive"),
        (([1.0], [1.0], [(1, 1), (1, 1)]), "one length"),
        (([1.0], [1.0], None, ["a", "b"]), "one length"),
    ],
)
def test_scatter_refuses_what_it_cannot_draw(arguments, reason):
    with pytest.raises(DataError, match=reason):
        plots.scatter(*arguments)


# ---- MAC beside its bound


def test_mac_and_bound_are_equation_one(ax):
    c1 = np.array([16, 32, 64, 128, 256])
    c2 = 64**2 // c1
    plots.mac_beside_bound(c2 / c1, cm.zoo.pointwise(28, 28, c1, c2), ax)
    mac, bound = (line.get_ydata() for line in ax.lines)
    assert np.allclose(1e6 * mac, 28 * 28 * (c1 + c2) + c1 * c2)
    B = 28 * 28 * 64**2
    assert np.allclose(1e6 * bound, 2 * np.sqrt(28 * 28 * B) + B / 28**2)
    assert mac[2] == pytest.approx(bound[2])
    assert "elements" in ax.get_ylabel()


def test_several_networks_differ_without_colour(ax):
    c = np.array([32, 64])
    graphs = {
        "dense": cm.zoo.pointwise(8, 8, c, c),
        "grouped": cm.zoo.pointwise(8, 8, c, c, groups=2),
    }
    plots.mac_beside_bound(c, graphs, ax)
    assert [line.get_label() for line in ax.lines][::2] == ["MAC of dense", "MAC of grouped"]
    assert len({line.get_marker() for line in ax.lines[::2]}) == 2
    with pytest.raises(DataError, match="symbols"):
        plots.mac_beside_bound([1], cm.zoo.pointwise(*cm.symbols("h w c1 c2")), ax)


# ---- graphs


def test_every_operator_is_drawn_once_and_below_its_makers(ax):
    g = cm.zoo.shufflenet_v2()
    unit = g.subgraph(n for n in g if n.startswith(("stage2.0", "stage2.1")))
    plots.draw(unit, ax)
    boxes = [t for t in ax.texts if t.get_text()]
    assert len(boxes) == len(unit)
    assert len({t.get_position() for t in boxes}) == len(unit)
    from costmodel.plots.drawings import _layers, _place

    layers, chains = _layers(unit)
    spots = _place(layers, chains)
    assert all(spots[a][1] > spots[b][1] for a, b in unit.edges)
    # No edge runs through the box of an operator: where it passes a layer it has its own place.
    assert all(spots[a][1] - spots[b][1] == 1 for c in chains for a, b in pairwise(c))


def test_views_have_another_border(ax):
    g = cm.zoo.shufflenet_v2()
    plots.draw(g.subgraph(n for n in g if n.startswith("stage2.1")), ax)
    borders = {
        t.get_text().split("\n")[0]: t.get_bbox_patch().get_linestyle()
        for t in ax.texts
        if t.get_text()
    }
    assert borders["Split"] == "--"
    assert borders["Concat"] == "-"


def test_a_large_graph_is_refused_with_a_way_out():
    with pytest.raises(DataError, match="subgraph"):
        plots.draw(cm.zoo.shufflenet_v2())


# ---- grey


def test_no_two_styles_look_alike_in_grey():
    assert len({s.marker for s in style.STYLES}) == len(style.STYLES)
    assert len({s.hatch for s in style.STYLES}) == len(style.STYLES)
    assert len({s.line for s in style.STYLES}) == len(style.STYLES)


def test_every_kind_of_kernel_has_a_look_of_its_own():
    looks = {kind: style.style_of_kind(kind) for kind in KINDS}
    for a, b in combinations(looks, 2):
        assert (looks[a].color, looks[a].hatch) != (looks[b].color, looks[b].hatch), (a, b)
        assert (looks[a].color, looks[a].marker) != (looks[b].color, looks[b].marker), (a, b)


@pytest.mark.parametrize(
    ("seconds", "name"), [(2.0, "s"), (0.5, "ms"), (9e-4, "µs"), (1e-12, "ns")]
)
def test_times_are_shown_in_a_unit_that_fits(seconds, name):
    assert style.time_scale([seconds, seconds / 10])[1] == name


def test_logarithmic_axes_have_plain_labels_that_do_not_crowd(ax):
    for low, high, most in ((1.0, 8.0, 8), (1e-2, 1e3, 8)):
        ax.set_xlim(low, high)
        style.plain_log(ax, "x")
        ticks = [t for t in ax.get_xticks() if low <= t <= high]
        assert 2 <= len(ticks) <= most
        assert ax.xaxis.get_major_formatter()(0.5, 0) == "0.5"


def test_least_traffic_falls_from_a_small_memory_to_that_of_any_schedule(ax):
    graph = cm.network("resnet18")
    plots.traffic_bounds([4e3, 1e6, 1e9], {"resnet18": graph}, ax)
    unfused, mac, least = (line.get_ydata() for line in ax.get_lines())
    assert unfused[0] > mac[0] > unfused[1] > unfused[2]
    assert unfused[2] == least[0] == cm.io_lower_bound(graph) / 1e6
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "least, unfused of resnet18",
        "MAC of resnet18",
        "least of any of resnet18",
    ]
    with pytest.raises(DataError, match="has symbols"):
        plots.traffic_bounds([1e6], cm.zoo.pointwise(*cm.symbols("h w c1 c2")), ax)
    with pytest.raises(DataError, match="holds no element"):
        plots.traffic_bounds([1], graph, ax)
