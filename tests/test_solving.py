"""Symbols solved for: against grids, with certificates, and honest about local optima."""

from __future__ import annotations

import json
import time

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel.report import schema
from costmodel.solving.posynomial import posynomial

PI = "raspberry-pi-4/ncnn"


def run(*arguments, code=0):
    result = CliRunner().invoke(app, list(arguments), prog_name="costmodel")
    assert result.exit_code == code, result.output
    return result


def stack(names):
    b = cm.Builder("stack")
    x = b.input((1, 16, 14, 14))
    for name in names:
        x = b.add(cm.ops.Conv(cm.dim(name), (1, 1)), x)
    return b.finish(b.add(cm.ops.Conv(16, (1, 1)), x))


# ---- geometric programs


@settings(max_examples=8, deadline=None)
@given(st.sampled_from([7, 14, 28, 56]), st.sampled_from([16, 32, 64, 96]))
def test_g1_as_a_theorem_equal_widths_are_best_at_fixed_multiply_adds(size, c):
    pytest.importorskip("cvxpy")
    graph = cm.zoo.pointwise(size, size, *cm.symbols("c1 c2"))
    found = cm.solve(graph, at_least={"multiply_adds": size**2 * c**2})
    assert found.relaxed["c1"] == pytest.approx(c, rel=5e-3)
    assert found.relaxed["c2"] == pytest.approx(c, rel=5e-3)
    assert found.values == {"c1": c, "c2": c}
    assert 0 <= found.certificate.gap < 1e-2
    # Eq. (1): MAC >= 2 sqrt(hwB) + B/hw
    assert found.certificate.bound <= 2 * size**2 * c + c**2 <= found.objective


def test_the_certificate_bounds_every_feasible_point():
    pytest.importorskip("cvxpy")
    graph = stack(["a", "b"])
    found = cm.solve(graph, keep={"a": 24, "b": 40}, ranges={"a": (1, 99), "b": (1, 99)})
    values = np.arange(1, 100)
    a, b = (x.ravel() for x in np.meshgrid(values, values))
    macs = cm.mac(cm.at(graph, a=a, b=b))
    enough = (a * 16 >= 24 * 16) & (a * b >= 24 * 40) & (b * 16 >= 40 * 16)
    assert macs[enough].min() >= found.certificate.bound
    assert found.objective == macs[enough].min()
    assert "global" in found.method


def test_twenty_widths_take_less_than_five_seconds():
    pytest.importorskip("cvxpy")
    names = [f"c{i}" for i in range(20)]
    start = time.process_time()
    found = cm.solve(
        stack(names), keep={n: 32 + 8 * (i % 5) for i, n in enumerate(names)}, multiple=8
    )
    assert time.process_time() - start < 15  # the goal is 5 s on a machine that is left alone
    assert found.certificate.gap < 1e-3
    assert all(v % 8 == 0 for v in found.values.values())


def test_posynomials_are_told_from_what_is_none():
    c1, c2 = cm.symbols("c1 c2")
    assert posynomial(c1 * c2 + 3 * c1**2 / c2, (c1, c2)).is_monomial is False
    assert posynomial(4 * c1 * c2, (c1, c2)).is_monomial
    for wrong in (c1 - c2, 0 * c1 - 5, cm.algebra.symbols.maximum(c1, c2), 2**c1):
        assert posynomial(wrong, (c1, c2)) is None
    p = posynomial(c1 * c2 + 3 * c1, (c1, c2))
    y = np.log([5.0, 7.0])
    assert np.exp(p.log(y)) == pytest.approx(50)
    step = np.array([1e-6, 0])
    assert p.gradient(y)[0] == pytest.approx((p.log(y + step) - p.log(y)) / 1e-6, rel=1e-4)


# ---- local search


GRIDS = [
    ("latency", {"at_least": {"multiply_adds": 14**2 * 4000}}),
    ("latency", {"at_least": {"multiply_adds": 14**2 * 2000}, "at_most": {"params": 4000}}),
    ("mac", {"at_least": {"multiply_adds": 14**2 * 3000}}),
    ("params", {"at_least": {"mac": 40_000}, "at_most": {"latency": 1e-2}}),
]


@pytest.mark.parametrize(("minimize", "limits"), GRIDS)
def test_local_search_is_as_good_as_a_grid_and_says_that_it_is_local(minimize, limits):
    graph = stack(["a", "b"])
    ranges = {"a": (4, 96), "b": (4, 96)}
    found = cm.solve(graph, minimize, PI, ranges=ranges, multiple=4, **limits)
    assert found.certificate is None  # a sum that must reach something is not convex
    assert "local optimum" in found.method
    a, b = (x.ravel() for x in np.meshgrid(*[np.arange(4, 97, 4)] * 2))
    every = cm.at(graph, a=a, b=b)
    counts = {
        "multiply_adds": cm.multiply_adds(every),
        "params": cm.params(every),
        "mac": cm.mac(every),
        "latency": cm.latency(every, PI).seconds,
    }
    fine = np.ones(len(a), dtype=bool)
    for name, limit in limits.get("at_least", {}).items():
        fine &= counts[name] >= limit
    for name, limit in limits.get("at_most", {}).items():
        fine &= counts[name] <= limit
    assert found.objective <= counts[minimize][fine].min() * (1 + 1e-9)


def test_what_cannot_be_solved_is_refused():
    graph = stack(["a"])
    for arguments, sentence in (
        ({"minimize": "beauty"}, "cannot be minimised"),
        ({"minimize": "latency"}, "needs a platform"),
        ({"at_least": {"colour": 1}}, "cannot be limited"),
        ({"keep": {"b": 1}}, "give a value for each of a"),
        ({"ranges": {"b": (1, 2)}}, "no free symbol"),
        ({"ranges": {"a": (5, 7)}, "multiple": 4}, "no multiple of 4"),
        ({"minimize": "memory", "at_most": {"mac": 1}}, "fulfil"),
    ):
        with pytest.raises(DataError, match=sentence):
            cm.solve(graph, **arguments)
    with pytest.raises(DataError, match="nothing to solve for"):
        cm.solve(cm.zoo.pointwise(7, 7, 8, 8))


def test_the_command_prints_values_and_certificate():
    pytest.importorskip("cvxpy")
    arguments = ["solve", "pointwise?h=56&w=56", "--at-least", "multiply_adds=51380224"]
    out = run(*arguments).stdout
    assert "c1 = 128" in out
    assert "certificate" in out
    document = json.loads(run(*arguments, "--json").stdout)
    jsonschema.validate(document, schema())
    local = run(*arguments, "--minimize", "latency", "-p", PI, "--json").stdout
    jsonschema.validate(json.loads(local), schema())
    assert json.loads(local)["certificate"] is None
    run("solve", "pointwise?h=56&w=56", "--at-least", "multiply_adds", code=2)
    run("solve", "resnet18", code=2)
