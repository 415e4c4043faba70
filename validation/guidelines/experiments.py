"""The guidelines of the ShuffleNet V2 paper as experiments: its Tables 1-4, run here."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from rich.console import Console

from costmodel.prediction.latency import latency

from ..errors import MeasuringError
from ..measuring.backend import Label
from ..measuring.campaign import Campaign
from ..measuring.clock import Timing
from ..measuring.running import run_or_exit
from ..measuring.store import Store
from ..scores.paper_tables import Cell, cells
from .claims import GUIDELINES, Guideline


@dataclass(frozen=True)
class Row:
    """One cell of the paper's table. Times in seconds.

    Parameters
    ----------
    cell : Cell
        Where it stands, and what the paper printed on one Cortex-A57.
    here : Timing
        The same network here.
    predicted : float
        The same as predicted. [s]
    """

    cell: Cell
    here: Timing
    predicted: float


@dataclass(frozen=True)
class Verdict:
    """Whether a guideline holds.

    Parameters
    ----------
    holds, undecided, contrary : int
        Claims (a pair of rows in one column) that the times bear out, cannot tell, contradict.
    here, predicted, printed : float
        Speed of the row that must be slowest over that of the fastest, geometric mean of the
        columns. [1]
    spearman : float
        Rank correlation of the speeds here and those printed. [1]
    ratio : float
        Median of the speed here over the printed one. [1]
    """

    holds: int
    undecided: int
    contrary: int
    here: float
    predicted: float
    printed: float
    spearman: float
    ratio: float

    @property
    def words(self) -> str:
        """``"holds"``: nothing contradicts it and most claims are borne out; and so on."""
        if self.contrary == 0 and self.holds > self.undecided:
            return "holds"
        return "holds in part" if self.holds > self.contrary else "does not hold"


@dataclass(frozen=True)
class Experiment:
    """A guideline tried here.

    Parameters
    ----------
    guideline : Guideline
        What was tried.
    label : str
        What the times of ``rows`` are.
    platform : str
        What predicted.
    rows : tuple of Row
        In the order of the table, column by column.
    """

    guideline: Guideline
    label: Label
    platform: str
    rows: tuple[Row, ...]

    def verdict(self) -> Verdict:
        """Judge all claims in all columns."""
        from scipy.stats import spearmanr  # slow to import

        found = [
            _outcome(column[fast].here, column[slow].here, self.label)
            for column in self.columns()
            for fast, slow in self.guideline.claims
        ]
        here = [1 / row.here.median for row in self.rows]
        printed = [1 / row.cell.seconds for row in self.rows]
        return Verdict(
            holds=found.count(1),
            undecided=found.count(0),
            contrary=found.count(-1),
            here=self._strength([row.here.median for row in self.rows]),
            predicted=self._strength([row.predicted for row in self.rows]),
            printed=self._strength([row.cell.seconds for row in self.rows]),
            spearman=float(spearmanr(here, printed).statistic),
            ratio=statistics.median(a / b for a, b in zip(here, printed, strict=True)),
        )

    def columns(self) -> list[dict[str, Row]]:
        """Return the rows of each column by their label."""
        grouped = groupby(self.rows, key=lambda row: row.cell.column)
        return [{row.cell.row: row for row in rows} for _, rows in grouped]

    def sentence(self) -> str:
        """Return whether the guideline holds here, and how strongly."""
        v, (fast, slow) = self.verdict(), self.guideline.extremes
        where = "here" if self.label == "measured" else f"in the {self.label} times"
        claims = v.holds + v.undecided + v.contrary
        return (
            f"{self.guideline.name} {v.words} {where}: {v.holds} of {claims} comparisons bear it "
            f"out, {v.undecided} are undecided, {v.contrary} contradict it; '{slow}' runs at "
            f"{v.here:.2f} of the speed of '{fast}' (predicted {v.predicted:.2f}, paper "
            f"{v.printed:.2f}). Speeds against the paper's Cortex-A57: Spearman {v.spearman:.3f}, "
            f"{v.ratio:.2f} times as fast"
        )

    def _strength(self, seconds: Sequence[float]) -> float:
        times = {(r.cell.column, r.cell.row): s for r, s in zip(self.rows, seconds, strict=True)}
        fast, slow = self.guideline.extremes
        names = dict.fromkeys(r.cell.column for r in self.rows)
        return math.exp(
            statistics.fmean(math.log(times[name, fast] / times[name, slow]) for name in names)
        )


def try_guideline(name: str, campaign: Campaign, store: Store, console: Console) -> Experiment:
    """Run the protocol of a guideline's table at the sizes of its ARM columns, batch 1.

    The rows of a column are timed in turns, so that a drift of the machine falls on all alike.

    Parameters
    ----------
    name : str
        A key of :data:`GUIDELINES`.
    campaign : Campaign
        How; its networks are not used, its platform predicts.
    store : Store
        Where results go, and what need not be run again.

    Raises
    ------
    MeasuringError
        If a network of the table cannot be run.
    """
    guideline = GUIDELINES[name]
    table = sorted(cells("arm", (guideline.table,)), key=_column)
    rows: list[Row] = []
    for column, group in groupby(table, key=_column):
        members = list(group)
        console.print(f"{guideline.name}, column {column[1]}: {len(members)} networks")
        rows += _column_rows(members, campaign, store, console)
    label = campaign.backend.label
    return Experiment(guideline, label, campaign.platform, tuple(rows))


def _column(cell: Cell) -> tuple[int, str]:
    """Return the column, with the size in its name as the key of the order."""
    return int("".join(c for c in cell.column if c.isdigit())), cell.column


def _column_rows(
    members: Sequence[Cell], how: Campaign, store: Store, console: Console
) -> list[Row]:
    specs = tuple(cell.network for cell in members)
    graphs = {spec: how.graph(spec) for spec in specs}
    campaign = replace(how, specs=specs, graphs=graphs)
    failures = {r.spec: r.failure for r in run_or_exit(campaign, store, console)}
    rows = []
    for cell in members:
        result = campaign.result(cell.network, store)
        if result is None or result.timing is None:
            raise MeasuringError(f"{cell.table}, {cell.row}: {failures[cell.network]}")
        predicted = float(latency(graphs[cell.network], how.platform).seconds)
        rows.append(Row(cell, result.timing, predicted))
    return rows


def _outcome(fast: Timing, slow: Timing, label: Label) -> int:
    """Return 1 where ``fast`` is faster, -1 where it is slower, 0 where their intervals meet."""
    # The range of simulated times moves all of them together, so that it hides no order.
    if label == "measured" and fast.high >= slow.low and slow.high >= fast.low:
        return 0
    return (slow.median > fast.median) - (slow.median < fast.median)
