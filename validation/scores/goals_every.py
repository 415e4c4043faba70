"""The goals for every data set: calibration never harms, and intervals cover."""

from __future__ import annotations

import numpy as np

from .bench import PRIORS, Score
from .verdict import Facts, Scores, Verdict, beside, percent, pick

TOLERANCE = 0.003
"""By how much a calibrated error may exceed that of a simpler model. [1]"""
_SIMPLER = (PRIORS, "roofline x scalar")
NETWORKS = ("paper", "nasbench201", "ncnn", "mlperf", "paddle_lite", "timm", "boards")
"""Sets of whole networks; the others are of single operators."""
_COVERED = (0.85, 0.95)
_SURE = 1.96
"""Standard deviations of a count that a coverage may lie outside."""


def not_worse(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return, for each set, whether the calibrated model is beaten by a simpler one."""
    found = []
    for data in dict.fromkeys(s.data for s in scores):
        for method in _SIMPLER:
            own = [(s, beside(scores, s, method)) for s in _apart(pick(scores, data))]
            gaps = [
                (s.figures.mape - other.figures.mape, f"{s.device}, {s.split}")
                for s, other in own
                if other is not None and s.fitted > 0
            ]
            if gaps:
                worst, where = max(gaps)
                right = sum(gap <= TOLERANCE for gap, _ in gaps)
                figure = f"{data}: {right} of {len(gaps)} tables"
                if worst > TOLERANCE:
                    figure += f", {100 * worst:.1f} points worse on {where}"
                name = "uncalibrated" if method == PRIORS else method
                goal = f"calibrated is not worse than {name}: MAPE, 0.3 points allowed"
                found.append(Verdict(goal, figure, right == len(gaps)))
    return sorted(found, key=lambda v: v.goal)


def intervals(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return, for each runtime, whether the 90 % intervals have their nominal coverage."""
    found = []
    for kind, is_network in (("networks", True), ("operators", False)):
        own: dict[str, list[Score]] = {}
        for data in dict.fromkeys(s.data for s in scores):
            if (data in NETWORKS) == is_network:
                for s in _apart(pick(scores, data)):
                    if not np.isnan(s.figures.coverage):
                        own.setdefault(s.runtime or data, []).append(s)
        for runtime, of_runtime in own.items():
            found.append(_interval(f"{runtime}, {kind}", of_runtime))
    return found


def _apart(own: list[Score]) -> list[Score]:
    """Return the scores, with those of the paper's tables only once."""
    if own and own[0].data == "paper":
        return [s for s in own if "tables 1-4" in s.device or "table8" in s.device]
    return own


def _interval(name: str, own: list[Score]) -> Verdict:
    weights = [s.scored for s in own]
    value = float(np.average([s.figures.coverage for s in own], weights=weights))
    width = float(np.average([s.figures.width for s in own], weights=weights))
    slack = _SURE * float(np.sqrt(0.09 / sum(weights)))
    low, high = _COVERED
    return Verdict(
        "90 % intervals cover 85-95 % of the rows of a runtime",
        f"{name}: {percent(value)} of {sum(weights)}, median width {100 * width:.0f} %",
        low - slack <= value <= high + slack,
    )
