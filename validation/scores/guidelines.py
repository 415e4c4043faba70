"""Statements of the paper on its Tables 1-4 (guidelines G1 to G4), checked against predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .paper_tables import Cell

_SAME = 0.015
"""Speeds closer than this are equal: the paper's own repetitions differ by as much. [1]"""


class Predicted(Protocol):
    """A table of the paper as predicted."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The printed value."""

    @property
    def seconds(self) -> np.ndarray:
        """The predicted value. [s]."""


@dataclass(frozen=True)
class Claim:
    """One statement of the paper.

    Parameters
    ----------
    guideline, text : str
        The guideline and the claim.
    printed, predicted : str
        The figures of the paper and of the predictions.
    holds : bool
        Whether the predictions show it too.
    """

    guideline: str
    text: str
    printed: str
    predicted: str
    holds: bool


def claims(kind: str, tables: Mapping[str, Predicted]) -> list[Claim]:
    """Return the claims on ``"gpu"`` or ``"arm"``."""
    return [
        _slower_down_the_rows(
            "G1", "each step away from equal channels is slower", tables["table1"]
        ),
        _slower_down_the_rows("G2", "each doubling of groups is slower", tables["table2"]),
        _groups(kind, tables["table2"]),
        *_fragments(kind, tables["table3"]),
        *_elementwise(tables["table4"]),
    ]


def _times(table: Predicted, row: str) -> tuple[np.ndarray, np.ndarray]:
    """Return printed and predicted seconds of a row."""
    index = [i for i, cell in enumerate(table.cells) if cell.row == row]
    return np.array([table.cells[i].seconds for i in index]), table.seconds[index]


def _slower_down_the_rows(guideline: str, text: str, table: Predicted) -> Claim:
    rows = list(dict.fromkeys(cell.row for cell in table.cells))
    both = [_times(table, row) for row in rows]
    shares = []
    for which in (0, 1):
        times = np.array([b[which] for b in both])
        steps = times[1:] / times[:-1]
        shares.append((int(np.sum(steps > 1 - _SAME)), steps.size))
    printed, predicted = (f"{right} of {steps} steps" for right, steps in shares)
    return Claim(guideline, text, printed, predicted, shares[1][0] == shares[1][1])


def _ratios(table: Predicted, slow: str, fast: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor by which a row is slower, printed and predicted, for each column."""
    a, b = _times(table, slow), _times(table, fast)
    return a[0] / b[0], a[1] / b[1]


def _range(factors: np.ndarray) -> str:
    return ", ".join(f"{f:.2f}" for f in factors)


def _groups(kind: str, table: Predicted) -> Claim:
    printed, predicted = _ratios(table, "g=8", "g=1")
    if kind == "gpu":
        text = "8 groups are more than two times slower than 1 (narrow networks)"
        holds = bool(predicted[0] > 2)
    else:
        text = "8 groups are up to 30 % slower than 1 (in speed)"
        holds = bool(0.1 < 1 - 1 / predicted.max() < 0.45)
    return Claim("G2", text, f"x {_range(printed)}", f"x {_range(predicted)}", holds)


def _fragments(kind: str, table: Predicted) -> list[Claim]:
    found = []
    for slow in ("4-fragment-series", "4-fragment-parallel"):
        printed, predicted = _ratios(table, slow, "1-fragment")
        if kind == "gpu":
            text = f"{slow} is about 3 times slower than 1-fragment (narrow networks)"
            holds = bool(predicted[0] > 2)
        else:
            text = f"{slow} is little slower than 1-fragment"
            holds = bool(predicted.max() < 1.3)
        found.append(Claim("G3", text, f"x {_range(printed)}", f"x {_range(predicted)}", holds))
    return found


def _elementwise(table: Predicted) -> list[Claim]:
    with_both, without = "ReLU yes, shortcut yes", "ReLU no, shortcut no"
    printed, predicted = _ratios(table, with_both, without)
    found = [
        Claim(
            "G4",
            "without ReLU and shortcut the network is around 20 % faster",
            f"x {_range(printed)}",
            f"x {_range(predicted)}",
            bool(1.1 < predicted.mean() < 1.35),
        )
    ]
    for row, what in (("ReLU no, shortcut yes", "ReLU"), ("ReLU yes, shortcut no", "shortcut")):
        printed, predicted = _ratios(table, with_both, row)
        text = f"without {what} the network is faster"
        holds = bool(np.all(predicted > 1 - _SAME))
        found.append(Claim("G4", text, f"x {_range(printed)}", f"x {_range(predicted)}", holds))
    return found
