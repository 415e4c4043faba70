"""The goals of the scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from .goals_cpu import CPU_GOALS
from .goals_every import intervals, not_worse
from .goals_gpu import GPU_GOALS
from .verdict import Facts, Scores, at_most, percent, pick
from .verdict import Verdict as Verdict

_LEFT_OUT = 0.09
_TABLE8 = {"gpu": 0.10, "arm": 0.12}
_FIGURE2 = 5
"""Required errors of the paper's tables [1], and of the shares of its Figure 2 [percent]."""


def verdicts(scores: Scores, facts: Facts) -> list[Verdict]:
    """Return the verdict on every goal whose data set was scored."""
    found: list[Verdict] = []
    scored = {score.data for score in scores}
    for data, goals in _GOALS.items():
        if data in scored or (data == "*" and scored):
            for goal in goals:
                found += goal(scores, facts)
    return found


def _paper_tables(scores: Scores, facts: Facts) -> list[Verdict]:
    goal = "paper, Tables 1-4, one left out: MAPE"
    found = []
    for s in pick(scores, "paper", device="tables 1-4"):
        kind = s.device.split()[0]
        found.append(at_most(goal, kind.upper(), s.figures.mape, _LEFT_OUT))
        right, columns = facts[f"{kind} columns in order"], facts[f"{kind} columns"]
        beyond = facts[f"{kind} columns in order beyond rounding"]
        found.append(
            Verdict(
                "paper, Tables 1-4: rows of each column in the paper's order",
                f"{kind.upper()}: {right:.0f} of {columns:.0f} columns, "
                f"{beyond:.0f} apart from pairs that rounding may have turned",
                right == columns,
            )
        )
    return found


def _paper_table8(scores: Scores, facts: Facts) -> list[Verdict]:
    found = []
    for s in pick(scores, "paper", device="table8"):
        kind = s.device.split()[0]
        goal = "paper, Table 8 from Tables 1-4: MAPE"
        found.append(at_most(goal, kind.upper(), s.figures.mape, _TABLE8[kind]))
        rho, said = s.figures.spearman, f"{kind.upper()}: {s.figures.spearman:.3f}"
        found.append(Verdict("paper, Table 8: Spearman >= 0.95", said, rho >= 0.95))
    return found


def _paper_figure2(scores: Scores, facts: Facts) -> list[Verdict]:
    return [
        Verdict(
            f"paper, Figure 2: each share within {_FIGURE2} points",
            f"{name.split()[0].upper()}: {value:.1f} points at worst",
            value <= _FIGURE2,
        )
        for name, value in facts.items()
        if name.endswith("figure 2")
    ]


def _nasbench(scores: Scores, facts: Facts) -> list[Verdict]:
    own = pick(scores, "nasbench201")
    helped = [s.figures.spearman for s in own if "pi5" not in s.device]
    rho = float(np.mean([s.figures.spearman for s in own]))
    found = [
        Verdict(
            "NAS-Bench-201, 10 measurements: mean Spearman >= 0.97",
            f"{rho:.4f} over {len(own)} devices; {np.mean(helped):.4f} over those of HELP",
            rho >= 0.97,
        )
    ]
    for s in own:
        if "080ti" in s.device:
            rank, share = s.figures.spearman, s.figures.within10
            found.append(
                Verdict(
                    "NAS-Bench-201 on GPUs: Spearman >= 0.985, >= 95 % within 10 %",
                    f"{s.device}: {rank:.4f}, {percent(share)}",
                    rank >= 0.985 and share >= 0.95,
                )
            )
    return found


def _together(
    *tables: Mapping[str, tuple[Callable[[Scores, Facts], list[Verdict]], ...]],
) -> dict[str, tuple[Callable[[Scores, Facts], list[Verdict]], ...]]:
    """Return tables of goals as one; a data set may be in several."""
    found: dict[str, tuple[Callable[[Scores, Facts], list[Verdict]], ...]] = {}
    for table in tables:
        for data, goals in table.items():
            found[data] = (*found.get(data, ()), *goals)
    return found


_GOALS = _together(
    {
        "paper": (_paper_tables, _paper_table8, _paper_figure2),
        "nasbench201": (_nasbench,),
    },
    CPU_GOALS,
    GPU_GOALS,
    {"*": (not_worse, intervals)},
)
