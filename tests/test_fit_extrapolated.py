"""Fits to small operators, and large operators predicted by them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from costmodel.calibration.fit import Calibration, fit
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.table import NetworkTable, tabulate
from costmodel.specs import network
from costmodel.timing.multipliers import DEVICE
from costmodel_validation.scores.silicon import scale

GPU = "h100-sxm/cuda-graphs"
KINDS = ("stream", "linear")
NOISE = 0.03


def operator(kind: str, doublings: float, rng: np.random.Generator) -> str:
    """Return an operator of about as many multiply-adds or numbers as this power of two."""
    if kind == "stream":
        rows = int(rng.choice([1, 8, 64]))
        return f"scale {rows}x{int(2**doublings) // rows}"
    n, k, m = (int(2 ** (doublings / 3 + shift)) for shift in rng.uniform(-1, 1, 3))
    return f"linear?n={n}&cin={k}&cout={m}&bias=false&dtype=bfloat16"


@cache
def table_of(kind: str, least: float, most: float, count: int) -> NetworkTable:
    rng = np.random.default_rng(5)
    names = [operator(kind, d, rng) for d in rng.uniform(least, most, count)]
    graphs = [scale(name) if kind == "stream" else network(name) for name in names]
    return tabulate(graphs, load_platform(GPU, calibrated=False))


def truth(platform: Platform, table: NetworkTable, off: dict[str, float]) -> np.ndarray:
    theta = {name: value * off.get(name, 1.0) for name, value in platform.fitted.theta.items()}
    return table.seconds(platform, theta, bounded=False)


def error(kind: str, count: int, off: dict[str, float]) -> tuple[float, Calibration]:
    """Return the mean error on large operators after a fit to small ones, and the fit."""
    platform, rng = load_platform(GPU, calibrated=False), np.random.default_rng(7)
    small, large = ((12.0, 20.0), (27.0, 30.0)) if kind == "stream" else ((20, 27), (38, 42))
    few, others = table_of(kind, *small, count), table_of(kind, *large, 20)
    seconds = truth(platform, few, off) * np.exp(NOISE * rng.standard_normal(count))
    result = fit(few, seconds, platform, {})
    predicted = others.seconds(result.platform, result.platform.fitted.theta)
    return float(np.mean(np.abs(predicted / truth(platform, others, off) - 1))), result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [10, 60, 200])
@pytest.mark.parametrize("launch", [0.8, 1.25])
def test_launches_that_are_off_do_not_change_large_operators(
    kind: str, count: int, launch: float
) -> None:
    found, result = error(kind, count, {"launch": launch})
    assert found < 0.02
    assert DEVICE in result.undetermined


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [10, 60])
def test_a_device_that_is_slower_throughout_is_slower_at_large_operators(
    kind: str, count: int
) -> None:
    found, result = error(kind, count, {DEVICE: 3.0})
    assert found < 0.16
    assert DEVICE not in result.undetermined
