"""Merges the pieces of a decomposed operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import networkx as nx

from costmodel.errors import CostModelError
from costmodel.graph import Link, sources_of
from costmodel.importers.patterns.pieces import Note, Pattern, Pieces, Whole
from costmodel.ops import Parameter


def put_together(
    graph: nx.DiGraph, patterns: Mapping[str, Pattern], notes: Mapping[str, Note]
) -> nx.DiGraph:
    """Return ``graph`` with one operator for what ``patterns`` find in several.

    Intermediate values must have no other consumer and must not be outputs. The last pieces come
    first, so that a whole that holds another one is found before it.

    Parameters
    ----------
    graph : DiGraph
        An op graph in topological order; it is modified.
    patterns : mapping
        Patterns by the name that the node of the operator gets.
    notes : mapping
        Notes by name of node.

    Examples
    --------
    >>> from costmodel.graph import Builder
    >>> from costmodel.importers.patterns.pieces import EXPORTED
    >>> from costmodel.ops import Elementwise
    >>> b = Builder()
    >>> x = b.input((1, 8))
    >>> y = b.add(Elementwise("mul"), x, b.add(Elementwise("sigmoid"), x))
    >>> list(put_together(b.finish(y), {"silu": EXPORTED["silu"]}, {}))
    ['input', 'silu', 'output']
    """
    pieces = Pieces(graph, notes)
    named = Counter(nx.get_node_attributes(graph, "weights").values())
    stems: dict[str, str] = {}
    for name in reversed(list(graph)):
        if name not in graph or not graph.nodes[name]["outputs"]:
            continue  # part of one that is found already, or an output of the network
        for stem, pattern in patterns.items():
            whole = pattern(pieces, (name, 0))
            inner = None if whole is None else _inner(pieces, name, whole, named)
            if whole is not None and inner is not None:
                _replace(graph, name, whole, inner)
                pieces.replaced(name)
                stems[name] = stem
                break
    return _renamed(graph, stems) if stems else graph


def _inner(pieces: Pieces, name: str, whole: Whole, named: Counter[str]) -> set[str] | None:
    """Return the nodes between ``whole.x`` and node ``name``, or None if they must stay."""
    graph = pieces.graph
    ends = {whole.x, *whole.learned}
    inner: set[str] = set()
    waiting = [value for value in sources_of(graph, name) if value not in ends]
    while waiting:
        node, _ = waiting.pop()
        if node in inner:
            continue
        feeds = sources_of(graph, node)
        if not feeds:
            return None  # an input, or a tensor that the operator does not hold
        inner.add(node)
        waiting += (value for value in feeds if value not in ends)
    takers = {taker for node in inner for taker in graph.succ[node]}
    if not takers <= inner | {name} or not _fits(pieces, name, whole):
        return None
    return None if any(_is_weight(graph, node, named) for node in (name, *inner)) else inner


def _fits(pieces: Pieces, name: str, whole: Whole) -> bool:
    try:
        made = whole.op.infer(pieces.tensor(whole.x))
    except CostModelError:
        return False
    return bool(made == pieces.graph.nodes[name]["outputs"])


def _is_weight(graph: nx.DiGraph, node: str, named: Counter[str]) -> bool:
    """Return whether another operator uses the weights of ``node`` by name, without an edge."""
    attributes = graph.nodes[node]
    inputs = (graph.nodes[source]["outputs"][i] for source, i in sources_of(graph, node))
    return named[attributes["weights"]] > 1 and not attributes["op"].weights(*inputs)


def _replace(graph: nx.DiGraph, name: str, whole: Whole, inner: Iterable[str]) -> None:
    learned = [graph.nodes[node]["weights"] for node, _ in whole.learned]
    graph.remove_edges_from(list(graph.in_edges(name)))
    graph.remove_nodes_from(inner)
    graph.nodes[name]["op"] = whole.op
    graph.nodes[name]["weights"] = learned[0] if learned else name
    source, output = whole.x
    graph.add_edge(source, name, links=(Link(output, 0),))
    for node, _ in whole.learned:
        if not graph.succ[node] and isinstance(graph.nodes[node]["op"], Parameter):
            graph.remove_node(node)


def _renamed(graph: nx.DiGraph, stems: Mapping[str, str]) -> nx.DiGraph:
    """Name the new operators as a builder does: module, kind of operator, a number."""
    taken = set(graph) - set(stems)
    names: dict[str, str] = {}
    used: Counter[str] = Counter()
    for name in [node for node in graph if node in stems]:
        attributes = graph.nodes[name]
        module = attributes["module"]
        first = f"{module}.{stems[name]}" if module else stems[name]
        new = first
        while new in taken:
            used[first] += 1
            new = f"{first}_{used[first] + 1}"
        taken.add(new)
        names[name] = new
        if attributes["weights"] == name:
            attributes["weights"] = new
    return nx.relabel_nodes(graph, names)
