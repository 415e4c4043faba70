"""Elements that lower bounds count, against loops that touch index sets; parts, and dead ends."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product as indices
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import ORACLES

import costmodel as cm
from costmodel import ops, testing
from costmodel.algebra.arrays import whole as counts
from costmodel.algebra.expressions import substitute
from costmodel.algebra.symbols import Dim, ceil_div, dim
from costmodel.counting.demand import demand_of
from costmodel.counting.needs import Part, needs, whole
from costmodel.counting.needs.windows import pairs_of
from costmodel.graph import nodes_in_order
from costmodel.ops import Op
from costmodel.ops.reach import Axis, common, hits, landing, most_taps, reuse, taps, touched
from costmodel.ops.tensor import Tensor

SMALL = st.integers(1, 6)
PAD = st.integers(0, 7)


def visited(axis: Axis) -> list[tuple[int, int, int]]:
    """Return window, tap and position of everything that lies inside the axis."""
    size, windows, kernel, stride, dilation, before, _ = axis
    found = []
    for window, tap in indices(range(windows), range(kernel)):
        position = window * stride + tap * dilation - before
        if 0 <= position < size:
            found.append((window, tap, position))
    return found


@settings(max_examples=1000)
@given(size=st.integers(1, 16), kernel=SMALL, stride=SMALL, dilation=SMALL, before=PAD, after=PAD)
def test_what_windows_reach(
    size: int, kernel: int, stride: int, dilation: int, before: int, after: int
) -> None:
    span = size + before + after - dilation * (kernel - 1)
    assume(span >= 1)
    axis = Axis(size, -(-span // stride), kernel, stride, dilation, before, after)
    seen = visited(axis)
    assert touched(axis) == len({position for *_, position in seen})
    assert hits(axis) == len(seen)
    assert taps(axis, axis.windows) == len({tap for _, tap, _ in seen})
    assert landing(axis) == len({window for window, *_ in seen})
    for wanted in {position for *_, position in seen}:
        assert len({tap for _, tap, position in seen if position == wanted}) <= reuse(axis)
    dropped = {0, axis.windows - 1} if axis.windows > 1 else set()
    rest = [entry for entry in seen if entry[0] not in dropped]
    left = axis.windows - len(dropped)
    assert taps(axis, left) <= len({tap for _, tap, _ in rest})
    assert pairs_of(axis, left) <= len(rest)


@settings(max_examples=500)
@given(pixels=st.integers(1, 9), kernel=SMALL, stride=SMALL, dilation=SMALL, cut=st.integers(0, 4))
def test_what_a_transposed_convolution_scatters(
    pixels: int, kernel: int, stride: int, dilation: int, cut: int
) -> None:
    whole_size = (pixels - 1) * stride + dilation * (kernel - 1) + 1
    size = whole_size - 2 * cut
    assume(size >= 1)
    axis = Axis(size, pixels, kernel, stride, dilation, cut)
    seen = visited(axis)
    assert (hits(axis), landing(axis)) == (len(seen), len({window for window, *_ in seen}))
    assert taps(axis, pixels) == len({tap for _, tap, _ in seen})
    uncut = visited(axis._replace(size=whole_size, before=0))
    met = [sum(position == at for *_, position in uncut) for at in range(whole_size)]
    assert most_taps(pixels, kernel, stride, dilation) == max(met)
    assert max(met) <= reuse(axis)


def test_strides_and_dilations_may_be_numbers_arrays_and_symbols() -> None:
    pairs = [(2, 6), (6, 4), (5, 3), (2**30, 2**40)]
    strides, dilations = (counts(np.array(side)) for side in zip(*pairs, strict=True))
    shared = [math.gcd(*pair) for pair in pairs]
    assert [common(*pair) for pair in pairs] == shared
    assert common(strides, dilations).tolist() == shared
    symbolic = common(dim("s"), dim("d"))
    assert substitute(symbolic, {"s": strides, "d": dilations}).tolist() == shared
    assert [substitute(symbolic, {"s": s, "d": d}) for s, d in pairs] == shared
    numbers = [most_taps(9, 4, *pair) for pair in pairs]
    assert most_taps(9, 4, strides, dilations).tolist() == numbers
    taps_of = most_taps(9, 4, dim("s"), dim("d"))
    assert substitute(taps_of, {"s": strides, "d": dilations}).tolist() == numbers


@settings(max_examples=25)
@given(kernel=SMALL, stride=SMALL, dilation=st.integers(1, 3), pad=st.integers(0, 3),
       sizes=st.lists(st.integers(13, 40), min_size=2, max_size=4))  # fmt: skip
def test_arrays_and_symbols_reach_what_numbers_reach(
    kernel: int, stride: int, dilation: int, pad: int, sizes: list[int]
) -> None:
    def axis(size: Dim) -> Axis:
        windows = ceil_div(size + 2 * pad - dilation * (kernel - 1), stride)
        return Axis(size, windows, kernel, stride, dilation, pad, pad)

    h = cm.dim("h")
    numbers = [axis(size) for size in sizes]
    for function in (touched, hits, lambda a: taps(a, a.windows), landing):
        expected = [function(a) for a in numbers]
        assert function(axis(np.array(sizes))).tolist() == expected
        formula = function(axis(h))
        found = [formula.subs(h, n) if hasattr(formula, "subs") else formula for n in sizes]
        if function is landing and dilation > 1:  # of symbols it may say less
            assert all(a <= b for a, b in zip(found, expected, strict=True))
        else:
            assert found == expected


def test_plain_convolutions_of_symbols_have_plain_parts() -> None:
    h = cm.dim("h")
    for kernel, stride, pad in ((3, 1, 1), (3, 2, 1), (7, 2, 3), (1, 1, 0)):
        windows = ceil_div(h + 2 * pad - kernel + 1, stride)
        assert touched(Axis(h, windows, kernel, stride, 1, pad, pad)) == h
    assert touched(Axis(h, ceil_div(h, 2), 1, 2)) == ceil_div(h, 2)


SAMPLED = {
    *("Resize", "GridSample", "DeformConv", "Gather", "Embedding", "EmbeddingBag", "RoiAlign"),
    *("NonMaxSuppression", "SearchSorted", "Scatter"),
}
"""What these pick depends on the data, or on a convention: their loops do not say."""
EXPANDED = {"Attention", "Recurrent", "RecurrentSteps"}
CUT = {"ConvTranspose"}
"""Loops that count what lands on outputs that are cut off: tested above."""


@settings(max_examples=1000)
@given(case=testing.cases())
def test_operators_need_what_their_loops_touch(case: tuple[Op, tuple[Tensor, ...]]) -> None:
    op, inputs = case
    name = type(op).__name__
    found = needs(op, inputs, tuple(map(whole, op.infer(*inputs))))
    for part, x in zip(found.inputs, inputs, strict=True):
        assert part.elements <= x.elements
        assert not part.box or math.prod(part.box) <= part.elements
    made = any(y.elements for y in op.infer(*inputs))
    if not made or op.is_view or not inputs or name in SAMPLED | EXPANDED | CUT or name == "Output":
        return
    if getattr(op, "padding", None) == "same":
        return  # the loops do not say where the padding goes
    counted = ORACLES[name](op, *(x.shape for x in inputs))
    assert [part.elements for part in found.inputs] == list(map(len, counted.touched))
    assert found.weights == len(counted.weights)


@settings(max_examples=500)
@given(case=testing.cases(), data=st.data())
def test_fewer_results_need_no_more(
    case: tuple[Op, tuple[Tensor, ...]], data: st.DataObject
) -> None:
    op, inputs = case
    outputs = op.infer(*inputs)
    fewer = [Part.of(*(data.draw(st.integers(0, n)) for n in y.shape)) for y in outputs]
    some, all_ = needs(op, inputs, tuple(fewer)), needs(op, inputs, tuple(map(whole, outputs)))
    assert 0 <= some.weights <= all_.weights
    for part, most in zip(some.inputs, all_.inputs, strict=True):
        assert part.elements <= most.elements
        assert not part.box or math.prod(part.box) <= part.elements
        assert all(0 <= n <= m for n, m in zip(part.box, most.box, strict=True))


@settings(max_examples=300)
@given(n=st.integers(1, 9), kernel=SMALL, stride=SMALL, dilation=st.integers(1, 3), pad=PAD,
       data=st.data())  # fmt: skip
def test_any_windows_of_a_convolution_touch_what_it_says_they_need(
    n: int, kernel: int, stride: int, dilation: int, pad: int, data: st.DataObject
) -> None:
    assume(n + 2 * pad - dilation * (kernel - 1) >= 1)
    conv = ops.Conv(3, (kernel,), stride, pad, dilation)
    x = Tensor((1, 2, n))
    (y,) = conv.infer(x)
    kept = data.draw(st.sets(st.integers(0, y.shape[2] - 1)))
    axis = Axis(n, y.shape[2], kernel, stride, dilation, pad, pad)
    seen = [entry for entry in visited(axis) if entry[0] in kept]
    found = needs(conv, (x,), (Part.of(1, 3, len(kept)),))
    assert found.inputs[0].elements <= 2 * len({position for *_, position in seen})
    assert found.weights <= 3 * 2 * len({tap for _, tap, _ in seen})


def graph_of(*shapes: tuple[int, ...], make: Callable[..., Any]) -> nx.DiGraph:
    b = cm.Builder()
    return b.finish(make(b, *(b.input(shape) for shape in shapes)))


def bounds(graph: nx.DiGraph) -> tuple[float, float, float]:
    found = (
        cm.io_lower_bound(graph),
        cm.cache_lower_bound(graph, capacity=2**40),
        cm.mac_lower_bound(graph),
    )
    return tuple(round(bound, 6) for bound in found)  # type: ignore[return-value]


def test_a_buffer_in_two_slots_counts_once() -> None:
    square = graph_of((64, 64), make=lambda b, x: b.add(ops.MatMul(), x, x))
    assert bounds(square) == (8192, 8192, 8192)
    gram = graph_of((64, 128), make=lambda b, x: b.add(ops.MatMul(transpose_b=True), x, x))
    assert bounds(gram) == (12288, 12288, 12288)
    twice = graph_of((100,), make=lambda b, x: b.add(ops.Elementwise("add"), x, x))
    assert bounds(twice) == (200, 200, 200)
    seen = graph_of(
        (1, 8),
        make=lambda b, x: b.add(ops.Elementwise("relu"), b.add(ops.BroadcastTo((4, 8)), x)),
    )
    assert bounds(seen) == (40, 40, 40)
    turned = graph_of(
        (9, 9), make=lambda b, x: b.add(ops.Elementwise("add"), x, b.add(ops.Transpose((1, 0)), x))
    )
    assert bounds(turned) == (162, 162, 162)
    joined = graph_of((1, 100), make=lambda b, x: b.add(ops.Concat(0), x, x, x))
    assert bounds(joined) == (400, 400, 400)


def test_halves_of_a_buffer_count_as_its_whole() -> None:
    graph = graph_of(
        (4, 100), make=lambda b, x: b.add(ops.Elementwise("mul"), *b.add_many(ops.Split(1, 2), x))
    )
    assert bounds(graph) == (600, 600, 600)


def test_pixels_that_a_stride_skips_and_taps_on_padding_do_not_count() -> None:
    strided = graph_of((1, 64, 56, 56), make=lambda b, x: b.add(ops.Conv(128, (1, 1), 2), x))
    assert cm.io_lower_bound(strided) == 64 * 28 * 28 + 64 * 128 + 128 * 28 * 28 == 158_720
    assert cm.mac(strided) == 309_248
    padded = graph_of((1, 8, 1, 1), make=lambda b, x: b.add(ops.Conv(4, (3, 3), padding=1), x))
    assert cm.io_lower_bound(padded) == 8 + 8 * 4 + 4
    pooled = graph_of((1, 8, 9, 9), make=lambda b, x: b.add(ops.Pool("max", (2, 2), 4), x))
    assert cm.io_lower_bound(pooled) == 8 * 16 + 8 * 4
    cut = graph_of((1, 8, 4), make=lambda b, x: b.add(ops.ConvTranspose(2, (1,), 3, 2), x))
    assert cut.nodes["conv_transpose"]["outputs"][0].shape == (1, 2, 6)
    assert cm.io_lower_bound(cut) == 2 * 8 + 8 * 2 + 2 * 6  # the first and last pixel fall outside


def test_dead_operators_and_unused_results_do_not_count() -> None:
    def network(b: cm.Builder, x: Any) -> Any:
        y = b.add(ops.Linear(8, bias=False), x)
        b.add(ops.Linear(1000), b.add(ops.Linear(500), y))
        used, _ = b.add_many(ops.Split(1, (2, 6)), y)
        return b.add(ops.Elementwise("relu"), used)

    graph = graph_of((1, 16), make=network)
    assert bounds(graph)[:2] == (16 + 16 * 2 + 2, 16 + 16 * 2 + 2)
    assert cm.mac_lower_bound(graph) == 2 * math.sqrt(16 * 8) + 16 * 8 + 2 + 2
    token = graph_of(
        (1, 50, 64),
        make=lambda b, x: b.add(
            ops.Elementwise("relu"), b.add(ops.Slice(1, 0, 1), b.add(ops.Linear(64, False), x))
        ),
    )
    assert cm.io_lower_bound(token) == 64 + 64 * 64 + 64  # one token of 50


def test_tied_weights_count_by_the_user_that_reads_most() -> None:
    graph = cm.network("gpt2?length=4")
    table = 50257 * 768
    assert cm.io_lower_bound(graph) == pytest.approx(85.3e6 + table - 4 * 768, rel=1e-3)
    b = cm.Builder()
    x = b.input((1, 3), "int64")
    words = b.add(ops.Embedding(10, 4), x)
    tied = b.finish(b.add(ops.Linear(10, bias=False), words, weights=words.node))
    assert cm.io_lower_bound(tied) == 3 + 40 + 30


def test_a_network_without_outputs_leaves_what_nobody_takes() -> None:
    b = cm.Builder()
    b.add(ops.Linear(4, bias=False), b.add(ops.Elementwise("relu"), b.input((2, 8))))
    assert cm.io_lower_bound(b.finish()) == 16 + 32 + 8


@given(graph=testing.graphs())
def test_bounds_of_random_networks_are_in_order(graph: nx.DiGraph) -> None:
    demand = demand_of(nodes_in_order(graph))
    for use in demand.uses:
        for part, y, n, left in zip(
            use.parts, use.node.outputs, use.writes, use.leaves, strict=True
        ):
            assert left <= n <= part.elements <= y.elements
    least = cm.io_lower_bound(graph)
    small, large = (cm.cache_lower_bound(graph, capacity=s) for s in (8, 10**6))
    assert least <= large <= small
    assert large <= cm.mac(graph)
    assert cm.cache_lower_bound(graph, capacity=2**60) == least


@given(drawn=testing.symbolic_graphs(max_steps=6))
@settings(max_examples=40)
def test_formulas_and_arrays_agree_with_numbers(drawn: tuple[nx.DiGraph, dict[str, int]]) -> None:
    graph, values = drawn
    used = {name: values[name] for name in ("n", "h", "w")}
    number = cm.at(graph, **used)
    several = cm.at(graph, **{**used, "n": np.array([used["n"], 2 * used["n"]])})
    metrics = {
        "io": cm.io_lower_bound,
        "cache": lambda g: cm.cache_lower_bound(g, capacity=50),
        "mac": cm.mac_lower_bound,
    }
    for name, metric in metrics.items():
        expected = metric(number)
        assert np.ravel(metric(several))[0] == pytest.approx(expected, rel=1e-12), name
        formula = metric(graph)
        if hasattr(formula, "subs"):
            formula = formula.subs({cm.dim(k): v for k, v in used.items()})
        # Of two unknown parts a formula keeps the first, so that it may be the lower one.
        assert float(formula) <= expected * (1 + 1e-12), name
        if name == "mac":
            assert float(formula) == pytest.approx(expected, rel=1e-9)
