"""Finds channel shuffles that were written as reshape, transpose, copy, reshape."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.symbols import Dim, same
from costmodel.graph import Link, sources_of
from costmodel.ops import ChannelShuffle, Contiguous, Reshape, Transpose


def fuse_channel_shuffles(graph: nx.DiGraph) -> nx.DiGraph:
    """Return ``graph`` with one operator for every channel shuffle that is written out.

    The pattern: channels are split into groups, the two axes are swapped, the result is copied
    and the channels are joined again, and nothing else takes the tensors in between.

    Parameters
    ----------
    graph : DiGraph
        An op graph; it is used up.
    """
    names: dict[str, str] = {}
    for name in [n for n, op in graph.nodes(data="op") if isinstance(op, Transpose)]:
        chain = _chain(graph, name)
        if chain is not None:
            _replace(graph, *chain)
            join = chain[0][-1]
            module = graph.nodes[join]["module"]
            stem = f"{module}.channel_shuffle" if module else "channel_shuffle"
            names[join] = stem if stem not in names.values() else f"{stem}_{len(names) + 1}"
    return nx.relabel_nodes(graph, names) if names else graph


def _chain(graph: nx.DiGraph, transpose: str) -> tuple[list[str], Dim] | None:
    (split, _), *_ = sources_of(graph, transpose)
    copy = _only_taker(graph, transpose)
    join = _only_taker(graph, copy) if copy else None
    if copy is None or join is None or _only_taker(graph, split) != transpose:
        return None
    ops = [graph.nodes[n]["op"] for n in (split, copy, join)]
    if [type(op) for op in ops] not in (
        [Reshape, Contiguous, Reshape],
        [Reshape, Reshape, Contiguous],
    ):
        return None
    (source, output), *_ = sources_of(graph, split)
    before = graph.nodes[source]["outputs"][output].shape
    apart = graph.nodes[split]["outputs"][0].shape
    after = graph.nodes[join]["outputs"][0].shape
    order = graph.nodes[transpose]["op"].order
    if not _is_shuffle(before, apart, tuple(order), after):
        return None
    return [split, transpose, copy, join], apart[1]


def _is_shuffle(
    before: tuple[Dim, ...], apart: tuple[Dim, ...], order: tuple[int, ...], after: tuple[Dim, ...]
) -> bool:
    if len(before) < 3 or len(apart) != len(before) + 1 or len(after) != len(before):
        return False
    if order != (0, 2, 1, *range(3, len(apart))):
        return False
    split = (apart[0], apart[1] * apart[2], *apart[3:])
    return all(map(same, split, before)) and all(map(same, after, before))


def _replace(graph: nx.DiGraph, chain: list[str], groups: Dim) -> None:
    split, *middle, join = chain
    (source, output), *_ = sources_of(graph, split)
    graph.remove_nodes_from([split, *middle])
    graph.nodes[join]["op"] = ChannelShuffle(groups)
    graph.add_edge(source, join, links=(Link(output, 0),))


def _only_taker(graph: nx.DiGraph, name: str) -> str | None:
    takers = list(graph.succ[name])
    return takers[0] if len(takers) == 1 else None
