"""The fit of a calibration to times whose posterior can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import costmodel as cm
from costmodel.calibration.fit import Calibration, fit
from costmodel.timing.fitted import PRIOR_NETWORK_SPREAD, PRIOR_OPERATOR_SPREAD, Fitted
from costmodel.timing.parameters import Parameter

PLATFORM = cm.load_platform("raspberry-pi-4/ncnn", calibrated=False)


class Rows:
    """Kernels each of which takes the time that one parameter says."""

    def __init__(self, names: list[str], kernels: list[int] | None = None) -> None:
        self.names = names
        self.kernels = np.array(kernels or [1] * len(names))

    def seconds(self, platform: Any, theta: Mapping[str, float], bounded: bool) -> np.ndarray:
        assert not bounded  # where the bound decides, parameters would not matter
        return np.array([theta[name] for name in self.names])


def parameter(name: str, spread: float, value: float = 1.0) -> Parameter:
    return Parameter(name, value, spread, 0.1, 10.0, "s", "a time")


def fitted(rows: Any, seconds: list[float], *parameters: Parameter) -> Calibration:
    where = replace(PLATFORM, fitted=Fitted.prior(parameters))
    return fit(rows, np.array(seconds), where, {"data": "made up"})


def test_errors_are_those_of_prior_and_rows_together() -> None:
    # Four rows without residual halve the variance of the noise, which starts at 5 %.
    result = fitted(Rows(["a"] * 4), [2.0] * 4, parameter("a", 0.5), parameter("free", 0.3))
    known, free = result.platform.fitted.parameters
    variance = 1 / (1 / 0.5**2 + 4 / (0.05**2 / 2))
    assert known.spread == pytest.approx(variance**0.5, rel=1e-3)
    # The rows outweigh the prior by their precision.
    off = np.log(2) * variance / 0.5**2
    assert np.log(2) - np.log(known.value) == pytest.approx(off, rel=0.05)
    assert result.residuals == pytest.approx([-off] * 4, rel=0.05)
    assert (free.value, free.spread) == pytest.approx((1, 0.3))
    assert result.undetermined == ("free",)
    assert result.at_bounds == ()
    assert result.platform.fitted.rows == 4
    assert result.platform.fitted.provenance["data"] == "made up"


def test_a_parameter_is_determined_where_its_error_falls_below_70_percent() -> None:
    # One row without residual has a variance of 0.05**2 * 4 / 5.
    noise = 0.002
    spreads = {"a": (noise * (1 / 0.71**2 - 1)) ** 0.5, "b": (noise * (1 / 0.69**2 - 1)) ** 0.5}
    for name, spread in spreads.items():
        result = fitted(Rows([name]), [1.0], parameter(name, spread))
        assert result.platform.fitted.parameters[0].spread / spread == pytest.approx(
            0.71 if name == "a" else 0.69, abs=1e-3
        )
        assert result.undetermined == (("a",) if name == "a" else ())


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
    assert found.value == pytest.approx(np.clip(seconds, 0.1, 10), rel=1e-4)
    assert result.at_bounds == (("a",) if named else ())


def test_residual_spreads_are_of_operators_and_of_networks() -> None:
    one = fitted(Rows(["a"]), [1.0], parameter("a", 0.5)).platform.fitted
    # A row that determines its parameter leaves a quarter of a degree of freedom.
    assert one.operator_spread == pytest.approx((PRIOR_OPERATOR_SPREAD**2 / 1.25) ** 0.5, rel=1e-3)
    assert one.network_spread == PRIOR_NETWORK_SPREAD
    rows = Rows(["a"] * 40, [1] * 20 + [2] * 20)
    seconds = [np.exp(0.02 * (-1) ** i) for i in range(20)]
    seconds += [np.exp(0.3 * (-1) ** i) for i in range(20)]
    both = fitted(rows, seconds, parameter("a", 0.5)).platform.fitted
    # One parameter takes half a degree of each; the prior counts as one row.
    freedom = 20 - 0.5 + 1
    for found, wide, prior in (
        (both.operator_spread, 0.02, PRIOR_OPERATOR_SPREAD),
        (both.network_spread, 0.3, PRIOR_NETWORK_SPREAD),
    ):
        expected = ((20 * (wide / 1.645) ** 2 + prior**2) / freedom) ** 0.5
        assert found == pytest.approx(expected, rel=0.02)


def test_a_row_far_out_hardly_moves_a_fit() -> None:
    rows = Rows(["a"] * 10)
    good = [np.exp(0.01 * (-1) ** i) for i in range(9)]
    result = fitted(rows, [*good, 20.0], parameter("a", 0.5))
    assert abs(np.log(result.platform.fitted.theta["a"])) < 0.02
    assert result.median_error == pytest.approx(0.01, rel=0.5)
