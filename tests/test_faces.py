"""What the library returns in a prompt, in a notebook and as rows; what figures take."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

import costmodel as cm
from costmodel.calibration import calibrate
from costmodel.calibration.measurement import Measurement
from costmodel.errors import DataError

GPU = "gtx-1080-ti/paper"


def calibration():
    rows = [Measurement(f"pointwise?h=56&w=56&c1={c}&c2={c}", 1e-4 * c) for c in (16, 32, 64, 128)]
    return calibrate(rows, "snapdragon-810/paper")


THINGS = {
    "graph": lambda: cm.zoo.resnet18(),
    "prediction": lambda: cm.latency(cm.zoo.resnet18(), GPU),
    "platform": lambda: cm.load_platform(GPU),
    "calibration": calibration,
    "timeline": lambda: cm.memory_timeline(cm.zoo.resnet18()),
    "cost": lambda: cm.cost(cm.zoo.resnet18()),
    "advice": lambda: cm.advise(cm.zoo.mobilenet_v2(), "gtx-1080-ti/torch-eager"),
    "comparison": lambda: cm.compare([cm.zoo.resnet18(), cm.zoo.mobilenet_v2()], GPU),
    "sweep": lambda: cm.sweep(cm.find_space("nasbench201"), "rk3399/tflite", sample=50),
}
SAID = {
    "graph": "<OpGraph 'resnet18': ",
    "prediction": "<Prediction of resnet18 on gtx-1080-ti/paper: ",
    "platform": "<Platform gtx-1080-ti/paper, from 51 measurements>",
    "calibration": "<Calibration of snapdragon-810/paper: 4 rows, median error ",
    "timeline": "<Timeline of ",
    "cost": "Cost(multiply_adds=",
    "advice": "<Advice on mobilenet_v2 on gtx-1080-ti/torch-eager: 2 findings>",
    "comparison": "<Comparison of resnet18, mobilenet_v2 on gtx-1080-ti/paper>",
    "sweep": "<Sweep of nasbench201 on rk3399/tflite: 50 kept of 50>",
}
ALONE = {
    "space": (lambda: cm.find_space("nasbench201"), "<Space nasbench201: 15,625 variants of edge0"),
    "predictor": (lambda: cm.predictor("rk3399/tflite"), "<Predictor on rk3399/tflite, from "),
    "prepared": (lambda: cm.prepare(cm.zoo.resnet18()), "<Prepared 'resnet18': "),
    "finding": (
        lambda: cm.advise(cm.zoo.resnet18(), "gtx-1080-ti/torch-eager").findings[1],
        "<Finding G4: 20 batch normalizations folded into convolutions, saves ",
    ),
}


@pytest.mark.parametrize("name", THINGS)
def test_a_prompt_shows_a_line(name):
    said = repr(THINGS[name]())
    assert said.startswith(SAID[name])
    assert len(said) < 160
    assert "\n" not in said


@pytest.mark.parametrize("name", ALONE)
def test_what_has_no_table_has_a_line_too(name):
    make, start = ALONE[name]
    said = repr(make())
    assert said.startswith(start)
    assert len(said) < 160
    assert "\n" not in said


def test_a_sweep_in_a_notebook_is_cut_before_rows_are_made_of_it():
    found = THINGS["sweep"]()
    text = found._repr_html_()
    assert text.count("<tr") == 41
    assert "10 more rows" in text
    assert "50 kept of 50" in text
    empty = cm.sweep(found.space, "rk3399/tflite", sample=5, where="latency<1e-9")
    assert "0 kept of 5" in empty._repr_html_()


@pytest.mark.parametrize("name", THINGS)
def test_a_notebook_shows_a_table(name):
    text = THINGS[name]()._repr_html_()
    assert "<table" in text
    assert text.count("<tr") == text.count("</tr>") > 1


@pytest.mark.parametrize("name", THINGS)
def test_everything_with_rows_becomes_a_frame(name, monkeypatch):
    made = types.SimpleNamespace(DataFrame=lambda rows: rows)
    monkeypatch.setitem(sys.modules, "pandas", made)
    rows = THINGS[name]().to_dataframe()
    assert len({tuple(row) for row in rows}) == 1, "every row has the same columns"


def test_frames_hold_the_figures_of_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=lambda rows: rows))
    graph = cm.zoo.resnet18()
    p = cm.latency(graph, GPU)
    assert sum(row["params"] for row in graph.to_dataframe()) == cm.params(graph)
    assert sum(row["seconds"] for row in p.to_dataframe()) == pytest.approx(p.device_seconds)
    timeline = cm.memory_timeline(graph)
    assert max(row["live_bytes"] for row in timeline.to_dataframe()) == timeline.peak


def test_pandas_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(cm.CostModelError, match="needs pandas: pip install pandas"):
        cm.zoo.resnet18().to_dataframe()


def test_symbols_and_arrays_have_a_line_and_no_table():
    h, w, c1, c2 = cm.symbols("h w c1 c2")
    open_graph = cm.zoo.pointwise(h, w, c1, c2)
    assert open_graph._repr_html_() is None
    arrays = cm.zoo.pointwise(56, 56, np.array([8, 16]), 32)
    for graph in (open_graph, arrays):
        p = cm.latency(graph, GPU)
        assert repr(p).startswith("<Prediction of pointwise on gtx-1080-ti/paper: ")
        assert len(repr(p)) < 120
        assert p._repr_html_() is None


WRONG = [
    ("roofline", lambda g, p: (g,), "a prediction, as costmodel.latency"),
    ("breakdown", lambda g, p: (g,), "a prediction, as costmodel.latency"),
    ("breakdown", lambda g, p: ([p, g],), "a prediction, as costmodel.latency"),
    ("draw", lambda g, p: (p,), "an op graph, as costmodel.network"),
    ("mac_beside_bound", lambda g, p: ([1], p), "an op graph, as costmodel.network"),
    ("traffic_bounds", lambda g, p: ([1e4], {"a": p}), "an op graph, as costmodel.network"),
]


@pytest.mark.parametrize(("figure", "given", "said"), WRONG)
def test_figures_say_what_they_take(figure, given, said):
    plots = pytest.importorskip("costmodel.plots")
    graph = cm.zoo.pointwise(56, 56, 8, 8)
    with pytest.raises(DataError, match=f"this figure takes {said}"):
        getattr(plots, figure)(*given(graph, cm.latency(graph, GPU)))
