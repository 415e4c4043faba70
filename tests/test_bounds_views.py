"""Lower bounds where a view repeats elements, and where a causal mask hides some."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

import costmodel as cm
from costmodel import ops, testing
from costmodel.counting.demand import demand_of, live_in
from costmodel.counting.traffic import attention_traffic
from costmodel.graph import nodes_in_order
from costmodel.ops.tensor import Tensor


def graph_of(*shapes: tuple[Any, ...], make: Callable[..., Any]) -> nx.DiGraph:
    b = cm.Builder()
    return b.finish(make(b, *(b.input(shape) for shape in shapes)))


def grown(b: cm.Builder, x: Any, *shape: Any) -> Any:
    return b.add(ops.BroadcastTo(shape), x)


ROWS, INNER, COLUMNS = 100, 50, 90
KEPT = 2 * INNER + 1
"""Elements of fast memory for one row of the left operand, one column of the right, one result."""
REPEATED = {
    "matmul": graph_of(
        (1, INNER), (INNER, COLUMNS),
        make=lambda b, x, y: b.add(ops.MatMul(), grown(b, x, ROWS, INNER), y),
    ),
    "right": graph_of(
        (1, INNER), (INNER, COLUMNS),
        make=lambda b, x, y: b.add(
            ops.MatMul(True, True), y, b.add(ops.Identity(), grown(b, x, ROWS, INNER))
        ),
    ),
    "linear": graph_of(
        (INNER,),
        make=lambda b, x: b.add(ops.Linear(COLUMNS, bias=False), grown(b, x, ROWS, INNER)),
    ),
    "convolution": graph_of(
        (1, INNER, 1, 1),
        make=lambda b, x: b.add(ops.Conv(COLUMNS, (1, 1)), grown(b, x, 1, INNER, 10, 10)),
    ),
    "transposed": graph_of(
        (1, INNER, 1, 1),
        make=lambda b, x: b.add(ops.ConvTranspose(COLUMNS, (1, 1)), grown(b, x, 1, INNER, 10, 10)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REPEATED)
def test_an_operand_that_a_view_repeats_stays_in_fast_memory(name: str) -> None:
    """Keep the one row, load a column, write its results: no more than each element once."""
    graph = REPEATED[name]
    moved = INNER + INNER * COLUMNS + ROWS * COLUMNS
    assert cm.io_lower_bound(graph) == moved
    assert cm.cache_lower_bound(graph, capacity=KEPT) == moved
    assert cm.mac_lower_bound(graph) <= moved


def test_products_of_a_repeated_matrix_with_itself() -> None:
    for transposed in (False, True):
        graph = graph_of(
            (1, 1, 40),
            make=lambda b, x, t=transposed: b.add(
                ops.MatMul(transpose_b=t), *[grown(b, x, 30, 40, 40)] * 2
            ),
        )
        # All products are one: keep the row, and write each result.
        assert cm.cache_lower_bound(graph, capacity=42) == 40 + 30 * 40 * 40
        assert cm.mac_lower_bound(graph) <= 40 + 30 * 40 * 40


def test_attention_on_repeated_queries_and_keys() -> None:
    graph = graph_of(
        (1, 1, 1, 8), (1, 1, 1, 8), (1, 1, 64, 8),
        make=lambda b, q, k, v: b.add(
            ops.Attention(), grown(b, q, 1, 1, 64, 8), grown(b, k, 1, 1, 64, 8), v
        ),
    )  # fmt: skip
    assert cm.cache_lower_bound(graph, capacity=32) == 8 + 8 + 64 * 8 + 64 * 8
    plain = attention_traffic(4096, 8, 0, 32)
    assert attention_traffic(4096, 8, 0, 32, repeats=4096) < 0 < plain
    assert attention_traffic(4096, 8, 0, 32, repeats=4) == attention_traffic(4096, 4, 0, 32)


def test_repeated_operands_of_arrays_and_symbols() -> None:
    n = cm.dim("n")
    make = lambda b, x: b.add(ops.Linear(9, bias=False), grown(b, x, n, 40))  # noqa: E731
    formula = graph_of((1, 40), make=make)
    sizes = np.array([1, 7, 2000])
    for metric in (cm.mac_lower_bound, lambda g: cm.cache_lower_bound(g, capacity=82)):
        numbers = [metric(cm.at(formula, n=int(size))) for size in sizes]
        assert metric(cm.at(formula, n=sizes)) == pytest.approx(numbers, rel=1e-12)
        found = [float(metric(formula).subs(n, int(size))) for size in sizes]
        assert found == pytest.approx(numbers, rel=1e-9)


def test_masked_scores_multiply_only_what_is_seen() -> None:
    q = Tensor((1, 64, 16))
    seen = 64 * 65 // 2
    for capacity in (4, 16, 100):
        bound = cm.cache_lower_bound(ops.AttentionScores(causal=True), q, q, capacity=capacity)
        assert bound <= max(2 * seen * 16 / capacity**0.5 - 2 * capacity, 2 * 64 * 16 + seen)


@pytest.mark.parametrize("op", [ops.Softmax(causal=True), ops.AttentionScores(causal=True)])
def test_part_of_what_a_mask_leaves(op: ops.Op) -> None:
    """One of two heads: 4 queries see 1, 2, 3 and 3 of 3 keys."""
    scores = isinstance(op, ops.AttentionScores)
    shapes = [(1, 2, 4, 5), (1, 2, 3, 5)] if scores else [(1, 2, 4, 3)]
    graph = graph_of(
        *shapes,
        make=lambda b, *x: b.add(ops.Elementwise("relu"), b.add(ops.Slice(1, 0, 1), b.add(op, *x))),
    )
    use = demand_of(nodes_in_order(graph)).uses[0]
    assert sum(use.writes) <= 9
    assert sum(use.reads.values()) <= (4 * 5 + 3 * 5 if scores else 9)


def test_columns_of_what_a_mask_leaves() -> None:
    """Of 4 x 5 the mask leaves 10; the last three columns of these are 2 + 1 + 0."""
    graph = graph_of(
        (1, 1, 4, 5),
        make=lambda b, x: b.add(
            ops.Elementwise("relu"), b.add(ops.Slice(3, 2, 3), b.add(ops.Softmax(causal=True), x))
        ),
    )
    use = demand_of(nodes_in_order(graph)).uses[0]
    assert sum(use.writes) <= 3
    whole = graph_of((1, 1, 4, 5), make=lambda b, x: b.add(ops.Softmax(causal=True), x))
    assert cm.io_lower_bound(whole) == 10 + 10


@pytest.mark.parametrize("op", [ops.AttentionScores(), ops.AttentionMix()])
def test_batches_of_attention_agree(op: ops.Op) -> None:
    one, other = Tensor((4, 3, 2, 2)), Tensor((3, 3, 2, 2))
    with pytest.raises(cm.CostModelError, match="batch of .* differs"):
        op.infer(one, other)


@given(graph=testing.graphs())
def test_operators_that_bounds_count_are_those_with_a_demand(graph: nx.DiGraph) -> None:
    live, _ = live_in(cm.prepare(graph))
    assert live == [use.node for use in demand_of(nodes_in_order(graph)).uses]


def test_a_bound_that_is_known_for_two_tensors_is_not_that_of_one_tensor_twice() -> None:
    """Operators and shapes are equal; a buffer is in two slots, or in one and in a view of it."""

    def added(b: cm.Builder, x: Any, y: Any) -> Any:
        return b.add(ops.Elementwise("add"), x, y)

    apart = graph_of((4, 6), (4, 6), make=added)
    twice = graph_of((4, 6), make=lambda b, x: added(b, x, x))
    viewed = graph_of((4, 6), make=lambda b, x: added(b, x, b.add(ops.Identity(), x)))
    found = [cm.mac_lower_bound(graph) for graph in (apart, twice, viewed, apart)]
    assert found == [72, 48, 48, 72]


def test_the_bound_in_terms_of_a_symbol_is_not_that_of_the_number() -> None:
    graph = cm.zoo.pointwise(7, 7, 8, 16)
    number = cm.mac_lower_bound(graph)
    formula = cm.mac_lower_bound(graph, in_terms_of="B")
    assert float(formula.subs(cm.dim("B"), cm.multiply_adds(graph))) == pytest.approx(number)
    assert cm.mac_lower_bound(graph) == number
