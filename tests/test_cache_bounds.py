"""Least traffic through a fast memory: against all schedules of small programs, and good ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import pebbles
from oracles.pebbles import Program, least_moves, moves_of

import costmodel as cm
from costmodel import ops
from costmodel.counting.traffic import attention_traffic, gram_traffic, product_traffic
from costmodel.ops.tensor import Tensor

ROUNDING = 1 + 1e-12


def graph_of(*shapes: tuple[int, ...], make: Callable[..., Any]) -> nx.DiGraph:
    b = cm.Builder()
    return b.finish(make(b, *(b.input(shape) for shape in shapes)))


def chain(*operators: ops.Op, x: tuple[int, ...]) -> nx.DiGraph:
    b = cm.Builder()
    value = b.input(x)
    for op in operators:
        value = b.add(op, value)
    return b.finish(value)


def relu_then_strided(size: int, computed: Sequence[int]) -> Program:
    """Return a ReLU of some pixels, then a convolution of one tap that takes every other one."""
    relu = pebbles.map_each([("x", 0, (i,)) for i in computed], "r")
    conv = pebbles.convolution((1, 1), (size,), (1,), 2, x="r", stage=1)
    return Program(relu.steps + conv.steps, conv.outputs)


def two_layers() -> Program:
    """Return two linear layers 2 -> 2 -> 1 on one row."""
    program = Program()
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        program.add(("h", j), ("x", i), ("v", i, j))
    for j in range(2):
        program.add("y", ("h", j), ("u", j), stage=1)
    program.outputs = {"y"}
    return program


def two_readers() -> Program:
    """Return two functions of one input, one after the other."""
    program = Program()
    for stage in range(2):
        for i in range(2):
            program.add((stage, i), ("x", i), stage=stage)
            program.outputs.add((stage, i))
    return program


def one(op: ops.Op, *shapes: tuple[int, ...]) -> nx.DiGraph:
    return graph_of(*shapes, make=lambda b, *x: b.add(op, *x))


MATMUL, GRAM = ops.MatMul(), ops.MatMul(transpose_b=True)
SMALL: dict[str, tuple[Program, nx.DiGraph]] = {
    "2x2x1": (pebbles.product(2, 2, 1), one(MATMUL, (2, 1), (1, 2))),
    "1x2x2": (pebbles.product(1, 2, 2), one(MATMUL, (1, 2), (2, 2))),
    "1x1x4": (pebbles.product(1, 1, 4), one(MATMUL, (1, 4), (4, 1))),
    "gram": (
        pebbles.product(2, 2, 1, "a", "a", True),
        graph_of((2, 1), make=lambda b, x: b.add(GRAM, x, x)),
    ),
    "convolution": (pebbles.convolution((1, 1), (4,), (2,)), one(ops.Conv(1, (2,)), (1, 1, 4))),
    "strided": (pebbles.convolution((1, 1), (6,), (1,), 3), one(ops.Conv(1, (1,), 3), (1, 1, 6))),
    "padded": (
        pebbles.convolution((1, 1), (2,), (3,), 1, 1),
        one(ops.Conv(1, (3,), 1, 1), (1, 1, 2)),
    ),
    "dilated": (
        pebbles.convolution((1, 1), (4,), (2,), dilation=2),
        one(ops.Conv(1, (2,), dilation=2), (1, 1, 4)),
    ),
    "grouped": (
        pebbles.convolution((2, 2), (2,), (1,), groups=2),
        one(ops.Conv(2, (1,), groups=2), (1, 2, 2)),
    ),
    "transposed": (pebbles.transposed((1, 1), 2, 2, 1), one(ops.ConvTranspose(1, (2,)), (1, 1, 2))),
    "attention": (
        pebbles.attention(1, 3, 1, 1),
        one(ops.Attention(), (1, 1, 1), (1, 3, 1), (1, 3, 1)),
    ),
    "causal": (
        pebbles.attention(2, 2, 1, 1, causal=True),
        one(ops.Attention(causal=True), *[(1, 2, 1)] * 3),
    ),
    "layers": (two_layers(), chain(ops.Linear(2, False), ops.Linear(1, False), x=(1, 2))),
    "dropped": (
        relu_then_strided(6, (0, 2, 4)),
        chain(ops.Elementwise("relu"), ops.Conv(1, (1,), 2), x=(1, 1, 6)),
    ),
}


@pytest.mark.parametrize("capacity", [3, 4])
@pytest.mark.parametrize("name", SMALL)
def test_no_schedule_at_all_moves_less_than_the_bound(name: str, capacity: int) -> None:
    program, graph = SMALL[name]
    least = least_moves(program, capacity)
    assert cm.cache_lower_bound(graph, capacity=capacity) <= least
    assert cm.io_lower_bound(graph) <= least <= moves_of(program, capacity)


def test_two_operators_that_read_one_tensor() -> None:
    b = cm.Builder()
    x = b.input((2,))
    graph = b.finish(*(b.add(ops.Elementwise("relu"), x) for _ in range(2)))
    for capacity in (2, 3, 4):
        least = least_moves(two_readers(), capacity)
        assert cm.cache_lower_bound(graph, capacity=capacity) <= least
    assert least == cm.io_lower_bound(graph) == 6


def test_results_that_nobody_takes_need_not_be_moved() -> None:
    """With them the sum over operators is 187, but a schedule without them moves 161."""
    graph = chain(ops.Elementwise("relu"), ops.Conv(1, (1,), 2), x=(1, 1, 64))
    every = 64 + 64 - 3 + 32 + 1 + 32 - 3
    assert every == 187
    simple = 64 + 32 + 32 + 1 + 32  # ReLU reads all, writes half; the convolution reads that
    bound = cm.cache_lower_bound(graph, capacity=3)
    assert bound == 32 + 32 - 3 + 32 + 1 + 32 - 3
    assert bound <= moves_of(relu_then_strided(64, range(0, 64, 2)), 3) < simple == 161
    assert moves_of(relu_then_strided(64, range(64)), 3) <= simple


def order_in_blocks(program: Program, sides: dict[int, int], seed: int) -> list[int]:
    """Return an order of the steps by blocks of their indices, inner loops shuffled."""
    draw = random.Random(seed)
    axes = [*range(6)]
    draw.shuffle(axes)

    def key(at: int) -> tuple[int, list[int], list[int]]:
        step = program.steps[at]
        numbers = [n for v in (step.target, *step.operands) for n in flat(v)]
        numbers = (numbers + [0] * 6)[:6]
        blocks = [numbers[a] // sides.get(a, 1) for a in axes]
        return step.stage, blocks, [numbers[a] for a in axes]

    return sorted(range(len(program.steps)), key=key)


def flat(value: object) -> list[int]:
    if isinstance(value, tuple):
        return [n for part in value for n in flat(part)]
    return [value] if isinstance(value, int) else []


BLOCKS = st.dictionaries(st.integers(0, 5), st.integers(1, 6))


@settings(max_examples=60)
@given(m=st.integers(1, 9), n=st.integers(1, 9), k=st.integers(1, 30), s=st.integers(3, 30),
       sides=BLOCKS, seed=st.integers(0, 99))  # fmt: skip
def test_no_order_of_a_product_moves_less(
    m: int, n: int, k: int, s: int, sides: dict[int, int], seed: int
) -> None:
    program = pebbles.product(m, n, k)
    moved = moves_of(program, s, order_in_blocks(program, sides, seed))
    bound = cm.cache_lower_bound(ops.MatMul(), Tensor((m, k)), Tensor((k, n)), capacity=s)
    assert bound <= moved * ROUNDING


@settings(max_examples=60)
@given(m=st.integers(1, 9), k=st.integers(1, 20), s=st.integers(3, 20), sides=BLOCKS,
       seed=st.integers(0, 99), half=st.booleans())  # fmt: skip
def test_no_order_of_a_product_with_itself_moves_less(
    m: int, k: int, s: int, sides: dict[int, int], seed: int, half: bool
) -> None:
    program = pebbles.product(m, m, k, "a", "a", True)
    graph = graph_of((m, k), make=lambda b, x: b.add(GRAM, x, x))
    bound = cm.cache_lower_bound(graph, capacity=s)
    copies = 0
    if half:  # one triangle is computed; the other is written from it
        steps = [step for step in program.steps if flat(step.target) >= flat(step.target)[::-1]]
        program = Program(steps, {step.target for step in steps})
        copies = m * (m - 1) // 2
    moved = moves_of(program, s, order_in_blocks(program, sides, seed)) + copies
    assert bound <= moved * ROUNDING


@settings(max_examples=80)
@given(c1=st.integers(1, 4), c2=st.integers(1, 4), g=st.integers(1, 2), size=st.integers(4, 9),
       kernel=st.integers(1, 4), stride=st.integers(1, 3), dilation=st.integers(1, 2),
       padding=st.integers(0, 2), s=st.integers(3, 20), sides=BLOCKS,
       seed=st.integers(0, 99))  # fmt: skip
def test_no_order_of_a_convolution_moves_less(
    c1: int, c2: int, g: int, size: int, kernel: int, stride: int, dilation: int, padding: int,
    s: int, sides: dict[int, int], seed: int,
) -> None:  # fmt: skip
    if size + 2 * padding - dilation * (kernel - 1) < 1:
        return
    conv = ops.Conv(c2 * g, (kernel,), stride, padding, dilation, g)
    program = pebbles.convolution(
        (c1 * g, c2 * g), (size,), (kernel,), stride, padding, dilation, g
    )
    untouched = len(program.outputs - {step.target for step in program.steps})
    moved = moves_of(program, s, order_in_blocks(program, sides, seed)) + untouched
    bound = cm.cache_lower_bound(conv, Tensor((1, c1 * g, size)), capacity=s)
    assert bound <= moved * ROUNDING


@settings(max_examples=40)
@given(c1=st.integers(1, 3), c2=st.integers(1, 3), size=st.integers(1, 7), kernel=st.integers(1, 4),
       stride=st.integers(1, 3), s=st.integers(3, 20), sides=BLOCKS,
       seed=st.integers(0, 99))  # fmt: skip
def test_no_order_of_a_transposed_convolution_moves_less(
    c1: int, c2: int, size: int, kernel: int, stride: int, s: int, sides: dict[int, int], seed: int
) -> None:
    program = pebbles.transposed((c1, c2), size, kernel, stride)
    length = (size - 1) * stride + kernel
    missed = c2 * length - len({step.target for step in program.steps})
    moved = moves_of(program, s, order_in_blocks(program, sides, seed)) + missed
    up = ops.ConvTranspose(c2, (kernel,), stride)
    bound = cm.cache_lower_bound(up, Tensor((1, c1, size)), capacity=s)
    assert bound <= moved * ROUNDING


def flash(length: int, depth: int, rows: int) -> tuple[list[int], int]:
    """Return the steps of attention for blocks of queries that stay, and the memory it takes.

    Scores come and go one at a time, keys and values of one position pass through.
    """
    program = pebbles.attention(length, length, depth, depth)
    at = {id(step): i for i, step in enumerate(program.steps)}

    def key(step: pebbles.Step) -> tuple[int, ...]:
        kind = step.target[0]  # type: ignore[index]
        i, j = step.operands[0][1], step.operands[1][1]  # type: ignore[index]
        if kind == "o":
            j = step.operands[1][1]  # type: ignore[index]
        return (i // rows, j, i, kind == "o")

    return [at[id(step)] for step in sorted(program.steps, key=key)], 2 * (rows + 1) * depth + 1


@pytest.mark.parametrize(
    ("length", "depth", "rows"), [(24, 2, 4), (24, 2, 12), (16, 4, 4), (40, 1, 8)]
)
def test_attention_that_stores_no_scores_moves_no_less(length: int, depth: int, rows: int) -> None:
    order, capacity = flash(length, depth, rows)
    moved = moves_of(pebbles.attention(length, length, depth, depth), capacity, order)
    x = Tensor((1, length, depth))
    bound = cm.cache_lower_bound(ops.Attention(), x, x, x, capacity=capacity)
    assert bound <= moved


def test_attention_is_bounded_at_finite_memory() -> None:
    x = Tensor((1, 8, 4096, 64))
    small, large = (
        cm.cache_lower_bound(ops.Attention(), x, x, x, capacity=s) for s in (2**13, 2**30)
    )
    assert large == 4 * x.elements
    assert small == 8 * 4096**2 * 0.5 - 2**13 + x.elements
    causal = cm.cache_lower_bound(ops.Attention(causal=True), x, x, x, capacity=2**13)
    assert 0.5 * small < causal < 0.55 * small
    # Flash attention: queries and outputs of a block stay, keys and values pass once a block.
    rows = 2**13 // (2 * 64) - 1
    passes = -(-4096 // rows)
    assert small < 8 * (2 * 4096 * 64 + passes * 2 * 4096 * 64) < 4.2 * small


def streamed_product(m: int, n: int, k: int, capacity: int) -> int:
    """Keep rows of the left operand, stream the right one past them, write each result once."""
    rows = (capacity - 1) // (k + 1)
    assert rows * k + rows + 1 <= capacity
    blocks = -(-m // rows)
    return m * k + blocks * k * n + m * n


def test_a_schedule_comes_within_five_percent() -> None:
    """For k below 2 sqrt(S), where 2mnk/sqrt(S) + mn is above what this schedule moves."""
    m, n, k, s = 1000, 1000, 30, 1000
    moved = streamed_product(m, n, k, s)
    bound = cm.cache_lower_bound(ops.Linear(n, bias=False), Tensor((m, k)), capacity=s)
    assert moved == 1_990_000
    assert bound <= moved <= 1.05 * bound
    assert moved < 2 * m * n * k / s**0.5 + m * n


@given(m=st.integers(1, 40), n=st.integers(1, 40), k=st.integers(1, 12), s=st.integers(14, 400))
def test_no_streamed_product_moves_less(m: int, n: int, k: int, s: int) -> None:
    bound = cm.cache_lower_bound(ops.MatMul(), Tensor((m, k)), Tensor((k, n)), capacity=s)
    assert bound <= streamed_product(m, n, k, s) * ROUNDING


def test_separate_products_pay_the_constant_once() -> None:
    s = 400
    one = cm.cache_lower_bound(ops.MatMul(), *[Tensor((1, 90, 90))] * 2, capacity=s)
    many = cm.cache_lower_bound(ops.MatMul(), *[Tensor((50, 90, 90))] * 2, capacity=s)
    assert many == 50 * (one + 2 * s) - 2 * s
    grouped = cm.cache_lower_bound(
        ops.Conv(640, (1, 1), groups=8), Tensor((1, 640, 30, 30)), capacity=s
    )
    assert grouped == product_traffic(8 * 900 * 80 * 80, s)


def test_values_of_whole_networks() -> None:
    one = chain(ops.Conv(128, (1, 1)), ops.Conv(128, (1, 1)), x=(1, 128, 56, 56))
    assert cm.cache_lower_bound(one, capacity=2**40) == cm.io_lower_bound(one) == 835_584
    assert cm.cache_lower_bound(one, capacity=1) > cm.mac(one)
    assert cm.cache_lower_bound(one, capacity=10**5) == 2 * 819_200 - 2 * 10**5
    mobile = cm.network("mobilenet_v2")
    assert cm.cache_lower_bound(mobile, capacity=524_288) == pytest.approx(7.8e6, rel=0.01)
    dense = chain(ops.Conv(128, (3, 3), 1, 1), x=(1, 128, 56, 56))
    assert cm.cache_lower_bound(dense, capacity=8192) == pytest.approx(3.3e6, rel=0.01)


def blocked_convolution(channels: int, size: int, side: int, rows: int, capacity: int) -> int:
    """Run a 3x3 convolution in tiles of pixels and output channels; count what moves."""
    moved = 0
    for top in range(0, size, side):
        for left in range(0, size, side):
            height, width = min(side, size - top), min(side, size - left)
            for first in range(0, channels, rows):
                outs = min(rows, channels - first)
                assert outs * height * width + (height + 2) * (width + 2) + outs * 9 <= capacity
                seen = (min(size, top + height + 1) - max(0, top - 1)) * (
                    min(size, left + width + 1) - max(0, left - 1)
                )
                moved += channels * (seen + outs * 9) + outs * height * width
    return moved


@pytest.mark.parametrize(("side", "rows"), [(7, 64), (14, 32), (8, 96), (28, 8), (4, 128)])
def test_no_tiled_convolution_moves_less(side: int, rows: int) -> None:
    capacity = 8192
    moved = blocked_convolution(128, 56, side, rows, capacity)
    conv, x = ops.Conv(128, (3, 3), 1, 1), Tensor((1, 128, 56, 56))
    bound = cm.cache_lower_bound(conv, x, capacity=capacity)
    assert bound <= moved
    if (side, rows) == (14, 32):
        assert moved <= 2.2 * bound


def test_operands_that_share_a_buffer_bound_less_unless_they_lie_apart() -> None:
    s = 100

    def heads(b: cm.Builder, x: Any, cut: ops.Op, *more: ops.Op) -> Any:
        if isinstance(cut, ops.Split):
            left, right = b.add_many(cut, x)
        else:
            left, right = (b.add(op, x) for op in (cut, *more))
        return b.add(GRAM, left, right)

    apart = graph_of((60, 180), make=lambda b, x: heads(b, x, ops.Split(1, 2)))
    sliced = graph_of(
        (60, 180), make=lambda b, x: heads(b, x, ops.Slice(1, 0, 90), ops.Slice(1, 90, 90))
    )
    lapped = graph_of(
        (60, 180), make=lambda b, x: heads(b, x, ops.Slice(1, 0, 90), ops.Slice(1, 80, 90))
    )
    full = product_traffic(60 * 60 * 90, s)
    assert [cm.cache_lower_bound(g, capacity=s) for g in (apart, sliced)] == [full, full]
    assert cm.cache_lower_bound(lapped, capacity=s) == gram_traffic(60 * 60 * 90, s, 60 * 90) < full
    same = graph_of((1, 512, 64), make=lambda b, x: b.add(ops.Attention(), x, x, x))
    assert cm.cache_lower_bound(same, capacity=s) == 2 * 512 * 64


def test_formulas_take_arrays_and_symbols() -> None:
    sizes = np.array([16, 400, 10**6])
    symbol = cm.dim("S")
    for formula in (
        lambda s: product_traffic(10**6, s),
        lambda s: gram_traffic(10**6, s, 10**3),
        lambda s: attention_traffic(10**6, 16, 10**4, s),
        lambda s: cm.cache_lower_bound(
            ops.Conv(64, (3, 3), 2, 1), Tensor((2, 64, 9, 9)), capacity=s
        ),
    ):
        numbers = [formula(int(s)) for s in sizes]
        assert np.allclose(formula(sizes), numbers, rtol=1e-14)
        found = [float(formula(symbol).subs(symbol, int(s))) for s in sizes]
        assert found == pytest.approx(numbers, rel=1e-12)


@pytest.mark.parametrize("field", ["stride", "dilation"])
def test_strides_and_dilations_in_arrays(field: str) -> None:
    """Beside a dilation of 2, or a stride of 4, their common divisors differ by entry."""
    x, values = Tensor((2, 12, 32, 32)), [1, 2, 3, 4, 6]
    other = {"dilation": 2} if field == "stride" else {"stride": 4}

    def bound(op: type[ops.Conv] | type[ops.ConvTranspose], value: Any) -> Any:
        conv = op(12, (3, 5), **{field: (value, 1)}, **other)
        return cm.cache_lower_bound(conv, x, capacity=50)

    for op in (ops.Conv, ops.ConvTranspose):
        numbers = [bound(op, value) for value in values]
        for dtype in (np.int64, np.uint8):
            assert bound(op, np.array(values, dtype)) == pytest.approx(numbers, rel=1e-12)
