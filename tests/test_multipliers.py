"""Multipliers of kinds of kernel and of the host: what they scale, bounds, files without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import costmodel as cm
from costmodel.kinds import KINDS
from costmodel.prediction.table import tabulate
from costmodel.timing.fitted import from_toml, to_toml, with_values
from costmodel.timing.multipliers import DEVICE, HOST, multiplier, multipliers

CPU, GPU = "raspberry-pi-4/ncnn", "rtx-2080-ti/torch-eager"
BOTH = pytest.mark.parametrize("name", [CPU, GPU])
NETWORK = "resnet18?batch=64"


def scaled(name: str, **factors: float) -> cm.Platform:
    platform = cm.load_platform(name, calibrated=False)
    return replace(platform, fitted=with_values(platform.fitted, factors))


def test_there_is_one_for_each_kind_and_one_for_the_host() -> None:
    names = [p.name for p in multipliers()]
    assert sorted(names) == sorted([DEVICE, HOST, *map(multiplier, KINDS)])
    assert all(p.value == 1 and p.spread > 0 for p in multipliers())


@BOTH
def test_a_multiplier_scales_the_kernels_of_its_kind_beyond_their_launch(name: str) -> None:
    graph = cm.network(NETWORK)
    before = cm.latency(graph, scaled(name))
    after = cm.latency(graph, scaled(name, factor_convolution=3.0))
    for k, old in zip(after.kernels, before.kernels, strict=True):
        work = old.terms.model - old.terms.launch
        expected = 2 * work if k.kernel.kind == "convolution" else 0.0
        assert k.terms.learned == pytest.approx(expected)
        assert k.terms.model == pytest.approx(old.terms.model + expected)
        assert k.terms.launch == old.terms.launch
    (slow,) = {k.waits_for for k in after.kernels[:1]}
    assert slow == "learned"  # twice the formula: the multiplier explains the time
    assert "learned" in after.waits()
    assert "learned" not in before.waits()


@BOTH
def test_the_host_scales_launches_and_the_device_everything(name: str) -> None:
    graph = cm.network(NETWORK)
    before = cm.latency(graph, scaled(name))
    host = cm.latency(graph, scaled(name, **{HOST: 2.0}))
    for k, old in zip(host.kernels, before.kernels, strict=True):
        assert k.terms.learned == pytest.approx(old.terms.launch)
        assert k.terms.host == pytest.approx(2 * old.terms.host)
    device = cm.latency(graph, scaled(name, **{DEVICE: 2.0}))
    assert device.device_seconds == pytest.approx(2 * before.device_seconds)


@BOTH
def test_no_multiplier_makes_a_kernel_faster_than_its_bound(name: str) -> None:
    found = cm.latency(cm.network(NETWORK), scaled(name, **{DEVICE: 0.02}))
    assert all(k.seconds >= k.terms.bound > 0 for k in found.kernels)
    assert {k.waits_for for k in found.kernels} == {"bound"}


@BOTH
def test_multipliers_of_one_change_nothing_at_all(name: str) -> None:
    for k in cm.latency(cm.network(NETWORK), scaled(name)).kernels:
        assert k.terms.learned == 0.0


@BOTH
def test_a_fit_learns_the_kind_that_is_slow(name: str) -> None:
    specs = [f"pool?kind=avg&c={c}&size={s}" for c in (32, 64, 128, 256) for s in (28, 56, 112)]
    specs += [f"conv2d?cin={c}&cout=64&size=56&k=3" for c in (16, 32, 64, 128, 256)]
    platform = scaled(name)
    true = scaled(name, factor_pool=2.5)
    table = tabulate([cm.network(spec) for spec in specs], platform)
    seconds = table.seconds(true, true.fitted.theta)
    rows = [cm.Measurement(spec, float(s)) for spec, s in zip(specs, seconds, strict=True)]
    found = cm.calibrate(rows, name).platform
    factors = {multiplier(kind): found.fitted.theta[multiplier(kind)] for kind in KINDS}
    assert max(factors, key=lambda f: factors[f]) == "factor_pool"
    for spec in ("pool?kind=avg&c=96&size=80", "conv2d?cin=48&cout=64&size=56&k=3"):
        graph = cm.network(spec)
        expected = cm.latency(graph, true).seconds
        assert cm.latency(graph, found).seconds == pytest.approx(expected, rel=0.07)


def test_a_calibration_without_multipliers_loads_with_ones(tmp_path: Path) -> None:
    platform = scaled(CPU)
    old = replace(
        platform.fitted,
        parameters=tuple(p for p in platform.fitted.parameters if "factor_" not in p.name),
        covariance=platform.fitted.covariance[: -len(multipliers()), : -len(multipliers())],
    )
    file = tmp_path / "old.toml"
    file.write_text(to_toml(CPU, old), encoding="utf-8")
    _, read = from_toml(file.read_text(encoding="utf-8"), str(file))
    assert {read.theta[p.name] for p in multipliers()} == {1.0}
    assert not {p.name for p in multipliers()} & set(read.free)
    graph = cm.network("resnet18")
    loaded = cm.latency(graph, str(file))
    assert loaded.seconds == pytest.approx(cm.latency(graph, platform).seconds, rel=1e-5)


def test_the_interval_knows_the_errors_of_multipliers() -> None:
    platform = scaled(GPU)
    narrow = replace(
        platform,
        fitted=replace(
            platform.fitted,
            parameters=tuple(
                replace(p, spread=0.0) if "factor_" in p.name else p
                for p in platform.fitted.parameters
            ),
            covariance=platform.fitted.covariance[: -len(multipliers()), : -len(multipliers())],
        ),
    )
    wide = cm.latency(cm.network(NETWORK), platform).interval
    less = cm.latency(cm.network(NETWORK), narrow).interval
    assert wide is not None
    assert less is not None
    assert np.log(wide[1] / wide[0]) > np.log(less[1] / less[0])
