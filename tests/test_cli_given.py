"""Shapes and open sizes of inputs, as the command line takes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costmodel.cli.app import app
from costmodel.specs import InputShape, network

RUNNER = CliRunner()
MODULE = """
import torch


class Net(torch.nn.Module):
    def __init__(self, width=8, bias=True):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, width, 3, bias=bias)

    def forward(self, image):
        return self.conv(image)


class Words(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(10, 4)

    def forward(self, ids):
        return self.table(ids)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def counted(*words: str) -> dict:
    result = RUNNER.invoke(app, ["report", *words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def refusal(*words: str) -> str:
    result = RUNNER.invoke(app, ["report", *words], prog_name="costmodel")
    assert result.exit_code == 2
    return " ".join(result.stderr.split())


def onnx_file(path: Path, kind: str = "Relu", dims: tuple = ("batch", 3, "side", "side")) -> None:
    onnx = pytest.importorskip("onnx")
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(kind, ["images"], ["y"])],
        "net",
        [info("images", 1, dims)],
        [info("y", 1, dims)],
    )
    onnx.save(onnx.helper.make_model(graph), str(path))


def test_a_plain_module_with_parameters(folder: Path) -> None:
    pytest.importorskip("torch")
    (folder / "mine.py").write_text(MODULE)
    spec = "python:mine.py:Net?width=16&bias=false"
    graph = network(spec, inputs=(InputShape((1, 3, 32, 32)),))
    named = network(spec, inputs=(InputShape((1, 3, 32, 32), name="image"),))
    assert counted(spec, "-i", "1x3x32x32")["totals"]["params"] == 16 * 27
    assert [op for _, op in graph.nodes(data="op")] == [op for _, op in named.nodes(data="op")]
    assert "no example_inputs; give the shapes" in refusal("python:mine.py:Net")
    assert "do not fit forward" in refusal("python:mine.py:Net", "-i", "picture=1x3x8x8")
    assert "calling it with depth failed" in refusal("python:mine.py:Net?depth=3")


def test_the_dtype_of_an_input(folder: Path) -> None:
    pytest.importorskip("torch")
    (folder / "mine.py").write_text(MODULE)
    assert counted("python:mine.py:Words", "--input", "ids=1x7:int64")["totals"]["params"] == 40
    assert "no dtype 'quux'" in refusal("python:mine.py:Words", "--input", "1x7:quux")


def test_shapes_and_open_sizes_of_an_onnx_file(folder: Path) -> None:
    onnx_file(folder / "x.onnx")
    by_shape = counted("x.onnx", "--input", "images=1x3x32x32")["totals"]
    assert by_shape == counted("x.onnx", "--input", "1x3x32x32")["totals"]
    assert by_shape == counted("x.onnx", "--dim", "batch=1", "--dim", "side=32")["totals"]
    text = refusal("x.onnx", "--dim", "batch=1")
    assert "side of net are free" in text
    assert "--dim side=1" in text
    assert "no named dimension ['depth']" in refusal("x.onnx", "--dim", "depth=3")
    assert "no input ['y']" in refusal("x.onnx", "--input", "y=1x3")


def test_unknown_operators_name_the_flag(folder: Path) -> None:
    onnx_file(folder / "x.onnx", "Quux", (1, 3))
    text = refusal("x.onnx")
    assert "--lenient" in text
    assert "strict=False" not in text


def test_ncnn_files_need_a_shape(folder: Path) -> None:
    (folder / "n.param").write_text("7767517\n2 2\nInput d 0 1 d\nReLU relu 1 1 d out\n")
    assert "--input 1x3x224x224" in refusal("n.param")
    assert counted("n.param", "-i", "1x3x8x8")["totals"]["mac_elements"] == 2 * 3 * 64


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("-i", "1y3"), "--input '1y3' must be written as"),
        (("-i", "=1x3"), "must be written as"),
        (("--dim", "batch"), "--dim 'batch' must be written as name=size"),
        (("--dim", "n=1", "--dim", "n=2"), "given twice"),
        (("-i", "1x3"), "the zoo's networks take parameters"),
        (("--dim", "q=3"), "no size 'q' is open"),
    ],
)
def test_what_is_written_otherwise_is_said(words: tuple[str, ...], part: str) -> None:
    assert part in refusal("shufflenet_v2", *words)
