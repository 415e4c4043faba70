"""Building graphs: names, modules, wiring, and messages that name node and shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.graph import Link, nodes_in_order, sources_of
from costmodel.graph.builder import Value, unlinked
from costmodel.graph.schema import Unlinked
from costmodel.ops.tensor import Tensor


def named(graph: nx.DiGraph, kind: type[ops.Op]) -> list[str]:
    return [name for name, op in graph.nodes(data="op") if isinstance(op, kind)]


def test_names_count_up_and_modules_prefix_them() -> None:
    b = cm.Builder("net")
    x = b.input((1, 8, 4, 4))
    with b.module("stage1"), b.module("block"):
        x = b.add(ops.BatchNorm(), b.add(ops.Conv(8, (1, 1)), x))
        x = b.add(ops.Conv(8, (1, 1)), x)
    x = b.add(ops.Conv(8, (1, 1)), x, name="head")
    g = b.finish(x)
    assert g.name == "net"
    assert list(g) == [
        *("input", "stage1.block.conv", "stage1.block.batch_norm", "stage1.block.conv_2"),
        *("head", "output"),
    ]
    assert g.nodes["stage1.block.conv"]["module"] == "stage1.block"
    assert g.nodes["head"]["module"] == ""
    cm.validate(g)


def test_a_name_that_is_taken_never_replaces_a_node() -> None:
    b = cm.Builder()
    x = b.input((1, 2))
    b.add(ops.Linear(2), x, name="a_2")
    first, second = b.add(ops.Linear(2), x, name="a"), b.add(ops.Linear(2), x, name="a")
    assert len({first.node, second.node, "a_2", "input"}) == 4


def test_one_tensor_feeds_two_slots_over_one_edge() -> None:
    b = cm.Builder()
    x = b.input((1, 8))
    g = b.finish(b.add(ops.Elementwise("add"), x, x))
    assert g.edges["input", "add"]["links"] == (Link(0, 0), Link(0, 1))
    assert sources_of(g, "add") == (("input", 0), ("input", 0))
    assert cm.mac(g) == 24


def test_outputs_of_a_split_go_their_ways() -> None:
    b = cm.Builder()
    left, right = b.add_many(ops.Split(1, (2, 6)), b.input((1, 8)))
    y = b.add(ops.Elementwise("relu"), right)
    g = b.finish(b.add(ops.Concat(1), y, left), right)
    assert [t.shape for t in g.nodes["split"]["outputs"]] == [(1, 2), (1, 6)]
    assert g.edges["split", "relu"]["links"] == (Link(1, 0),)
    assert sources_of(g, "concat") == (("relu", 0), ("split", 0))
    assert named(g, ops.Input) == ["input"]
    assert named(g, ops.Output) == ["output", "output_2"]
    assert cm.mac(g) == 12 + 16


def test_several_inputs_and_outputs() -> None:
    b = cm.Builder()
    x, y = b.input((4, 8), name="left"), b.input((8, 2), name="right")
    z = b.add(ops.MatMul(), x, y)
    g = b.finish(z, b.add(ops.Softmax(), z))
    assert named(g, ops.Input) == ["left", "right"]
    assert named(g, ops.Output) == ["output", "output_2"]
    assert cm.multiply_adds(g) == 64


def test_misfits_name_the_node_and_the_shapes_and_add_nothing() -> None:
    b = cm.Builder()
    x, y = b.input((1, 8)), b.input((1, 9))
    with b.module("head"), pytest.raises(
        cm.CostModelError, match=r"node 'head.add': .*\(1, 8\) and \(1, 9\) do not match: 8"
    ):  # fmt: skip
        b.add(ops.Elementwise("add"), x, y)
    with pytest.raises(cm.CostModelError, match="node 'linear': Linear takes 1 inputs, got 2"):
        b.add(ops.Linear(2), x, y)
    with pytest.raises(cm.CostModelError, match="is not a tensor of this builder"):
        b.add(ops.Linear(2), Tensor((1, 8)))  # type: ignore[arg-type]
    with pytest.raises(cm.CostModelError, match="is not a tensor of this builder"):
        cm.Builder().add(ops.Linear(2), x)
    assert list(b.finish(x)) == ["input", "input_2", "output"]


def test_nodes_without_a_graph_are_those_of_the_graph() -> None:
    def build() -> object:
        b = cm.Builder("twice")
        x = b.input((1, 8, 7, 7))
        with b.module("block"):
            y = b.add(ops.Elementwise("mul"), x, x)
            parts = b.add_many(ops.Split(1, 2), y)
            z = b.add(ops.Concat(1), parts[1], parts[0])
        return b.finish(z, y)

    with unlinked():
        bare = build()
    graph = build()
    assert isinstance(bare, Unlinked)
    assert list(bare) == list(nodes_in_order(graph))
    assert bare.name == graph.name == "twice"
    assert cm.flops(bare) == cm.flops(graph)


Block = Callable[[cm.Builder, Value, Value], Value]
"""What adds a block behind a tensor; the second tensor is the input of the network."""


def plain(b: cm.Builder, x: Value, start: Value) -> Value:
    y = b.add(ops.Elementwise("relu"), b.add(ops.Conv(8, (3, 3), padding=1), x))
    with b.module("inner"):
        return b.add(ops.Elementwise("add"), x, b.add(ops.Conv(8, (1, 1)), y))


def from_the_start(b: cm.Builder, x: Value, start: Value) -> Value:
    return b.add(ops.Elementwise("add"), b.add(ops.Conv(8, (1, 1)), x), start)


def wider(b: cm.Builder, x: Value, start: Value) -> Value:
    return b.add(ops.Concat(1), x, b.add(ops.Conv(8, (1, 1)), x))


def wider_at_first(b: cm.Builder, x: Value, start: Value) -> Value:
    return b.add(ops.Conv(16, (1, 1)), x)


def shared(b: cm.Builder, x: Value, start: Value) -> Value:
    y = b.add(ops.Conv(8, (1, 1)), x, name="own")
    z = b.add(ops.Conv(8, (1, 1)), y, weights=y.node)
    return b.add(ops.Conv(8, (1, 1)), z, weights="all")


def parts(b: cm.Builder, x: Value, start: Value) -> Value:
    first, second = b.add_many(ops.Split(1, 2), x)
    z = b.add_many(ops.Split(1, 2), b.add(ops.Concat(1), second, first, first, second))
    return z[1]


def nothing(b: cm.Builder, x: Value, start: Value) -> Value:
    return x


def back(b: cm.Builder, x: Value, start: Value) -> Value:
    b.add(ops.Elementwise("relu"), x)
    return start


def nested(b: cm.Builder, x: Value, start: Value) -> Value:
    y = b.repeat(2, lambda y: plain(b, y, x), x)
    return b.add(ops.Elementwise("add"), y, x)


BLOCKS: list[Block] = [
    plain, from_the_start, wider, wider_at_first, shared, parts, nothing, back, nested,
]  # fmt: skip


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("taken", ["", "0.conv", "2.conv", "2.inner.conv", "2"])
def test_repeated_blocks_are_those_of_a_loop(block: Block, taken: str) -> None:
    def build(repeated: bool) -> nx.DiGraph:
        b = cm.Builder("net")
        start = b.input((1, 8, 7, 7))
        with b.module("stage"):
            x = start
            if taken == "2":
                with b.module("2"):
                    x = b.add(ops.Conv(8, (1, 1)), start)
            elif taken:
                x = b.add(ops.Conv(8, (1, 1)), start, name=taken)
            if repeated:
                x = b.repeat(4, lambda x: block(b, x, start), x)
            else:
                for i in range(4):
                    with b.module(str(i)):
                        x = block(b, x, start)
            with b.module("3"):
                x = b.add(ops.Conv(4, (1, 1)), x)
        return b.finish(x)

    graph, expected = build(True), build(False)
    assert list(nodes_in_order(graph)) == list(nodes_in_order(expected))
    assert list(graph.nodes(data=True)) == list(expected.nodes(data=True))
    assert list(graph.edges(data=True)) == list(expected.edges(data=True))


def test_blocks_of_one_shape_are_called_once() -> None:
    b = cm.Builder()
    calls = []

    def block(x: Value) -> Value:
        calls.append(x)
        return b.add(ops.Conv(16, (1, 1)), x)

    b.repeat(100, block, b.input((1, 8, 7, 7)))
    assert len(calls) == 2


@pytest.mark.parametrize("channels", [cm.dim("c"), np.array([8, 16])], ids=["symbol", "array"])
def test_blocks_of_symbols_and_arrays_are_repeated(channels: Any) -> None:
    b = cm.Builder()
    x = b.input((1, channels, 7, 7))
    y = b.repeat(3, lambda x: b.add(ops.Conv(channels, (1, 1)), x), x)
    single = cm.multiply_adds(ops.Conv(channels, (1, 1)), x.tensor)
    assert np.all(cm.multiply_adds(b.finish(y)) == 3 * single)


def test_blocks_of_other_tensors_are_refused() -> None:
    b = cm.Builder()
    x = b.input((1, 8))
    foreign = cm.Builder().input((1, 8), name="other")
    with pytest.raises(cm.CostModelError, match=r"module '0': input .* is not a tensor of"):
        b.repeat(2, lambda x: x, foreign)
    for result in (foreign, None):
        with pytest.raises(cm.CostModelError, match=r"module '0': result .* is not a tensor of"):
            b.repeat(2, lambda x, result=result: result, x)  # type: ignore[misc]
    with pytest.raises(cm.CostModelError, match="node '0.add'"):
        b.repeat(2, lambda x: b.add(ops.Elementwise("add"), x), x)
    assert list(b.finish(x)) == ["input", "output"]
