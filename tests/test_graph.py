"""The schema: what is valid, what is refused, and that any networkx function works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import costmodel as cm
from costmodel import ops, testing
from costmodel.algebra.expressions import substitute
from costmodel.algebra.sizes import taken
from costmodel.graph import Link, free_symbols, inputs_of, nodes_in_order
from costmodel.ops.tensor import Tensor


def fork_join() -> nx.DiGraph:
    b = cm.Builder("fork")
    x = b.input((1, 8, 6, 6))
    left, right = b.add_many(ops.Split(1, 2), x)
    left = b.add(ops.Conv(4, (3, 3), padding=1), left)
    joined = b.add(ops.Concat(1), left, right)
    return b.finish(b.add(ops.Elementwise("add"), x, joined))


@given(graph=testing.graphs())
def test_networkx_functions_work(graph: nx.DiGraph) -> None:
    order = list(nx.topological_sort(graph))
    assert sorted(order) == sorted(graph)
    assert nx.is_directed_acyclic_graph(graph)
    assert len(nx.dag_longest_path(graph, weight=None)) <= len(graph)
    reduced = nx.transitive_reduction(graph)
    assert set(reduced) == set(graph)
    last = order[-1]
    assert nx.ancestors(graph, last) <= set(graph)
    assert nx.number_weakly_connected_components(graph) >= 1
    capacity = nx.DiGraph()
    for source, target, links in graph.edges(data="links"):
        outputs = graph.nodes[source]["outputs"]
        amount = sum(outputs[link.output].elements for link in links)
        capacity.add_edge(source, target, capacity=amount)
    if order[0] in capacity and last in capacity and order[0] != last:
        value, _ = nx.maximum_flow(capacity, order[0], last)
        cut, _ = nx.minimum_cut(capacity, order[0], last)
        assert value == cut


@given(graph=testing.graphs())
def test_nodes_come_in_order_with_the_tensors_of_their_sources(graph: nx.DiGraph) -> None:
    seen: set[str] = set()
    for node in nodes_in_order(graph):
        assert {source for source, _ in node.sources} <= seen
        assert node.inputs == inputs_of(graph, node.name)
        assert node.outputs == node.op.infer(*node.inputs)
        seen.add(node.name)
    assert seen == set(graph)


Break = Callable[[nx.DiGraph], Any]

BREAKS: dict[str, tuple[Break, str]] = {
    "cycle": (
        lambda g: g.add_edge("concat", "split", links=(Link(0, 1),)),
        "cycle: .*(split|concat)",
    ),
    "loop": (lambda g: g.add_edge("conv", "conv", links=(Link(0, 1),)), "cycle: conv"),
    "unknown node": (lambda g: g.add_edge("ghost", "conv", links=(Link(0, 1),)), "node 'ghost'"),
    "no op": (lambda g: g.nodes["conv"].pop("op"), "node 'conv' has no 'op'"),
    "no outputs": (lambda g: g.nodes["conv"].pop("outputs"), "node 'conv' has no 'outputs'"),
    "no links": (lambda g: g.edges["split", "conv"].pop("links"), "'split' -> 'conv' has no 'link"),
    "empty links": (lambda g: g.edges["split", "conv"].update(links=()), "'split' -> 'conv'"),
    "wrong link": (lambda g: g.edges["split", "conv"].update(links=((0,),)), "'split' -> 'conv'"),
    "link of texts": (lambda g: g.edges["split", "conv"].update(links=(("0", 0),)), r"\(output, s"),
    "no such output": (
        lambda g: g.edges["split", "conv"].update(links=(Link(2, 0),)),
        "node 'split' has no output 2 for node 'conv'",
    ),
    "negative output": (
        lambda g: g.edges["split", "conv"].update(links=(Link(-1, 0),)),
        "node 'split' has no output -1",
    ),
    "skipped slot": (
        lambda g: g.edges["split", "concat"].update(links=(Link(1, 2),)),
        r"node 'concat': input slots \[0, 2\]",
    ),
    "doubly fed slot": (
        lambda g: g.edges["split", "concat"].update(links=(Link(1, 0),)),
        r"node 'concat': input slots \[0, 0\]",
    ),
    "missing input": (lambda g: g.remove_edge("split", "conv"), "node 'conv': Conv takes 1 inputs"),
    "wrong shape": (
        lambda g: g.nodes["conv"].update(outputs=(Tensor((1, 4, 6, 7)),)),
        r"node 'conv': outputs are .*7\] but must be .*6\]",
    ),
    "wrong dtype": (
        lambda g: g.nodes["conv"].update(outputs=(Tensor((1, 4, 6, 6), "int8"),)),
        "node 'conv': outputs are int8",
    ),
    "too few outputs": (
        lambda g: g.nodes["split"].update(outputs=g.nodes["split"]["outputs"][:1]),
        "node 'split' has no output 1",
    ),
    "outputs no tuple": (lambda g: g.nodes["conv"].update(outputs=5), "node 'conv': outputs"),
    "outputs no tensors": (lambda g: g.nodes["conv"].update(outputs=(5,)), "node 'conv': outputs"),
    "foreign op": (lambda g: g.nodes["conv"].update(op="conv"), "node 'conv': 'conv' is not an op"),
    "wrong field type": (
        lambda g: g.nodes["concat"].update(op=ops.Concat("1")),  # type: ignore[arg-type]
        "node 'concat': Concat axis must be int, got '1'",
    ),
    "op that does not fit": (
        lambda g: g.nodes["conv"].update(op=ops.Conv(4, (3, 3), padding=1, groups=3)),
        "node 'conv'",
    ),
    "module no text": (lambda g: g.nodes["conv"].update(module=7), "node 'conv': module"),
    "weights no text": (lambda g: g.nodes["conv"].update(weights=None), "node 'conv': weights"),
    "name no text": (lambda g: g.add_node(7, op=ops.Input((1,)), outputs=(Tensor((1,)),)), "node "),
    "absurd size": (
        lambda g: g.add_node(
            "big", op=ops.Input((2**30, 2**30)), outputs=(Tensor((2**30, 2**30)),)
        ),
        "node 'big': .* absurdly large",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_broken_graphs_are_refused_with_the_node_named(name: str) -> None:
    graph = fork_join()
    cm.validate(graph)
    break_it, message = BREAKS[name]
    break_it(graph)
    with pytest.raises(cm.CostModelError, match=message):
        cm.validate(graph)


@pytest.mark.parametrize("thing", [nx.Graph(), nx.MultiDiGraph(), None, 5, "graph", nx.DiGraph()])
def test_what_is_no_graph_is_refused(thing: Any) -> None:
    with pytest.raises(cm.CostModelError):
        cm.validate(thing)
    if not isinstance(thing, nx.DiGraph) or thing.is_multigraph():
        with pytest.raises(cm.CostModelError, match="expected an op graph"):
            cm.multiply_adds(thing)


@given(graph=testing.graphs(), data=st.data())
def test_random_damage_is_refused_or_harmless_never_a_crash(
    graph: nx.DiGraph, data: st.DataObject
) -> None:
    node = data.draw(st.sampled_from(sorted(graph)))
    key = data.draw(st.sampled_from(["op", "outputs", "module", "weights"]))
    junk = data.draw(
        st.sampled_from([None, 3, -1, 0.5, "x", (), (1, 2), [], {}, float("nan"), Tensor((1,))])
    )
    graph.nodes[node][key] = junk
    if key in ("op", "outputs") and not (
        junk == () and isinstance(graph.nodes[node]["op"], ops.Output)
    ):
        with pytest.raises(cm.CostModelError, match="node"):
            cm.validate(graph)
    elif not isinstance(junk, str) and key in ("module", "weights"):
        with pytest.raises(cm.CostModelError, match=key):
            cm.validate(graph)


@given(drawn=testing.symbolic_graphs())
def test_at_of_a_symbolic_graph_is_the_concrete_graph(
    drawn: tuple[nx.DiGraph, dict[str, int]],
) -> None:
    graph, values = drawn
    used = {s.name: values[s.name] for s in free_symbols(graph)}
    concrete = cm.at(graph, **used)
    cm.validate(graph)
    cm.validate(concrete)
    assert not free_symbols(concrete)
    for metric in (cm.multiply_adds, cm.mac, cm.params, cm.work, cm.span, cm.io_lower_bound):
        assert substitute(metric(graph), used) == metric(concrete), metric.__name__


def test_at_says_what_is_wrong() -> None:
    g = cm.zoo.pointwise(*cm.symbols("h w c1 c2"))
    with pytest.raises(cm.CostModelError, match=r"no symbol \['c3'\] .* symbols are: c1, c2, h, w"):
        cm.at(g, c3=5)
    for wrong in (0, -4, 2.5, "3", None, np.array([0]), True):
        with pytest.raises(cm.CostModelError, match="the value of h"):
            cm.at(g, h=wrong)
    with pytest.raises(cm.CostModelError, match="no symbol"):
        cm.at(cm.zoo.pointwise(1, 1, 1, 1), h=5)


def test_at_with_numbers_that_do_not_fit_names_the_node() -> None:
    c, w = cm.symbols("c w")
    b = cm.Builder()
    g = b.finish(b.add(ops.Conv(taken(c / 2), (1, 1), groups=4), b.input((1, c, 8, w))))
    assert cm.multiply_adds(cm.at(g, c=8, w=2)) == 8 * 2 * 8 * 4 // 4
    with pytest.raises(cm.CostModelError, match=r"node 'conv': .*7/2"):
        cm.at(g, c=7)
    with pytest.raises(cm.CostModelError, match=r"node 'conv': .* 6 is not divisible by 4"):
        cm.at(g, c=6)


def test_at_with_arrays_opens_a_design_space() -> None:
    c = cm.dim("c")
    b = cm.Builder()
    g = b.finish(b.add(ops.Conv(taken(c / 2), (1, 1)), b.input((1, c, 8, 8))))
    widths = np.array([4, 8, 64])
    expected = [cm.mac(cm.at(g, c=int(n))) for n in widths]
    assert cm.mac(cm.at(g, c=widths)).tolist() == expected


def test_at_can_put_expressions_in_place() -> None:
    h, w, c1, c2 = cm.symbols("h w c1 c2")
    square = cm.at(cm.zoo.pointwise(h, w, c1, c2), w=h, c2=2 * c1)
    assert cm.multiply_adds(square) == 2 * c1**2 * h**2
