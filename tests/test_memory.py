"""Peak memory against a brute force over all orders, and what shares memory."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import pytest
from hypothesis import assume, given

import costmodel as cm
from costmodel import ops, testing
from costmodel.graph import sources_of
from costmodel.graph.builder import Value


def simulate(graph: nx.DiGraph, order: list[str]) -> int:
    """Run in this order with a set of live buffers; views point at the buffer of their source."""
    home: dict[tuple[str, int], tuple[str, int]] = {}
    size: dict[tuple[str, int], int] = {}
    for name in nx.topological_sort(graph):
        op = graph.nodes[name]["op"]
        for i, tensor in enumerate(graph.nodes[name]["outputs"]):
            own = (name, i)
            home[own] = home[sources_of(graph, name)[0]] if op.is_view else own
            size[own] = 0 if isinstance(op, ops.Parameter) else tensor.elements
    needs = {name: {home[s] for s in sources_of(graph, name)} for name in graph}
    live: set[tuple[str, int]] = set()
    peak = 0
    for step, name in enumerate(order):
        own = {
            (name, i)
            for i in range(len(graph.nodes[name]["outputs"]))
            if home[name, i] == (name, i)
        }
        live |= own
        peak = max(peak, sum(size[b] for b in live))
        later = set().union(*(needs[other] for other in order[step + 1 :]))
        live &= later
    return peak


@given(graph=testing.graphs(max_steps=3))
def test_peak_lies_between_the_best_order_and_the_given_one(graph: nx.DiGraph) -> None:
    assume(len(graph) <= 9)
    orders = list(nx.all_topological_sorts(graph))
    best = min(simulate(graph, order) for order in orders)
    found = cm.activation_memory(graph)
    assert best <= found <= simulate(graph, list(graph))
    assert found in {simulate(graph, order) for order in orders}


@given(graph=testing.graphs())
def test_peak_is_that_of_the_largest_operator_at_least(graph: nx.DiGraph) -> None:
    found = cm.activation_memory(graph)
    assert found <= simulate(graph, list(graph))
    for name, op in graph.nodes(data="op"):
        if not op.is_view and not isinstance(op, ops.Parameter):
            assert found >= sum(t.elements for t in graph.nodes[name]["outputs"])


def test_a_chain_has_the_largest_pair_of_neighbours() -> None:
    b = cm.Builder()
    x = b.input((1, 3, 32, 32))
    shapes = [3 * 32 * 32]
    for channels, stride in ((16, 1), (32, 2), (8, 1), (64, 2), (4, 1)):
        x = b.add(ops.Conv(channels, (3, 3), stride, 1), x)
        shapes.append(x.tensor.elements)
    graph = b.finish(x)
    assert cm.activation_memory(graph) == max(a + b for a, b in pairwise(shapes))
    assert cm.activation_memory(graph, unit="bytes") == 4 * max(a + b for a, b in pairwise(shapes))


def test_views_do_not_count_twice_and_keep_their_source_alive() -> None:
    b = cm.Builder()
    x = b.input((1, 100))
    y = b.add(ops.Reshape((10, 10)), b.add(ops.Elementwise("relu"), x))
    left, right = b.add_many(ops.Split(0, 2), b.add(ops.Transpose((1, 0)), y))
    z = b.add(ops.Elementwise("add"), left, right)
    graph = b.finish(b.add(ops.Elementwise("add"), x, b.add(ops.Reduce("sum", (0, 1)), z)))
    # x, relu(x) and the sum of its halves; a copy for every view would make it 300.
    assert cm.activation_memory(graph) == 250


def test_a_skip_connection_stays_alive() -> None:
    b = cm.Builder()
    x = b.input((1, 100))
    y = b.add(ops.Elementwise("relu"), x)
    y = b.add(ops.Elementwise("sigmoid"), y)
    graph = b.finish(b.add(ops.Elementwise("add"), x, y))
    assert cm.activation_memory(graph) == 300


def test_the_greedy_order_frees_before_it_grows() -> None:
    """Two branches from one input, each wide inside: one after the other is best."""
    b = cm.Builder()
    x = b.input((1, 10))
    wide = [b.add(ops.Linear(1000, bias=False), x) for _ in range(3)]
    narrow = [b.add(ops.Linear(1, bias=False), y) for y in wide]
    graph = b.finish(b.add(ops.Concat(1), *narrow))
    assert simulate(graph, list(graph)) == 10 + 3 * 1000
    best = min(simulate(graph, order) for order in nx.all_topological_sorts(graph))
    assert cm.activation_memory(graph) == best == 10 + 2 + 1000


def test_parameters_are_no_activations() -> None:
    b = cm.Builder()
    x = b.input((1, 10))
    graph = b.finish(b.add(ops.Elementwise("add"), x, b.add(ops.Parameter((1, 10)))))
    assert cm.activation_memory(graph) == 20
    assert cm.params(graph) == 10


def test_symbolic_peak_is_the_largest_of_the_candidates() -> None:
    h, w, c1, c2 = cm.symbols("h w c1 c2")
    assert cm.activation_memory(cm.zoo.pointwise(h, w, c1, c2)).expand() == h * w * c1 + h * w * c2
    with pytest.raises(cm.CostModelError):
        cm.activation_memory(cm.zoo.pointwise(h, w, c1, c2), unit="elephants")  # type: ignore[arg-type]


# The greedy order, in graphs whose given order needs more. Gathers take what they pick from and
# the picks; a result is as large as the picks.


def pick(b: cm.Builder, x: Value, picks: Value) -> Value:
    return b.add(ops.Gather(), x, picks)


def test_of_equal_growth_what_frees_more_runs_first() -> None:
    b = cm.Builder()
    small, large, picks = b.input((10,)), b.input((40,)), b.input((60,))
    q, p = pick(b, small, picks), pick(b, large, picks)
    graph = b.finish(b.add(ops.Elementwise("add"), p, q))
    assert simulate(graph, list(graph)) == 10 + 40 + 60 + 60 - 10 + 60
    assert cm.activation_memory(graph) == 10 + 40 + 60 + 60 - 40 + 60


def test_what_another_operator_still_needs_is_not_freed() -> None:
    b = cm.Builder()
    own, shared, picks = b.input((50,)), b.input((100,)), b.input((200,))
    p, q = pick(b, shared, picks), pick(b, own, picks)
    graph = b.finish(pick(b, shared, b.add(ops.Elementwise("add"), p, q)))
    assert simulate(graph, list(graph)) == 350 + 2 * 200
    assert cm.activation_memory(graph) == 350 + 2 * 200 - 50


def test_what_nothing_needs_any_more_is_freed() -> None:
    b = cm.Builder()
    own, shared = b.input((50,)), b.input((100,))
    one = b.add(ops.Reduce("sum", (0,), keepdims=True), shared)  # runs first and needs little
    picks = b.input((200,))
    q, p = pick(b, own, picks), pick(b, shared, picks)
    graph = b.finish(b.add(ops.Elementwise("add"), b.add(ops.Elementwise("add"), p, q), one))
    assert simulate(graph, list(graph)) == 351 + 2 * 200 - 50
    assert cm.activation_memory(graph) == 351 + 2 * 200 - 100


# ---- over time


@pytest.mark.parametrize("name", ["shufflenet_v2", "densenet", "resnet50", "mobilenet_v3"])
def test_a_timeline_peaks_where_activation_memory_says(name: str) -> None:
    graph = cm.network(name)
    for unit in ("bytes", "elements"):
        t = cm.memory_timeline(graph, unit=unit)
        assert t.peak == cm.activation_memory(graph, unit=unit)
        assert t.weights == cm.params(graph, unit=unit)
        assert sum(holder.size for holder in t.holders) == t.peak
        assert t.total == t.peak + t.weights
        assert t.live[t.steps.index(t.at)] == t.peak


def test_frames_keep_what_a_module_was_given_until_it_ends() -> None:
    b = cm.Builder("framed")
    x = b.input((1, 10))  # 10 elements, kept by the caller
    with b.module("outer"):
        with b.module("first"):
            y = b.add(ops.Elementwise("relu"), x, name="a")
            y = b.add(ops.Elementwise("relu"), y, name="b")
        with b.module("second"):
            y = b.add(ops.Elementwise("relu"), y, name="c")
            y = b.add(ops.Elementwise("relu"), y, name="d")
            y = b.add(ops.Elementwise("relu"), y, name="e")
    graph = b.finish(y)
    assert cm.memory_timeline(graph, unit="elements").live == (10, 20, 20, 20, 20, 20, 10)
    framed = cm.memory_timeline(graph, unit="elements", held="frames")
    # At d: x (the caller's), what b made (given to second), what c made, what d makes.
    assert framed.live == (10, 20, 30, 30, 40, 40, 20)
    assert {holder.name for holder in framed.holders} == {
        "input",
        "outer.second.c",
        "outer.first.b",
        "outer.second.d",
    }


def test_a_timeline_needs_numbers_and_a_known_rule() -> None:
    with pytest.raises(cm.CostModelError, match="needs numbers"):
        cm.memory_timeline(cm.zoo.pointwise(*cm.symbols("h w c1 c2")))
    with pytest.raises(cm.CostModelError, match="'last use' or 'frames'"):
        cm.memory_timeline(cm.zoo.resnet18(), held="ever")


def test_sizes_that_are_numbers_beside_symbols():
    """The first layers of a network may have no symbol where the later ones do."""
    own = (24, 116, 232, 464, 1024)
    graph = cm.zoo.shufflenet_v2(channels=(24, *cm.symbols("c2 c3 c4"), 1024))
    found = cm.activation_memory(graph).subs(
        dict(zip(cm.symbols("c2 c3 c4"), own[1:4], strict=True))
    )
    assert int(found) == cm.activation_memory(cm.zoo.shufflenet_v2(channels=own))
