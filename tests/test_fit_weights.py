"""How much rows count against the priors: all, where they are clean; less, where they mislead."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import costmodel as cm
from costmodel.calibration.fit import Calibration, fit
from costmodel.calibration.posed import Posed
from costmodel.calibration.weights import FEWEST
from costmodel.prediction.table import NetworkTable, tabulate

GPU = "h100-sxm/cuda-graphs"
ATTENTION = "attention?n={}&heads=16&kv_heads=16&length={}&keys={}&depth=64&causal=false"
LINEAR = "linear?n={}&cin={}&cout={}&bias=false"
CELL = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"
EDGES = ("skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
SEEDS = 6


@cache
def table_of(kind: str, least: float, most: float, count: int) -> NetworkTable:
    """Return operators between two numbers of multiply-adds, as powers of two."""
    rng = np.random.default_rng(11)
    specs = []
    for doublings in rng.uniform(least, most, count):
        if kind == "attention":
            length = int(2 ** rng.uniform(6, 11))
            n = max(1, int(2 ** (doublings - 11) / length**2))
            specs.append(ATTENTION.format(n, length, length) + "&dtype=bfloat16")
        else:
            sides = 2 ** (doublings / 3 + rng.uniform(-1, 1, 3))
            specs.append(LINEAR.format(*sides.astype(int)) + "&dtype=bfloat16")
    return tabulate([cm.network(spec) for spec in specs], cm.load_platform(GPU, calibrated=False))


def prior_times(table: NetworkTable) -> np.ndarray:
    platform = cm.load_platform(GPU, calibrated=False)
    return table.seconds(platform, platform.fitted.theta)


def off(result: Calibration, table: NetworkTable, true: np.ndarray) -> float:
    times = table.seconds(result.platform, result.platform.fitted.theta)
    return float(np.mean(np.abs(times / true - 1)))


@pytest.mark.parametrize("kind", ["attention", "linear"])
def test_small_operators_that_the_formula_misses_do_not_change_large_ones(kind: str) -> None:
    """Small kernels take a third longer than predicted, large ones as long."""
    small, large = table_of(kind, 18, 36, 200), table_of(kind, 38, 42, 20)
    size = np.log2(prior_times(small) / 1e-6)
    rng = np.random.default_rng(2)
    slower = 0.35 / (1 + np.exp(2 * (size - 5.5))) + 0.03 * rng.standard_normal(200)
    platform = cm.load_platform(GPU, calibrated=False)
    result = fit(small, prior_times(small) * np.exp(slower), platform, {})
    assert off(result, large, prior_times(large)) < 0.06
    assert np.mean(np.abs(result.residuals)) < 0.05  # between fitted shapes the surface corrects


def test_few_rows_of_noise_do_not_make_predictions_worse() -> None:
    few, others = table_of("linear", 24, 38, 10), table_of("linear", 24, 39, 60)
    platform, errors, weights = cm.load_platform(GPU, calibrated=False), [], []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        noisy = prior_times(few) * np.exp(0.3 * rng.standard_normal(10))
        result = fit(few, noisy, platform, {})
        errors.append(off(result, others, prior_times(others)))
        weights.append(result.weight)
    assert np.mean(errors) < 0.07
    assert np.median(weights) <= 0.1


def test_clean_rows_of_a_slow_device_count() -> None:
    few, others = table_of("linear", 24, 38, 10), table_of("linear", 24, 39, 60)
    platform = cm.load_platform(GPU, calibrated=False)
    theta = {**platform.fitted.theta, "factor_device": 3.0}
    seconds, true = (t.seconds(platform, theta, bounded=False) for t in (few, others))
    noisy = seconds * np.exp(0.03 * np.random.default_rng(0).standard_normal(10))
    assert off(fit(few, noisy, platform, {}), others, true) < 0.08


def test_a_weight_of_zero_leaves_the_priors() -> None:
    few = table_of("linear", 24, 38, 10)
    platform = cm.load_platform(GPU, calibrated=False)
    posed = Posed(few, 3 * prior_times(few), platform)
    found, prior = posed.estimate(0.0), posed.problem
    assert found.x == pytest.approx(prior.mean)
    assert found.residual == pytest.approx(-np.log(3))
    assert np.all(found.leverage == 0)


def test_a_smaller_weight_stays_nearer_to_the_priors() -> None:
    few = table_of("linear", 24, 38, 10)
    posed = Posed(few, 1.3 * prior_times(few), cm.load_platform(GPU, calibrated=False))
    moved = [np.abs(posed.estimate(w).residual).mean() for w in (1.0, 0.1, 0.01, 0.0)]
    assert moved == sorted(moved)


def test_too_few_rows_do_not_choose_a_weight() -> None:
    few = table_of("linear", 24, 38, 10).rows(np.arange(FEWEST - 1))
    rng = np.random.default_rng(1)
    noisy = prior_times(few) * np.exp(0.3 * rng.standard_normal(FEWEST - 1))
    assert fit(few, noisy, cm.load_platform(GPU, calibrated=False), {}).weight == 1.0


def test_the_command_says_that_rows_taught_nothing() -> None:
    from costmodel.cli.fitted import _said_of

    assert "taught next to nothing" in _said_of(0.01)
    assert "priors: 0.3, which" in _said_of(0.3)
    assert "nothing" not in _said_of(0.3)


@pytest.mark.parametrize("factor", [1, 2])
def test_rows_of_networks_keep_their_weight(factor: int) -> None:
    platform = cm.load_platform("raspberry-pi-4/ncnn", calibrated=False)
    specs = [f"mobilenet_v2?width={w}&size={s}" for w in (0.5, 1.0) for s in (96, 128, 160, 192)]
    table = tabulate([cm.network(spec) for spec in specs], platform)
    noise = np.exp(0.01 * np.random.default_rng(0).standard_normal(len(specs)))
    seconds = factor * noise * table.seconds(platform, platform.fitted.theta)
    result = fit(table, seconds, platform, {})
    assert result.weight == 1.0  # rows that the priors predict confirm them: intervals get short
    assert result.median_error < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_one_network_that_computes_nothing_determines_the_fixed_cost(seed: int) -> None:
    """Beside nine others it has no noise of its own, by which it would explain itself."""
    platform = cm.load_platform("snapdragon-845/tflite-toco", calibrated=False)
    cells = np.random.default_rng(3).choice(EDGES, (9, 6))
    graphs = [cm.network(f"nasbench201?arch_str={CELL.format(*cell)}") for cell in cells]
    graphs.append(cm.network(f"nasbench201?arch_str={CELL.format(*EDGES[1:], *['none'] * 3)}"))
    table = tabulate(graphs, platform)
    assert table.kernels[-1] == 1
    noisy = np.exp(0.15 * np.random.default_rng(seed).standard_normal(10))
    true = table.seconds(platform, {**platform.fitted.theta, "fixed": 4e-6})
    result = fit(table, noisy * true, platform, {})
    assert 3e-6 < result.platform.fitted.theta["fixed"] < 8e-6
