"""Reports: the figures that they hold, and that every way of showing them shows the same."""

from __future__ import annotations

import html.parser
import io
import math
import re
from statistics import NormalDist

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import costmodel as cm
from costmodel.errors import DataError
from costmodel.kernels import Kernel
from costmodel.ops import Conv, Elementwise
from costmodel.prediction import KernelTime, Prediction
from costmodel.report import (
    collect,
    graph_fragment,
    page,
    prediction_fragment,
    report_document,
    schema,
    to_csv,
)
from costmodel.report.terminal import print_report
from costmodel.report.text import bar, count, share, shorten
from costmodel.timing.terms import Terms


def kernel_time(name="conv", seconds=4.0, launch=1.0, compute=3.0, memory=2.0, host=0.5):
    kernel = Kernel(name, "pointwise", (name, "relu"), 8, 2, (), (), 4, 4, "float32")
    return KernelTime(kernel, Terms(host, launch, compute, memory, 0.0, seconds))


def prediction(*kernels: KernelTime, **changes) -> Prediction:
    device = sum(k.seconds for k in kernels)
    fields = {
        "network": "net",
        "platform": "board/engine",
        "seconds": device + 1.5,
        "uncertainty": lambda: math.log(2) / NormalDist().inv_cdf(0.95),
        "level": 0.9,
        "kernels": kernels,
        "fixed": 1.0,
        "transfer": 0.5,
        "dispatch": 0.0,
        "bound_seconds": 2.0,
        "basis": "priors",
    }
    return Prediction(**{**fields, **changes})


def small() -> cm.Builder:
    b = cm.Builder("net")
    x = b.input((1, 8, 14, 14))
    with b.module("body"):
        x = b.add(Conv(16, (1, 1)), x, name="conv")
        x = b.add(Elementwise("relu"), x, name="relu")
    return b.finish(x)


def shown(report, explain=False, **console) -> str:
    stream = io.StringIO()
    print_report(Console(file=stream, width=80, **console), report, explain)
    return stream.getvalue()


def test_totals_agree_with_the_library():
    graph = cm.zoo.shufflenet_v2(width=0.5)
    t = collect(graph).totals
    assert (t.multiply_adds, t.work) == (cm.multiply_adds(graph), cm.work(graph))
    assert (t.mac, t.mac_bytes) == (cm.mac(graph), cm.mac(graph, unit="bytes"))
    assert (t.io_lower_bound, t.mac_lower_bound) == (
        cm.io_lower_bound(graph),
        cm.mac_lower_bound(graph),
    )
    assert t.intensity == cm.intensity(graph)
    assert t.parallelism == cm.parallelism(graph)
    assert t.flops == 2 * t.multiply_adds


def test_operators_and_modules_add_up_to_the_totals():
    report = collect(cm.zoo.resnet18())
    for field in ("multiply_adds", "mac"):
        whole = getattr(report.totals, field)
        assert sum(getattr(o, field) for o in report.operators) == whole
        assert sum(getattr(m.cost, field) for m in report.modules) == whole
    assert sum(m.operators for m in report.modules) == report.totals.operators


def test_module_seconds_add_up_to_the_device_time():
    graph = small()
    p = prediction(kernel_time("body.conv"), kernel_time("body.conv.0", seconds=2.0))
    assert collect(graph, p).module_seconds == {"body": 6.0}


def test_free_symbols_are_refused_by_name():
    with pytest.raises(DataError, match="c1, c2, h, w of pointwise are free"):
        collect(cm.zoo.pointwise(*cm.symbols("h w c1 c2")))


def test_a_network_that_does_nothing_is_reported_without_ratios():
    b = cm.Builder("nothing")
    report = collect(b.finish(b.input((1, 8))))
    assert report.totals.intensity is None
    assert report.totals.parallelism is None
    jsonschema.validate(report_document(report), schema())
    assert "average parallelism" in shown(report)
    assert "average parallelism" in page(report)


def test_partial_coverage_stands_beside_every_total():
    graph = small()
    graph.graph.update(coverage=0.75, unknown=("NonZero at head.nz",))
    report = collect(graph)
    lines = shown(report).splitlines()
    assert any("NonZero at head.nz" in line for line in lines)
    assert "coverage at least 75 % of the work; in no figure below:" in lines
    for name in ("multiply-adds", "MAC (memory", "MAC lower", "parameters", "work", "span"):
        assert any(line.startswith(name) and " at least " in line for line in lines)
        assert re.search(rf"{re.escape(name)}[^<]*</td><td>at least ", page(report))
    # A quotient may rise or fall with what is not counted.
    for name in ("intensity", "average parallelism"):
        assert not any(line.startswith(name) and "at least" in line for line in lines)
    document = report_document(report)
    assert (document["coverage"], document["unknown_operators"]) == (0.75, ["NonZero at head.nz"])
    assert "NonZero at head.nz" in page(report)


