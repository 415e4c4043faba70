"""Reports as text: a tree of modules whose times add up, and lines that fit."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

import costmodel as cm
from costmodel.report import collect, report_document
from costmodel.report.terminal import print_report
from costmodel.units import parse

GPU = "gtx-1080-ti/paper"
EAGER = "rtx-4090/torch-eager"


def shown(
    network: str, platform: str | None, depth: int | None = None, width: int = 80, **options
) -> str:
    graph = cm.network(network)
    p = None if platform is None else cm.latency(graph, platform)
    stream = io.StringIO()
    print_report(Console(file=stream, width=width), collect(graph, p, depth), **options)
    return stream.getvalue()


def rows(text: str, head: str) -> list[str]:
    """Return the lines of the table whose head starts with a word."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(head))
    return [line.rstrip() for line in "\n".join(lines[start:]).split("\n\n")[0].splitlines()[1:]]


@pytest.mark.parametrize("platform", [GPU, EAGER, "raspberry-pi-4/ncnn", "t4/cuda-graphs"])
def test_times_of_modules_add_up_to_the_total(platform):
    times = []
    for row in rows(shown("resnet18", platform), "module"):
        found = re.search(r"([\d.]+ [mµn]?s) +(<?[\d.]+) %$", row)
        if found is not None:
            times.append(parse(found[1], "s"))
    *parts, total = times
    assert len(parts) > 5
    assert sum(parts) == pytest.approx(total, rel=0.01)


def test_a_tree_of_modules_as_deep_as_asked():
    two = rows(shown("shufflenet_v2", GPU, depth=2), "module")
    names = [row[:12].rstrip() for row in two]
    at = names.index("stage2")
    assert names[at : at + 6] == ["stage2", "  0", "  1", "  2", "  3", "stage3"]
    assert "1x116x28x28" in two[at]
    assert "31,348" in two[at]
    # Seven modules, the fixed cost, the total.
    assert len(rows(shown("shufflenet_v2", GPU), "module")) == 9


def in_wrappers(parts: int):
    """Return a network whose ``parts`` lie in a module of a module, as importers find them."""
    b = cm.Builder("wrapped")
    x = b.input((1, 3, 32, 32))
    with b.module("model"), b.module("features"):
        for i in range(parts):
            with b.module(str(i)):
                x = b.add(cm.ops.Conv(8, (3, 3), padding=1), x)
    with b.module("head"):
        return b.finish(b.add(cm.ops.Elementwise("relu"), x))


def module_names(graph, depth: int | None = None) -> list[str]:
    stream = io.StringIO()
    print_report(Console(file=stream, width=80), collect(graph, depth=depth))
    return [row.split(" 1x")[0].rstrip() for row in rows(stream.getvalue(), "module")][:-1]


def test_a_module_that_holds_nearly_everything_is_opened():
    inside = [f"    {i}" for i in range(12)]
    assert module_names(in_wrappers(12)) == ["model", "  features", *inside, "head"]
    assert module_names(in_wrappers(12), depth=1) == ["model", "head"]
    assert module_names(in_wrappers(50)) == ["model", "  features", "head"], "not a page of rows"
    document = report_document(collect(in_wrappers(12)))
    assert [m["module"] for m in document["modules"]] == ["model", "head"]


def test_a_network_that_waits_for_its_host_says_so_and_shows_its_dispatches():
    text = shown("shufflenet_v2", EAGER)
    assert "the device waits for its host" in text
    assert "slowest kernels" not in text
    dispatches = rows(text, "dispatches")
    assert dispatches[0].split()[:2] == ["batch_norm", "56"]
    assert "slowest kernels" in shown("shufflenet_v2", GPU)
    assert "dispatches" not in shown("shufflenet_v2", GPU)
    assert "kernel, times in" in shown("shufflenet_v2", EAGER, explain=True)


def test_what_is_in_no_module_has_a_line():
    text = shown("mobilenet_v2", GPU)
    assert "(no module)" not in text
    b = cm.Builder("mixed")
    with b.module("body"):
        x = b.add(cm.ops.Elementwise("relu"), b.input((1, 8)))
    graph = b.finish(b.add(cm.ops.Elementwise("relu"), x))
    stream = io.StringIO()
    print_report(Console(file=stream, width=80), collect(graph))
    assert "(no module)" in stream.getvalue()


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_was_fused_stands_indented_below_its_kernel(width):
    text = shown("shufflenet_v2", GPU, width=width, explain=True)
    kernels = cm.latency(cm.zoo.shufflenet_v2(), GPU).kernels
    lines = rows(text, "kernel, times in")
    starts = [line for line in lines if not line.startswith("  ")]
    assert len(starts) == len(kernels)
    for line, k in zip(starts, kernels, strict=True):
        assert str(k.waits_for) in line


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("platform", [None, GPU, EAGER, "raspberry-pi-4/ncnn?threads=4"])
@pytest.mark.parametrize("explain", [False, True])
def test_lines_fit(platform, width, explain):
    if explain and platform is None:
        return
    text = shown("densenet?layers=2,2,2,2", platform, depth=3, width=width, explain=explain)
    assert max(map(len, text.splitlines())) <= width


def test_long_names_lose_their_middle():
    b = cm.Builder("long")
    with b.module("a_module_with_a_very_long_name_indeed"):
        x = b.add(cm.ops.Elementwise("relu"), b.input((1, 8)), name="an_operator_with_a_long_name")
    stream = io.StringIO()
    print_report(Console(file=stream, width=60), collect(b.finish(x)))
    assert "a_mo...ndeed" in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) <= 60
