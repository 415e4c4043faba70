"""Scores on the paper's own tables: leave one table out, Table 8, Figure 2."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from costmodel.platforms import Platform, load_platform
from costmodel.prediction.table import tabulate
from costmodel.specs import network

from .baselines import BASELINES
from .bench import MODEL, Bench, Guess, Score, scores_of
from .figure2 import worst_distance
from .paper_tables import PLATFORMS, TABLES, Cell, cells
from .splits import Split, leave_out

_LEFT_OUT = "one table left out"
WHOLE = "?transfers=yes"
"""Settings of the platforms for whole networks: images are transferred to the device and back."""
CONTRADICTED = (
    ("table3", "4-fragment-series", "gpu_c128"),
    ("table3", "4-fragment-parallel", "gpu_c128"),
)
"""Cells that another table contradicts: they have 33 and 36 us for each of 40 1x1 convolutions of
64 to 64 channels, where Table 2 (256 channels in 4 groups, one after the other) has 24 us."""
REPEATABLE = 0.015
"""Printed speeds closer than this share have no order (Table 2, g = 1, against Table 3). [1]"""
_HALF_DIGIT = {"gpu": 0.5, "arm": 0.05}
"""Half of the last digit of the printed speeds. [1/s]"""


@dataclass(frozen=True)
class PaperBench:
    """The paper's cells on one of its platforms.

    Parameters
    ----------
    cells : tuple of Cell
        The printed cells.
    bench : Bench
        The same, tabulated.
    """

    cells: tuple[Cell, ...]
    bench: Bench

    @property
    def tables(self) -> list[str]:
        """The table of each cell."""
        return [cell.table for cell in self.cells]


def paper_bench(kind: str, tables: tuple[str, ...] = TABLES) -> PaperBench:
    """Return some tables on ``"gpu"`` or ``"arm"``; Tables 1-4 have no transfer of whole images.

    Examples
    --------
    >>> len(paper_bench("arm", ("table1",)).cells)
    12
    """
    found = tuple(cells(kind, tables))
    settings = "" if set(tables) <= set(TABLES) else WHOLE
    platform = load_platform(PLATFORMS[kind] + settings, calibrated=False)
    graphs = [network(cell.network) for cell in found]
    seconds = np.array([cell.seconds for cell in found])
    groups = ("",) * len(found)
    return PaperBench(found, Bench(platform, tabulate(graphs, platform), seconds, groups))


def score_paper(kind: str) -> tuple[list[Score], dict[str, float]]:
    """Return the scores of ``"gpu"`` or ``"arm"``, and the facts for goals."""
    stacks = paper_bench(kind)
    splits = [leave_out(stacks.tables, table) for table in TABLES]
    apart = [stacks.bench.guesses(split) for split in splits]
    scores = []
    for table, split, guess in zip(TABLES, splits, apart, strict=True):
        scores += scores_of("paper", f"{kind} {table}", _LEFT_OUT, stacks.bench, [split], [guess])
    whole, joined = _joined(splits, apart)
    together = scores_of("paper", f"{kind} tables 1-4", _LEFT_OUT, stacks.bench, [whole], [joined])
    rest = len(stacks.cells) * (len(TABLES) - 1) // len(TABLES)  # fitted on average
    scores += [replace(score, fitted=rest) for score in together]
    order = np.argsort(whole.scored)
    ours = joined[MODEL].seconds[order]
    right, columns = columns_in_order(stacks.cells, ours)
    beyond_digits, _ = columns_in_order(stacks.cells, ours, _HALF_DIGIT[kind])
    fitted = stacks.bench.fitted(np.arange(len(stacks.cells)))
    scores += _table8(kind, fitted)
    return scores, cost_of_contradictions(kind, stacks, whole, joined[MODEL]) | {
        f"{kind} columns in order": right,
        f"{kind} columns in order beyond rounding": beyond_digits,
        f"{kind} columns": columns,
        f"{kind} figure 2": worst_distance(kind, with_transfers(kind, fitted)),
    }


def contradicted(found: tuple[Cell, ...]) -> np.ndarray:
    """Return a mask of the cells that another table contradicts.

    Examples
    --------
    >>> int(contradicted(tuple(cells("gpu"))).sum()), int(contradicted(tuple(cells("arm"))).sum())
    (2, 0)
    """
    return np.array([(c.table, c.row, c.column) in CONTRADICTED for c in found])


def cost_of_contradictions(
    kind: str, stacks: PaperBench, whole: Split, guess: Guess
) -> dict[str, float]:
    """Return the mean error of the contradicted cells, and that of all others without them.

    The latter is leave-one-table-out again, the contradicted cells neither fitted nor scored.
    """
    out = contradicted(stacks.cells)
    if not out.any():
        return {}
    errors = np.abs(guess.seconds / stacks.bench.seconds[whole.scored] - 1)
    others = []
    for table in TABLES:
        split = leave_out(stacks.tables, table)
        scored = split.scored[~out[split.scored]]
        where = stacks.bench.fitted(split.fitted[~out[split.fitted]])
        predicted = stacks.bench.predict(where, scored).seconds
        others.append(np.abs(predicted / stacks.bench.seconds[scored] - 1))
    return {
        f"{kind} contradicted cells": float(errors[out[whole.scored]].mean()),
        f"{kind} tables 1-4 without them": float(np.concatenate(others).mean()),
    }


def with_transfers(kind: str, fitted: Platform) -> Platform:
    """Return the paper's platform for whole networks, with parameters from Tables 1-4."""
    return replace(load_platform(PLATFORMS[kind] + WHOLE, calibrated=False), fitted=fitted.fitted)


