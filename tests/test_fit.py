"""The fit of a calibration to times whose posterior can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import costmodel as cm
from costmodel.calibration.discrepancy import Alike, correlated
from costmodel.calibration.fit import Calibration, fit
from costmodel.calibration.robust import Problem
from costmodel.calibration.starts import estimate
from costmodel.timing.fitted import PRIOR_NETWORK_SPREAD, PRIOR_OPERATOR_SPREAD, Fitted
from costmodel.timing.parameters import Parameter

PLATFORM = cm.load_platform("raspberry-pi-4/ncnn", calibrated=False)


class Rows:
    """Kernels each of which takes the time that one parameter says."""

    def __init__(self, names: list[str], kernels: list[int] | None = None) -> None:
        self.names = names
        self.kernels = np.array(kernels or [1] * len(names))
        self.since = np.zeros(len(names))

    def seconds(self, platform: Any, theta: Mapping[str, Any], bounded: bool = True) -> np.ndarray:
        times = [np.asarray(theta[name], dtype=float) for name in self.names]
        return (
            np.concatenate(np.broadcast_arrays(*times), axis=-1)
            if times[0].ndim
            else np.array(times)
        )


def parameter(name: str, spread: float, value: float = 1.0) -> Parameter:
    return Parameter(name, value, spread, 0.1, 10.0, "s", "a time")


def fitted(rows: Any, seconds: list[float], *parameters: Parameter) -> Calibration:
    where = replace(PLATFORM, fitted=Fitted.prior(parameters))
    return fit(rows, np.array(seconds), where, {"data": "made up"})


def test_errors_are_those_of_prior_and_rows_together() -> None:
    # The noise starts at 69 % and settles at its floor, where rows have a weight of 4/3.
    result = fitted(Rows(["a"] * 40), [2.0] * 40, parameter("a", 0.8), parameter("free", 0.3))
    known, free = result.platform.fitted.parameters
    variance = 1 / (1 / 0.8**2 + 40 * 4 / 3 / 0.02**2)
    assert known.spread == pytest.approx(variance**0.5, rel=1e-2)
    assert known.value == pytest.approx(2, rel=1e-3)
    assert result.residuals == pytest.approx([0] * 40, abs=1e-3)
    assert (free.value, free.spread) == pytest.approx((1, 0.3))
    assert result.undetermined == ("free",)
    assert result.at_bounds == ()
    assert result.platform.fitted.rows == 40
    assert result.platform.fitted.provenance["data"] == "made up"


def test_a_parameter_is_determined_where_its_error_falls_below_70_percent() -> None:
    # One row without residual: three rows' worth of 5 %, a tenth to nine tenths of a row more.
    for spread, determined in ((0.03, False), (0.08, True)):
        result = fitted(Rows(["a"]), [1.0], parameter("a", spread))
        share = result.platform.fitted.parameters[0].spread / spread
        assert (share < 0.7) is determined
        assert result.undetermined == (() if determined else ("a",))


def test_rows_far_from_the_prior_widen_all_priors() -> None:
    rows = Rows(["a"] * 20 + ["b"] * 20)
    result = fitted(rows, [3.0] * 40, parameter("a", 0.3), parameter("b", 0.3), parameter("c", 0.1))
    a, b, c = result.platform.fitted.parameters
    assert (a.value, b.value) == pytest.approx((3, 3), rel=0.01)
    # Two parameters are 3.66 spreads off, beside five as far as they say.
    assert (c.value, c.spread) == pytest.approx((1, 0.1 * ((5 + 2 * 3.66**2) / 7) ** 0.5), rel=0.02)


@pytest.mark.parametrize(
    ("seconds", "named"),
    [
        (10 * np.exp(-0.0004), True),
        (10 * np.exp(-0.004), False),
        (100.0, True),
        (0.1 * np.exp(0.0004), True),
        (0.1 * np.exp(0.004), False),
        (0.01, True),
        (1.0, False),
    ],
)
def test_a_limit_is_one_part_in_a_thousand_wide(seconds: float, named: bool) -> None:
    result = fitted(Rows(["a"] * 40), [seconds] * 40, parameter("a", 9.0))
    (found,) = result.platform.fitted.parameters
    assert found.value == pytest.approx(np.clip(seconds, 0.1, 10), rel=1e-3)
    assert result.at_bounds == (("a",) if named else ())


def test_residual_spreads_are_of_operators_and_of_networks() -> None:
    one = fitted(Rows(["a"]), [1.0], parameter("a", 0.5)).platform.fitted
    # A row without residual counts twice as much as the prior.
    assert one.operator_spread == pytest.approx(PRIOR_OPERATOR_SPREAD / 3**0.5, rel=1e-3)
    assert one.network_spread == PRIOR_NETWORK_SPREAD
    rows = Rows(["a"] * 40, [1] * 20 + [2] * 20)
    seconds = [np.exp(0.02 * (-1) ** i) for i in range(20)]
    seconds += [np.exp(0.3 * (-1) ** i) for i in range(20)]
    both = fitted(rows, seconds, parameter("a", 0.5)).platform.fitted
    for found, wide, prior in (
        (both.operator_spread, 0.02, PRIOR_OPERATOR_SPREAD),
        (both.network_spread, 0.3, PRIOR_NETWORK_SPREAD),
    ):
        expected = ((20 * (wide / 1.645) ** 2 + prior**2 / 2) / 20.5) ** 0.5
        assert found == pytest.approx(expected, rel=0.05)


def test_operators_among_others_tell_the_spread_of_networks() -> None:
    """Errors of operators average out in a network, except for the part that they share."""
    rows = Rows(["a"] * 40)
    seconds = [np.exp(0.2 * (-1) ** i) for i in range(40)]
    alone = fitted(rows, seconds, parameter("a", 0.5)).platform.fitted
    rows.since = np.array([0.0, 1e7] * 20)
    among = fitted(rows, seconds, parameter("a", 0.5)).platform.fitted
    assert among.operator_spread == alone.operator_spread
    assert alone.network_spread == PRIOR_NETWORK_SPREAD
    told = (0.4 * alone.operator_spread) ** 2 + 0.05**2
    expected = ((20 * told + 4 * PRIOR_NETWORK_SPREAD**2) / 24) ** 0.5
    assert among.network_spread == pytest.approx(expected)
    assert 0.09 < among.network_spread < 0.12


def test_residuals_that_spreads_are_made_of_are_of_rows_left_out() -> None:
    # Each parameter is told by two rows that disagree: left out, a row is off twice as far.
    rows = Rows([name for name in "abcdefghij" for _ in range(2)], [2] * 20)
    seconds = [np.exp(1 + 0.1 * (-1) ** i) for i in range(20)]
    found = fitted(rows, seconds, *(parameter(name, 3.0) for name in "abcdefghij"))
    expected = ((20 * (0.2 / 1.645) ** 2 + PRIOR_NETWORK_SPREAD**2 / 2) / 20.5) ** 0.5
    assert found.platform.fitted.network_spread == pytest.approx(expected, rel=0.1)


def test_a_row_far_out_hardly_moves_a_fit() -> None:
    rows = Rows(["a"] * 10)
    good = [np.exp(0.01 * (-1) ** i) for i in range(9)]
    result = fitted(rows, [*good, 20.0], parameter("a", 0.5))
    assert abs(np.log(result.platform.fitted.theta["a"])) < 0.02
    assert result.median_error == pytest.approx(0.01, rel=0.5)


def _shifted(rows: np.ndarray, spread: float = 0.5) -> Problem:
    one = np.ones(1)
    groups = [np.arange(len(rows))]
    return Problem(lambda x: x - rows, 0 * one, spread * one, -9 * one, 9 * one, groups)


def test_rows_at_shapes_of_their_own_are_independent() -> None:
    rows = 0.4 + 0.1 * np.random.default_rng(1).standard_normal(60)
    problem = _shifted(rows)
    alone = estimate(problem)
    found = correlated(problem, alone, [Alike(np.arange(60), np.eye(60))])
    assert found.x == pytest.approx(alone.x, abs=0.02)
    assert found.residual == pytest.approx(found.x[0] - rows)


def test_rows_at_one_shape_tell_what_one_tells() -> None:
    rows = 0.4 + 0.1 * np.random.default_rng(1).standard_normal(60)
    problem = _shifted(rows)
    alone = estimate(problem)
    near = 0.98 * np.ones((60, 60)) + 0.02 * np.eye(60)
    found = correlated(problem, alone, [Alike(np.arange(60), near)])
    # They are off together by about what they scatter, however many they are.
    assert found.covariance[0, 0] ** 0.5 > 3 * alone.covariance[0, 0] ** 0.5
    assert found.covariance[0, 0] ** 0.5 == pytest.approx(0.1, rel=0.3)
    assert found.leverage.max() < 0.1


def test_a_prior_with_heavy_tails_holds_unless_all_rows_contradict_it() -> None:
    """Small kernels take device x launch, large ones the device alone."""
    small, large = np.array([1.0, 1.0]), np.array([1.0, 0.0])

    def found(rows: np.ndarray, slopes: np.ndarray, heavy: list[int]) -> list[float]:
        one = np.ones(2)
        groups = [np.arange(len(rows))]
        wide = np.array([1.2, 0.3])
        p = Problem(lambda x: x @ slopes.T - rows, 0 * one, wide, -9 * one, 9 * one, groups, heavy)
        return [float(x) for x in estimate(p).x]

    launches = np.full(20, 0.15), np.tile(small, (20, 1))
    assert found(*launches, [])[0] == pytest.approx(0.14, abs=0.01)
    assert found(*launches, [0]) == pytest.approx([0, 0.15], abs=0.01)
    slow = np.full(20, np.log(3.0)), np.concatenate([np.tile(small, (10, 1)), [large] * 10])
    assert found(*slow, [0]) == pytest.approx([np.log(3), 0], abs=0.02)
