"""Fits to made-up measurements: priors that are far off, wrong rows, few rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from costmodel.calibration.candidates import candidates
from costmodel.calibration.fit import fit
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.table import NetworkTable, tabulate
from costmodel.specs import network
from costmodel.timing.fitted import with_values

NOISE = 0.03
OPERATORS, ENGINE = "raspberry-pi-4/ncnn", "raspberry-pi-4/neon"
NETWORKS = "rtx-2080-ti/torch-eager"
DRAWS, MANY_DRAWS = 2, 6
SEEN = 3  # rows of a kind of operator, of which one may be wrong: of a single one nothing tells
EDGES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


@dataclass(frozen=True)
class World:
    """What can be measured, and how long it takes.

    Parameters
    ----------
    platform : Platform
        With its priors.
    table : NetworkTable
        All rows.
    seconds : ndarray
        Their true times. [s]
    kinds : tuple of str
        Their kinds of operator; one of all networks.
    """

    platform: Platform
    table: NetworkTable
    seconds: np.ndarray
    kinds: tuple[str, ...] = ()


def architecture(rng: np.random.Generator) -> str:
    a, b, c, d, e, f = rng.choice(EDGES, 6)
    return f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|"


@cache
def specs_of(name: str) -> tuple[str, ...]:
    if name != NETWORKS:
        return tuple(candidates())
    rng = np.random.default_rng(3)
    return tuple(f"nasbench201?arch_str={architecture(rng)}&batch=256" for _ in range(140))


@cache
def table_of(name: str) -> NetworkTable:
    where = load_platform(name, calibrated=False)
    return tabulate([network(spec) for spec in specs_of(name)], where)


def world(name: str, off: str, seed: int) -> World:
    """Return a world whose truth is up to three times off the priors."""
    rng = np.random.default_rng(seed)
    platform, table = load_platform(name, calibrated=False), table_of(name)
    theta = dict(platform.fitted.theta)
    for p in platform.fitted.parameters:
        is_kind = p.name.startswith("factor_")
        if (off == "every parameter" and p.spread and not is_kind) or (
            off == "every kind" and is_kind
        ):
            theta[p.name] *= np.exp(rng.uniform(-np.log(3), np.log(3)))
    true = with_values(platform.fitted, theta).theta
    slower = 3 if off == "everything" else 1
    seconds = slower * table.seconds(platform, true, bounded=False)
    return World(platform, table, seconds, tuple(s.partition("?")[0] for s in specs_of(name)))


def drawn(w: World, n: int, wrong: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the fitted rows, what was measured there, and the other rows."""
    rng = np.random.default_rng([seed, n, wrong])
    order = rng.permutation(len(w.seconds))
    rows = np.sort(order[:n])
    measured = w.seconds[rows] * np.exp(NOISE * rng.standard_normal(n))
    kinds = [w.kinds[i] for i in rows if w.kinds]
    seen = [i for i, kind in enumerate(kinds) if kinds.count(kind) >= SEEN]
    bad = rng.choice(seen or n, wrong, replace=False)
    measured[bad] *= rng.uniform(3, 30, wrong) ** rng.choice([-1, 1], wrong)
    return rows, measured, np.sort(order[n : n + 40])


@cache
def errors(name: str, off: str, n: int, wrong: int, draws: int = DRAWS) -> dict[str, float]:
    """Return the mean absolute relative error on other rows, over draws, by method."""
    found: dict[str, list[float]] = {"fitted": [], "priors": [], "one scalar": []}
    for seed in range(draws):
        w = world(name, off, seed)
        rows, measured, others = drawn(w, n, wrong, seed)
        before = w.table.seconds(w.platform, w.platform.fitted.theta)
        scalar = np.exp(np.median(np.log(measured / before[rows])))
        result = fit(w.table.rows(rows), measured, w.platform, {}).platform
        after = w.table.seconds(result, result.fitted.theta, bounded=False)
        for method, guess in (
            ("fitted", after),
            ("priors", before),
            ("one scalar", scalar * before),
        ):
            found[method].append(float(np.mean(np.abs(guess / w.seconds - 1)[others])))
    return {method: float(np.mean(values)) for method, values in found.items()}


@pytest.mark.parametrize("wrong", [0, 10], ids=["clean", "a tenth wrong"])
@pytest.mark.parametrize(
    ("name", "off", "most"),
    [
        # Each platform has its fewest and its most rows; the counts between are on one of them.
        (NETWORKS, "everything", {5: 0.025, 30: 0.015}),
        (NETWORKS, "every parameter", {10: 0.05}),
        (NETWORKS, "every kind", {30: 0.02}),
        (OPERATORS, "everything", {5: 0.15, 100: 0.025}),
        (OPERATORS, "every parameter", {10: 0.28, 30: 0.13, 100: 0.045}),
        # Linear layers on several rows depend on `matmul`, which few of the rows tell.
        (OPERATORS, "every kind", {100: 0.06}),
        (ENGINE, "everything", {10: 0.12, 30: 0.05}),
        (ENGINE, "every parameter", {100: 0.045}),
    ],
)
def test_other_rows_are_predicted(name: str, off: str, most: dict[int, float], wrong: int) -> None:
    for n, limit in most.items():
        if wrong and n * wrong < 100:
            continue  # too few rows for a wrong one: as clean
        found = errors(name, off, n, n * wrong // 100)
        assert found["fitted"] < limit, (n, found)


@pytest.mark.parametrize(
    ("name", "n"),
    [(NETWORKS, 5), (NETWORKS, 10), (OPERATORS, 5), (OPERATORS, 10), (OPERATORS, 30), (ENGINE, 10)],
)
def test_a_fit_is_not_worse_than_priors_nor_than_one_scalar(name: str, n: int) -> None:
    found = errors(name, "every parameter", n, n // 10, MANY_DRAWS)
    assert found["fitted"] < min(found["priors"], found["one scalar"]) + 0.003


@pytest.mark.parametrize("seed", range(3))
def test_arithmetic_that_hides_behind_memory_at_the_start_is_found(seed: int) -> None:
    """With priors, average pooling waits for memory, and its arithmetic has no slope."""
    platform, table = load_platform(NETWORKS, calibrated=False), table_of(NETWORKS)
    theta = dict(platform.fitted.theta)
    theta["window"] /= 10
    w = World(platform, table, table.seconds(platform, theta, bounded=False))
    rows, measured, others = drawn(w, 10, 0, seed)
    result = fit(table.rows(rows), measured, platform, {}).platform
    after = table.seconds(result, result.fitted.theta, bounded=False)
    assert np.mean(np.abs(after / w.seconds - 1)[others]) < 0.04
