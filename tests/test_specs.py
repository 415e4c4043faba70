"""Networks by a line of text: the zoo, files, Python callables, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import costmodel as cm
from costmodel import zoo
from costmodel.algebra.formula import to_text
from costmodel.errors import CostModelError, DataError
from costmodel.specs import network

CELL = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"


def test_zoo_parameters_are_read_by_type() -> None:
    graph = network("shufflenet_v2?width=1.5&size=192&batch=8&se=true&dtype=float16")
    assert cm.cost(graph) == cm.cost(zoo.shufflenet_v2(1.5, 192, 8, se=True, dtype="float16"))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("resnet?depth=18", zoo.resnet(18)),
        ("resnet50?size=800x1216", zoo.resnet50(size=(800, 1216))),
        ("shufflenet_v2?channels=24,48,96,192,512",
         zoo.shufflenet_v2(channels=(24, 48, 96, 192, 512))),
        ("g3_stack?structure=2-fragment-parallel&c=128",
         zoo.g3_stack("2-fragment-parallel", 128)),
        (f"nasbench201?arch_str={CELL}&cells=1", zoo.nasbench201(CELL, cells=1)),
        ("conv2d?n=1&cin=64&size=56&cout=64&k=1&groups=1", zoo.conv2d(1, 64, 56, 64, 1)),
        ("elementwise?kind=add&shape=512,1024", zoo.elementwise("add", (512, 1024))),
        ("elementwise?kind=add&shape=512x1024&value=2", zoo.elementwise("add", (512, 1024), 2.0)),
        (" mobilenet_v1?width=0.25 ", zoo.mobilenet_v1(0.25)),
    ],
)  # fmt: skip
def test_specs_equal_calls(spec: str, expected: object) -> None:
    assert cm.cost(network(spec)) == cm.cost(expected)


def test_missing_sizes_become_symbols() -> None:
    assert to_text(cm.mac(network("pointwise"))) == "h*w*(c1 + c2) + c1*c2"
    h, w, c = cm.symbols("h w c")
    assert cm.multiply_adds(network("pointwise?c1=c&c2=c")) == c**2 * h * w
    assert cm.multiply_adds(network("pointwise?h=56&w=56&c1=128&c2=128")) == 56 * 56 * 128 * 128
    assert cm.multiply_adds(network("g1_stack")) == 20 * 56 * 56 * cm.dim("c1") * cm.dim("c2")


def test_expressions_are_sizes() -> None:
    m, n = cm.symbols("m n")
    assert cm.multiply_adds(
        network("resnet50?size=32*m&batch=n&stride_on=1x1")
    ) == cm.multiply_adds(zoo.resnet50(32 * m, n, stride_on="1x1"))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", ["cannot tell"]),
        ("shufflenet", ["unknown network 'shufflenet'", "shufflenet_v2"]),
        ("folder/thing", ["cannot tell", "'python:module:callable'"]),
        ("model.tflite", ["cannot tell"]),
        ("resnet50?", []),
        ("resnet?depth=fifty", ["'depth'", "an integer", "'fifty'"]),
        ("resnet?depht=50", ["'depht'", "depth, size"]),
        ("resnet?depth", ["name=value"]),
        ("resnet?depth=", ["name=value"]),
        ("resnet?depth=18&depth=34", ["given twice"]),
        ("shufflenet_v2?se=maybe", ["true or false"]),
        ("pointwise?h=__import__('os')", ["'h'", "an integer or a symbol"]),
        ("resnet50?size=1x2x3", ["800x1200"]),
        ("nasbench201", ["needs 'arch_str'"]),
        ("missing.json", ["missing.json", "no such file"]),
        ("missing.onnx", ["missing.onnx", "no such file"]),
        ("python:only", ["python:module:callable"]),
        ("python:no_such_module_at_all:f", ["importing no_such_module_at_all failed"]),
        ("python:missing.py:f", ["missing.py", "no such file"]),
        ("python:math:no_such", ["math has no 'no_such'"]),
        ("python:math:pi", ["float is not callable"]),
        ("python:math:sqrt", ["failed: TypeError"]),
        ("python:time:time", ["got float", "example_inputs"]),
    ],
)
def test_wrong_specs_get_one_sentence(spec: str, words: list[str]) -> None:
    if not words:
        network(spec)
        return
    with pytest.raises(CostModelError) as caught:
        network(spec)
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_saved_graph(tmp_path: Path) -> None:
    path = tmp_path / "g.json"
    cm.save(zoo.g4_stack(64), path)
    assert cm.cost(network(str(path))) == cm.cost(zoo.g4_stack(64))
    path.write_text("{}")
    with pytest.raises(DataError, match=r"g\.json"):
        network(str(path))


def test_python_callable_that_returns_a_graph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_graphs_for_specs.py").write_text(
        "from costmodel import zoo\n"
        "def net():\n    return zoo.pointwise(7, 7, 8, 16)\n"
        "graph = net()\n"
        "def wrong():\n    import networkx\n    return networkx.DiGraph([('a', 'b')])\n"
    )
    monkeypatch.chdir(tmp_path)
    path = list(sys.path)
    for spec in (
        "python:my_graphs_for_specs:net",
        "python:my_graphs_for_specs:graph",
        "python:my_graphs_for_specs.py:net",
        f"python:{tmp_path}/my_graphs_for_specs.py:net",
    ):
        assert cm.multiply_adds(network(spec)) == 7 * 7 * 8 * 16
    assert sys.path == path
    with pytest.raises(CostModelError, match="no 'op' attribute"):
        network("python:my_graphs_for_specs:wrong")


def test_torch_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    (tmp_path / "my_nets_for_specs.py").write_text(
        "import torch\n"
        "def layers():\n    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, bias=False))\n"
        "def pair():\n    return layers(), (torch.zeros(1, 3, 10, 10),)\n"
        "def single():\n    return layers(), torch.zeros(1, 3, 10, 10)\n"
        "def attribute():\n"
        "    net = layers()\n    net.example_inputs = (torch.zeros(1, 3, 10, 10),)\n"
        "    return net\n"
        "made = pair()\n"
        "class Net(torch.nn.Sequential):\n"
        "    example_inputs = torch.zeros(1, 3, 10, 10)\n"
        "    def __init__(self):\n        super().__init__(torch.nn.Conv2d(3, 8, 3, bias=False))\n"
    )
    monkeypatch.chdir(tmp_path)
    for name in ("pair", "single", "attribute", "made", "Net"):
        graph = network(f"python:my_nets_for_specs.py:{name}")
        assert cm.multiply_adds(graph) == 8 * 8 * 8 * 27
    with pytest.raises(DataError, match="Sequential has no example_inputs"):
        network("python:my_nets_for_specs.py:layers")


def test_onnx_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("costmodel.importers.onnx_file")
    helper, tensor = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "relu",
        [helper.make_tensor_value_info("x", tensor, [1, 8])],
        [helper.make_tensor_value_info("y", tensor, [1, 8])],
    )
    path = tmp_path / "relu.onnx"
    onnx.save(helper.make_model(graph), path)
    assert cm.work(network(str(path))) == 8
