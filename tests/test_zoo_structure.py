"""The zoo's functions: every one with symbols and arrays, structures, wrong parameters."""

from __future__ import annotations

import inspect
from typing import Any

import networkx as nx
import numpy as np
import pytest

import costmodel as cm
from costmodel import zoo
from costmodel.errors import CostModelError, DataError, ShapeError
from costmodel.graph import nodes_in_order
from costmodel.graph.serialize import from_json, to_json
from costmodel.ops import (
    ChannelShuffle,
    Concat,
    Conv,
    Elementwise,
    Identity,
    Input,
    Op,
    Output,
    Pool,
    Split,
)
from costmodel.zoo.blocks import fragment_width
from costmodel.zoo.parameters import KINDS

ARCH = "|avg_pool_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|nor_conv_3x3~2|"
REQUIRED: dict[str, dict[str, Any]] = {
    "nasbench201": {"arch_str": ARCH},
    "pointwise": {"h": 56, "w": 56, "c1": 24, "c2": 48},
    "g1_stack": {"c1": 22, "c2": 44},
    "g2_stack": {"c": 64, "groups": 2},
    "g3_stack": {"structure": "4-fragment-parallel", "c": 64},
    "g4_stack": {"c": 32},
}
LEARNS_INDICES = {"bert", "gpt2", "condensenet"}


def build(name: str, **parameters: Any) -> nx.DiGraph:
    return zoo.build(name, **{**REQUIRED.get(name, {}), **parameters})


def ops(graph: nx.DiGraph, kind: type[Op]) -> list[Any]:
    return [op for _, op in graph.nodes(data="op") if type(op) is kind]


def takes(name: str, parameter: str) -> bool:
    return parameter in inspect.signature(zoo.NETWORKS[name]).parameters


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_every_network_is_valid_and_round_trips(name: str) -> None:
    graph = build(name)
    cm.validate(graph)
    again = from_json(to_json(graph))
    assert cm.cost(again) == cm.cost(graph)
    assert zoo.NETWORKS[name].__name__ == name
    assert getattr(zoo, name) is zoo.NETWORKS[name]


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_inputs_and_outputs_belong_to_no_module(name: str) -> None:
    for node, data in build(name).nodes(data=True):
        if isinstance(data["op"], Input | Output):
            assert data["module"] == "", node


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_every_parameter_has_a_kind(name: str) -> None:
    for parameter in inspect.signature(zoo.NETWORKS[name]).parameters.values():
        assert str(parameter.annotation).removesuffix(" | None") in KINDS


@pytest.mark.parametrize("name", [n for n in zoo.NETWORKS if takes(n, "batch") or takes(n, "n")])
def test_symbols_agree_with_numbers(name: str) -> None:
    batch = "batch" if takes(name, "batch") else "n"
    symbolic: dict[str, Any] = {batch: cm.dim("N")}
    numeric: dict[str, Any] = {batch: 3}
    values = {"N": 3}
    if takes(name, "size"):
        symbolic["size"], numeric["size"] = 32 * cm.dim("m"), 96
        values["m"] = 3
    graph, expected = build(name, **symbolic), build(name, **numeric)
    assert cm.cost(cm.at(graph, **values)) == cm.cost(expected)
    for metric in (cm.multiply_adds, cm.mac, cm.params):
        formula = metric(graph)
        if hasattr(formula, "subs"):
            formula = formula.subs({cm.dim(k): v for k, v in values.items()})
        assert formula == metric(expected)


@pytest.mark.parametrize(
    "name", [n for n in zoo.NETWORKS if takes(n, "dtype") and n not in LEARNS_INDICES]
)
def test_dtype_reaches_every_tensor(name: str) -> None:
    graph = build(name, dtype="float16")
    assert cm.mac(graph, unit="bytes") == 2 * cm.mac(graph)


def test_shufflenet_v2_takes_arrays_of_widths() -> None:
    rng = np.random.default_rng(0)
    channels = tuple(2 * rng.integers(low, high, 50) for low, high in (
        (4, 16), (20, 60), (60, 120), (120, 400), (200, 900),
    ))  # fmt: skip
    graph = zoo.shufflenet_v2(channels=channels)
    flops, mac = cm.multiply_adds(graph), cm.mac(graph)
    for i in (0, 17, 49):
        one = zoo.shufflenet_v2(channels=tuple(int(c[i]) for c in channels))
        assert (flops[i], mac[i]) == (cm.multiply_adds(one), cm.mac(one))


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3", "mnasnet"])
def test_width_multipliers_may_be_arrays(name: str) -> None:
    widths = np.array([0.35, 0.75, 1.0, 1.4])
    flops = cm.multiply_adds(build(name, width=widths))
    assert flops.tolist() == [cm.multiply_adds(build(name, width=float(w))) for w in widths]


