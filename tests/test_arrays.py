"""Arrays of sizes count as ints do: exactly below 2**53, rounded above, and they never wrap."""

from __future__ import annotations

import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import costmodel as cm
from costmodel import ops
from costmodel.algebra.arrays import EXACT, Whole, computed_once, whole
from costmodel.algebra.expressions import substitute
from costmodel.algebra.sizes import MAX_DIM
from costmodel.algebra.written import parse_dim
from costmodel.errors import CostModelError, DataError, ShapeError
from costmodel.kernels.work import work_of
from costmodel.ops.tensor import Tensor

NUMBERS = st.integers(-EXACT + 1, EXACT - 1)
SMALL = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)


def array(*values: int) -> np.ndarray:
    return np.array(values)


def agrees(found: Any, right: int | float) -> bool:
    """Say whether a count is right: exactly below 2**53, to a relative 1e-12 above."""
    if abs(right) < EXACT:
        return bool(found == right)
    return abs(float(found) - right) <= 1e-12 * abs(right)


# --- counts of the issue -----------------------------------------------------------------------


def test_products_beyond_64_bits_do_not_wrap() -> None:
    graph = cm.zoo.pointwise(4096, 4096, array(2**20, 3), array(2**20, 5))
    assert cm.multiply_adds(graph).tolist() == [2**64, 2**24 * 15]
    assert cm.mac(graph).tolist() == [2**45 + 2**40, 2**24 * 8 + 15]


@pytest.mark.parametrize("dtype", SMALL)
def test_a_small_dtype_does_not_wrap(dtype: Any) -> None:
    sizes = np.array([100, 120], dtype=dtype)
    graph = cm.zoo.conv2d(n=sizes, cin=sizes, cout=sizes, size=sizes)
    assert cm.multiply_adds(graph).tolist() == [9 * n**5 for n in (100, 120)]
    padded = ops.Pad((0, 0, 1, 1)).infer(Tensor((1, 3, sizes, sizes)))[0]
    assert padded.elements.tolist() == [3 * (n + 2) ** 2 for n in (100, 120)]
    with pytest.raises(ShapeError, match="does not fit"):
        ops.Conv(1, (101, 101)).infer(Tensor((1, 1, sizes, sizes)))


def test_bounds_do_not_wrap() -> None:
    least = cm.mac_lower_bound(cm.zoo.matmul(2048, 2048, array(2048)))
    np.testing.assert_allclose(least, 12_582_912, rtol=1e-12)
    many = cm.mac_lower_bound(cm.zoo.vgg16(batch=array(512, 2**38)))
    for found, batch in zip(many, (512, 2**38), strict=True):
        assert found == pytest.approx(cm.mac_lower_bound(cm.zoo.vgg16(batch=batch)), rel=1e-12)


# --- the arithmetic ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, np.maximum],
)
@given(a=NUMBERS, b=NUMBERS, c=NUMBERS)
def test_arithmetic_is_that_of_ints(function: Callable[..., Any], a: int, b: int, c: int) -> None:
    b, c = b or 1, c or 1
    exact = max if function is np.maximum else function
    right = [exact(a, b), exact(a, c)]
    for found in (
        function(whole(array(a, a)), whole(array(b, c))),
        function(a, whole(array(b, c))),
    ):
        assert all(map(agrees, found, right))
        integers = all(abs(value) < EXACT for value in right)
        assert isinstance(found, Whole) == integers == (found.dtype == np.int64)


@given(values=st.lists(NUMBERS, min_size=1, max_size=4))
def test_reductions_are_those_of_ints(values: list[int]) -> None:
    numbers = whole(np.array(values))
    assert numbers.max() == max(values)
    assert numbers.min() == min(values)
    assert agrees((whole(abs(numbers))).sum(), sum(map(abs, values)))
    assert (numbers > 0).any() == any(v > 0 for v in values)
    assert np.all(numbers / 2 == np.array(values) / 2)


def test_an_array_with_floats_gives_floats_and_functions_without_a_whole_result_are_refused() -> (
    None
):
    a = whole(array(2**40, 3))
    assert (a * 0.5).tolist() == [2**39, 1.5]
    assert np.sqrt(a).tolist() == [2**20, 3**0.5]
    for function in (np.left_shift, np.lcm, np.bitwise_or):
        with pytest.raises(TypeError):
            function(a, a)


