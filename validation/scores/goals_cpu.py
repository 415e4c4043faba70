"""The goals for CPUs: engines on boards, threads, boards without measurements."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .bench import Score
from .boards import NOT_TEACHING
from .verdict import Facts, Scores, Verdict, at_least, at_most, percent, pick

_PHONES = {"samsung_a50": 0.985, "pixel3": 0.975}
"""Required rank correlations of NAS-Bench-201 on phones."""
_SPEEDUP = 0.10
_LOW, _HIGH = 0.85, 0.95
_SYSTEMS, _OF_TEN = 0.12, 0.9


def ncnn_goals(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on ncnn: ten rows fitted, and half."""
    few = pick(scores, "ncnn", split="10 measurements")
    half = pick(scores, "ncnn", split="half")
    return [
        *(at_most("ncnn, 10 rows: MAPE", s.device, s.figures.mape, 0.10) for s in few),
        *(at_most("ncnn, half the networks: MAPE", s.device, s.figures.mape, 0.07) for s in half),
    ]


def mlperf_goals(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on MLPerf: the mean over systems, and the number of accurate ones."""
    own = pick(scores, "mlperf", split="half")
    errors = np.array([s.figures.mape for s in own])
    near = float(np.mean(errors <= _SYSTEMS))
    worst = ", ".join(
        f"{s.device} {percent(s.figures.mape)}"
        for s in sorted(own, key=lambda s: -s.figures.mape)
        if s.figures.mape > _SYSTEMS
    )
    return [
        at_most("MLPerf, half: mean MAPE", f"{len(own)} systems", float(errors.mean()), 0.08),
        Verdict(
            "MLPerf, half: 9 of 10 systems under 12 %",
            f"{percent(near)} of {len(own)}" + (f"; not {worst}" if worst else ""),
            near >= _OF_TEN,
        ),
    ]


def paddle_goals(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on Paddle-Lite, half of the networks fitted."""
    own = pick(scores, "paddle_lite", split="half")
    return [at_most("Paddle-Lite, half: MAPE", s.device, s.figures.mape, 0.10) for s in own]


def phone_goals(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on the phones of NAS-Bench-201, ten rows fitted."""
    return [
        at_least(f"NAS-Bench-201, {phone}, 10 rows: Spearman", phone, s.figures.spearman, rank)
        for phone, rank in _PHONES.items()
        for s in pick(scores, "nasbench201", device=phone)
    ]


def board_goals(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdicts on threads, and on boards without measurements."""
    own = pick(scores, "boards")
    weights = [s.scored for s in own]
    coverage = float(np.average([s.figures.coverage for s in own], weights=weights))
    width = float(np.average([s.figures.width for s in own], weights=weights))
    error = _pooled(own)
    steady = _pooled([s for s in own if not any(_is(s, name) for name in NOT_TEACHING)])
    found = [
        at_most("threads from one, ncnn: speed-up, mean error", name, value, _SPEEDUP)
        for name, value in facts.items()
        if name.startswith("threads")
    ]
    return [
        *found,
        Verdict(
            "board never measured: 85-95 % of the rows in the 90 % interval",
            f"{percent(coverage)} of {sum(weights)}, median width {100 * width:.0f} %",
            _LOW <= coverage <= _HIGH,
        ),
        Verdict(
            "board never measured: median error <= 20 %",
            f"{percent(error)}; {percent(steady)} without throttled and unpinned ones",
            error <= 0.20,
        ),
    ]


def _pooled(own: list[Score]) -> float:
    """Return the median over sets of their median errors, each set as often as it has rows [1]."""
    values = np.repeat([s.figures.median for s in own], [s.scored for s in own])
    return float(np.median(values))


def _is(score: Score, name: str) -> bool:
    board, _, engine = name.partition("/")
    return board in score.device and engine in score.device


CPU_GOALS: Mapping[str, tuple[Callable[[Scores, Facts], list[Verdict]], ...]] = {
    "ncnn": (ncnn_goals,),
    "mlperf": (mlperf_goals,),
    "paddle_lite": (paddle_goals,),
    "nasbench201": (phone_goals,),
    "boards": (board_goals,),
}
"""The goals for CPUs by data set."""
