"""Mutation testing: a change that matters is noticed, the same code is not blamed."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from costmodel_validation.mutants.command import KILLED, SURVIVED, judge
from costmodel_validation.mutants.points import PACKAGES, Mutant, all_mutants, mutants
from costmodel_validation.mutants.suite import Suite, load, save

ROOT = Path(__file__).parents[1]
PATH = "costmodel/counting/cost.py"


def test_every_package_has_mutants_and_each_is_code() -> None:
    found = all_mutants(ROOT)
    for package in PACKAGES:
        assert any(f"costmodel/{package}/" in m.path for m in found)
    for mutant in found[:: len(found) // 50]:
        ast.parse(mutant.source)
        assert mutant.before != mutant.after


def test_text_annotations_and_errors_stay() -> None:
    source = "def f(x: int = 0) -> dict[str, int]:\n    '''Add 1.'''\n    raise E(f'{x + 1}')\n"
    assert [m.after for m in mutants("m", "m.py", source)] == ["1"]


def test_a_statement_ends_where_the_next_begins() -> None:
    source = "if (a and\n    b):\n    c = 1\n"
    spans = {(m.before, m.first, m.last) for m in mutants("m", "m.py", source)}
    assert spans == {("a and b", 1, 2), ("1", 3, 3)}


def doctests(mutant: Mutant) -> Suite:
    """Return a suite of one doctest, which adds two costs."""
    test = f"{PATH}::costmodel.counting.cost.sum_costs"
    return Suite(
        {test: 1.0}, {PATH: {line: [test] for line in range(mutant.first, mutant.last + 1)}}
    )


def test_the_same_code_survives_and_a_wrong_sum_is_killed() -> None:
    pytest.importorskip("torch", reason="the workers load it before they judge")
    source = (ROOT / PATH).read_text()
    wrong = source.replace("writes=total([p.writes for p in parts])", "writes=0")
    assert wrong != source
    same = Mutant("costmodel.counting.cost", PATH, 1, 1, "", "", "", source)
    results = [
        verdict.result
        for mutant in (same, replace(same, source=wrong))
        for verdict in judge([mutant], doctests(mutant), ROOT, 1)
    ]
    assert results == [SURVIVED, KILLED]


def test_a_line_that_no_test_runs_survives() -> None:
    mutant = Mutant("costmodel.counting.cost", PATH, 1, 1, "", "", "", "broken")
    (verdict,) = judge([mutant], Suite({}, {}), ROOT, 1)
    assert (verdict.result, verdict.tests) == (SURVIVED, 0)


def test_what_was_observed_is_read_again(tmp_path: Path) -> None:
    suite = Suite({"a": 1.0}, {"m.py": {3: ["a"]}})
    save(suite, tmp_path / "suite.json")
    assert load(tmp_path / "suite.json") == suite


@pytest.mark.parametrize("package", PACKAGES)
def test_import_lines_belong_to_all_tests_of_the_module(package: str) -> None:
    path = f"costmodel/{package}/x.py"
    suite = Suite({"a": 1.0, "b": 2.0}, {path: {3: ["b"], 9: ["a"]}})
    assert suite.tests_of(path, 1, 1) == ["a", "b"]
    assert suite.tests_of("other.py", 1, 1) == []
