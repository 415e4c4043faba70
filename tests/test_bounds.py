"""Bounds: exact inequalities, equality cases, derivations by sympy, schedules that obey them."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import costmodel as cm
from costmodel import ops, testing
from costmodel.counting.bounds import convolution_bound, matmul_bound
from costmodel.counting.cost import op_cost
from costmodel.ops import Op
from costmodel.ops.tensor import Tensor

ANY_SIZE = st.integers(1, 2**20)
HUGE = st.integers(2**50, 2**70)
ROUNDING = 1 + 1e-12
"""A float bound may lie above the exact one by rounding, nothing more."""


@given(h=ANY_SIZE, w=ANY_SIZE, c1=ANY_SIZE, c2=ANY_SIZE, equal=st.booleans())
def test_eq_1_is_a_bound_with_equality_iff_channels_are_equal(
    h: int, w: int, c1: int, c2: int, equal: bool
) -> None:
    """In whole numbers, so that nothing hides in rounding: (MAC - B/hw)^2 against 4 hw B."""
    c2 = c1 if equal else c2
    x = Tensor((1, c1, h, w))
    cost = op_cost(ops.Conv(c2, (1, 1)), (x,)).cost
    b, hw = cost.multiply_adds, h * w
    above = (cost.mac - Fraction(b, hw)) ** 2 - 4 * hw * b
    assert above >= 0
    assert (above == 0) == (c1 == c2)
    assert above == (hw * (c1 - c2)) ** 2
    assert cm.mac_lower_bound(ops.Conv(c2, (1, 1)), x) <= cost.mac * ROUNDING


@given(hw=HUGE, c1=HUGE, c2=HUGE)
def test_eq_1_holds_at_any_scale(hw: int, c1: int, c2: int) -> None:
    """The same formula far beyond 64 bits and beyond what a tensor may be."""
    mac, b = hw * (c1 + c2) + c1 * c2, hw * c1 * c2
    assert (mac - Fraction(b, hw)) ** 2 - 4 * hw * b == (hw * (c1 - c2)) ** 2
    assert convolution_bound(b, hw, hw) <= mac * ROUNDING


def test_eq_1_in_the_terms_of_the_paper() -> None:
    h, w, b = cm.symbols("h w B")
    graph = cm.zoo.pointwise(*cm.symbols("h w c1 c2"))
    bound = cm.mac_lower_bound(graph, in_terms_of="B")
    own = cm.mac_lower_bound(graph)
    assert sympy.simplify(bound.subs(b, cm.multiply_adds(graph)) - own) == 0
    assert sympy.simplify(bound - (2 * sympy.sqrt(h * w * b) + b / (h * w))) == 0
    assert cm.mac_lower_bound(cm.zoo.pointwise(56, 56, 128, 128)) == 819_200.0


def test_a_symbol_of_the_graph_called_b_is_not_mixed_up() -> None:
    c1, batch = cm.symbols("c1 B")
    graph = cm.zoo.pointwise(7, 7, c1, c1, batch=batch)
    assert sympy.simplify(cm.mac_lower_bound(graph) - cm.mac(graph)) == 0  # equality: c1 = c2
    with pytest.raises(
        cm.CostModelError, match="in terms of 'B', which is a symbol of the network"
    ):
        cm.mac_lower_bound(graph, in_terms_of="B")
    bound = cm.mac_lower_bound(graph, in_terms_of="M")
    assert sympy.simplify(bound.subs(cm.dim("M"), cm.multiply_adds(graph)) - cm.mac(graph)) == 0


@pytest.mark.parametrize("operator", ["attention", "recurrent", "product"])
def test_the_bound_in_terms_of_b_is_right_beside_other_multiply_adds(operator: str) -> None:
    """B stands for all multiply-adds, of which attention makes some; 102,400 and not 159,287."""
    n = cm.dim("n")
    b = cm.Builder()
    x = b.input((1, 4, n, 64) if operator == "attention" else (n, 1, 64))
    match operator:
        case "attention":
            x = b.add(ops.Attention(), x, x, x)
        case "recurrent":
            x = b.add(ops.Recurrent("gru", 64), x)
        case "product":
            x = b.add(ops.MatMul(), b.add(ops.MatMul(transpose_b=True), x, x), x)
    b.add(ops.Linear(7), x)  # no output depends on it
    graph = b.finish(b.add(ops.Linear(64, bias=False), x))
    number = cm.mac_lower_bound(cm.at(graph, n=100))
    assert float(cm.mac_lower_bound(graph).subs(n, 100)) == pytest.approx(number)
    found = cm.mac_lower_bound(graph, in_terms_of="B")
    in_n = found.subs(cm.dim("B"), cm.multiply_adds(graph))
    assert float(in_n.subs(n, 100)) == pytest.approx(number)
    assert (cm.dim("B") in found.free_symbols) == (operator != "product")


def test_derivation_of_the_gap_and_the_equality_case() -> None:
    p, s, c1, c2, k, g = sympy.symbols("p s c1 c2 k g", positive=True)
    # Eq. (1): the gap is hw (sqrt c1 - sqrt c2)^2.
    mac = p * (c1 + c2) + c1 * c2
    gap = mac - convolution_bound(p * c1 * c2, p, p)
    assert sympy.simplify(gap - p * (sympy.sqrt(c1) - sympy.sqrt(c2)) ** 2) == 0
    # Generalised, same padding and stride s: input pixels s^2 p, output pixels p.
    mac = s**2 * p * c1 + p * c2 + c1 * c2 * k / g
    b = p * c1 * c2 * k / g
    bound = convolution_bound(b, s**2 * p, p, k, g)
    assert sympy.simplify(bound - (2 * s / sympy.sqrt(k) * sympy.sqrt(p * b * g) + b / p)) == 0
    assert sympy.simplify(mac - bound - p * (s * sympy.sqrt(c1) - sympy.sqrt(c2)) ** 2) == 0
    assert sympy.solve(mac - bound, c2) == [s**2 * c1]
    # Transposed: the mirror image, so that c1 = s^2 c2.
    mac = p * c1 + s**2 * p * c2 + c1 * c2 * k / g
    bound = convolution_bound(b, s**2 * p, p, k, g)
    assert sympy.simplify(mac - bound - p * (sympy.sqrt(c1) - s * sympy.sqrt(c2)) ** 2) == 0


def test_derivation_of_the_matrix_product() -> None:
    """3 (mnk)^(2/3) is the stationary value of mk + kn + mn at a fixed product, at m = n = k."""
    m, n, b = sympy.symbols("m n b", positive=True)
    traffic = m * b / (m * n) + b / (m * n) * n + m * n  # k = b / (m n)
    stationary = {m: sympy.cbrt(b), n: sympy.cbrt(b)}
    assert sympy.simplify(sympy.diff(traffic, m).subs(stationary)) == 0
    assert sympy.simplify(sympy.diff(traffic, n).subs(stationary)) == 0
    assert sympy.simplify(traffic.subs(stationary) - 3 * b ** sympy.Rational(2, 3)) == 0
    hessian = sympy.hessian(traffic, (m, n)).subs(stationary)
    assert sympy.simplify(hessian[0, 0]).is_positive
    assert sympy.simplify(hessian.det()).is_positive
    # The inequality of means of three numbers: x^3 + y^3 + z^3 - 3xyz factors into squares.
    x, y, z = sympy.symbols("x y z")
    squares = (x - y) ** 2 + (y - z) ** 2 + (z - x) ** 2
    assert sympy.expand(2 * (x**3 + y**3 + z**3 - 3 * x * y * z) - (x + y + z) * squares) == 0
    assert sympy.simplify(matmul_bound(b) - 3 * b ** sympy.Rational(2, 3)) == 0


@given(h=st.integers(1, 60), w=st.integers(1, 60), a=st.integers(1, 40), b=st.integers(1, 40),
       g=st.integers(1, 16))  # fmt: skip
def test_eq_2_is_the_mac_of_a_grouped_convolution(h: int, w: int, a: int, b: int, g: int) -> None:
    c1, c2 = g * a, g * b
    cost = op_cost(ops.Conv(c2, (1, 1), groups=g), (Tensor((1, c1, h, w)),)).cost
    ma = cost.multiply_adds
    assert ma == h * w * c1 * c2 // g
    assert cost.mac == h * w * c1 + Fraction(ma * g, c1) + Fraction(ma, h * w)


@given(h=st.integers(1, 60), w=st.integers(1, 60), c1=st.integers(1, 30), c2=st.integers(1, 30),
       g=st.integers(1, 8), more=st.integers(2, 8))  # fmt: skip
def test_eq_2_grows_with_groups_at_fixed_work_and_input(
    h: int, w: int, c1: int, c2: int, g: int, more: int
) -> None:
    """c2 grows with g, so that the multiply-adds stay the same."""
    few, many = g, g * more
    x = Tensor((1, c1 * many, h, w))
    one = op_cost(ops.Conv(few * c2, (1, 1), groups=few), (x,)).cost
    other = op_cost(ops.Conv(many * c2, (1, 1), groups=many), (x,)).cost
    assert one.multiply_adds == other.multiply_adds
    assert other.mac > one.mac
    assert other.mac - one.mac == Fraction(one.multiply_adds * (many - few), c1 * many)


def test_eq_2_derivative_is_positive() -> None:
    h, w, c1, b, g = sympy.symbols("h w c1 B g", positive=True)
    mac = h * w * c1 + b * g / c1 + b / (h * w)
    assert sympy.diff(mac, g).is_positive


PRODUCTS = st.sampled_from(["Conv", "ConvTranspose", "Linear", "MatMul"])


@given(case=PRODUCTS.flatmap(testing.cases))
def test_bounds_never_exceed_the_estimate(case: tuple[Op, tuple[Tensor, ...]]) -> None:
    op, inputs = case
    assert cm.mac_lower_bound(op, *inputs) <= cm.mac(op, *inputs) * ROUNDING


@given(case=testing.cases(), capacity=st.integers(1, 10**6))
def test_every_operator_has_bounds_below_its_estimate(
    case: tuple[Op, tuple[Tensor, ...]], capacity: int
) -> None:
    op, inputs = case
    assert cm.mac_lower_bound(op, *inputs) <= cm.mac(op, *inputs) * ROUNDING
    bound = cm.cache_lower_bound(op, *inputs, capacity=capacity)
    if capacity >= cm.mac(op, *inputs):
        assert bound <= cm.mac(op, *inputs)  # all fits: every operand once is possible


@given(n=st.integers(1, 4), c=st.integers(1, 64), k=st.sampled_from([1, 3, 5]),
       s=st.integers(1, 3), g=st.integers(1, 4), side=st.integers(1, 8))  # fmt: skip
def test_convolution_bound_is_reached_at_c2_equal_s_squared_c1(
    n: int, c: int, k: int, s: int, g: int, side: int
) -> None:
    conv = ops.Conv(s * s * g * c, (k, k), stride=s, padding=(k - 1) // 2, groups=g)
    x = Tensor((n, g * c, s * side, s * side))
    assert conv.infer(x)[0].shape[2:] == (side, side)
    if k + 1 < 2 * s:  # windows skip pixels: MAC counts them, the bound does not
        assert cm.mac_lower_bound(conv, x) < cm.mac(conv, x)
        return
    if s * side >= k:  # else some taps meet padding only
        assert cm.mac_lower_bound(conv, x) == pytest.approx(cm.mac(conv, x), rel=1e-12)
    wider = ops.Conv(s * s * g * c + g, (k, k), stride=s, padding=(k - 1) // 2, groups=g)
    assert cm.mac_lower_bound(wider, x) < cm.mac(wider, x)


@given(n=st.integers(1, 4), c=st.integers(1, 32), s=st.integers(1, 3), side=st.integers(1, 8))
def test_transposed_bound_is_reached_at_c1_equal_s_squared_c2(
    n: int, c: int, s: int, side: int
) -> None:
    up = ops.ConvTranspose(c, (s, s), stride=s)
    x = Tensor((n, s * s * c, side, side))
    assert cm.mac_lower_bound(up, x) == pytest.approx(cm.mac(up, x), rel=1e-12)


@given(size=st.integers(1, 300), batch=st.integers(1, 9))
def test_matrix_products_reach_their_bound_as_cubes(size: int, batch: int) -> None:
    cube = Tensor((batch, size, size))
    assert cm.mac_lower_bound(ops.MatMul(), cube, cube) == pytest.approx(3 * batch * size**2)
    assert cm.mac_lower_bound(ops.MatMul(), cube, cube) <= 3 * batch * size**2 * ROUNDING


def blocked_product(m: int, n: int, k: int, capacity: int) -> int:
    """Run a product in blocks that fit the fast memory and count every element that moves.

    A square of results stays while columns of the left and rows of the right pass through.
    """
    side = max(1, isqrt(capacity + 1) - 1)  # side^2 + 2 side <= capacity
    moved = 0
    for i in range(0, m, side):
        rows = len(range(i, min(m, i + side)))
        for j in range(0, n, side):
            columns = len(range(j, min(n, j + side)))
            assert rows * columns + rows + columns <= capacity
            for _ in range(k):
                moved += rows + columns
            moved += rows * columns
    return moved


@given(m=st.integers(1, 40), n=st.integers(1, 40), k=st.integers(1, 40), s=st.integers(3, 400))
def test_no_blocked_product_moves_less_than_the_cache_bound(m: int, n: int, k: int, s: int) -> None:
    bound = cm.cache_lower_bound(ops.Linear(n, bias=False), Tensor((m, k)), capacity=s)
    moved = blocked_product(m, n, k, s)
    assert bound <= moved * ROUNDING
    product = cm.cache_lower_bound(ops.MatMul(), Tensor((m, k)), Tensor((k, n)), capacity=s)
    assert product == bound


def test_the_cache_bound_is_within_a_quarter_of_a_good_schedule() -> None:
    bound = cm.cache_lower_bound(ops.Linear(600, bias=False), Tensor((600, 600)), capacity=961)
    assert bound <= blocked_product(600, 600, 600, 961) <= 1.25 * bound


@given(s=st.integers(1, 10**5), more=st.integers(1, 10**5))
def test_more_fast_memory_never_needs_more_traffic(s: int, more: int) -> None:
    layer, x = ops.Linear(256), Tensor((256, 256))
    small, large = (cm.cache_lower_bound(layer, x, capacity=c) for c in (s, s + more))
    assert small >= large >= cm.mac_lower_bound(layer, x) / ROUNDING


def test_cache_bounds_of_arrays_symbols_and_nonsense() -> None:
    layer, x = ops.Linear(64, bias=False), Tensor((64, 64))
    both = cm.cache_lower_bound(layer, x, capacity=np.array([16, 10**6]))
    assert both.tolist() == [2 * 64**3 / 4 - 32, 3 * 64**2]
    symbolic = cm.cache_lower_bound(layer, x, capacity=cm.dim("S"))
    assert float(symbolic.subs(cm.dim("S"), 16)) == both[0]
    for wrong in (0, -1, np.array([0, 1])):
        with pytest.raises(cm.CostModelError, match="at least 1 element"):
            cm.cache_lower_bound(layer, x, capacity=wrong)


def test_padded_taps_are_not_loaded_so_they_do_not_bound() -> None:
    conv, x = ops.Conv(64, (1, 1), padding=20), Tensor((1, 64, 1, 1))
    assert cm.cache_lower_bound(conv, x, capacity=4) == cm.mac(conv, x)


def test_io_bound_counts_what_must_move_and_no_more() -> None:
    b = cm.Builder()
    x = b.input((1, 64, 8, 8))
    y = b.add(ops.Conv(32, (1, 1)), x)
    graph = b.finish(b.add(ops.Elementwise("relu"), y))
    assert cm.io_lower_bound(graph) == 4096 + 2048 + 2048 < cm.mac(graph)

    b = cm.Builder()
    x = b.input((1, 64))
    part = b.add(ops.Elementwise("relu"), b.add(ops.Slice(1, 0, 4), x))
    graph = b.finish(b.add(ops.BroadcastTo((9, 4)), part), part, x)
    # 4 of the input are read, 4 are written; they leave twice, the input as it came: no traffic.
    assert cm.io_lower_bound(graph) == cm.mac(graph) == 8

    b = cm.Builder()
    words = b.input((1, 5), "int64")
    graph = b.finish(b.add(ops.Embedding(1000, 8), words))
    assert cm.io_lower_bound(graph) == 5 + 5 * 8 + 5 * 8

    b = cm.Builder()
    x = b.input((1, 16))
    shared = b.add(ops.Linear(16, bias=False), x)
    graph = b.finish(b.add(ops.Linear(16, bias=False), shared, weights=shared.node))
    assert cm.io_lower_bound(graph) == 16 + 256 + 16


def test_parameters_tied_by_name_are_one_tensor() -> None:
    b = cm.Builder()
    first, again = (b.add(ops.Parameter((8, 8)), weights="table") for _ in range(2))
    graph = b.finish(b.add(ops.Elementwise("add"), first, again))
    assert cm.mac_lower_bound(graph) == cm.io_lower_bound(graph) == 64 + 64

    b = cm.Builder()
    first, other = (b.add(ops.Parameter((8, 8))) for _ in range(2))
    assert cm.mac_lower_bound(b.finish(b.add(ops.Elementwise("add"), first, other))) == 3 * 64


def test_the_io_bound_takes_of_an_output_what_was_written() -> None:
    """A causal mask hides half of the scores: they are neither written nor carried away.

    Of 7 keys the last 2 are hidden from all 5 queries: MAC counts them, no schedule reads them.
    """
    softmax = [ops.Softmax(causal=True)]
    scores = ops.AttentionScores(causal=True)
    queries, keys = Tensor((2, 5, 3)), Tensor((2, 7, 3))
    for operators, inputs, outside, hidden in [
        (softmax, [Tensor((2, 5, 7))], 2 * 15 + 2 * 15, 0),
        ([*softmax, ops.Reshape((-1,))], [Tensor((2, 5, 7))], 2 * 15 + 2 * 15, 0),
        ([scores], [queries, keys], 2 * 5 * 3 + 2 * 5 * 3 + 2 * 15, 2 * 2 * 3),
    ]:
        b = cm.Builder()
        values = [b.input(x.shape) for x in inputs]
        for op in operators:
            values = [b.add(op, *values)]
        graph = b.finish(*values)
        assert cm.io_lower_bound(graph) == cm.mac(graph) - hidden == outside
