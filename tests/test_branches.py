"""Closed forms as definitions: each branch with its condition, and together the same values."""

from __future__ import annotations

import json

import pytest
import sympy
from typer.testing import CliRunner

import costmodel as cm
from costmodel.algebra.branches import Definition, definitions
from costmodel.cli.app import app
from costmodel.comparison import sensitivity

ARM = "snapdragon-810/paper"
POINTWISE = "pointwise?h=56&w=56&c1=64"


def value_of(lines: list[Definition], values: dict[str, float]) -> float:
    """Work the texts out, one after the other."""
    known = dict(values)
    for name, branches in lines:
        for value, condition in branches:
            if not condition or all(
                bool(sympy.sympify(test).subs(known)) for test in condition.split(" and ")
            ):
                found = float(sympy.sympify(value).subs(known))
                break
        else:
            pytest.fail(f"no branch of {name} holds")
        assert name not in known
        known[name] = found
    return known[""]


@pytest.mark.parametrize("size", [3, 40, 200, 900, 20_000])
@pytest.mark.parametrize("platform", [ARM, "gtx-1080-ti/paper"])
def test_definitions_together_are_the_derivative(platform: str, size: int) -> None:
    slope = sympy.sympify(sensitivity(cm.network(POINTWISE), platform, "c2"))
    expected = float(slope.subs(cm.dim("c2"), size))
    assert value_of(definitions(slope), {"c2": size}) == pytest.approx(expected, rel=2e-3)


def test_names_of_the_expression_are_not_taken_and_equal_parts_have_one() -> None:
    x1, y = sympy.symbols("x1 y", positive=True)
    largest = sympy.Max(x1, y)
    lines = definitions(largest + y * sympy.Piecewise((largest, y > 3), (1, True)))
    assert [line.name for line in lines] == ["x2", "x3", ""]
    assert lines[1].branches == (("x2", "y > 3"), ("1", ""))
    assert definitions(7) == [Definition("", (("7", ""),))]


def test_a_derivative_is_printed_branch_by_branch_and_whole_in_json() -> None:
    words = ["whatif", POINTWISE, "-p", ARM, "--by", "c2"]
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert lines[-1].startswith("latency per c2 [s] = ")
    assert any("   if " in line for line in lines)
    assert any(line.endswith("   otherwise") for line in lines)
    assert max(map(len, lines)) < 200
    document = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert "Piecewise" in document["derivative"]
