"""Span against networkx, closed forms of fork-join networks, Brent's bracket."""

from __future__ import annotations

import heapq
import random
import time
from typing import Any

import networkx as nx
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import costmodel as cm
from costmodel import ops, testing
from costmodel.algebra.expressions import substitute
from costmodel.counting.cost import op_cost
from costmodel.graph import nodes_in_order
from costmodel.ops.tensor import Tensor


def longest_path(graph: nx.DiGraph) -> int:
    """The oracle: networkx, with the span of a node on each edge that leaves it."""
    weighted: nx.DiGraph = nx.DiGraph()
    for node in nodes_in_order(graph):
        weighted.add_edge(node.name, ("end", node.name), weight=op_cost(node.op, node.inputs).span)
        for taker in graph.successors(node.name):
            weighted.add_edge(("end", node.name), taker, weight=0)
    length: int = nx.dag_longest_path_length(weighted)
    return length


@given(graph=testing.graphs())
def test_span_is_the_longest_path(graph: nx.DiGraph) -> None:
    assert cm.span(graph) == longest_path(graph)
    assert cm.span(graph) <= cm.work(graph) or cm.work(graph) == 0


@given(drawn=testing.symbolic_graphs(max_steps=8))
def test_symbolic_span_is_the_longest_path(drawn: tuple[nx.DiGraph, dict[str, int]]) -> None:
    graph, values = drawn
    used = {k: values[k] for k in ("n", "h", "w")}
    assert substitute(cm.span(graph), used) == longest_path(cm.at(graph, **used))


@given(seed=st.integers(0, 10**6))
def test_span_of_random_webs_of_additions(seed: int) -> None:
    """Graphs that are not series-parallel, of linear layers of different depths."""
    draw = random.Random(seed)
    c = cm.dim("c")
    values = []
    b = cm.Builder()
    values.append(b.input((1, c)))
    for _ in range(draw.randint(2, 10)):
        x, y = draw.choice(values), draw.choice(values)
        x = b.add(ops.Linear(c, bias=False), x) if draw.random() < 0.5 else x
        values.append(b.add(ops.Elementwise("add"), x, y))
    graph = b.finish(*values[-2:])
    span = cm.span(graph)
    for number in (1, 7, 100):
        assert substitute(span, {"c": number}) == longest_path(cm.at(graph, c=number))


def fork_join(blocks: int) -> nx.DiGraph:
    b = cm.Builder()
    p, q = cm.symbols("p q")
    x = b.input((1, 4, 4, 4))
    for _ in range(blocks):
        left = b.add(ops.Conv(p, (1, 1)), x)
        right = b.add(ops.Conv(q, (1, 1)), x)
        left, right = (b.add(ops.Conv(4, (1, 1)), y) for y in (left, right))
        x = b.add(ops.Elementwise("add"), left, right)
    return b.finish(x)


def test_a_hundred_forks_and_joins_have_a_short_closed_form() -> None:
    graph = fork_join(100)
    started = time.process_time()
    span = cm.span(graph)
    assert time.process_time() - started < 2
    p, q = cm.symbols("p q")
    assert sympy.simplify(span - 100 * (1 + sympy.Max(p + 4, q + 4))) == 0
    assert sympy.count_ops(span) < 20
    assert substitute(span, {"p": 8, "q": 3}) == 100 * 13