def test_other_integers_beside_it_do_not_wrap() -> None:
    a = whole(array(3, 4))
    assert (a * np.array([2**62, 2**62])).tolist() == [3 * 2**62, 2**64]
    assert (np.array([200, 200], dtype=np.uint8) * a).tolist() == [600, 800]
    assert (a - np.array([5, 5], dtype=np.uint64)).tolist() == [-2, -1]
    assert (a * np.int8(100) * 2**70).tolist() == [300 * 2**70, 400 * 2**70]
    assert (a * np.array([True, False])).tolist() == [3, 0]


def test_sizes_do_not_change_under_a_tensor() -> None:
    given_sizes = array(3, 4)
    x = Tensor((given_sizes, 2))
    given_sizes[0] = 100
    assert x.elements.tolist() == [6, 8]
    with pytest.raises(ValueError, match="read-only"):
        x.shape[0][0] = 100
    written = x.shape[0].copy()
    written[0] = 2**62
    assert (written * 2).tolist() == [2**63, 8]
    size = x.shape[0]
    size *= 2**62
    assert (size.tolist(), x.elements.tolist()) == ([3 * 2**62, 2**64], [6, 8])
    again = pickle.loads(pickle.dumps(x.shape[0]))
    assert (again * 2**62).tolist() == [3 * 2**62, 2**64]
    assert repr(x.shape) == "(array([3, 4]), 2)"


def test_an_empty_array_has_no_sum_that_wraps() -> None:
    nothing = whole(array(1))[:0]
    assert (nothing * 2**70).tolist() == (nothing + nothing).tolist() == []


# --- checks of sizes see every entry -----------------------------------------------------------


MISFITS = [
    lambda n: Tensor((n(2**40 + 1),)),
    lambda n: Tensor((n(-1),)),
    lambda n: ops.Conv(n(0), (1, 1)),
    lambda n: ops.Conv(8, (3, 3), stride=n(0)),
    lambda n: ops.Conv(8, (3, 3), padding=n(-1)),
    lambda n: ops.Conv(8, (n(9), 3)).infer(Tensor((1, 8, 7, 7))),
    lambda n: ops.Conv(8, (3, 3), dilation=n(2**40)).infer(Tensor((1, 8, 7, 7))),
    lambda n: ops.Conv(8, (1, 1), groups=n(3)).infer(Tensor((1, 8, 7, 7))),
    lambda n: ops.ConvTranspose(8, (3, 3), stride=n(2**40)).infer(Tensor((1, 8, 2**30, 7))),
    lambda n: ops.ConvTranspose(8, (3, 3), padding=n(9)).infer(Tensor((1, 8, 7, 7))),
    lambda n: ops.Pad((n(2**40), 0)).infer(Tensor((2, 2))),
    lambda n: ops.Concat(0).infer(Tensor((n(2**40),)), Tensor((1,))),
    lambda n: ops.Concat(1).infer(Tensor((n(3), 1)), Tensor((4, 1))),
    lambda n: ops.PixelShuffle(n(2**39)).infer(Tensor((1, 4, 7, 7))),
    lambda n: ops.Slice(0, 0, n(9)).infer(Tensor((8,))),
    lambda n: ops.Slice(0, 0, n(2**40), 2**40).infer(Tensor((8,))),
    lambda n: ops.Split(0, (n(3), 4)).infer(Tensor((8,))),
    lambda n: ops.Split(0, 2).infer(Tensor((n(7),))),
    lambda n: ops.Elementwise("add").infer(Tensor((n(3),)), Tensor((2,))),
    lambda n: ops.MatMul().infer(Tensor((2, n(3))), Tensor((2, 2))),
    lambda n: ops.BroadcastTo((n(3),)).infer(Tensor((2,))),
    lambda n: ops.Reshape((2**40, 2**30 + 1)).infer(Tensor((2**40, n(2**30 - 1)))),
    lambda n: ops.Reshape((2**40 - 3, 2**40 - 1)).infer(Tensor((2**40, n(2**40 - 4)))),
    lambda n: ops.Reshape((2**40 - 1, -1)).infer(Tensor((2**40, n(2**40 - 2)))),
    lambda n: ops.Reshape((1, -1)).infer(Tensor((2**40, n(2**40)))),
    lambda n: ops.Recurrent("lstm", n(2**39)).weights(Tensor((3, 1, 2))),
    lambda n: ops.GroupNorm(n(3)).infer(Tensor((1, 8, 7, 7))),
]