def test_waits_are_the_latency_taken_apart():
    p = prediction(kernel_time(), kernel_time("b", seconds=2.0, memory=9.0))
    assert p.waits() == {"compute": 4.0, "memory": 2.0, "fixed": 1.0, "transfer": 0.5}
    assert sum(p.waits().values()) == p.seconds
    assert p.bottleneck == "compute"


def test_a_device_that_waits_for_its_host_is_said_to():
    p = prediction(kernel_time(), seconds=11.5, dispatch=10.0)
    assert p.waits() == {"dispatch": 10.0, "fixed": 1.0, "transfer": 0.5}
    assert p.bottleneck == "dispatch"
    # A host that is faster than the device does not count, nor one that the runtime waits for.
    assert prediction(kernel_time(), dispatch=3.0).bottleneck == "compute"
    assert prediction(kernel_time(), dispatch=30.0).bottleneck == "compute"


def test_json_follows_the_schema_with_and_without_an_interval():
    for p in (prediction(kernel_time()), prediction(kernel_time(), uncertainty=None), None):
        document = report_document(collect(small(), p))
        jsonschema.validate(document, schema())
        assert (document["prediction"] is None) == (p is None)


def test_csv_of_kernels_keeps_the_terms():
    header, row = to_csv(collect(small(), prediction(kernel_time()))).splitlines()
    found = dict(zip(header.split(","), row.split(","), strict=True))
    assert found["nodes"] == "conv relu"
    assert (found["seconds"], found["launch_seconds"]) == ("4.0", "1.0")
    assert found["waits_for"] == "compute"


def test_terminal_says_predicted_interval_basis_and_bottleneck():
    text = shown(collect(small(), prediction(kernel_time())), explain=True)
    assert "predicted 5.5 s (90 % interval 2.75 s to 11 s), from priors" in text
    assert "bottleneck: arithmetic" in text
    assert "pointwise + relu" in text


def test_terminal_draws_on_terminals_only():
    report = collect(small(), prediction(kernel_time()))
    assert "\x1b" not in shown(report)
    assert "─" not in shown(report)
    assert "─" in shown(report, force_terminal=True, color_system=None)


def test_long_names_do_not_break_80_columns():
    b = cm.Builder("n" * 60)
    with b.module("m" * 90):
        x = b.add(Conv(16, (1, 1)), b.input((1, 8, 14, 14)), name="c" * 120)
    report = collect(b.finish(x), prediction(kernel_time("c" * 120)))
    for text in (shown(report), shown(report, explain=True)):
        assert max(map(len, text.splitlines())) <= 80


class Balance(html.parser.HTMLParser):
    """Checks that every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_balanced_and_escaped():
    b = cm.Builder("<script>alert(1)</script>")
    graph = b.finish(b.add(Conv(16, (1, 1)), b.input((1, 8, 14, 14)), name="a<b&c"))
    p = prediction(kernel_time("a<b&c"), network="<i>net")
    graph.graph.update(coverage=0.5, unknown=("<b>Op",))
    for text in (page(collect(graph, p)), prediction_fragment(p), graph_fragment(graph)):
        parser = Balance()
        parser.feed(text)
        assert parser.open == []
        assert "<script>alert" not in text
        assert "a<b" not in text
        assert "<i>net" not in text
        assert "<b>Op" not in text


def test_html_fragments_say_what_the_terminal_says():
    text = prediction_fragment(prediction(kernel_time()))
    for words in ("predicted", "5.5 s", "90 % interval 2.75 s to 11 s", "priors", "arithmetic"):
        assert words in text
    assert "FLOPs" in graph_fragment(small())


@given(st.integers(0, 10**18))
def test_counts_keep_four_digits(value):
    text = count(value)
    number, _, suffix = text.partition(" ")
    scale = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}[suffix]
    assert float(number.replace(",", "")) * scale == pytest.approx(value, rel=5.1e-4)
    assert len(text) <= 9


@given(st.floats(0, 1), st.integers(1, 40))
def test_bars_fit_and_show_what_is_not_zero(part, width):
    assert (part > 0) <= len(bar(part, width)) <= width


@given(st.text("abc.", min_size=1, max_size=60), st.integers(8, 40))
def test_short_names_fit(name, width):
    assert len(shorten(name, width)) <= max(width, 5)
    assert shorten(name, 60) == name


def test_shares():
    assert [share(x) for x in (0, 0.0004, 0.0995, 0.999, 1)] == [
        "0 %",
        "<0.1 %",
        "10 %",
        "100 %",
        "100 %",
    ]
