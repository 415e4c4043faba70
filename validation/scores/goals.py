"""The goals that the scores are held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from validation.scores.bench import MODEL, Score


@dataclass(frozen=True)
class Verdict:
    """What became of one goal.

    Parameters
    ----------
    goal, figure : str
        What was wanted, what was found.
    reached : bool
        Whether the goal is reached.
    """

    goal: str
    figure: str
    reached: bool


Scores = Sequence[Score]
Facts = Mapping[str, float]


def verdicts(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdict on every goal whose data set was scored."""
    found: list[Verdict] = []
    scored = {score.data for score in scores}
    for data, goals in _GOALS.items():
        if data in scored or (data == "*" and scored):
            for goal in goals:
                found += goal(scores, facts)
    return found


def _pick(scores: Scores, data: str, **wanted: str) -> list[Score]:
    """Return our own scores of a data set whose fields contain the wanted words."""
    return [
        s
        for s in scores
        if s.data == data
        and s.method == MODEL
        and all(word in getattr(s, name) for name, word in wanted.items())
    ]


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _at_most(goal: str, name: str, value: float, limit: float) -> Verdict:
    return Verdict(f"{goal} <= {100 * limit:.0f} %", f"{name}: {_percent(value)}", value <= limit)


def _paper_tables(scores: Scores, facts: Facts) -> list[Verdict]:
    goal = "paper, Tables 1-4, one left out: MAPE"
    found = []
    for s in _pick(scores, "paper", device="tables 1-4"):
        kind = s.device.split()[0]
        found.append(_at_most(goal, kind.upper(), s.figures.mape, 0.10))
        right, columns = facts[f"{kind} columns in order"], facts[f"{kind} columns"]
        found.append(
            Verdict(
                "paper, Tables 1-4: rows of each column in the paper's order",
                f"{kind.upper()}: {right:.0f} of {columns:.0f} columns",
                right == columns,
            )
        )
    return found


def _paper_table8(scores: Scores, facts: Facts) -> list[Verdict]:
    found = []
    for s in _pick(scores, "paper", device="table8"):
        kind = s.device.split()[0].upper()
        found.append(_at_most("paper, Table 8 from Tables 1-4: MAPE", kind, s.figures.mape, 0.15))
        rho = s.figures.spearman
        found.append(Verdict("paper, Table 8: Spearman >= 0.95", f"{kind}: {rho:.3f}", rho >= 0.95))
    return found


def _paper_figure2(scores: Scores, facts: Facts) -> list[Verdict]:
    return [
        Verdict(
            "paper, Figure 2: each share within 6 points",
            f"{name.split()[0].upper()}: {value:.1f} points at worst",
            value <= 6,
        )
        for name, value in facts.items()
        if name.endswith("figure 2")
    ]


def _nasbench(scores: Scores, facts: Facts) -> list[Verdict]:
    own = _pick(scores, "nasbench201")
    gpus = [s.figures.within10 for s in own if "1080ti" in s.device]
    helped = [s.figures.spearman for s in own if "pi5" not in s.device]
    rho = float(np.mean([s.figures.spearman for s in own]))
    return [
        Verdict(
            "NAS-Bench-201, 10 measurements: mean Spearman >= 0.97",
            f"{rho:.4f} over {len(own)} devices; {np.mean(helped):.4f} over those of HELP",
            rho >= 0.97,
        ),
        Verdict(
            "NAS-Bench-201 on GPUs: >= 85 % within 10 %",
            ", ".join(_percent(share) for share in gpus),
            bool(gpus) and min(gpus) >= 0.85,
        ),
    ]


_FAMILIES = {"elementwise": 0.12, "linear": 0.15, "bmm": 0.15, "conv": 0.18}


def _known_gpu(scores: Scores, facts: Facts) -> list[Verdict]:
    found = []
    for family, limit in _FAMILIES.items():
        for s in _pick(scores, "neusight", split="rows a family", device=f" {family}"):
            goal = f"operators on a known GPU, 200 fitted, {family}: MAPE"
            found.append(_at_most(goal, s.device, s.figures.mape, limit))
    return found


def _unknown_gpu(scores: Scores, facts: Facts) -> list[Verdict]:
    found = []
    for s in _pick(scores, "neusight", split="never measured"):
        (line,) = (
            other.figures.mape
            for other in scores
            if (other.device, other.split, other.method) == (s.device, s.split, "roofline")
        )
        value = s.figures.mape
        found.append(
            Verdict(
                "operators on a GPU never measured: MAPE <= 25 %, better than the roofline",
                f"{s.device}: {_percent(value)}, roofline {_percent(line)}",
                value <= 0.25 and value < line,
            )
        )
    return found


def _arm_networks(scores: Scores, facts: Facts) -> list[Verdict]:
    return [
        _at_most(
            "ncnn and TFLite networks on ARM, half fitted: MAPE", s.device, s.figures.mape, 0.12
        )
        for s in (*_pick(scores, "ncnn"), *_pick(scores, "mlperf"))
    ]


def _intervals(scores: Scores, facts: Facts) -> list[Verdict]:
    found = []
    for data in dict.fromkeys(s.data for s in scores):
        own = [s for s in _pick(scores, data) if not np.isnan(s.figures.coverage)]
        if data == "paper":  # the tables once, not again together
            own = [s for s in own if "tables 1-4" in s.device or "table8" in s.device]
        weights = [s.scored for s in own]
        value = float(np.average([s.figures.coverage for s in own], weights=weights))
        found.append(
            Verdict(
                "90 % intervals cover 85-95 %", f"{data}: {_percent(value)}", 0.85 <= value <= 0.95
            )
        )
    return found


_GOALS: Mapping[str, tuple[Callable[[Scores, Facts], list[Verdict]], ...]] = {
    "paper": (_paper_tables, _paper_table8, _paper_figure2),
    "nasbench201": (_nasbench,),
    "neusight": (_known_gpu, _unknown_gpu),
    "ncnn": (_arm_networks,),
    "*": (_intervals,),
}