def test_shufflenet_v2_with_symbols_for_channels() -> None:
    names = "c1 c2 c3 c4 c5"
    graph = zoo.shufflenet_v2(channels=cm.symbols(names))
    table5 = dict(zip(names.split(), (24, 116, 232, 464, 1024), strict=True))
    assert cm.multiply_adds(cm.at(graph, **table5)) == cm.multiply_adds(zoo.shufflenet_v2(1.0))


def test_shufflenet_v2_structure() -> None:
    graph = zoo.shufflenet_v2(1.0)
    assert len(ops(graph, Split)) == 3 + 7 + 3
    assert len(ops(graph, Concat)) == len(ops(graph, ChannelShuffle)) == 16
    # conv1, conv5, 3 convolutions in each of 13 basic units, 5 in each of 3 down units
    assert len(ops(graph, Conv)) == 2 + 13 * 3 + 3 * 5
    assert not [op for op in ops(graph, Elementwise) if op.kind == "add"]
    first = graph.nodes["stage2.0.proj.conv"]
    assert first["outputs"][0].shape == (1, 24, 28, 28)
    assert graph.nodes["stage2.0.main.conv_3"]["outputs"][0].shape == (1, 116 - 24, 28, 28)
    assert first["module"] == "stage2.0.proj"


def test_shufflenet_v2_variants() -> None:
    plain, residual = zoo.shufflenet_v2(2.0), zoo.shufflenet_v2(2.0, residual=True)
    se = zoo.shufflenet_v2(2.0, se=True)
    adds = [op for op in ops(residual, Elementwise) if op.kind == "add"]
    assert len(adds) == 13
    assert cm.multiply_adds(plain) == cm.multiply_adds(residual)
    gates = [op for op in ops(se, Elementwise) if op.kind == "sigmoid"]
    assert len(gates) == 16
    assert len(ops(se, Concat)) == 16


def test_shufflenet_v1_first_pointwise_has_no_groups() -> None:
    graph = zoo.shufflenet_v1(1.0, 3)
    assert graph.nodes["stage2.0.main.conv"]["op"].groups == 1
    assert graph.nodes["stage3.0.main.conv"]["op"].groups == 3
    assert len(ops(graph, ChannelShuffle)) == 16
    assert not ops(zoo.xception_like(), ChannelShuffle)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8])
def test_shufflenet_v1_takes_all_group_numbers(groups: int) -> None:
    assert 130e6 < cm.multiply_adds(zoo.shufflenet_v1(1.0, groups)) < 145e6


