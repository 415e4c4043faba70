"""A graph decomposed for a change, and rebuilt with new shape inference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, TypeAlias

import networkx as nx

from costmodel.errors import GraphError
from costmodel.graph import Link, Node, OpGraph, Source, infer_node, nodes_in_order, validate
from costmodel.ops import Op, Output
from costmodel.ops.tensor import Tensor


class Draft(NamedTuple):
    """A node without its shapes: operator, inputs, module, name of its weights."""

    op: Op
    sources: tuple[Source, ...]
    module: str
    weights: str


Drafts: TypeAlias = Mapping[str, Draft]
"""The nodes of a graph by name, in any order."""
Change: TypeAlias = Callable[[Drafts], dict[str, Draft]]
"""A rewrite of a graph; it may be applied to a graph changed by another rewrite."""


def drafts_of(graph: nx.DiGraph) -> dict[str, Draft]:
    """Return the nodes of a graph without their shapes.

    Examples
    --------
    >>> from costmodel import zoo
    >>> list(drafts_of(zoo.pointwise(56, 56, 24, 48)))
    ['input', 'conv', 'output']
    """
    return {node.name: draft_of(node) for node in nodes_in_order(graph)}


def draft_of(node: Node) -> Draft:
    """Return a node without its shapes."""
    return Draft(node.op, node.sources, node.module, node.weights)


def rebuilt(drafts: Drafts, like: nx.DiGraph) -> nx.DiGraph:
    """Return the valid graph of ``drafts``, with the name of ``like``.

    Raises
    ------
    GraphError
        If its nodes do not make a graph, its outputs are not those of ``like``, or nodes that
        share their learned tensors in ``like`` need different ones.
    ShapeError
        If shapes do not fit.

    Examples
    --------
    >>> from costmodel import zoo
    >>> graph = zoo.pointwise(56, 56, 24, 48)
    >>> list(rebuilt(drafts_of(graph), graph)) == list(graph)
    True
    """
    result = OpGraph(**like.graph)
    made: dict[Source, Tensor] = {}
    for name in in_order(drafts):
        draft = drafts[name]
        try:
            inputs = tuple(made[source] for source in draft.sources)
        except KeyError as missing:
            raise GraphError(f"node {name!r} takes {missing}, which no node makes") from None
        outputs = infer_node(name, draft.op, inputs)
        made.update({(name, i): tensor for i, tensor in enumerate(outputs)})
        result.add_node(
            name, op=draft.op, outputs=outputs, module=draft.module, weights=draft.weights
        )
        links: dict[str, tuple[Link, ...]] = {}
        for slot, (source, output) in enumerate(draft.sources):
            links[source] = (*links.get(source, ()), Link(output, slot))
        result.add_edges_from((source, name, {"links": found}) for source, found in links.items())
    validate(result)
    _check_shared(result, like)
    return result


def _check_shared(graph: nx.DiGraph, like: nx.DiGraph) -> None:
    before = {node.name: node for node in nodes_in_order(like)}
    owners: dict[str, Node] = {}
    for node in nodes_in_order(graph):
        owner = owners.setdefault(node.weights, node)
        if owner is node or _learned(owner) == _learned(node):
            continue
        ends = [before.get(n.name) for n in (owner, node)]
        first, second = (None if n is None else (n.weights, _learned(n)) for n in ends)
        if first is not None and first == second:
            raise GraphError(f"nodes {owner.name!r} and {node.name!r} must have the same weights")


def _learned(node: Node) -> tuple[Tensor, ...]:
    return tuple(node.op.weights(*node.inputs))


def outputs_of(graph: nx.DiGraph) -> list[Tensor]:
    """Return the tensors that a graph returns."""
    return [n.inputs[0] for n in nodes_in_order(graph) if isinstance(n.op, Output)]


def takers(drafts: Drafts) -> dict[Source, list[str]]:
    """Return the nodes that read each tensor, once for each slot.

    Examples
    --------
    >>> from costmodel import zoo
    >>> takers(drafts_of(zoo.pointwise(56, 56, 24, 48)))["conv", 0]
    ['output']
    """
    found: dict[Source, list[str]] = {}
    for name, draft in drafts.items():
        for source in draft.sources:
            found.setdefault(source, []).append(name)
    return found


def with_ops(drafts: Drafts, ops: Mapping[str, Op]) -> dict[str, Draft]:
    """Return ``drafts`` with other operators for some nodes.

    Raises
    ------
    GraphError
        If a node is not there any more.
    """
    need(drafts, ops)
    return {n: d._replace(op=ops[n]) if n in ops else d for n, d in drafts.items()}


def without(drafts: Drafts, names: Collection[str]) -> dict[str, Draft]:
    """Return ``drafts`` without nodes of one output, whose takers take their first input.

    Raises
    ------
    GraphError
        If a node is not there any more.
    """
    need(drafts, names)
    alias: dict[Source, Source] = {}
    for name in names:
        alias[name, 0] = drafts[name].sources[0]

    def resolved(source: Source) -> Source:
        while source in alias:
            source = alias[source]
        return source

    return {
        name: draft._replace(sources=tuple(map(resolved, draft.sources)))
        for name, draft in drafts.items()
        if name not in names
    }


def swapped(drafts: Drafts, first: str, second: str) -> dict[str, Draft]:
    """Return ``drafts`` with two nodes that follow each other in the other order.

    Raises
    ------
    GraphError
        If the second does not take the first any more, and nothing else.
    """
    need(drafts, (first, second))
    if drafts[second].sources != ((first, 0),):
        raise GraphError(f"node {second!r} does not follow {first!r} any more")
    result = {}
    for name, draft in drafts.items():
        taken = tuple((first, 0) if s == (second, 0) else s for s in draft.sources)
        result[name] = draft._replace(sources=taken)
    result[second] = result[second]._replace(sources=drafts[first].sources)
    result[first] = result[first]._replace(sources=((second, 0),))
    return result


def need(drafts: Drafts, names: Iterable[str]) -> None:
    """Raise ``GraphError`` unless all of these nodes are there."""
    gone = next((name for name in names if name not in drafts), None)
    if gone is not None:
        raise GraphError(f"node {gone!r} is not there any more: another change has taken it")


def in_order(drafts: Drafts) -> list[str]:
    """Return the names with every node after those that feed it, as early as they come."""
    waiting = Counter({n: len({s for s, _ in d.sources}) for n, d in drafts.items()})
    followers: dict[str, list[str]] = {}
    for name, draft in drafts.items():
        for source in {s for s, _ in draft.sources}:
            followers.setdefault(source, []).append(name)
    ready = [n for n in reversed(list(drafts)) if not waiting[n]]
    order = []
    while ready:
        name = ready.pop()
        order.append(name)
        for follower in reversed(followers.get(name, ())):
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    if len(order) < len(drafts):
        raise GraphError("these changes together make a cycle")
    return order
