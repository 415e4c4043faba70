"""Every public function with an argument of a wrong type: a sentence that names the argument."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import costmodel as cm

WRONG = (None, 3, "", [], object())
GRAPH = cm.zoo.pointwise(56, 56, 24, 48)
SAID = {
    **dict.fromkeys(("graph", "subject", "first", "second"), ("op graph", "what network")),
    "graphs": ("several graphs", "op graph"),
    "networks": ("several networks", "one network"),
    "platforms": ("platform",),
    "space": ("Space",),
    "spec": ("network",),
    "module": ("from_torch takes a torch.nn.Module",),
    "device": ("hardware",),
    "dtype": ("data type", "dtype"),
    "in_terms_of": ("symbol name",),
    "n": ("a design has",),
    "name": ("name", "space", "network", "platform"),
    "names": ("symbols must be named",),
    "inputs": ("input",),
    "minimize": ("cannot be minimised",),
    "measurements": ("measurements",),
    "where": ("where", "condition"),
}
"""Words for an argument other than its name."""
RIGHT = {
    "graph": GRAPH,
    "subject": GRAPH,
    "graphs": [GRAPH],
    "networks": ["resnet18"],
    "platform": "gtx-1080-ti/paper",
    "platforms": "gtx-1080-ti/paper",
    "axis": cm.Axis("batch", 1, 4),
    "first": "resnet18",
    "second": "resnet50",
    "spec": "resnet18",
    "seconds": 0.01,
    "processors": 4,
    "capacity": 1024,
    "symbol": "c1",
    "n": 2,
    "device": "gtx-1080-ti",
    "shape": (1, 3, 8, 8),
    "input_shape": (1, 3, 8, 8),
    "low": 1,
    "high": 4,
    "build": cm.zoo.mobilenet_v1,
    "choices": {"width": (0.5, 1.0)},
    "name": "mobilenet_v1",
    "names": "h w",
    "measurements": [cm.Measurement("resnet18", 0.01)],
    "space": cm.find_space("mobilenet_v1", {"width": (0.5, 1.0)}),
}
OF = {
    "solve": {"graph": cm.zoo.pointwise(56, 56, cm.dim("c1"), 8)},
    "sensitivity": {"graph": cm.zoo.pointwise(56, 56, cm.dim("c1"), 8)},
    "meet": {"subject": "resnet18"},
    "load_platform": {"name": "gtx-1080-ti/paper"},
}
ANY = {
    *("strict", "as_is", "keep_good", "calibrated"),  # anything is true or false
    *("provenance", "specs"),
}
"""Arguments that may be anything, and two of ``costmodel.calibration`` that are not checked."""
RECORDS = ("CostModelError", "Measurement", "Calibration", "Prediction", "Prepared", "Platform")
RECORDS += ("Timeline",)
NAMES = [
    name
    for name in dir(cm)
    if not name.startswith("_") and callable(getattr(cm, name)) and name not in RECORDS
]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Files that functions take."""
    (tmp_path / "n.param").write_text("7767517\n2 2\nInput d 0 1 d\nReLU relu 1 1 d out\n")
    (tmp_path / "rows.csv").write_text("network,seconds\nresnet18,0.1\n")
    cm.save(GRAPH, tmp_path / "graph.json")
    found: dict[str, dict[str, Any]] = {
        "from_ncnn": {"param_path": tmp_path / "n.param"},
        "read_measurements": {"path": tmp_path / "rows.csv"},
        "load": {"path": tmp_path / "graph.json"},
        "save": {"path": tmp_path / "other.json"},
    }
    return found


def arguments(name: str, files: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return right values of the arguments that a function must be given."""
    if name == "from_torch":
        torch = pytest.importorskip("torch")
        return {"module": torch.nn.ReLU(), "inputs": torch.zeros(1)}
    if name == "from_onnx":
        onnx = pytest.importorskip("onnx")
        info = onnx.helper.make_tensor_value_info
        nodes = [onnx.helper.make_node("Relu", ["x"], ["y"])]
        ends = [info("x", 1, (1, 3))], [info("y", 1, (1, 3))]
        path = files["load"]["path"].with_suffix(".onnx")
        onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "net", *ends)), str(path))
        return {"path": path}
    own = {**RIGHT, **files.get(name, {}), **OF.get(name, {})}
    needed = inspect.signature(getattr(cm, name)).parameters.values()
    fixed = [p for p in needed if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    found = {p.name: own[p.name] for p in fixed if p.default is p.empty}
    return found | ({"choices": {"width": (0.5, 1.0)}} if name == "find_space" else {})


def calls(name: str, right: dict[str, Any]) -> Iterator[tuple[str, object, Callable[[], object]]]:
    """Yield the calls of a function with one wrong argument each."""
    function = getattr(cm, name)
    parameters = inspect.signature(function).parameters
    places = [p.name for p in parameters.values() if p.kind is not p.KEYWORD_ONLY]
    star = next((p.name for p in parameters.values() if p.kind is p.VAR_POSITIONAL), None)
    for parameter in parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD or parameter.name in ANY:
            continue
        for wrong in WRONG:
            if wrong is None and parameter.default is None:
                continue
            given = {**right, parameter.name: wrong}
            order = places[: places.index(star) + 1] if star in given else []
            first = [given.pop(place) for place in order]
            yield parameter.name, wrong, lambda a=first, g=given: function(*a, **g)


@pytest.mark.parametrize("name", NAMES)
def test_the_sentence_names_the_argument(name: str, files: dict[str, dict[str, Any]]) -> None:
    refused = 0
    for argument, wrong, call in calls(name, arguments(name, files)):
        try:
            call()
        except (cm.CostModelError, TypeError) as error:
            words = (argument, *SAID.get(argument, ()))
            assert any(word in str(error) for word in words), (argument, wrong, str(error))
            refused += 1
        else:  # 3 is a number of something, and an empty text or list may be all right
            assert type(wrong) in (int, str, list), (argument, wrong)
    assert refused or name in ("flop_formulas",)


@pytest.mark.parametrize("path", [None, 3, "", [], object()])
@pytest.mark.parametrize("name", ["from_onnx", "from_ncnn", "load", "save", "read_measurements"])
def test_a_path_is_named(name: str, path: object) -> None:
    first = {"save": (GRAPH, path), "from_ncnn": (path, (1, 3, 8, 8))}.get(name, (path,))
    with pytest.raises(cm.CostModelError, match=r"^(param_)?path must be the path of a file, got"):
        getattr(cm, name)(*first)
