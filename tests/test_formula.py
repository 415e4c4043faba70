"""Readable closed forms: collected, never changed in value."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import costmodel as cm
from costmodel.algebra.formula import tidy, to_latex, to_text

NAMES = cm.symbols("h w c1 c2 k")
TERMS = st.builds(
    lambda factor, powers: sympy.Mul(factor, *(s**p for s, p in zip(NAMES, powers, strict=True))),
    st.integers(-3, 9),
    st.tuples(*(st.integers(-1, 2) for _ in NAMES)),
)


@given(terms=st.lists(TERMS, min_size=1, max_size=7))
def test_tidying_keeps_the_value(terms: list[sympy.Expr]) -> None:
    expression = sympy.Add(*terms)
    assert sympy.expand(tidy(expression) - expression) == 0


@given(terms=st.lists(TERMS, min_size=1, max_size=7))
def test_text_reads_back_as_the_same_value(terms: list[sympy.Expr]) -> None:
    expression = tidy(sympy.Add(*terms))
    names = {str(s): s for s in NAMES}
    assert sympy.expand(sympy.sympify(to_text(expression), names) - expression) == 0
    assert to_latex(expression)


def test_the_formula_of_the_paper_reads_as_in_the_paper() -> None:
    h, w, c1, c2, _ = NAMES
    mac = cm.mac(cm.zoo.pointwise(h, w, c1, c2))
    assert to_text(mac) == "h*w*(c1 + c2) + c1*c2"
    assert to_latex(mac) == r"h w \left(c_{1} + c_{2}\right) + c_{1} c_{2}"


def test_a_deep_network_has_a_short_formula() -> None:
    h, w = cm.symbols("h w")
    b = cm.Builder()
    from costmodel.ops import Conv

    x = b.input((1, 3, h, w))
    for i in range(30):
        x = b.add(Conv(8, (3, 3), stride=2 if i % 10 == 9 else 1, padding=1), x)
    text = to_text(cm.multiply_adds(b.finish(x)))
    assert len(text) < 200, text


@pytest.mark.parametrize("value", [7, 7.5, sympy.Integer(7), sympy.Symbol("x")])
def test_what_is_no_sum_stays(value: object) -> None:
    assert tidy(value) == value