@pytest.mark.parametrize("make", MISFITS)
def test_a_misfit_is_refused_as_a_number_and_in_an_array(make: Any) -> None:
    with pytest.raises(ShapeError):
        make(int)
    with pytest.raises(ShapeError):
        make(array)


FITS: list[tuple[Callable[[Any], Tensor], tuple[int, ...]]] = [
    (lambda n: ops.Reshape((2**30, 2**39, 2)).infer(Tensor((n, 2**30)))[0], (2**40, 2**40)),
    (lambda n: ops.Reshape((2**40 - 1, -1)).infer(Tensor((2**40 - 1, n)))[0], (2**40 - 3, 7)),
    (lambda n: ops.Reshape((3, -1)).infer(Tensor((3, n)))[0], (2**40 - 1, 1)),
    (lambda n: ops.Pad((0, 1)).infer(Tensor((n, n)))[0], (2**40 - 2, 1)),
    (lambda n: ops.Conv(8, (3, 3), stride=n).infer(Tensor((1, 8, n, 2**40)))[0], (2**40, 3)),
    (lambda n: ops.Conv(8, (2, 2), dilation=n).infer(Tensor((1, 1, 2**40, 2**40)))[0], (2**39, 3)),
    (lambda n: ops.Slice(0, 1, n, 3).infer(Tensor((2**40,)))[0], (2**38, 3)),
]


@pytest.mark.parametrize(("make", "values"), FITS)
def test_an_array_of_sizes_up_to_the_limit_fits(make: Any, values: tuple[int, ...]) -> None:
    found = make(array(*values)).shape
    for i, value in enumerate(values):
        sizes = tuple(int(np.broadcast_to(size, len(values))[i]) for size in found)
        assert sizes == make(value).shape
    assert all(size.dtype == np.int64 for size in found if isinstance(size, np.ndarray))


PAIR, TRIPLE = array(2, 4), array(2, 4, 8)
HUGE_PAIR, HUGE_TRIPLE = array(2**40, 2), array(2**40, 2, 1)


def two_branches(one: np.ndarray, other: np.ndarray) -> Any:
    b = cm.Builder()
    return b.finish(b.input((one, one, one)), b.input((other, other, other)))


@pytest.mark.parametrize(("one", "other"), [(PAIR, TRIPLE), (HUGE_PAIR, HUGE_TRIPLE)])
@pytest.mark.parametrize(
    "make",
    [
        lambda a, b: Tensor((a, b)),
        lambda a, b: ops.Conv(a, (1, 1)).infer(Tensor((b, 8, 7, 7))),
        lambda a, b: cm.multiply_adds(ops.Embedding(a, a), Tensor((b,), "int64")),
        lambda a, b: cm.multiply_adds(ops.Conv(8, (a, 1), padding="same"), Tensor((b, 8, 7, 7))),
        lambda a, b: cm.multiply_adds(ops.MatMul(), Tensor((a, a)), Tensor((b, b))),
        lambda a, b: cm.multiply_adds(ops.Elementwise("add"), Tensor((a,)), Tensor((b,))),
        lambda a, b: cm.zoo.conv2d(cin=a, cout=b),
        lambda a, b: cm.mac(two_branches(a, b)) + cm.io_lower_bound(two_branches(a, b)),
        lambda a, b: cm.activation_memory(two_branches(a, b)),
        lambda a, b: cm.latency(two_branches(a, b), "gtx-1080-ti/paper"),
        lambda a, b: substitute(parse_dim("a*b"), {"a": a, "b": b}),
    ],
)
def test_arrays_that_do_not_broadcast_are_an_error_of_the_library(
    make: Any, one: np.ndarray, other: np.ndarray
) -> None:
    with pytest.raises(CostModelError, match=r"arrays of sizes must broadcast.*\(2,\) and \(3,\)"):
        make(one, other)


def test_a_graph_with_an_absurdly_large_entry_is_refused() -> None:
    graph = cm.zoo.elementwise(shape=(array(1, 2**25), 2**25))
    with pytest.raises(ShapeError, match="absurdly large"):
        cm.validate(graph)
    cm.validate(cm.zoo.elementwise(shape=(array(1, 2**20), 2**20)))


# --- formulas at arrays ------------------------------------------------------------------------


FORMULAS = """
    x*y; x**5*y; x/49*49; x*y/7 + x/3; ceiling(x/3); floor(x*y/7); Max(x, 3*y); sqrt(x); x/y;
    Min(ceiling(x/2), y) + 1; (x + y)**2 - 1; 2**40*x; Max(x/2, y)
"""


