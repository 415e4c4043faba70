"""Calibration on made-up measurements, whose true parameters are known, and designs for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import costmodel as cm
from costmodel.calibration.candidates import candidates
from costmodel.calibration.fit import fit
from costmodel.errors import DataError
from costmodel.prediction.table import tabulate
from costmodel.timing.fitted import with_values
from costmodel.timing.multipliers import DEVICE
from costmodel.timing.spread import STEP, nudged

CPU, GPU, PAPER = "raspberry-pi-4/ncnn", "gtx-1080-ti/torch-eager", "gtx-1080-ti/paper"
PLATFORMS = pytest.mark.parametrize("name", [CPU, GPU, PAPER])
NOISE = 0.05

NETWORKS = ["shufflenet_v2", "mobilenet_v1", "mobilenet_v2", "resnet18", "squeezenet"]
LARGE = [f"conv2d?n=64&cin={c}&cout={c}&size=28&k=1" for c in (256, 512, 1024)]
LARGE += [f"matmul?m={m}&k={m}&n={m}" for m in (2048, 4096)]
LARGE += [f"elementwise?kind={k}&shape=64x{c}x56x56" for k in ("relu", "add") for c in (64, 256)]
TRAIN = [*candidates(), *LARGE, *NETWORKS]

HELD_NETWORKS = ["shufflenet_v2?width=1.5", "mobilenet_v1?width=0.5", "resnet50"]
HELD = [
    f"conv2d?cin={a}&cout={b}&size={s}&k={k}"
    for a, b, s in ((24, 48, 56), (96, 96, 28), (200, 120, 14), (300, 512, 7), (116, 116, 28))
    for k in (1, 3)
]
HELD += [f"depthwise?c={c}&size={s}" for c, s in ((24, 112), (58, 56), (116, 28), (464, 14))]
HELD += [f"elementwise?shape=1x{c}x{s}x{s}" for c, s in ((24, 112), (300, 28), (64, 80))]
HELD += [f"linear?n={n}&cin={c}&cout=500" for n in (1, 64) for c in (300, 1500)]
HELD += [f"pool?kind={k}&c={c}&size=40" for k in ("max", "avg") for c in (50, 150)]
HELD += [f"batch_norm?c={c}&size=28" for c in (50, 150, 400)]


def prior(name: str) -> cm.Platform:
    return cm.load_platform(name, calibrated=False)


def drawn(name: str, seed: int) -> dict[str, float]:
    """Return other parameters of a platform, drawn from their priors."""
    rng = np.random.default_rng(seed)
    return {
        p.name: p.value * np.exp(p.spread * np.clip(rng.standard_normal(), -1.5, 1.5))
        for p in prior(name).fitted.parameters
    }


@cache
def truth(name: str) -> cm.Platform:
    """Return the platform with parameters drawn from their priors, and slower."""
    platform, theta = prior(name), drawn(name, 1)
    # Slower by a multiplier: where the bound of the hardware decides, nothing can be learned.
    theta |= {DEVICE: 1.5, **{name: max(1.0, v) for name, v in theta.items() if "factor_" in name}}
    return replace(platform, fitted=with_values(platform.fitted, theta))


def measured(
    specs: Sequence[str], name: str, seed: int, wrong: float = 0.0
) -> list[cm.Measurement]:
    """Return noisy times under the true parameters; a share of them is 3 to 10 times off."""
    rng = np.random.default_rng(seed)
    bad = set(rng.choice(len(specs), round(wrong * len(specs)), replace=False).tolist())
    rows = []
    for i, spec in enumerate(specs):
        seconds = cm.latency(cm.network(spec), truth(name)).seconds
        seconds *= np.exp(NOISE * rng.standard_normal())
        if i in bad:
            seconds *= rng.uniform(3, 10) ** rng.choice([-1, 1])
        rows.append(cm.Measurement(spec, float(seconds)))
    return rows


@cache
def fitted(name: str, wrong: float) -> cm.Calibration:
    return cm.calibrate(measured(TRAIN, name, seed=2, wrong=wrong), name)


def errors(platform: cm.Platform, rows: Sequence[cm.Measurement]) -> np.ndarray:
    found = [cm.latency(cm.network(m.network), platform).seconds for m in rows]
    return np.array([f / m.seconds - 1 for f, m in zip(found, rows, strict=True)])


# What is recovered


@PLATFORMS
@pytest.mark.parametrize("wrong", [0.0, 0.1])
def test_known_parameters_are_recovered(name: str, wrong: float) -> None:
    result, true = fitted(name, wrong), dict(truth(name).fitted.theta)
    found = dict(result.platform.fitted.theta)
    if name == CPU:
        # A core and the chip limit the traffic to memory: only the lower limit shows.
        for theta in (found, true):
            bandwidth = truth(name).hardware.dram.bandwidth or 0
            limit = min(theta["dram"] * bandwidth, theta["far_bandwidth"])
            theta |= {"far_bandwidth": limit, "dram": limit / bandwidth}
    for p in result.platform.fitted.parameters:
        if p.spread > 0 and p.name not in result.undetermined:
            off = abs(np.log(found[p.name] / true[p.name]))
            assert off < max(3 * p.spread, 0.15), p.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (CPU, {"gemm", "window", "winograd", "pool", "fixed"}),
        # The launch of the device hides behind a host that Python keeps busy.
        (GPU, {"host", "fixed", "norm_call", "winograd"}),
        (f"{PAPER}?transfers=yes", {"group_launch", "winograd", "fixed", "copy"}),
    ],
)
def test_operators_and_networks_determine_the_main_parameters(
    name: str, expected: set[str]
) -> None:
    assert not expected & set(fitted(name, 0.0).undetermined)


@PLATFORMS
@pytest.mark.parametrize(
    "spec", ["matmul?m=3000&k=3000&n=3000", "elementwise?shape=64x128x56x56", "linear?n=1&cin=64"]
)
def test_each_limit_is_recovered_whatever_shares_it(name: str, spec: str) -> None:
    # The tile, the peak and the board power limit a large product on a GPU together: times tell
    # their product, not each of them.
    graph = cm.network(spec)
    found = cm.latency(graph, fitted(name, 0.1).platform).seconds
    assert found == pytest.approx(cm.latency(graph, truth(name)).seconds, rel=0.1)


@PLATFORMS
@pytest.mark.parametrize("wrong", [0.0, 0.1])
def test_held_out_operators_and_networks_are_predicted(name: str, wrong: float) -> None:
    platform = fitted(name, wrong).platform
    rows = measured([*HELD, *HELD_NETWORKS], name, seed=3)
    assert np.mean(np.abs(errors(platform, rows))) < 0.07
    assert np.mean(np.abs(errors(prior(name), rows))) > 0.1  # there was something to learn


@PLATFORMS
def test_intervals_cover_what_they_say(name: str) -> None:
    platform = fitted(name, 0.0).platform
    rows = [m for seed in range(4, 9) for m in measured(HELD, name, seed)]
    intervals = [cm.latency(cm.network(m.network), platform).interval for m in rows]
    covered = [i[0] <= m.seconds <= i[1] for i, m in zip(intervals, rows, strict=True) if i]
    assert len(covered) == len(rows)
    assert 0.8 <= np.mean(covered) <= 0.98


@PLATFORMS
def test_residuals_are_of_the_fitted_rows(name: str) -> None:
    rows = measured(TRAIN, name, seed=2, wrong=0.1)
    result = fitted(name, 0.1)
    assert np.exp(result.residuals) - 1 == pytest.approx(errors(result.platform, rows), rel=1e-6)
    assert result.median_error == pytest.approx(np.median(np.abs(errors(result.platform, rows))))
    assert result.median_error < 0.06
    assert result.platform.fitted.rows == len(rows)


# Little or odd data


def test_what_is_not_measured_keeps_its_prior() -> None:
    rows = measured(["elementwise?shape=1x8x56x56"] * 3, CPU, seed=5)
    result = cm.calibrate(rows, CPU)
    before = {p.name: p for p in prior(CPU).fitted.parameters}
    unseen = {"gemm", "pool", "max_pool", "winograd", "window", "grouped", "cold_call"}
    for p in result.platform.fitted.parameters:
        if p.name in unseen:
            assert p.value == pytest.approx(before[p.name].value, rel=1e-6)
            assert p.spread == pytest.approx(before[p.name].spread, rel=1e-6)
    assert unseen <= set(result.undetermined)


@pytest.mark.parametrize(("name", "n"), [(CPU, 1), (CPU, 10), (GPU, 1), (GPU, 10), (PAPER, 5)])
def test_few_rows_give_a_sane_model(name: str, n: int) -> None:
    where = prior(name)
    designed = tabulate([cm.network(spec) for spec in cm.design(name, n)], where)
    held = tabulate([cm.network(spec) for spec in (*HELD, *HELD_NETWORKS)], where)
    after, before = [], []
    for seed in range(6):  # one device may be unlucky: its fitted rows slow, all others fast
        true = drawn(name, seed)
        noise = np.exp(NOISE * np.random.default_rng(seed).standard_normal(n))
        rows = noise * designed.seconds(where, true, bounded=False)
        result = fit(designed, rows, where, {}).platform
        seconds = held.seconds(where, true, bounded=False)
        for found, p in ((after, result), (before, where)):
            guess = held.seconds(p, p.fitted.theta, bounded=False)
            found.append(np.median(np.abs(guess / seconds - 1)))
    assert np.all(np.isfinite(after))
    assert np.mean(after) < np.mean(before)  # one measurement tells little, but must not do harm
    result = cm.calibrate(measured(cm.design(name, n), name, seed=6), name).platform
    assert np.all(held.log_spread(result) < np.log(10) / 1.645)  # a factor of ten each way


@pytest.mark.parametrize(("name", "scale"), [(CPU, 1e-6), (GPU, 1e7), (PAPER, 1e-6), (PAPER, 1e7)])
def test_impossible_times_leave_parameters_within_physical_bounds(name: str, scale: float) -> None:
    rows = [replace(m, seconds=scale * m.seconds) for m in measured(TRAIN[::2], name, seed=8)]
    result = cm.calibrate(rows, name, as_is=True)
    for p in result.platform.fitted.parameters:
        assert p.lower <= p.value <= p.upper
        assert np.isfinite(p.spread)
    # It does not claim to explain them: its intervals are as wide as it is wrong.
    single = [m.network not in NETWORKS for m in rows]
    wrong = float(np.quantile(np.abs(result.residuals[single]), 0.9)) / 1.645
    assert result.platform.fitted.operator_spread > 0.9 * wrong > 0.15
    seconds = cm.latency(cm.network("resnet18"), result.platform).seconds
    assert 0 < seconds < np.inf


def test_parameters_that_end_at_a_limit_are_named() -> None:
    # A thousand times as fast: no multiplier goes that far.
    rows = [replace(m, seconds=1e-3 * m.seconds) for m in measured(TRAIN, CPU, seed=8)]
    assert DEVICE in cm.calibrate(rows, CPU, as_is=True).at_bounds
    assert DEVICE not in fitted(CPU, 0.0).at_bounds


def test_calibration_is_deterministic() -> None:
    rows = measured(TRAIN, CPU, seed=2, wrong=0.1)
    again, first = cm.calibrate(rows, CPU), fitted(CPU, 0.1)
    assert again.platform.fitted.theta == first.platform.fitted.theta
    assert np.array_equal(again.platform.fitted.covariance, first.platform.fitted.covariance)
    turned = cm.calibrate(rows[::-1], CPU).platform
    assert np.max(np.abs(errors(turned, measured(HELD, CPU, 3)))) < 0.3
    for spec in HELD[:5]:
        graph = cm.network(spec)
        one, two = cm.latency(graph, turned).seconds, cm.latency(graph, first.platform).seconds
        assert one == pytest.approx(two, rel=0.01)


def test_the_batch_of_a_row_counts() -> None:
    said = cm.Measurement("shufflenet_v2?batch=8", 0.5)
    columns = cm.Measurement("shufflenet_v2", 0.5, batch=8)
    one = cm.Measurement("shufflenet_v2", 0.5)
    theta = [cm.calibrate([m], CPU).platform.fitted.theta for m in (said, columns, one)]
    assert theta[0] == theta[1] != theta[2]


# Files


@PLATFORMS
def test_saved_calibrations_predict_the_same(name: str, tmp_path: Path) -> None:
    result = fitted(name, 0.1)
    file = result.save(tmp_path / "c.toml")
    loaded = cm.load_platform(str(file))
    assert loaded.name == name
    assert loaded.fitted.rows == len(TRAIN)
    for spec in (*HELD[:3], *HELD_NETWORKS):
        graph = cm.network(spec)
        kept, read = cm.latency(graph, result.platform), cm.latency(graph, loaded)
        assert read.seconds == pytest.approx(kept.seconds, rel=1e-4)
        assert read.interval == pytest.approx(kept.interval, rel=1e-2)
        assert read.basis == f"{len(TRAIN)} measurements"


def test_calibrations_are_found_by_the_name_of_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path))
    graph = cm.network("resnet18")
    before = cm.latency(graph, CPU).seconds
    result = fitted(CPU, 0.1)
    assert result.save().is_relative_to(tmp_path)
    after = cm.latency(graph, CPU).seconds
    assert after == pytest.approx(cm.latency(graph, result.platform).seconds, rel=1e-4)
    assert abs(after / before - 1) > 2e-3  # far more than the two may differ
    assert cm.latency(graph, prior(CPU)).seconds == pytest.approx(before)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("schema = 1", "schema = 2", "schema 1"),
        ("schema = 1", "schema = ", "not TOML"),
        ("operator_spread", "operator", "operator_spread"),
        ("gemm = {value", "gemm = {size", "wrong field"),
        ("correlation = [[", "correlation = [[9.0, ", "correlation|not TOML|inhomogeneous"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, old: str, new: str, reason: str) -> None:
    file = fitted(CPU, 0.1).save(tmp_path / "broken.toml")
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=reason) as error:
        cm.load_platform(str(file))
    assert "broken.toml" in str(error.value)


def test_rows_that_cannot_be_used_are_named() -> None:
    good = cm.Measurement("conv2d", 1e-3)
    with pytest.raises(DataError, match="no measurements"):
        cm.calibrate([], CPU)
    with pytest.raises(DataError, match=r"row 3.*rtx-3090/torch-eager"):
        cm.calibrate([good, replace(good, platform="rtx-3090/torch-eager")], CPU)
    with pytest.raises(DataError, match="row 2"):
        cm.calibrate([replace(good, network="shufflenet_v9"), good], CPU)
    assert cm.calibrate([replace(good, platform=CPU)], CPU).platform.name == CPU


# Designs


def information(name: str, specs: list[str]) -> float:
    """Return the log determinant of the posterior precision of all parameters."""
    where = prior(name)
    table = tabulate([cm.network(s) for s in specs], where)
    logs = np.log(table.seconds(where, nudged(where.fitted.theta, where.fitted.free)))
    g = (logs[1:] - logs[0]) / STEP / NOISE
    value: float = np.linalg.slogdet(np.linalg.inv(where.fitted.covariance) + g @ g.T)[1]
    return value


@PLATFORMS
def test_a_design_tells_more_than_chance(name: str) -> None:
    chosen = cm.design(name, 15)
    assert len(set(chosen)) == 15
    pool = candidates(cm.load_platform(name, calibrated=False).hardware.kind)
    assert set(chosen) <= set(pool)
    assert chosen == cm.design(name, 15)
    assert chosen[:5] == cm.design(name, 5)
    rng = np.random.default_rng(9)
    random = [information(name, list(rng.choice(pool, 15, replace=False))) for _ in range(10)]
    assert information(name, chosen) > max(random)
    # Each gains, none more than the one before.
    steps = np.diff([information(name, chosen[:n]) for n in range(1, 16)])
    assert np.all(steps > 0)
    assert np.all(np.diff(steps) < 1e-6)


def test_the_candidates_of_a_gpu_fit_it_and_take_seconds() -> None:
    where = cm.load_platform("t4/torch-eager?dtype=float16", calibrated=False)
    graphs = [cm.network(spec) for spec in candidates("gpu")]
    assert sum(cm.latency(g, where).seconds for g in graphs) < 2
    assert max(cm.mac(g) for g in graphs) * 4 < 20e9
    known = {spec.partition("?")[0] for spec in candidates("gpu")} | {
        "identity",
        "concat",
        "matmul",
    }
    assert known >= {spec.partition("?")[0] for spec in candidates()} - {
        "identity",
        "concat",
        "matmul",
    }


def test_the_first_of_a_design_is_the_best_of_all() -> None:
    specs = ["elementwise", "conv2d", "depthwise", "shufflenet_v2", "linear"]
    best = max(specs, key=lambda s: information(CPU, [s]))
    assert cm.design(CPU, 1, specs) == [best]
    assert sorted(cm.design(CPU, 5, specs)) == sorted(specs)


@pytest.mark.parametrize("n", [0, -1, 4])
def test_a_design_has_no_more_than_there_is(n: int) -> None:
    with pytest.raises(DataError, match="1 to 3 measurements"):
        cm.design(CPU, n, ["conv2d", "depthwise", "linear"])