def schedule(graph: nx.DiGraph, processors: int) -> int:
    """Run the graph step by step on so many processors, greedily; return the steps taken.

    Each operator is ``items`` chains of ``span`` steps; a chain starts when its operator is ready.
    """
    left = {}
    waiting = {name: graph.in_degree(name) for name in graph}
    spans = {}
    for node in nodes_in_order(graph):
        result = op_cost(node.op, node.inputs)
        work = result.cost.work
        spans[node.name] = result.span
        left[node.name] = max(1, -(-work // result.span)) if result.span else 0
    clock, free, running = 0, processors, []
    todo = [name for name in graph if waiting[name] == 0]
    pending = dict(left)
    while todo or running:
        while todo and (free or not left[todo[0]]):
            name = todo[0]
            if left[name] == 0:
                todo.pop(0)
                if pending[name] == 0:
                    for taker in graph.successors(name):
                        waiting[taker] -= 1
                        if waiting[taker] == 0:
                            todo.append(taker)
                continue
            heapq.heappush(running, (clock + spans[name], name))
            left[name] -= 1
            free -= 1
        if running:
            clock, name = heapq.heappop(running)
            free += 1
            pending[name] -= 1
            if pending[name] == 0 and left[name] == 0:
                for taker in graph.successors(name):
                    waiting[taker] -= 1
                    if waiting[taker] == 0:
                        todo.append(taker)
    return clock


@pytest.mark.parametrize("processors", [1, 2, 5, 16, 1000])
def test_a_greedy_schedule_lies_in_brents_bracket(processors: int) -> None:
    b = cm.Builder()
    x = b.input((1, 6))
    ends = [b.add(ops.Linear(n, bias=False), x) for n in (3, 9, 4)]
    ends = [b.add(ops.Linear(5, bias=False), y) for y in ends]
    graph = b.finish(b.add(ops.Linear(2, bias=False), b.add(ops.Concat(1), *ends)))
    lower, upper = cm.brent(graph, processors=processors)
    assert lower <= schedule(graph, processors) <= upper
    work, span = cm.work(graph), cm.span(graph)
    assert lower == max(-(-work // processors), span)
    assert upper == (work - span) / processors + span


def test_brackets_for_arrays_and_wrong_processors() -> None:
    graph = cm.zoo.pointwise(56, 56, 128, 64)
    lower, upper = cm.brent(graph, processors=np.array([1, 10**9]))
    assert lower.tolist() == [cm.work(graph), 128]
    assert (lower <= upper).all()
    for wrong in (0, -3, np.array([4, 0])):
        with pytest.raises(cm.CostModelError, match="at least 1"):
            cm.brent(graph, processors=wrong)
    with pytest.raises(cm.CostModelError, match="computes nothing"):
        cm.parallelism(ops.Identity(), Tensor((1, 2)))


def test_kernels_in_series_counts_launches_not_views() -> None:
    b = cm.Builder()
    x = b.input((1, 8, 4, 4))
    y = b.add(ops.Reshape((1, 128)), b.add(ops.Elementwise("relu"), x))
    z = b.add(ops.Linear(3), y)
    assert cm.kernels_in_series(b.finish(z, b.add(ops.Softmax(), z))) == 3


@pytest.mark.parametrize(("length", "keys", "steps"), [(1, 2, 1), (3, 8, 3), (8, 3, 3), (4, 4, 4)])
def test_span_behind_a_causal_mask_is_that_of_the_query_that_sees_most(
    length: int, keys: int, steps: int
) -> None:
    weights, values = Tensor((1, length, keys)), Tensor((1, keys, 5))
    assert steps == max(min(i + 1, keys) for i in range(length))
    result = op_cost(ops.AttentionMix(causal=True), (weights, values))
    assert result.span == steps <= result.cost.work
    assert op_cost(ops.AttentionMix(), (weights, values)).span == keys


@pytest.mark.parametrize(
    ("op", "shape", "steps"),
    [
        (ops.ConvTranspose(8, (2, 2), 2), (1, 16, 7, 7), 16),
        (ops.ConvTranspose(8, (2, 2), 2, bias=True), (1, 16, 7, 7), 17),
        (ops.ConvTranspose(8, (4, 3), 2), (1, 16, 7, 7), 16 * 2 * 2),
        (ops.ConvTranspose(8, (4,), 2, groups=4), (1, 16, 7), 4 * 2),
        (ops.ConvTranspose(8, (3,), 2, dilation=2), (1, 16, 7), 16 * 3),
        (ops.ConvTranspose(8, (4,), 2), (1, 16, 1), 16),  # one pixel meets each output once
        (ops.DeformConv(8, (3, 3), padding=1, bias=True), (1, 16, 7, 7), 7 + 16 * 9 + 1),
    ],
    ids=repr,
)
def test_span_is_the_longest_sum_of_one_output(
    op: ops.Op, shape: tuple[int, ...], steps: int
) -> None:
    others = [Tensor((1, 18, 7, 7))] if isinstance(op, ops.DeformConv) else []
    assert cm.span(op, Tensor(shape), *others) == steps


def test_brents_lower_side_rounds_up_and_its_upper_side_counts_no_step_twice() -> None:
    graph = cm.zoo.pointwise(1, 1, 3, 3)  # three sums of three steps
    assert cm.brent(graph, processors=2) == (5, 6)
    assert cm.brent(graph, processors=3) == (3, 5)
    c, p = cm.symbols("c p")
    lower, upper = cm.brent(cm.zoo.pointwise(1, 1, c, c), processors=p)
    assert (lower.subs({c: 3, p: 2}), upper.subs({c: 3, p: 2})) == (5, 6)


@pytest.mark.parametrize("processors", [1.5, np.float64(2.25), np.array([2.0, 2.5])])
def test_processors_are_whole(processors: Any) -> None:
    """One of two and a half does nothing: by the fraction the upper bound would be too low."""
    graph = cm.zoo.pointwise(7, 7, 8, 8)
    with pytest.raises(cm.CostModelError, match="processors must be whole"):
        cm.brent(graph, processors=processors)
    assert cm.brent(graph, processors=2.0) == cm.brent(graph, processors=2)


def test_processors_that_are_no_number_are_told_as_such() -> None:
    with pytest.raises(cm.CostModelError, match="must be a number of at least 1, got nan"):
        cm.brent(cm.zoo.pointwise(7, 7, 8, 8), processors=float("nan"))
