"""Latencies in closed form: quick to find on every runtime, and equal to those of numbers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import jsonschema
import networkx as nx
import pytest
import sympy
from typer.testing import CliRunner

import costmodel as cm
from costmodel.algebra.formula import to_text
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel.prediction.grouped import grouped
from costmodel.report import schema
from costmodel.runtimes import load_runtime, runtime_names

LIMIT = 15.0
"""Far above the time for the closed form of ResNet-50; one that explodes takes minutes. [s]"""


def platform_of(runtime: str) -> str:
    own = {("gpu",): "rtx-3090", ("accelerator",): "eyeriss"}
    hardware = own.get(tuple(load_runtime(runtime).algorithms), "raspberry-pi-4")
    return f"{hardware}/{runtime}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "network"),
    [
        ("host/torch-eager", cm.zoo.resnet50),
        *((platform_of(name), cm.zoo.resnet18) for name in runtime_names()),
    ],
)
def test_batch_and_size_as_symbols_are_quick_and_right(
    platform: str, network: Callable[..., nx.DiGraph]
) -> None:
    where = cm.load_platform(platform)
    cm.latency(cm.zoo.squeezenet(), where)  # so that reading and caches are not timed
    graph = network(batch=cm.dim("batch"), size=cm.dim("size"))
    start = time.process_time()
    seconds = cm.latency(graph, where).seconds
    taken = time.process_time() - start
    assert taken < LIMIT
    function = sympy.lambdify([cm.dim("batch"), cm.dim("size")], seconds, "numpy", cse=True)
    for batch, size in ((1, 224), (8, 160)):
        expected = cm.latency(network(batch=batch, size=size), where).seconds
        assert float(function(batch, size)) == pytest.approx(float(expected), rel=1e-9)


# ---- kernel by kernel


def value_of(lines, values: dict[str, float]) -> float:
    """Work the definitions out, one after the other."""
    known = dict(values)
    for line in lines:
        expression = sympy.sympify(line.expression)
        names = {s.name for s in expression.free_symbols}
        assert names <= set(known), f"{line.name} takes what no line before it defines"
        assert line.name not in known
        function = sympy.lambdify(list(expression.free_symbols), expression, "numpy")
        known[line.name] = float(function(*(known[s.name] for s in expression.free_symbols)))
    return known["latency"]


PLATFORMS = [
    "raspberry-pi-4/ncnn", "gtx-1080-ti/paper", "host/torch-eager", "eyeriss/accelerator",
    "t4/torch-compile",
]  # fmt: skip
SPECS = ["conv2d?cin=64&cout=64&k=3&size=size", "g1_stack?c1=x1&c2=x3&blocks=3"]
DEEP = "mobilenet_v1?width=0.25&size=size&batch=n"
"""Many groups of kernels: one CPU and one GPU, as each platform has both small ones."""
CASES = [
    *((platform, spec) for platform in PLATFORMS for spec in SPECS),
    *(
        pytest.param(platform, DEEP, marks=pytest.mark.slow)
        for platform in ("raspberry-pi-4/ncnn", "gtx-1080-ti/paper")
    ),
]


@pytest.mark.parametrize(("platform", "spec"), CASES)
def test_the_lines_together_are_the_latency(platform: str, spec: str) -> None:
    where = cm.load_platform(platform)
    prediction = cm.latency(cm.network(spec), where)
    free = sorted(prediction.seconds.free_symbols, key=str)
    whole = sympy.lambdify(free, prediction.seconds, "numpy", cse=True)
    lines = grouped(prediction, where)
    for start in (1, 7, 64):
        point = [start + 3 * i for i in range(len(free))]
        values = {symbol.name: value for symbol, value in zip(free, point, strict=True)}
        assert value_of(lines, values) == pytest.approx(float(whole(*point)), rel=1e-9)


def test_kernels_of_one_formula_are_one_line_with_named_terms() -> None:
    graph = cm.zoo.g1_stack(64, cm.dim("c"), blocks=6)
    lines = {
        line.name: line
        for line in grouped(cm.latency(graph, "raspberry-pi-4/ncnn"), "raspberry-pi-4/ncnn")
    }
    assert "6*kernel" in to_text(lines["latency"].expression) or "5*kernel" in to_text(
        lines["latency"].expression
    )
    kernel = next(line for name, line in lines.items() if name.startswith("kernel"))
    for term in ("compute1", "memory1", "bound1"):
        assert term in {s.name for s in kernel.expression.free_symbols}
    assert all(len(to_text(line.expression)) < 400 for line in lines.values())


def test_a_number_has_no_formula() -> None:
    where = "raspberry-pi-4/ncnn"
    with pytest.raises(DataError, match="free symbols"):
        grouped(cm.latency(cm.zoo.resnet18(), where), where)


def test_the_command_writes_lines_as_text_latex_and_json() -> None:
    asked = ["formula", "g1_stack?c1=c&c2=d&blocks=2", "--of", "latency"]
    asked += ["-p", "raspberry-pi-4/ncnn"]

    def run(*more: str) -> str:
        result = CliRunner().invoke(app, [*asked, *more], prog_name="costmodel")
        assert result.exit_code == 0, result.output
        return result.stdout

    text = run()
    assert text.splitlines()[-1].startswith("latency = ")
    assert "# block0.conv" in text
    latex = run("--latex")
    assert latex.startswith(r"\begin{align*}")
    assert latex.count("&=") == len(text.splitlines())
    document = json.loads(run("--json"))
    jsonschema.validate(document, schema())
    assert document["formulas"][0]["text"] == text.rstrip("\n")
