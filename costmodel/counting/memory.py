"""Peak memory of activations for an order of execution."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from itertools import pairwise

import networkx as nx
import numpy as np

from costmodel.algebra.later import sympy
from costmodel.algebra.symbols import Dim, are_ints, is_symbolic, maximum
from costmodel.counting.subject import Prepared, nodes_of
from costmodel.graph import Node, Source
from costmodel.ops import Parameter


@dataclass(frozen=True, slots=True)
class Buffers:
    """The buffers that each operator makes and uses, with views resolved."""

    sizes: list[Dim]
    made: list[tuple[int, ...]]
    used: list[frozenset[int]]


def peak(graph: nx.DiGraph | Prepared, unit: str) -> Dim:
    """Return the peak memory (see :func:`costmodel.counting.metrics.activation_memory`)."""
    nodes = nodes_of(graph)
    buffers = buffers_of(nodes, unit)
    order = list(range(len(nodes)))
    if not are_ints(buffers.sizes):
        if any(is_symbolic(size) for size in buffers.sizes):
            return _largest(live_sizes(buffers, order))
        return _peaks(nodes, buffers)
    first = max(live_sizes(buffers, order))
    if _is_chain(nodes) or first == _largest_step(buffers):
        return first
    return min(first, max(live_sizes(buffers, greedy_order(nodes, buffers))))


def _peaks(nodes: list[Node], buffers: Buffers) -> Dim:
    """Return the peak of each entry of sizes that are arrays.

    Only entries whose first order needs more than any order must are ordered one by one.
    """
    order = list(range(len(nodes)))
    first = maximum(*live_sizes(buffers, order))
    if _is_chain(nodes):
        return first
    both = zip(buffers.made, buffers.used, strict=True)
    least = maximum(*(sum([buffers.sizes[b] for b in (*m, *u)]) for m, u in both))
    found, lowest, *sizes = np.broadcast_arrays(first, least, *buffers.sizes)
    found = found.copy()
    for place in zip(*np.nonzero(found > lowest), strict=True):
        own = replace(buffers, sizes=[size[place].item() for size in sizes])
        best = max(live_sizes(own, greedy_order(nodes, own)))
        found[place] = min(found[place].item(), best)
    return found


def _is_chain(nodes: list[Node]) -> bool:
    """Return whether the graph is a chain, which has only one order."""
    return all(
        source == before.name
        for before, node in pairwise(nodes)
        for source, _ in node.sources or [("", 0)]
    )


def _largest_step(buffers: Buffers) -> Dim:
    """Return the largest input and output size of one operator: a lower bound for any order."""
    sizes = buffers.sizes
    both = zip(buffers.made, buffers.used, strict=True)
    return max([sum([sizes[b] for b in (*made, *used)]) for made, used in both])


def buffers_of(nodes: list[Node], unit: str) -> Buffers:
    """Return the buffers of operators in order; a view uses the buffer of its input."""
    sizes: list[Dim] = []
    made: list[tuple[int, ...]] = []
    used: list[frozenset[int]] = []
    holder: dict[Source, int] = {}
    for node in nodes:
        taken = [holder[source] for source in node.sources]
        start = len(sizes)
        for i, tensor in enumerate(node.outputs):
            if node.op.is_view:
                holder[node.name, i] = taken[0]
                continue
            holder[node.name, i] = len(sizes)
            if isinstance(node.op, Parameter):  # counted by params(), always in memory
                sizes.append(0)
            else:
                sizes.append(tensor.elements if unit == "elements" else tensor.bytes)
        made.append(tuple(range(start, len(sizes))))
        used.append(frozenset(taken))
    return Buffers(sizes, made, used)


def live_sizes(buffers: Buffers, order: list[int]) -> list[Dim]:
    """Return the memory in use while each operator of ``order`` runs."""
    last: dict[int, int] = {}
    for step, i in enumerate(order):
        for b in buffers.made[i]:
            last[b] = step
        for b in buffers.used[i]:
            last[b] = step
    freed: list[Dim] = [0] * len(order)
    for b, step in last.items():
        freed[step] = freed[step] + buffers.sizes[b]
    live: Dim = 0
    result = []
    for i, gone in zip(order, freed, strict=True):
        for b in buffers.made[i]:
            live = live + buffers.sizes[b]
        result.append(live)
        live = live - gone
    return result


def greedy_order(nodes: list[Node], buffers: Buffers) -> list[int]:
    """Run the ready operator that adds least memory next; ties go to the earlier one."""
    index = {node.name: i for i, node in enumerate(nodes)}
    takers: list[list[int]] = [[] for _ in nodes]
    waiting = [0] * len(nodes)
    for i, node in enumerate(nodes):
        makers = {source for source, _ in node.sources}
        waiting[i] = len(makers)
        for source in makers:
            takers[index[source]].append(i)
    uses = [0] * len(buffers.sizes)
    for used in buffers.used:
        for b in used:
            uses[b] += 1

    sizes = buffers.sizes
    grown = [sum([sizes[b] for b in made]) for made in buffers.made]

    def growth(i: int) -> Dim:
        return grown[i] - sum([sizes[b] for b in buffers.used[i] if uses[b] == 1])

    ready = [(growth(i), i) for i, n in enumerate(waiting) if n == 0]
    heapq.heapify(ready)
    order = []
    while ready:
        _, i = heapq.heappop(ready)
        order.append(i)
        for b in buffers.used[i]:
            uses[b] -= 1
        for j in takers[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                heapq.heappush(ready, (growth(j), j))
    return order


def _largest(sizes: list[Dim]) -> Dim:
    """Return the largest of ``sizes``; expressions bounded by another one are dropped."""
    if not any(is_symbolic(size) for size in sizes):
        return maximum(*sizes)
    kept: list[Dim] = []
    for size in dict.fromkeys(map(sympy.sympify, sizes)):  # some may be numbers
        if any((other - size).is_nonnegative for other in kept):
            continue
        kept = [other for other in kept if not (size - other).is_nonnegative]
        kept.append(size)
    return kept[0] if len(kept) == 1 else sympy.Max(*kept)