@pytest.mark.parametrize("text", [text.strip() for text in FORMULAS.split(";")])
@given(x=st.integers(1, MAX_DIM), y=st.integers(1, MAX_DIM))
def test_a_formula_at_arrays_is_its_value_at_numbers(text: str, x: int, y: int) -> None:
    formula = parse_dim(text)
    found = substitute(formula, {"x": array(x, 49), "y": array(y, 7)})
    for i, values in enumerate(({"x": x, "y": y}, {"x": 49, "y": 7})):
        right = substitute(formula, dict(values))
        exact = isinstance(right, int) and abs(right) < EXACT and "Max(x/2" not in text
        assert found[i] == right if exact else float(found[i]) == pytest.approx(float(right), 1e-12)


def test_a_width_of_integers_does_not_wrap_and_one_beyond_the_limits_is_refused() -> None:
    found = cm.multiply_adds(cm.zoo.mobilenet_v1(width=np.array([1, 2], dtype=np.int8)))
    assert found.tolist() == [cm.multiply_adds(cm.zoo.mobilenet_v1(width=w)) for w in (1, 2)]
    for width in (float("inf"), 1e300, array(2**62), np.array([1.0, np.nan])):
        for network in (cm.zoo.mobilenet_v1, cm.zoo.mobilenet_v2):
            with pytest.raises(DataError, match="width must be"):
                network(width=width)


@pytest.mark.parametrize("platform", ["gtx-1080-ti/paper", "raspberry-pi-4/ncnn"])
def test_a_network_without_kernels_takes_arrays_and_symbols(platform: str) -> None:
    batches = (1, 64)
    wide = cm.latency(cm.zoo.identity(shape=(array(*batches), 8)), platform)
    for i, batch in enumerate(batches):
        one = cm.latency(cm.zoo.identity(shape=(batch, 8)), platform)
        assert np.broadcast_to(wide.seconds, 2)[i] == pytest.approx(one.seconds, rel=1e-12)
        interval = [np.broadcast_to(end, 2)[i] for end in wide.interval]
        assert interval == pytest.approx(one.interval, rel=1e-12)
    symbolic = cm.latency(cm.zoo.identity(shape=(cm.dim("n"), 8)), platform)
    assert float(substitute(symbolic.seconds, {"n": 64})) == pytest.approx(one.seconds, rel=1e-9)


def test_entries_that_start_different_kernels_are_refused_together() -> None:
    groups, image = array(1, 2, 4), {"cin": 8, "cout": 8, "size": 7}
    for given_sizes in ({"groups": groups}, {"groups": 2 * groups}, {"k": array(1, 3)}):
        graph = cm.zoo.conv2d(**image, **given_sizes)
        with pytest.raises(ShapeError, match="start another kind of kernel"):
            cm.latency(graph, "gtx-1080-ti/paper")
        assert cm.multiply_adds(graph).shape == next(iter(given_sizes.values())).shape
    found = cm.latency(cm.zoo.conv2d(**image, groups=array(2, 4)), "gtx-1080-ti/paper").seconds
    for seconds, number in zip(found, (2, 4), strict=True):
        one = cm.latency(cm.zoo.conv2d(**image, groups=number), "gtx-1080-ti/paper")
        assert seconds == pytest.approx(one.seconds, rel=1e-12)


def test_a_block_of_results_inside_another_belongs_to_it() -> None:
    a = whole(np.array([3, 5]))
    with computed_once():
        with computed_once():
            inner = a + 1
        assert (a + 1) is inner
    assert (a + 1) is not inner


def test_one_operator_multiplies_the_sizes_of_a_tensor_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[object] = []

    def noted(self: Whole, ufunc: np.ufunc, method: str, *inputs: object, **kwargs: object) -> Any:
        done.append((ufunc, *(x.tobytes() if isinstance(x, np.ndarray) else x for x in inputs)))
        return compute(self, ufunc, method, *inputs, **kwargs)

    compute = Whole._computed
    monkeypatch.setattr(Whole, "_computed", noted)
    sizes = whole(np.array([14, 28]))
    work_of(ops.Conv(8, (2, 2)), (Tensor((1, 4, sizes, sizes)),))
    windows = whole(np.array([13, 27])).tobytes()
    assert done.count((np.multiply, windows, windows)) == 1