def test_table_1_and_2_keep_flops() -> None:
    pairs = {128: 128, 90: 180, 52: 312, 36: 432}
    counts = [cm.multiply_adds(zoo.g1_stack(a, b)) for a, b in pairs.items()]
    assert counts == [20 * 56 * 56 * a * b for a, b in pairs.items()]
    assert max(counts) / min(counts) < 1.06
    groups = {1: 128, 2: 180, 4: 256, 8: 360}
    counts = [cm.multiply_adds(zoo.g2_stack(c, g)) for g, c in groups.items()]
    assert counts == [10 * 56 * 56 * c * c // g for g, c in groups.items()]


@pytest.mark.parametrize(
    ("structure", "convolutions", "series", "adds"),
    [
        ("1-fragment", 10, 10, 0),
        ("2-fragment-series", 20, 20, 0),
        ("4-fragment-series", 40, 40, 0),
        ("2-fragment-parallel", 20, 20, 10),
        ("4-fragment-parallel", 40, 40, 30),
    ],
)
def test_table_3_structures(structure: str, convolutions: int, series: int, adds: int) -> None:
    graph = zoo.build("g3_stack", structure=structure, c=128)
    assert len(ops(graph, Conv)) == convolutions
    assert len(ops(graph, Elementwise)) == adds
    assert cm.kernels_in_series(graph) == series
    assert cm.multiply_adds(graph) == pytest.approx(513_802_240, rel=0.012)


def test_fragment_widths_are_those_of_table_2() -> None:
    assert [fragment_width(c, 2) for c in (64, 128, 256, 512)] == [45, 90, 180, 360]
    assert fragment_width(cm.dim("c"), 4) == cm.dim("c") / 2


@pytest.mark.parametrize(("relu", "shortcut"), [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_table_4_removes_elementwise_operations(relu: int, shortcut: int) -> None:
    graph = zoo.g4_stack(64, relu=bool(relu), shortcut=bool(shortcut))
    kinds = [op.kind for op in ops(graph, Elementwise)]
    assert kinds.count("relu") == 30 * relu
    assert kinds.count("add") == 10 * shortcut
    assert cm.multiply_adds(graph) == 10 * 56 * 56 * (2 * 64 * 16 + 9 * 16 * 16)


def test_nasbench201_runs_what_torch_runs() -> None:
    graph = zoo.nasbench201(ARCH)
    kinds = [(op.kind, op.value) for op in ops(graph, Elementwise)]
    assert kinds.count(("mul", 0.0)) == 15 * 2
    assert kinds.count(("add", 0.0)) == 15 * 3
    assert kinds.count(("add", None)) == 15 * 3 + 2
    assert len(ops(graph, Identity)) == 15
    assert len([op for op in ops(graph, Pool) if op.kernel == (3, 3)]) == 15
    # stem, 2 per cell, 3 per reduction
    assert len(ops(graph, Conv)) == 1 + 15 * 2 + 2 * 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("|none~0|", "must have edges"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~1|", "must have edges"),
        ("|maxpool~0|+|none~0|none~1|+|none~0|none~1|none~2|", "'maxpool~0'"),
        ("", "edge ''"),
    ],
)
def test_wrong_cells_are_refused(text: str, words: str) -> None:
    with pytest.raises(DataError, match="arch_str") as caught:
        zoo.nasbench201(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("shufflenetv2", {}, ["did you mean", "shufflenet_v2"]),
        ("qqqq", {}, ["known are", "alexnet", "more"]),
        ("resnet", {"deepth": 50}, ["'deepth'", "depth, size"]),
        ("resnet", {"depth": "50"}, ["'depth'", "an integer", "'50'"]),
        ("resnet", {"depth": True}, ["'depth'"]),
        ("resnet", {"depth": 51}, ["18, 34, 50, 101, 152"]),
        ("resnet", {"stride_on": "7x7"}, ["stride_on"]),
        ("resnet", {"size": (1, 2, 3)}, ["'size'", "800x1200"]),
        ("resnet", {"batch": -1}, ["'batch'", "between 0"]),
        ("shufflenet_v2", {"width": 1.25}, ["0.5, 1.0, 1.5, 2.0", "channels"]),
        ("shufflenet_v2", {"channels": (24, 116)}, ["conv1, stage2", "got 2"]),
        ("shufflenet_v2", {"channels": (24, 117, 232, 464, 1024)}, ["117", "not divisible by 2"]),
        ("shufflenet_v1", {"groups": 5}, ["1, 2, 3, 4, 8"]),
        ("mobilenet_v2", {"width": 0}, ["width must be positive"]),
        ("mobilenet_v3", {"variant": "huge"}, ["large or small"]),
        ("vit", {"variant": "huge"}, ["tiny, small, base, large"]),
        ("g3_stack", {"structure": "3-fragment", "c": 64}, ["'structure'", "1-fragment"]),
        ("pointwise", {"h": 56}, ["needs 'w'"]),
        ("elementwise", {"shape": ()}, ["'shape'"]),
        ("squeezenet", {"size": 8}, ["does not fit"]),
    ],
)
def test_wrong_names_and_parameters_get_one_sentence(
    name: str, parameters: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(CostModelError) as caught:
        zoo.build(name, **parameters)
    text = str(caught.value)
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_non_square_input() -> None:
    graph = zoo.shufflenet_v2(size=(800, 1216))
    assert cm.multiply_adds(graph) > 17 * cm.multiply_adds(zoo.shufflenet_v2())
    assert graph.nodes["input"]["outputs"][0].shape == (1, 3, 800, 1216)


def test_single_operators_match_their_operators() -> None:
    graph = zoo.conv2d(n=2, cin=16, h=7, w=9, cout=32, k=(3, 1), stride=2, groups=4, bias=True)
    assert graph.nodes["conv"]["outputs"][0].shape == (2, 32, 4, 5)
    assert cm.multiply_adds(graph) == 2 * 32 * 4 * 5 * 4 * 3
    assert cm.params(graph) == 32 * 4 * 3 + 32
    assert len(list(zoo.elementwise("add"))) == 4
    assert len(list(zoo.elementwise("add", value=2.0))) == 3


def test_shufflenet_v1_widths_that_groups_do_not_divide() -> None:
    with pytest.raises(ShapeError, match="not divisible by 4"):
        zoo.shufflenet_v1(0.5, 4)


@pytest.mark.parametrize(
    ("name", "in_series", "windows"), [("nasnet_a", 13, 8), ("pnasnet5", 15, 9)]
)
def test_the_fragments_of_a_searched_cell(name: str, in_series: int, windows: int) -> None:
    """13 in NASNet-A (Ma et al. 2018, G3), where a separable convolution is two in series, or 8."""
    cell = [n for n in nodes_in_order(cm.network(name)) if n.name.startswith("stage1.2.")]
    depthwise = [n for n in cell if isinstance(n.op, Conv) and n.op.groups != 1]
    pools = [n for n in cell if isinstance(n.op, Pool)]
    assert len(depthwise) + len(pools) == in_series
    assert len(depthwise) // 2 + len(pools) == windows
