"""The residual over the shape of kernels: learnt, 0 far away, off with few rows, not poisoned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sympy
from rich.console import Console

import costmodel as cm
from costmodel.calibration.fit import Calibration, fit
from costmodel.calibration.surfaces import FEWEST, INDUCING
from costmodel.errors import DataError
from costmodel.prediction.table import NetworkTable, tabulate
from costmodel.report import collect
from costmodel.report.document import report_document
from costmodel.report.terminal import print_report
from costmodel.timing.fitted import from_toml, to_toml, with_values
from costmodel.timing.surface import SIZES, Surface, missed
from costmodel_validation.scores.transfer import transferred

GPU, CPU = "h100-sxm/cuda-graphs", "raspberry-pi-4/ncnn"
FAR = "linear?n=16&cin=262144&cout=16&bias=false"


def shapes(count: int, seed: int = 0) -> list[tuple[int, int, int]]:
    rng = np.random.default_rng(seed)
    return [tuple(int(2**x) for x in rng.uniform(6, 13, 3)) for _ in range(count)]  # type: ignore[misc]


@cache
def table_for(name: str, count: int, seed: int = 0) -> NetworkTable:
    specs = [f"linear?n={n}&cin={k}&cout={m}&bias=false" for n, k, m in shapes(count, seed)]
    return tabulate([cm.network(spec) for spec in specs], cm.load_platform(name, calibrated=False))


def wave(count: int, seed: int = 0) -> np.ndarray:
    """Return a residual that no parameter of a formula has: it goes up and down with sizes."""
    n, k, _ = np.log2(np.array(shapes(count, seed), dtype=float)).T
    return np.asarray(0.3 * np.sin(1.2 * n) * np.cos(0.8 * k))


@cache
def taught(name: str, count: int = 200, wrong: float = 0.0) -> Calibration:
    """Return a fit to times with the wave, some of them three times as long or short."""
    platform, rng = cm.load_platform(name, calibrated=False), np.random.default_rng(1)
    table = table_for(name, count)
    logs = np.log(table.seconds(platform, platform.fitted.theta)) + wave(count)
    logs += 0.02 * rng.standard_normal(count)
    logs += np.log(3) * rng.choice([-1, 1], count) * (rng.random(count) < wrong)
    return fit(table, np.exp(logs), platform, {})


def off(platform: cm.Platform, name: str) -> float:
    """Return the mean error on rows that were not fitted."""
    prior, table = cm.load_platform(name, calibrated=False), table_for(name, 300, 7)
    true = np.log(table.seconds(prior, prior.fitted.theta)) + wave(300, 7)
    return float(np.mean(np.abs(np.log(table.seconds(platform, platform.fitted.theta)) - true)))


def without(platform: cm.Platform) -> cm.Platform:
    return replace(platform, fitted=replace(platform.fitted, surfaces=()))


@pytest.mark.parametrize("name", [GPU, CPU])
def test_a_surface_learns_what_the_formula_misses(name: str) -> None:
    found = taught(name).platform
    (surface,) = found.fitted.surfaces
    assert (surface.kind, len(surface.weights) <= INDUCING) == ("linear", True)
    assert off(found, name) < 0.75 * off(without(found), name)
    assert np.mean(np.abs(taught(name).residuals)) < 0.07  # of the rows themselves


def test_wrong_rows_do_not_poison_it() -> None:
    clean, wrong = (off(taught(GPU, wrong=w).platform, GPU) for w in (0.0, 0.1))
    assert wrong < 1.25 * clean
    assert wrong < 0.85 * off(without(taught(GPU).platform), GPU)


def test_far_from_all_rows_the_formula_stands_alone_and_the_interval_is_wide() -> None:
    found = taught(GPU).platform
    bare, (surface,) = without(found), found.fitted.surfaces
    assert cm.latency(cm.network(FAR), found).seconds == pytest.approx(
        cm.latency(cm.network(FAR), bare).seconds, rel=0.1
    )
    away = [np.array(40.0)] * len(SIZES)
    assert abs(surface.mean(away)) < 1e-6
    assert surface.variance(away) == pytest.approx(surface.signal**2)
    assert surface.variance(list(surface.shapes[0])) < 0.3 * surface.signal**2
    near = "linear?n={}&cin={}&cout={}&bias=false".format(*shapes(1)[0])
    widths = []
    for spec in (near, FAR):
        low, high = cm.latency(cm.network(spec), found).interval or (0, 0)
        widths.append(float(high / low))
    assert widths[1] > 1.2 * widths[0]


def test_intervals_cover_rows_that_were_not_fitted() -> None:
    found, table = taught(GPU).platform, table_for(GPU, 300, 7)
    prior = cm.load_platform(GPU, calibrated=False)
    true = np.log(table.seconds(prior, prior.fitted.theta)) + wave(300, 7)
    z = np.log(table.seconds(found, found.fitted.theta)) - true
    assert 0.83 < np.mean(np.abs(z) < 1.645 * table.log_spread(found)) <= 0.99


@pytest.mark.parametrize(("count", "learnt"), [(FEWEST - 1, False), (FEWEST + 30, True)])
def test_it_is_off_where_rows_are_few(count: int, learnt: bool) -> None:
    assert bool(taught(GPU, count).platform.fitted.surfaces) == learnt


def test_it_is_off_where_the_formula_misses_nothing_that_shapes_explain() -> None:
    platform, rng = cm.load_platform(GPU, calibrated=False), np.random.default_rng(3)
    table = table_for(GPU, 200)
    noise = np.exp(0.1 * rng.standard_normal(200))
    found = fit(table, noise * table.seconds(platform, platform.fitted.theta), platform, {})
    assert found.platform.fitted.surfaces == ()


def test_whole_networks_teach_none_and_other_kinds_have_none() -> None:
    platform = cm.load_platform(GPU, calibrated=False)
    networks = [cm.network(f"mobilenet_v1?width={w}") for w in np.linspace(0.25, 2, FEWEST + 5)]
    table = tabulate(networks, platform)
    seconds = table.seconds(platform, platform.fitted.theta)
    assert fit(table, seconds, platform, {}).platform.fitted.surfaces == ()
    found = taught(GPU).platform
    pool = cm.latency(cm.network("pool?kind=avg&c=64&size=56"), found)
    assert [k.terms.residual for k in pool.kernels] == [0.0]


def test_a_kernel_inside_a_network_and_a_bound() -> None:
    found = taught(GPU).platform
    for spec in ("linear?n=256&cin=1024&cout=512", "resnet18?batch=8"):
        for k in cm.latency(cm.network(spec), found).kernels:
            assert k.seconds >= k.terms.bound
            assert (k.terms.residual != 0) == (k.kernel.kind == "linear")
            parts = k.terms.model - k.terms.residual
            assert parts > 0
    (surface,) = found.fitted.surfaces
    fast = replace(surface, weights=np.full(len(surface.weights), -100.0))
    fitted = replace(found.fitted, surfaces=(fast,))
    for k in cm.latency(cm.network(spec), replace(found, fitted=fitted)).kernels:
        assert k.seconds >= k.terms.bound
        assert k.kernel.kind != "linear" or k.waits_for == "bound"


def test_it_comes_back_from_its_file_and_is_printed() -> None:
    found = taught(GPU).platform
    text = to_toml(found.name, found.fitted)
    assert "surfaces" in text
    again = replace(found, fitted=from_toml(text, "a file")[1])
    table = table_for(GPU, 300, 7)
    for one in (table.seconds, lambda p, _: table.log_spread(p)):
        assert one(again, again.fitted.theta) == pytest.approx(
            one(found, found.fitted.theta), rel=2e-2
        )
    assert to_toml(found.name, again.fitted).count("kind") == text.count("kind")
    bare = without(found)
    assert from_toml(to_toml(bare.name, bare.fitted), "an old file")[1].surfaces == ()


def test_it_is_printed_beside_the_other_terms() -> None:
    found = taught(GPU).platform
    i = int(np.argmax(wave(200)))
    graph = cm.network("linear?n={}&cin={}&cout={}&bias=false".format(*shapes(200)[i]))
    for platform, there in ((found, True), (without(found), False)):
        report = collect(graph, cm.latency(graph, platform))
        console = Console(width=120, record=True)
        print_report(console, report)
        assert ("residual" in console.export_text()) == there
        (kernel,) = report_document(report)["prediction"]["kernels"]
        assert (kernel["residual_seconds"] > 0) == there


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "linear"', 'kind = "lineal"', "kind of kernel"),
        ("signal = ", "signal = -", "above 0"),
        ('"special"', '"spatial"', "calibrate again"),
        ("rows = [[", "rows = [[-1", "sizes and a weight"),
    ],
)
def test_a_damaged_file_is_refused(old: str, new: str, message: str) -> None:
    found = taught(GPU).platform
    text = to_toml(found.name, found.fitted)
    assert old in text
    with pytest.raises(DataError, match=message):
        from_toml(text.replace(old, new, 1), "a file")


@pytest.mark.parametrize("make", [float, lambda x: np.array([x, 2 * x]), sympy.Float])
def test_numbers_arrays_and_symbols_agree(make: Callable[[float], object]) -> None:
    (surface,) = taught(GPU).platform.fitted.surfaces
    shape = [float(x) for x in surface.shapes[3]]
    expected = surface.mean([np.array(x) for x in shape])
    got = surface.mean([make(x) for x in shape])  # type: ignore[misc]
    first = got[0] if isinstance(got, np.ndarray) else got
    assert float(first) == pytest.approx(float(expected))


def test_a_network_of_symbols_has_the_same_residual() -> None:
    found, n = taught(CPU).platform, cm.dim("n")
    open_one = cm.latency(cm.zoo.linear(n=n, cin=512, cout=256, bias=False), found).seconds
    closed = cm.latency(cm.zoo.linear(n=300, cin=512, cout=256, bias=False), found).seconds
    assert float(open_one.subs(n, 300)) == pytest.approx(float(closed), rel=1e-6)
    sizes = cm.latency(cm.zoo.linear(n=np.array([30, 300]), cin=512, cout=256, bias=False), found)
    assert float(sizes.seconds[1]) == pytest.approx(float(closed))
    one = cm.latency(cm.zoo.linear(n=300, cin=512, cout=256, bias=False), found)
    assert sizes.interval is not None
    assert one.interval is not None
    assert float(sizes.interval[1][1]) == pytest.approx(float(one.interval[1]), rel=1e-3)


def test_a_host_is_not_taught_by_that_of_another_gpu() -> None:
    teacher, platform = taught(GPU).platform, cm.load_platform(GPU, calibrated=False)
    other = {"host": 9e-5, "fixed": 3e-5, "factor_host": 2.0, "dram": 0.5}
    changed = tuple(replace(p, value=other.get(p.name, p.value)) for p in teacher.fitted.parameters)
    teacher = replace(teacher, fitted=replace(teacher.fitted, parameters=changed))
    prior, found = platform.fitted.theta, transferred(platform, [teacher]).fitted
    assert all(found.theta[name] == prior[name] for name in ("host", "fixed", "factor_host"))
    assert found.theta["dram"] == pytest.approx(0.5)
    assert len(found.free) == len(found.covariance)


def test_errors_of_teachers_are_transferred_with_their_correlation() -> None:
    teacher, platform = taught(GPU).platform, cm.load_platform(GPU, calibrated=False)
    found, table = transferred(platform, [teacher, teacher]), table_for(GPU, 300, 7)
    bare = [replace(p, fitted=replace(p.fitted, surfaces=())) for p in (found, teacher)]
    of_host = set(found.fitted.free) - set(teacher.fitted.free)
    assert of_host <= {"host", "fixed", "factor_host"}
    wide, own = (table.log_spread(p) for p in bare)
    # The host is a machine of its own, and its prior adds to the error.
    assert np.all(wide > 0.9 * own)
    assert np.median(wide / own) < 1.1
    disagreeing = replace(teacher, fitted=with_values(teacher.fitted, {"dram": 0.5}))
    both = transferred(platform, [teacher, disagreeing]).fitted
    index = both.free.index("dram")
    theirs = np.log([teacher.fitted.theta["dram"], 0.5])
    expected = teacher.fitted.covariance[index, index] + theirs.var(ddof=1)
    assert both.covariance[index, index] == pytest.approx(expected)


def test_what_teachers_have_in_common_is_transferred() -> None:
    teacher, platform = taught(GPU).platform, cm.load_platform(GPU, calibrated=False)
    (surface,) = teacher.fitted.surfaces
    contrary = replace(surface, weights=-surface.weights)
    other = replace(teacher, fitted=replace(teacher.fitted, surfaces=(contrary,)))
    same = transferred(platform, [teacher, teacher]).fitted.surfaces
    (w,) = {part.workload.kind: part.workload for part in table_for(GPU, 300, 7).stacks}.values()
    assert np.asarray(missed(w, same)) == pytest.approx(np.asarray(missed(w, (surface,))))
    assert all(s.noise >= teacher.fitted.operator_spread for s in same)
    assert transferred(platform, [teacher, other]).fitted.surfaces == ()
    assert transferred(platform, [teacher]).fitted.surfaces == ()


def test_a_surface_of_one_row() -> None:
    row = Surface("linear", "float32", 2.0, 0.2, 0.02, np.zeros((1, len(SIZES))), np.array([0.5]))
    shape = [0.0] * (len(SIZES) - 1) + [2.0]
    assert row.mean(shape) == pytest.approx(0.5 / np.e)
    assert row.variance(shape) == pytest.approx(0.04 * (1 - np.exp(-2) / 1.01))
