"""The commands that help to design, on a network of the zoo, a torch module and an ONNX file."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel.report import schema

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")
pyplot = pytest.importorskip("matplotlib.pyplot")

PI = "raspberry-pi-4/ncnn"
MODULE = """
import torch
from torch import nn


def net(width=32):
    layers = [nn.Conv2d(3, width, 3, 2, 1), nn.BatchNorm2d(width), nn.SiLU()]
    layers += [nn.Conv2d(width, 4 * width, 1), nn.SiLU(), nn.Conv2d(4 * width, 16, 1)]
    return nn.Sequential(*layers), torch.zeros(1, 3, 96, 96)


def alone(width=32):
    return net(width)[0]
"""
KINDS = ("zoo", "torch", "shaped", "onnx", "open")
GIVEN = {"shaped": ["--input", "1x3x96x96"], "open": ["--dim", "n=1"]}
"""What a network must be told: the shape of its input, the size that it leaves open."""


@pytest.fixture(autouse=True)
def _close():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("networks")
    (folder / "module.py").write_text(MODULE)
    return {
        "zoo": "mobilenet_v1?width=0.26&size=64",
        "torch": f"python:{folder}/module.py:net",
        "shaped": f"python:{folder}/module.py:alone",
        "onnx": str(written(folder / "net.onnx", 1)),
        "open": str(written(folder / "open.onnx", "n")),
    }


def written(file: Path, batch: int | str) -> Path:
    """Write a network of two convolutions with a costly activation between them."""
    from onnx import TensorProto, helper

    weights = [("a", (32, 3, 3, 3)), ("b", (128, 32, 1, 1)), ("c", (16, 128, 1, 1))]
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["h"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("Conv", ["t", "b"], ["u"]),
        helper.make_node("Tanh", ["u"], ["v"]),
        helper.make_node("Conv", ["v", "c"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 96, 96])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 16, 48, 48])],
        [
            helper.make_tensor(n, TensorProto.FLOAT, s, bytes(4 * s[0] * s[1] * s[2] * s[3]), True)
            for n, s in weights
        ],
    )
    onnx.save(helper.make_model(graph), file)
    return file


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments), prog_name="costmodel")
    assert result.exit_code == code, result.output
    return result.stdout if not code else result.output


LIMIT = ["--max-latency", "1ms", "--over"]
COMMANDS = {
    "advise": ["advise"],
    "compare": ["compare", "mobilenet_v1?width=0.5&size=64"],
    "crossovers": ["compare", "mobilenet_v1?width=0.5&size=64", "--over", "batch=1:4"],
    "whatif": ["whatif"],
    "meet": ["whatif", *LIMIT, "bandwidth=1GB/s:10GB/s"],
    "rebatched": ["whatif", *LIMIT, "batch=1:4"],
    "solve": ["solve", "--widths", "--at-least", "multiply_adds=1e5", "--multiple", "4"],
    "sweep": ["sweep", "--choose", "batch=1,2", "--choose", "c1=16,24,32"],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_every_kind_of_network(
    command: str, kind: str, networks: dict[str, str], tmp_path: Path
) -> None:
    name, *arguments = COMMANDS[command]
    where = [] if command == "solve" else ["-p", PI]  # it minimizes MAC, which no platform has
    asked = [name, networks[kind], *arguments, *where, *GIVEN.get(kind, ())]
    if command == "rebatched" and kind == "open":
        asked = asked[:-2]  # the size that varies is the one that is open
    picture = tmp_path / "figure.png"
    text = run(*asked, "--plot", str(picture))
    assert text.strip()
    assert picture.read_bytes()[:4] == b"\x89PNG"
    document = json.loads(run(*asked, "--json"))
    jsonschema.validate(document, schema())


@pytest.mark.parametrize("kind", ["zoo", "torch", "onnx"])
def test_all_of_it_from_python(kind: str, networks: dict[str, str]) -> None:
    from costmodel import plots
    from costmodel.comparison import curves

    graph = cm.network(networks[kind])
    advice = cm.advise(graph, PI)
    for number in range(1, len(advice.findings) + 1):
        cm.validate(advice.apply([number]))
    if advice.findings:
        plots.savings(advice)
    comparison = cm.compare([graph, cm.zoo.resnet18()], PI)
    assert comparison.differences[0].ratio > 1
    plots.compared(comparison)
    plots.elasticities(cm.sensitivities(graph, PI))
    axis = cm.Axis("batch", 1, 4)
    seconds = float(cm.latency(graph, PI).seconds)
    (batch,) = cm.meet(graph, PI, axis, 1.5 * seconds)
    plots.along(curves(graph, PI, axis), marks=[batch], limit=1.5 * seconds)
    free, now, _ = cm.free_widths(graph)
    least = {"multiply_adds": cm.multiply_adds(graph) // 2}
    ranges = {name: (max(1, width // 2), width) for name, width in now.items()}
    found = cm.solve(free, at_least=least, ranges=ranges)
    assert cm.mac(cm.at(free, **found.values)) == found.objective <= cm.mac(graph)
    plots.solved(found)
    found = cm.sweep(cm.find_space(graph, {"batch": (1, 2), "c1": (16, 24)}), PI, best=3)
    assert len(found) == 3
    plots.swept(found)


def test_a_function_of_a_user_has_parameters_to_vary(networks: dict[str, str]) -> None:
    spec, graph = networks["torch"], cm.network(f"{networks['torch']}?width=64")
    limit = 1e3 * float(cm.latency(graph, PI).seconds)
    out = run("whatif", spec, "-p", PI, "--max-latency", f"{limit}ms", "--over", "width=8:128")
    (width,) = cm.meet(spec, PI, cm.Axis("width", 8, 128), limit / 1e3)
    assert f"at width = {width:g}" in out
    assert 63 <= width <= 66
    with pytest.raises(DataError, match="depth"):
        cm.meet(spec, PI, cm.Axis("depth", 1, 4), 1.0)


def test_a_limit_that_is_not_crossed_is_met_or_exceeded_and_it_is_said_which() -> None:
    arguments = ["whatif", "mobilenet_v1?size=64", "-p", PI, "--over", "batch=1:2"]
    assert "1us is exceeded at every batch" in run(*arguments, "--max-latency", "1us")
    assert "100s is met at every batch" in run(*arguments, "--max-latency", "100s")


@pytest.mark.parametrize("over", ["bandwidth=1GB/s:10GB/s", "clock=1GHz:2GHz", "c1=1:8"])
def test_other_open_sizes_are_named(over: str) -> None:
    asked = ["whatif", "pointwise?h=56&w=56", "-p", PI, "--max-latency", "1ms", "--over", over]
    out = run(*asked, code=2)
    assert "must be a number" in " ".join(out.split())
    assert "c2" in out


def test_sizes_that_no_network_leaves_open_are_refused(networks: dict[str, str]) -> None:
    for command in ("compare", "whatif", "advise", "solve", "formula", "sweep"):
        more = [] if command in ("solve", "formula") else ["-p", PI]
        more += ["--choose", "c1=8,16"] if command == "sweep" else []
        assert "'m'" in run(command, networks["open"], "--dim", "m=1", *more, code=2)


def test_a_size_may_be_given_and_varied_in_a_comparison(networks: dict[str, str]) -> None:
    spec = networks["open"]
    asked = ["compare", spec, networks["onnx"], "-p", PI, "--over", "batch=1:4", "--dim", "n=2"]
    document = json.loads(run(*asked, "--json"))
    assert document["differences"][0]["ratio"] < 0.8  # two inputs against one
    assert document["crossovers"][0]["values"] == []


@pytest.mark.parametrize("command", ["compare", "advise", "whatif", "solve", "sweep"])
def test_files_that_no_figure_is_written_to_are_refused_before_the_work(
    command: str, networks: dict[str, str], tmp_path: Path
) -> None:
    more = [] if command == "solve" else ["-p", PI]
    file = str(tmp_path / "figure.doc")
    out = run(command, networks["open"], *more, "--plot", file, code=2)
    assert ".png" in out


def test_freed_widths_written_and_read_are_the_solution(
    networks: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "better.json"
    asked = ["solve", networks["onnx"], "--widths", "--at-least", "multiply_adds=1e7"]
    document = json.loads(run(*asked, "-o", str(file), "--json"))
    assert set(document["now"].values()) == {32, 128}
    better = cm.load(file)
    assert cm.multiply_adds(better) == document["quantities"]["multiply_adds"]
    assert cm.mac(better) == document["quantities"]["mac"]
    assert document["quantities"]["mac"] <= cm.mac(cm.network(networks["onnx"]))
    assert "(now 128:" in run(*asked)


@pytest.mark.parametrize("spec", ["resnet18", "mobilenet_v2", "shufflenet_v2", "googlenet"])
def test_freed_widths_at_what_they_are_give_the_network_back(spec: str) -> None:
    graph = cm.network(spec)
    free, now, layers = cm.free_widths(graph)
    back = cm.at(free, **now)
    assert [back.nodes[n] for n in back] == [graph.nodes[n] for n in graph]
    assert set(layers) == set(now)
    twice = cm.at(free, **{name: 2 * width for name, width in now.items()})
    assert cm.multiply_adds(twice) > 1.5 * cm.multiply_adds(graph)


def test_widths_that_are_not_free_are_refused() -> None:
    with pytest.raises(DataError, match="no width of shufflenet_v1 is free"):
        cm.free_widths(cm.zoo.shufflenet_v1())
    with pytest.raises(DataError, match="must be numbers"):
        cm.free_widths(cm.zoo.pointwise(56, 56, *cm.symbols("c1 c2")))
