"""Spaces of networks that are given: an ONNX file, a torch module, a saved graph, a graph."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.errors import CostModelError, DataError
from costmodel.ops import Reshape
from costmodel.platforms import load_platform
from costmodel.spaces import Space, evaluate
from costmodel.specs import InputShape
from costmodel.specs.batch import with_batch

PLATFORMS = ("raspberry-pi-4/ncnn", "rk3399/tflite", "gtx-1080-ti/paper", "gtx-1080-ti/torch-eager")
PI = PLATFORMS[0]
MODULE = """
from torch import nn
from costmodel import zoo


def plain():
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 8, 1))


def own_widths(c1=16):
    return zoo.g1_stack(c1=c1, c2=8, blocks=2)


def any_names(**names):
    return zoo.g1_stack(c2=8, blocks=2, **{"c1": 16, **names})
"""


def run(*arguments, code=0):
    result = CliRunner().invoke(app, list(arguments), prog_name="costmodel")
    assert result.exit_code == code, result.output
    return result.stdout if not code else " ".join(result.output.split())


def written(file: Path, batch: int | str = 1, height: int | str = 32, width: int = 24) -> str:
    """Write convolutions, one of them depthwise, and an addition, as ONNX."""
    onnx = pytest.importorskip("onnx")
    shapes = {"a": (width, 3, 3, 3), "b": (width, 1, 3, 3), "c": (width, width, 1, 1)}
    shapes["d"] = (5, width, 1, 1)
    make, kind = onnx.helper, onnx.TensorProto.FLOAT
    same = {"pads": [1, 1, 1, 1]}
    nodes = [
        make.make_node("Conv", ["x", "a"], ["p"], strides=[2, 2], **same),
        make.make_node("Relu", ["p"], ["q"]),
        make.make_node("Conv", ["q", "b"], ["r"], group=width, **same),
        make.make_node("Conv", ["r", "c"], ["s"]),
        make.make_node("Add", ["s", "q"], ["t"]),
        make.make_node("Conv", ["t", "d"], ["y"]),
    ]
    weights = [
        make.make_tensor(n, kind, s, bytes(4 * int(np.prod(s))), True) for n, s in shapes.items()
    ]
    ends = ([batch, 3, height, 32], [batch, 5, "oh", 16])
    x, y = (make.make_tensor_value_info(n, kind, s) for n, s in zip("xy", ends, strict=True))
    onnx.save(make.make_model(make.make_graph(nodes, "net", [x], [y], weights)), file)
    return str(file)


def rows_are_those_of_single_networks(space: Space, platform: str) -> None:
    found = cm.sweep(space, platform)
    assert len(found) == space.count
    for row in range(len(found)):
        graph = space.graph(int(found.columns["variant"][row]))
        expected = {
            "latency": cm.latency(graph, platform).seconds,
            "multiply_adds": cm.multiply_adds(graph),
            "params": cm.params(graph),
            "mac": cm.mac(graph),
        }
        for name, value in expected.items():
            assert found.columns[name][row] == pytest.approx(value, rel=1e-9), found.variant(row)


# ---- rows


@pytest.mark.parametrize("platform", PLATFORMS)
def test_rows_of_a_file_are_those_of_its_single_networks(platform, tmp_path):
    spec = written(tmp_path / "net.onnx", "n", "h")
    # A width of 1 starts another kind of kernel than the others: those are another part.
    choices = {"n": ("1", "3"), "h": ("32", "33", "64"), "c1": ("1", "8", "17", "24")}
    space = cm.find_space(spec, choices)
    rows_are_those_of_single_networks(space, platform)
    same = cm.network(spec, dims={"n": 3, "h": 33})
    (row,) = [i for i in range(24) if space.variant(i) == {"n": 3, "h": 33, "c1": 24}]
    assert cm.mac(space.graph(row)) == cm.mac(same)
    assert cm.latency(space.graph(row), platform).seconds == pytest.approx(
        cm.latency(same, platform).seconds, rel=1e-9
    )


@pytest.mark.parametrize("platform", PLATFORMS[1:3])
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3", "googlenet", "shufflenet_v2"])
def test_rows_of_a_graph_are_those_of_its_single_networks(name, platform):
    graph = cm.network(name)
    _, now, _ = cm.free_widths(graph)
    some = [list(now)[i] for i in (0, len(now) // 2)]
    widths = {c: (now[c] // 2 + 1, now[c]) for c in some}
    rows_are_those_of_single_networks(cm.find_space(graph, {"batch": (1, 4), **widths}), platform)


def test_all_variants_are_one_graph_of_arrays(tmp_path):
    spec = written(tmp_path / "net.onnx")
    space = cm.find_space(spec, {"batch": range(1, 21), "c1": range(8, 108)})
    built = []

    def counted(**choices):
        built.append(choices)
        return space.build(**choices)

    found = cm.sweep(replace(space, build=counted), PI)
    assert found.seen == 2000
    assert [np.size(choices["c1"]) for choices in built if np.size(choices["c1"]) > 2] == [100]


def test_kinds_of_kernels_are_told_apart():
    graph = cm.zoo.conv2d(cin=cm.symbols("a")[0], cout=64, k=3, size=7, groups=4)
    space = cm.find_space(graph, {"a": (8, 4, 64)})  # with a = 4 each channel is a group
    rows_are_those_of_single_networks(space, PI)
    with pytest.raises(CostModelError, match="divisible by 4"):
        cm.sweep(cm.find_space(graph, {"a": (8, 4, 63)}), PI)


@pytest.mark.parametrize("name", ["pointwise", "pointwise?groups=1"])
def test_sizes_that_a_network_of_the_zoo_requires_are_arrays(name):
    space = cm.find_space(name, {"h": ("7", "14"), "w": (7,), "c1": (8, 16), "c2": range(1, 9)})
    assert space.alike == space.count == 32
    rows_are_those_of_single_networks(space, PI)


@pytest.mark.parametrize("numbers", [[0, 3], [3, 0, 2], [0, 1], [0, 1, 2, 3]])
def test_points_of_a_grid_that_nobody_asked_for_do_not_matter(numbers):
    a, g = cm.symbols("a g")
    graph = cm.zoo.conv2d(cin=a, cout=64, k=3, size=7, groups=g)
    # Of a = 4 and g = 4 each channel is a group: it is on the grid of 0 and 3, but none of them.
    space = cm.find_space(graph, {"a": (4, 8), "g": (2, 4)})
    found = evaluate.evaluate(space, load_platform(PI), np.array(numbers))
    expected = [cm.latency(space.graph(i), PI).seconds for i in numbers]
    np.testing.assert_allclose(found["latency"], expected, rtol=1e-9)


# ---- kinds of networks


def test_modules_saved_graphs_and_their_parameters(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "module.py").write_text(MODULE)
    spec = f"python:{tmp_path}/module.py"
    shaped = [InputShape((1, 3, 20, 20))]
    module = cm.find_space(f"{spec}:plain", {"batch": (1, 2), "c1": ("8", "16")}, shaped)
    rows_are_those_of_single_networks(module, PI)
    cm.save(module.graph(3), tmp_path / "net.json")
    saved = cm.find_space(str(tmp_path / "net.json"), {"c1": (8, 16)})
    assert cm.mac(saved.graph(0)) == cm.mac(module.graph(2))
    # A parameter of a function that is called c1 takes precedence over the width c1.
    for name in ("own_widths", "any_names"):
        space = cm.find_space(f"{spec}:{name}", {"c1": ("8", "24"), "batch": (1, 2)})
        assert cm.mac(space.graph(2)) == cm.mac(cm.zoo.g1_stack(c1=24, c2=8, blocks=2))
    # c2 is one that only the widths have.
    space = cm.find_space(f"{spec}:own_widths", {"c2": (8, 12), "c1": ("8", "24")})
    assert space.sizes == ("c2",)
    rows_are_those_of_single_networks(space, PI)


def test_parameters_and_widths_are_chosen_together(tmp_path):
    space = cm.find_space("mobilenet_v1?size=64", {"width": ("0.5", "1.0"), "c2": ("16", "40")})
    rows_are_those_of_single_networks(space, PI)
    with ProcessPoolExecutor(1) as executor:
        there = cm.sweep(space, PI, executor=executor)
    np.testing.assert_array_equal(there.columns["latency"], cm.sweep(space, PI).columns["latency"])


def test_a_symbol_as_batch_is_the_batch():
    n = cm.symbols("n")[0]
    for graph in (cm.zoo.shufflenet_v1(), cm.zoo.g1_stack(16, 8, batch=2)):
        free = with_batch(graph, n)
        for batch in (1, 6):
            assert cm.mac(cm.at(free, n=batch)) == cm.mac(with_batch(graph, batch))
    b = cm.Builder("flat")
    x = b.input((4, 8))
    mixed = b.finish(b.add(Reshape((32,)), x))
    with pytest.raises(DataError, match="export it with an open batch"):
        cm.find_space(mixed, {"batch": (1, 2)})


# ---- what is refused


def test_unknown_names_are_answered_with_those_that_are_free(tmp_path):
    spec = written(tmp_path / "net.onnx", "n")
    for choices in ({"colour": (1, 2), "n": (1,)}, {"colour": (1,)}, {}):
        with pytest.raises(DataError) as said:
            cm.find_space(spec, choices)
        assert "open sizes n; widths c1 (now 24: " in str(said.value)
    for choices in ({"colour": (1,)}, {}):  # two lines, however many widths there are
        with pytest.raises(DataError, match="widths c1 .*, c2 .* and 10 more$") as said:
            cm.find_space("resnet18", choices)
        assert len(str(said.value)) <= 160
    with pytest.raises(DataError, match=r"n of .* is open"):
        cm.find_space(spec, {"c1": (8, 16)})
    with pytest.raises(DataError, match="no 'n' to choose"):
        cm.find_space(spec, {"n": (1, 2)}, dims={"n": 1})
    with pytest.raises(DataError, match="numbers to choose from"):
        cm.find_space(spec, {"n": ("1", "many")})
    with pytest.raises(DataError, match="n has no values"):
        cm.find_space(spec, {"n": ()})
    with pytest.raises(DataError, match="no such file"):
        cm.find_space("nothing.onnx", {"n": (1, 2)})
    with pytest.raises(DataError, match="parameters size, batch, classes"):
        cm.find_space("resnet18", {"colour": (1, 2)})
    with pytest.raises(DataError, match="space fbnet has no 'c1' to choose; it has first0"):
        cm.find_space("fbnet", {"c1": (1, 2)})
    with pytest.raises(DataError, match="must be a name or a graph"):
        cm.find_space(3, {"c1": (1, 2)})
    for wrong in (0.5, -1):
        with pytest.raises(CostModelError, match="n"):
            cm.sweep(cm.find_space(spec, {"n": (1, wrong)}), PI)


def test_what_was_kept_of_another_network_of_the_name_is_not_taken_up(tmp_path):
    file, folder = tmp_path / "net.onnx", tmp_path / "parts"
    choices = {"batch": (1, 2)}
    cm.sweep(cm.find_space(written(file), choices), PI, folder=folder)
    cm.sweep(cm.find_space(str(file), choices), PI, folder=folder)
    other = cm.find_space(written(file, width=32), choices)
    with pytest.raises(DataError, match="another sweep"):
        cm.sweep(other, PI, folder=folder)


# ---- the command


def test_the_command_filters_writes_and_resumes(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    spec = written(tmp_path / "net.onnx", "n", "h")
    asked = ["sweep", spec, "-p", PI, "--dim", "n=1", "--choose", "h=32,64"]
    asked += ["--choose", "c1=8,16,24,32"]
    every = json.loads(run(*asked, "--json"))
    assert (every["variants"], len(every["rows"])) == (8, 8)
    limit = sorted(row[every["columns"].index("flops")] for row in every["rows"])[4]
    some = json.loads(run(*asked, "--where", f"flops<{limit}", "--best", "2", "--json"))
    assert len(some["rows"]) == 2
    front = json.loads(run(*asked, "--pareto", "latency,params", "--json"))
    assert len(front["rows"]) == 1  # the smallest is the fastest
    file = tmp_path / "all.parquet"
    for _ in range(2):
        run(*asked, "-o", str(file), "--resume", str(tmp_path / "parts"))
        table = parquet.read_table(file).to_pydict()
        assert sorted(zip(table["h"], table["c1"], strict=True)) == [
            (h, c) for h in (32, 64) for c in (8, 16, 24, 32)
        ]
    assert "'h' is given twice" in run(*asked, "--choose", "h=1", code=2)
    assert "widths c1 (now 24" in run("sweep", spec, "-p", PI, code=2)
