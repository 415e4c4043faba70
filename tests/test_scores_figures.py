"""Figures and splits of the scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import DataError
from costmodel_validation.scores.figures import LEVEL, Figures, average, judge
from costmodel_validation.scores.splits import Split, draws, leave_out, per_group, sample


def test_errors_by_hand() -> None:
    f = judge(np.array([1.08, 1.0, 3.0, 2.0]), np.array([1.0, 2.0, 4.0, 2.0]))
    assert f.mape == pytest.approx((0.08 + 0.5 + 0.25 + 0.0) / 4)
    assert f.median == pytest.approx((0.08 + 0.25) / 2)
    assert f.within10 == pytest.approx(0.5)
    assert math.isnan(f.coverage)


def test_spearman_is_the_correlation_of_ranks() -> None:
    random = np.random.default_rng(0)
    measured = random.permutation(50) + 1.0
    predicted = measured + 10 * random.normal(size=50) + 40
    d = np.argsort(np.argsort(measured)) - np.argsort(np.argsort(predicted))
    assert judge(predicted, measured).spearman == pytest.approx(1 - 6 * np.sum(d**2) / (50 * 2499))


def test_kendall_counts_pairs() -> None:
    measured, predicted = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])
    assert judge(predicted, measured).kendall == pytest.approx((5 - 1) / 6)


def test_ranks_of_a_constant_are_no_number() -> None:
    f = judge(np.ones(3), np.array([1.0, 2.0, 3.0]))
    assert math.isnan(f.spearman)
    assert math.isnan(f.kendall)


def test_coverage_is_nominal_where_the_spread_is_right() -> None:
    random = np.random.default_rng(1)
    predicted = np.exp(random.normal(size=20_000))
    spread = random.uniform(0.05, 0.5, size=20_000)
    measured = predicted * np.exp(spread * random.normal(size=20_000))
    assert judge(predicted, measured, spread).coverage == pytest.approx(LEVEL, abs=0.01)
    assert judge(predicted, measured, spread / 2).coverage < 0.7


def test_average_leaves_out_what_is_no_number() -> None:
    nan = float("nan")
    a, b = Figures(0.1, 0.1, 0.5, nan, 1, nan), Figures(0.3, 0.1, 0.7, 0.9, 0, nan)
    mean = average([a, b])
    assert (mean.mape, mean.within10, mean.spearman) == pytest.approx((0.2, 0.6, 0.9))
    assert math.isnan(mean.coverage)


def test_a_row_is_never_fitted_and_scored() -> None:
    with pytest.raises(DataError, match="row 3 is fitted and scored"):
        Split(np.array([1, 3]), np.array([2, 3]))


@given(st.integers(2, 300), st.data())
def test_draws_cover_every_row_once(rows: int, data: st.DataObject) -> None:
    fitted = data.draw(st.integers(1, rows - 1))
    for split in draws(rows, fitted, 3):
        together = np.concatenate([split.fitted, split.scored])
        assert sorted(together) == list(range(rows))
        assert len(split.fitted) == fitted


def test_draws_differ_and_repeat() -> None:
    first, again = list(draws(100, 10, 3)), list(draws(100, 10, 3))
    assert [s.fitted.tolist() for s in first] == [s.fitted.tolist() for s in again]
    assert len({tuple(s.fitted) for s in first}) == 3


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=2, max_size=60), st.integers(1, 20))
def test_groups_keep_rows_to_score(groups: list[str], most: int) -> None:
    split = per_group(groups, most)
    assert sorted(np.concatenate([split.fitted, split.scored])) == list(range(len(groups)))
    for name in set(groups):
        fitted = sum(groups[i] == name for i in split.fitted)
        assert fitted == min(most, groups.count(name) // 2)


def test_draws_of_groups_differ_and_the_first_has_no_number() -> None:
    groups = ["a"] * 40 + ["b"] * 10
    found = [per_group(groups, 6, draw).fitted.tolist() for draw in range(3)]
    assert found[0] == per_group(groups, 6).fitted.tolist()
    assert len({tuple(rows) for rows in found}) == 3
    assert {len(rows) for rows in found} == {11}


def test_leave_out_and_sample() -> None:
    split = leave_out(["x", "y", "x", "z"], "x")
    assert (split.fitted.tolist(), split.scored.tolist()) == ([1, 3], [0, 2])
    assert sample(5, 10).tolist() == [0, 1, 2, 3, 4]
    assert len(set(sample(1000, 100).tolist())) == 100
