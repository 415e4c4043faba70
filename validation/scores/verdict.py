"""Verdicts on goals, and look-up of their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .bench import MODEL, Score


@dataclass(frozen=True)
class Verdict:
    """The verdict on one goal.

    Parameters
    ----------
    goal, figure : str
        The goal and the result.
    reached : bool
        Whether the goal is reached.
    """

    goal: str
    figure: str
    reached: bool


Scores = Sequence[Score]
Facts = Mapping[str, float]


def pick(scores: Scores, data: str, method: str = MODEL, **wanted: str) -> list[Score]:
    """Return the scores of a data set and method whose fields contain the wanted words."""
    return [
        s
        for s in scores
        if s.data == data
        and s.method == method
        and all(word in getattr(s, name) for name, word in wanted.items())
    ]


def beside(scores: Scores, score: Score, method: str) -> Score | None:
    """Return the score of another method on the same rows, None if it was not run."""
    for s in scores:
        same = (s.data, s.device, s.split) == (score.data, score.device, score.split)
        if same and s.method == method:
            return s
    return None


def percent(value: float) -> str:
    """Return a share as text."""
    return f"{100 * value:.1f} %"


def at_most(goal: str, name: str, value: float, limit: float) -> Verdict:
    """Return the verdict on a figure that must not exceed a limit."""
    return Verdict(f"{goal} <= {100 * limit:.0f} %", f"{name}: {percent(value)}", value <= limit)


def at_least(goal: str, name: str, value: float, limit: float) -> Verdict:
    """Return the verdict on a rank correlation that must reach a limit."""
    return Verdict(f"{goal} >= {limit:g}", f"{name}: {value:.3f}", value >= limit)
