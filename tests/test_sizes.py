"""What a size may be: numbers, arrays and expressions, wherever a caller states one."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import costmodel as cm
from costmodel import ops, zoo
from costmodel.algebra.sizes import MAX_DIM, check_dim, check_shape
from costmodel.algebra.written import parse_dim
from costmodel.errors import CostModelError, ShapeError
from costmodel.graph.serialize import from_json, to_json
from costmodel.ops.tensor import Tensor

H, W, K = cm.symbols("h w k")
NO_NUMBERS: list[Any] = [True, np.bool_(True), 1.0, 3.0, np.float64(3), "3", None, (3,), [3], 1j]
NO_CONSTANTS = [
    *(sympy.Rational(1, 2), sympy.Float(3.0), sympy.sqrt(2), sympy.pi, sympy.I),
    *(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo, sympy.true),
]
NO_EXPRESSIONS = [
    *(H - 5, -H, H / 2, H / W, sympy.sqrt(H), H - W, 2.0 * H, H + 0.5, H * sympy.nan),
    *(1 / (H - 1), H + sympy.oo, sympy.log(H), sympy.Min(H - 2, 7), sympy.Function("f")(H)),
    *(sympy.Max(sympy.sqrt(H - 5), 1), sympy.Max(1 / (H - 1), 1), sympy.Mod(H, W - 1)),
    *(sympy.floor(H / (W - 1)), sympy.ceiling(sympy.sqrt(H - W))),
]
FOREIGN = [
    *(sympy.Symbol("h"), sympy.Symbol("h", positive=True), sympy.Symbol("h", integer=True)),
    *(sympy.Symbol("h", even=True, positive=True) / 2, sympy.Symbol("h w", integer=True)),
    *(sympy.Dummy("h", integer=True, positive=True), sympy.IndexedBase("h")[0] + 1),
]
NO_ARRAYS = [
    *(np.array([]), np.array([1.5]), np.array([3.0]), np.array([True]), np.array(["3"])),
    *(np.array([4, -1]), np.array([2**41]), np.array([3, None]), np.array(3.0), np.array(-3)),
]
EXPRESSIONS = [
    *(H, 2 * K, K + 5, H * W, sympy.ceiling(H / 2), sympy.floor(H / 2) + 1, H + W - 1),
    *(sympy.Max(H - 3, 1), sympy.Min(H, W), 2**K, (H + 1) ** 2, sympy.ceiling(H / 16 - 1) + 1),
    *((2 * K) / 2, sympy.sqrt(H**2), H * (W + 1), sympy.Max(sympy.floor(H / 4), 1)),
]
MAYBE_EMPTY = [H - 1, sympy.floor(H / 4), (H - 1) * (W - 1), H * W - 1, sympy.Mod(H, 4)]


# --- the rule ---------------------------------------------------------------------------------


@pytest.mark.parametrize("smallest", [0, 1])
@pytest.mark.parametrize(
    "value",
    [*NO_NUMBERS, *NO_CONSTANTS, *NO_EXPRESSIONS, *FOREIGN, *NO_ARRAYS, -1, 2**41, np.int8(-1)],
    ids=repr,
)
def test_what_is_no_size_is_refused_in_one_sentence(value: object, smallest: int) -> None:
    with pytest.raises(ShapeError, match=r"^the width (must|holds)") as caught:
        check_dim(value, "the width", smallest)
    assert "\n" not in str(caught.value).replace(repr(value), "")


@pytest.mark.parametrize(
    "value", [0, np.int64(0), sympy.Integer(0), np.array([2, 0]), *MAYBE_EMPTY], ids=repr
)
def test_zero_is_a_size_only_where_a_tensor_may_be_empty(value: object) -> None:
    assert np.all(check_dim(value, "the width", smallest=0) == value)
    with pytest.raises(ShapeError, match="the width"):
        check_dim(value, "the width")


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_an_expression_that_is_certain_to_be_positive_is_a_size(expression: sympy.Expr) -> None:
    assert check_dim(expression, "the width") == expression


@pytest.mark.parametrize(
    "value", [3, np.int32(3), np.uint8(3), sympy.Integer(3), np.array(3), 2 * K / K + 1], ids=repr
)
def test_a_number_of_any_kind_is_returned_as_a_plain_int(value: object) -> None:
    assert type(check_dim(value, "the width")) is int
    assert Tensor((1, value)) == Tensor((1, 3))


def test_an_array_becomes_one_of_64_bits() -> None:
    small = np.array([100, 200], dtype=np.uint8)
    assert (Tensor((small, small)).elements).tolist() == [10_000, 40_000]
    assert check_dim(MAX_DIM, "w") == MAX_DIM


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (H - 5, "must be a positive integer, but h - 5 is -4 for h = 1: write h = k + 5"),
        (H / 2, "but h/2 is 1/2 for h = 1: write h = 2*k"),
        (sympy.sqrt(H), "but sqrt(h) is sqrt(2) for h = 2: write h = k**2"),
        (H - W, "but h - w is 0 for h = 1, w = 1: write h = k + w"),
        (H / W, "but h/w is 1/2 for h = 1, w = 2: write h = k*w"),
        (H / 2 - 5, "but h/2 - 5 is -9/2 for h = 1: write h = 2*k + 10"),
        (K / 2, "but k/2 is 1/2 for k = 1: write k = 2*k1"),
        (45 * H / 64, "but 45*h/64 is 45/64 for h = 1: write h = 64*k"),
        (sympy.floor(H / 4), "but floor(h/4) is 0 for h = 1: write h = k + 3"),
        (H * (H + 1) / 2, "but h*(h + 1)/2 cannot be shown to be one: write h = 2*k"),
        (2.0 * H, "but 2.0*h holds a float: write whole numbers and sympy.Rational"),
        (-H, "but -h is -1 for h = 1: write it in other symbols, as in h = 2*k or"),
        (sympy.Symbol("h"), "holds the symbol h, which is not the positive integer costmodel.dim("),
    ],
)  # fmt: skip
def test_the_message_shows_where_it_fails_and_what_to_write(
    expression: sympy.Expr, words: str
) -> None:
    with pytest.raises(ShapeError) as caught:
        check_dim(expression, "the width")
    assert words in str(caught.value)


def _expressions() -> st.SearchStrategy[sympy.Expr]:
    leaves = st.one_of(st.sampled_from([H, W]), st.integers(-3, 6).map(sympy.Integer))

    def quotient(pair: tuple[sympy.Expr, sympy.Expr]) -> sympy.Expr:
        return pair[0] / pair[1] if pair[1] != 0 else pair[0]

    def grow(inner: st.SearchStrategy[sympy.Expr]) -> st.SearchStrategy[sympy.Expr]:
        pairs = st.tuples(inner, inner)
        return st.one_of(
            pairs.map(quotient),
            pairs.map(lambda ab: ab[0] + ab[1]),
            pairs.map(lambda ab: ab[0] - ab[1]),
            pairs.map(lambda ab: ab[0] * ab[1]),
            pairs.map(lambda ab: sympy.Max(*ab)),
            pairs.map(lambda ab: sympy.Min(*ab)),
            st.tuples(inner, st.integers(1, 4)).map(lambda an: an[0] / an[1]),
            inner.map(sympy.ceiling),
            inner.map(sympy.floor),
            inner.map(lambda a: a**2),
        )

    return st.recursive(leaves, grow, max_leaves=6)


@given(expression=_expressions(), smallest=st.integers(0, 1))
def test_an_accepted_expression_is_such_an_integer_at_every_assignment(
    expression: sympy.Expr, smallest: int
) -> None:
    """And where it is refused, what the message says to write is accepted."""
    try:
        check_dim(expression, "the width", smallest)
    except ShapeError as error:
        remedy = re.search(r": write (\w+) = (.*)$", str(error))
        if remedy:
            symbol, instead = cm.dim(remedy[1]), parse_dim(remedy[2])
            check_dim(instead, symbol.name)
            check_dim(expression.subs(symbol, instead), "the width", smallest)
        return
    for h, w in product((1, 2, 3, 4, 5, 7, 12), repeat=2):
        value = expression.subs({H: h, W: w})
        assert value.is_Integer
        assert value >= smallest


@given(text=st.text(alphabet="xy0123456789+-*/(),. _MaxMinceilingsqrt'[]{}:=\\\"", max_size=30))
def test_random_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(CostModelError):
        check_dim(parse_dim(text), "w")


# --- wherever a caller states one -------------------------------------------------------------

Stating = Callable[[Any], Any]


def one(op: ops.Op, *shapes: tuple[Any, ...]) -> Any:
    b = cm.Builder()
    return b.finish(*b.add_many(op, *(b.input(shape) for shape in shapes)))


def _document(value: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(to_json(one(ops.Linear(8), (2, 4))))
    entry = next(n for n in document["nodes"] if n["op"] == "Linear")
    entry["fields"]["out_features"] = {"expr": str(value)}
    return document


PLACES: dict[str, Stating] = {
    "Tensor": lambda v: Tensor((1, v)),
    "Input": lambda v: ops.Input((1, v)),
    "Constant": lambda v: ops.Constant((1, v)),
    "Parameter": lambda v: ops.Parameter((1, v)),
    "Builder.input": lambda v: cm.Builder().input((1, v)),
    "Conv out_channels": lambda v: ops.Conv(v, (3, 3)),
    "Conv kernel": lambda v: ops.Conv(8, (v, 3)),
    "Conv stride": lambda v: ops.Conv(8, (3, 3), stride=v),
    "Conv padding": lambda v: ops.Conv(8, (3, 3), padding=v),
    "Conv one padding": lambda v: ops.Conv(8, (3, 3), padding=((0, v), (0, 0))),
    "Conv dilation": lambda v: ops.Conv(8, (3, 3), dilation=(1, v)),
    "Conv groups": lambda v: ops.Conv(8, (3, 3), groups=v),
    "ConvTranspose out_channels": lambda v: ops.ConvTranspose(v, (3,)),
    "ConvTranspose output_padding": lambda v: ops.ConvTranspose(8, (3,), output_padding=v),
    "Linear": lambda v: ops.Linear(v),
    "Pool": lambda v: ops.Pool("max", (v, 3)),
    "AdaptivePool": lambda v: ops.AdaptivePool("avg", (v, 1)),
    "Resize": lambda v: ops.Resize((v, 1)),
    "Reshape": lambda v: ops.Reshape((v, 1)),
    "BroadcastTo": lambda v: ops.BroadcastTo((v, 1)),
    "Split": lambda v: ops.Split(0, (v, 1)),
    "Slice": lambda v: ops.Slice(0, 0, v),
    "Pad": lambda v: ops.Pad((v, 0)),
    "PixelShuffle": lambda v: ops.PixelShuffle(v),
    "ChannelShuffle": lambda v: ops.ChannelShuffle(v),
    "GroupNorm": lambda v: ops.GroupNorm(v),
    "LocalResponseNorm": lambda v: ops.LocalResponseNorm(v),
    "Embedding rows": lambda v: ops.Embedding(v, 8),
    "Embedding features": lambda v: ops.Embedding(8, v),
    "Recurrent": lambda v: ops.Recurrent("lstm", v),
    "RecurrentSteps": lambda v: ops.RecurrentSteps("lstm", v),
    "at": lambda v: cm.at(one(ops.Linear(8), (2, cm.dim("c"))), c=v),
    "zoo": lambda v: zoo.pointwise(56, 56, v, 8),
    "zoo.build": lambda v: zoo.build("pointwise", h=56, w=56, c1=v, c2=8),
    "zoo channels": lambda v: zoo.shufflenet_v2(channels=(24, v, 232, 464, 1024)),
    "zoo fragments": lambda v: zoo.g3_stack("4-fragment-series", v),
}
WITH_SPECS: dict[str, Stating] = PLACES | {
    "spec": lambda v: cm.network(f"pointwise?h=56&w=56&c1={v}&c2=8"),
    "spec of channels": lambda v: cm.network(f"shufflenet_v2?channels=24,{v},232,464,1024"),
}
WITH_TEXT = WITH_SPECS | {"JSON": lambda v: from_json(json.dumps(_document(v)))}


@pytest.mark.parametrize("expression", [H - 5, H / 2, sympy.sqrt(H), H - W], ids=str)
@pytest.mark.parametrize("place", WITH_TEXT)
def test_an_expression_that_may_be_no_size_is_refused_wherever_it_is_stated(
    place: str, expression: sympy.Expr
) -> None:
    with pytest.raises(CostModelError, match=r" for h = .*: write h = ") as caught:
        WITH_TEXT[place](expression)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [*NO_NUMBERS[:7], *NO_CONSTANTS[:-1], *FOREIGN[:2], -4], ids=repr)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_number_is_refused_wherever_it_is_stated(place: str, value: object) -> None:
    with pytest.raises(CostModelError):
        PLACES[place](value)


@pytest.mark.parametrize("array", NO_ARRAYS, ids=repr)
@pytest.mark.parametrize("place", PLACES)
def test_an_array_that_is_no_size_is_refused_wherever_it_is_stated(
    place: str, array: np.ndarray
) -> None:
    with pytest.raises(CostModelError):
        PLACES[place](array)


@pytest.mark.parametrize("expression", [2 * K, 4 * K + 4, sympy.ceiling(K / 2) * 2], ids=str)
@pytest.mark.parametrize("place", WITH_SPECS)
def test_an_expression_that_is_a_size_is_accepted_wherever_it_is_stated(
    place: str, expression: sympy.Expr
) -> None:
    WITH_SPECS[place](expression)


@pytest.mark.parametrize(
    "op",
    [
        ops.Conv(np.int64(8), (np.int8(3), sympy.Integer(3)), np.int32(2), groups=sympy.Integer(1)),
        ops.Linear(sympy.Integer(8)),
        ops.Reshape([sympy.Integer(-1), np.int64(2)]),  # type: ignore[arg-type]
        ops.BroadcastTo([np.int64(3), 2]),  # type: ignore[arg-type]
        ops.Split(0, (np.int64(1), sympy.Integer(2))),
        ops.Slice(0, 0, np.int64(2)),
        ops.Embedding(np.int64(5), sympy.Integer(4)),
        ops.Input([np.int64(5), sympy.Integer(4)]),  # type: ignore[arg-type]
        ops.GroupNorm(np.uint8(2)),
    ],
)
def test_fields_hold_plain_sizes(op: ops.Op) -> None:
    def plain(value: object) -> bool:
        if isinstance(value, tuple):
            return all(map(plain, value))
        return value is None or type(value) in (int, bool, str)

    assert all(map(plain, op.fields().values())), op


@pytest.mark.parametrize("shape", [5, "33", None, {2: 3}, H, np.array([2, 3])], ids=repr)
def test_what_is_no_shape_is_refused(shape: Any) -> None:
    for stating in (Tensor, ops.Input, ops.Constant, ops.Parameter, ops.BroadcastTo, ops.Reshape):
        with pytest.raises(CostModelError, match="must be a tuple"):
            stating(shape)
    assert check_shape([2, np.int8(3)]) == (2, 3)
