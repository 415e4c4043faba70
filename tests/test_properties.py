"""What holds for every graph: invariances, additivity, scaling, and that nothing crashes."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import costmodel as cm
from costmodel import ops, testing

ADDITIVE = (cm.multiply_adds, cm.mac, cm.params, cm.work)
EVERY = (*ADDITIVE, cm.span, cm.activation_memory, cm.mac_lower_bound, cm.io_lower_bound)


@given(graph=testing.graphs())
def test_random_graphs_give_plain_numbers_for_every_metric(graph: nx.DiGraph) -> None:
    ready = cm.prepare(graph)
    for metric in (*ADDITIVE, cm.span, cm.activation_memory, cm.io_lower_bound):
        assert type(metric(graph)) is int, metric.__name__
        assert metric(graph) == metric(ready) >= 0
    assert cm.mac_lower_bound(graph) <= cm.mac(graph) * (1 + 1e-12)
    assert cm.io_lower_bound(graph) <= cm.mac(graph)
    assert sum(m.cost.mac for m in cm.by_module(graph)) == cm.mac(graph)
    assert cm.kernels_in_series(graph) <= len(graph)
    cm.cache_lower_bound(graph, capacity=1000)
    if cm.mac(graph):
        assert cm.intensity(graph) >= 0
    if cm.span(graph):
        lower, upper = cm.brent(graph, processors=7)
        assert lower <= upper
        assert cm.parallelism(graph) * cm.span(graph) == pytest.approx(cm.work(graph))


@given(drawn=testing.symbolic_graphs(max_steps=6))
def test_random_symbolic_graphs_have_every_metric(
    drawn: tuple[nx.DiGraph, dict[str, int]],
) -> None:
    graph, _ = drawn
    for metric in (*EVERY, cm.kernels_in_series, cm.by_module):
        metric(graph)


@given(graph=testing.graphs(), data=st.data())
def test_totals_do_not_depend_on_order_or_names(graph: nx.DiGraph, data: st.DataObject) -> None:
    names = data.draw(st.permutations(sorted(graph)))
    shuffled: nx.DiGraph = nx.DiGraph(**graph.graph)
    for name in names:
        shuffled.add_node(name, **graph.nodes[name])
    edges = data.draw(st.permutations(sorted(graph.edges)))
    for edge in edges:
        shuffled.add_edge(*edge, **graph.edges[edge])
    renamed = nx.relabel_nodes(shuffled, {name: f"node-{i}" for i, name in enumerate(names)})
    cm.validate(renamed)
    for metric in (*ADDITIVE, cm.span, cm.mac_lower_bound, cm.io_lower_bound, cm.kernels_in_series):
        assert metric(renamed) == pytest.approx(metric(graph), rel=1e-12), metric.__name__


@given(one=testing.graphs(max_steps=6), other=testing.graphs(max_steps=6))
def test_totals_add_over_disjoint_graphs(one: nx.DiGraph, other: nx.DiGraph) -> None:
    for graph in (one, other):  # weights are told apart by their names
        for name in graph:
            graph.nodes[name]["weights"] = f"{id(graph)} {graph.nodes[name]['weights']}"
    both = nx.union(one, other, rename=("a.", "b."))
    cm.validate(both)
    for metric in (*ADDITIVE, cm.io_lower_bound):
        assert metric(both) == metric(one) + metric(other)
    assert cm.cost(both) == cm.cost(one) + cm.cost(other)
    assert cm.span(both) == max(cm.span(one), cm.span(other))
    bound = cm.mac_lower_bound(one) + cm.mac_lower_bound(other)
    assert cm.mac_lower_bound(both) == pytest.approx(bound)


@given(drawn=testing.symbolic_graphs(max_steps=6), times=st.integers(2, 5))
def test_batch_scales_the_work_of_a_network_exactly(
    drawn: tuple[nx.DiGraph, dict[str, int]], times: int
) -> None:
    graph, values = drawn
    used = {name: values[name] for name in ("n", "h", "w")}
    one, many = cm.at(graph, **used), cm.at(graph, **{**used, "n": used["n"] * times})
    # A learned or constant offset is read once whatever the batch is: not part of the claim.
    fixed = sum(
        t.elements
        for name, op in one.nodes(data="op")
        if isinstance(op, ops.Parameter | ops.Constant)
        for t in one.nodes[name]["outputs"]
    )
    assert cm.work(many) == times * cm.work(one)
    assert cm.multiply_adds(many) == times * cm.multiply_adds(one)
    assert cm.params(many) == cm.params(one)
    few, more = cm.cost(one), cm.cost(many)
    assert more.weight_reads == few.weight_reads
    assert more.reads - fixed == times * (few.reads - fixed)
    assert more.writes == times * few.writes
