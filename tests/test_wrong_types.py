"""The public functions with arguments of every wrong type: the library's errors, or Python's own.

Python's own are those of a call that leaves an argument out, and of a path that is none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest

import costmodel as cm
from costmodel.ops import OPERATORS, Conv, Pad, Split

GRAPH = cm.zoo.pointwise(56, 56, 24, 48)
PLATFORM = "gtx-1080-ti/paper"
WRONG: list[Any] = [
    *(None, 0, -1, 1.5, "x", b"x", [], {}, (), object(), float("nan"), 10**400, True, 1j),
    *(np.array([1.5]), np.array(["a"]), [None], [GRAPH, None], "x" * 300, cm.multiply_adds),
    *(nx.Graph(), nx.MultiDiGraph(), nx.DiGraph([("a", "b")]), GRAPH.reverse()),
    *(cm.Tensor((1, 2)), cm.dim("h"), GRAPH.nodes["conv"]["op"]),
]
FUNCTIONS = [
    name
    for name in dir(cm)
    if not name.startswith("_")
    and callable(getattr(cm, name))
    and name
    not in ("save", "CostModelError", "Measurement", "Calibration", "Prediction", "Prepared")
]


def refused(call: Callable[..., object], *arguments: Any, **named: Any) -> None:
    """Call and let nothing out but the library's errors and Python's on calls and paths."""
    try:
        call(*arguments, **named)
    except cm.CostModelError:
        pass
    except TypeError as error:
        assert "argument" in str(error) or "os.PathLike" in str(error) or "hashable" in str(error)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrong_first_argument(name: str) -> None:
    if name == "from_torch":
        pytest.importorskip("torch")
    function = getattr(cm, name)
    for wrong in WRONG:
        refused(function, wrong)
        refused(function, wrong, wrong)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrong_first_argument_with_a_platform(name: str) -> None:
    function = getattr(cm, name)
    if "platform" in list(inspect.signature(function).parameters)[1:]:
        for wrong in WRONG:
            refused(function, wrong, platform=PLATFORM)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_wrong_argument_behind_a_graph(name: str) -> None:
    function = getattr(cm, name)
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].name not in ("subject", "graph", "graphs"):
        return
    first: Any = [GRAPH] if parameters[0].name == "graphs" else GRAPH
    rest = [PLATFORM] if any(p.name == "platform" for p in parameters) else []
    for wrong in WRONG:
        refused(function, first, wrong)
        for parameter in parameters[1:]:
            if parameter.kind is parameter.KEYWORD_ONLY or parameter.name in ("level", "depth"):
                refused(function, first, *rest, **{parameter.name: wrong})


@pytest.mark.parametrize("wrong", ["12", "x", None, 0, -3, 10**400, float("nan"), [1], True, 1j])
def test_amounts_are_numbers(wrong: Any) -> None:
    with pytest.raises(cm.CostModelError, match="capacity must"):
        cm.cache_lower_bound(GRAPH, capacity=wrong)
    with pytest.raises(cm.CostModelError, match="processors must"):
        cm.brent(GRAPH, processors=wrong)


def test_amounts_may_be_arrays_and_symbols() -> None:
    assert cm.brent(GRAPH, processors=np.array([1, 64])).lower.shape == (2,)
    assert cm.dim("p") in cm.brent(GRAPH, processors=cm.dim("p")).lower.free_symbols
    assert cm.cache_lower_bound(GRAPH, capacity=np.int64(4096)) > 0


def test_a_reversed_graph_is_told() -> None:
    with pytest.raises(cm.CostModelError, match="uses an output that no node before it has"):
        cm.flops(GRAPH.reverse())
    with pytest.raises(cm.CostModelError, match="expected an op graph"):
        cm.latency(None, PLATFORM)
    with pytest.raises(cm.CostModelError, match="a platform must be its name"):
        cm.latency(GRAPH, None)
    with pytest.raises(cm.CostModelError, match="expected an op graph"):
        cm.at(None, h=3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cm.multiply_adds(Split((58, 58), 1), cm.Tensor((1, 116, 28, 28))), "axis"),
        (lambda: Split(1, "x"), "parts must be a number"),
        (lambda: Conv(8, None), "kernel"),
        (lambda: Pad(0), "padding must be a tuple"),
        (lambda: cm.flops(Conv(8, (3, 3), bias="x"), cm.Tensor((1, 3, 8, 8))), "bias must be"),
        (lambda: cm.flops(Conv(8, (3, 3)), (1, 3, 8, 8)), "must be tensors"),
    ],
)
def test_operators_name_the_field(call: Callable[[], object], words: str) -> None:
    with pytest.raises(cm.CostModelError, match=words):
        call()


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_refuse_fields_of_wrong_types(name: str) -> None:
    import dataclasses

    cls: Any = OPERATORS[name]
    right = {"axis": 1, "out_channels": 8, "kernel": (3, 3), "kind": "relu", "shape": (1, 8, 8, 8)}
    fields = [f.name for f in dataclasses.fields(cls)]
    given = {key: value for key, value in right.items() if key in fields}
    tensors = [cm.Tensor((1, 8, 8, 8))] * (cls.arity or 2)

    def used(**values: Any) -> object:
        return cm.multiply_adds(cls(**values), *tensors)

    for field in fields:
        for wrong in (None, -1, 1.5, "x", [], (), ("a",), object(), 10**400, cm.dim("h") / 2):
            refused(used, **{**given, field: wrong})