def columns_in_order(
    found: tuple[Cell, ...], seconds: np.ndarray, half_digit: float = 0.0
) -> tuple[int, int]:
    """Return the number of columns with the paper's order of rows, and of all columns.

    Two speeds have no order if they differ by less than :data:`REPEATABLE` and the ``half_digit``
    by which each may have been rounded [1/s].
    """
    names = np.array([f"{cell.table} {cell.column}" for cell in found])
    measured = np.array([cell.seconds for cell in found])
    rounded = half_digit * measured
    right = 0
    for name in dict.fromkeys(names):
        rows = np.flatnonzero(names == name)
        ratio = np.log(measured[rows, None] / measured[None, rows])
        ours = np.log(seconds[rows, None] / seconds[None, rows])
        equal = REPEATABLE + rounded[rows, None] + rounded[None, rows]
        right += bool(np.all((np.abs(ratio) < equal) | (ratio * ours > 0)))
    return right, len(set(names))


def _joined(splits: list[Split], apart: list[dict[str, Guess]]) -> tuple[Split, dict[str, Guess]]:
    """Return the splits that together score every cell once, as one."""
    scored = np.concatenate([split.scored for split in splits])
    joined = {}
    for method in apart[0]:
        spreads = [guess[method].log_spread for guess in apart]
        known = [s for s in spreads if s is not None]
        joined[method] = Guess(
            np.concatenate([guess[method].seconds for guess in apart]),
            np.concatenate(known) if len(known) == len(spreads) else None,
        )
    return Split(np.array([], dtype=int), scored), joined


def _table8(kind: str, fitted: Platform) -> list[Score]:
    """Score Table 8 after fits to Tables 1-4, also for the baselines."""
    both = paper_bench(kind, (*TABLES, "table8"))
    known = np.array([table != "table8" for table in both.tables])
    split = Split(np.flatnonzero(known), np.flatnonzero(~known))
    guesses = {MODEL: both.bench.predict(with_transfers(kind, fitted), split.scored)}
    for name, method in BASELINES.items():
        everything = method(both.bench.features, split.fitted, both.bench.seconds)
        guesses[name] = Guess(everything[split.scored])
    how = "Tables 1-4 fitted"
    return scores_of("paper", f"{kind} table8", how, both.bench, [split], [guesses])
