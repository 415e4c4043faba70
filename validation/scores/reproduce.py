"""The command ``reproduce``: the paper's tables with our prediction for each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import costmodel as cm
from costmodel.errors import DataError, suggest
from costmodel.platforms import Platform

from .figure2 import BATCH, NETWORKS, PARTS, predicted_shares, printed_shares
from .figures import judge
from .guidelines import Claim, claims
from .paper_scores import (
    WHOLE,
    columns_in_order,
    contradicted,
    paper_bench,
    with_transfers,
)
from .paper_tables import PLATFORMS, TABLES, Cell, cells
from .splits import leave_out

KINDS = ("gpu", "arm")
_SHIPPED = "With the calibration that ships, fitted to Tables 1-4, by costmodel.latency"
NAMES = (*TABLES, "table8", "figure2", "guidelines")


@dataclass(frozen=True)
class Reproduced:
    """Cells with their predictions from fits without their own table.

    Parameters
    ----------
    kind : str
        ``"gpu"`` or ``"arm"``.
    cells : tuple of Cell
        The printed cells.
    seconds, log_spread : ndarray
        Predicted latency and the standard deviation of its logarithm. [s], [1]
    """

    kind: str
    cells: tuple[Cell, ...]
    seconds: np.ndarray
    log_spread: np.ndarray


def reproduce(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}.", metavar="NAME")],
) -> None:
    """Print a table of the paper with the prediction for each cell.

    For example:

    python -m validation reproduce table1
    """
    console = Console()
    if name not in NAMES:
        raise DataError(f"unknown table {name!r}; {suggest(name, NAMES)}")
    if name == "figure2":
        _print_figure2(console)
    elif name == "guidelines":
        for kind in KINDS:
            console.print(claims_table(kind, claims(kind, {t: predict(kind, t) for t in TABLES})))
    else:
        for kind in KINDS:
            _print_table(console, name, predict(kind, name))
            console.print(f"{_SHIPPED}: {_summary(shipped(kind, name))}\n")


@cache
def predict(kind: str, table: str) -> Reproduced:
    """Return a table of the paper predicted from other tables: 1-4 from each other, 8 from 1-4."""
    if table == "table8":
        own = paper_bench(kind, ("table8",))
        where, rows = with_transfers(kind, fitted_on_stacks(kind)), np.arange(len(own.cells))
    else:
        own = paper_bench(kind)
        split = leave_out(own.tables, table)
        where, rows = own.bench.fitted(split.fitted), split.scored
    guess = own.bench.predict(where, rows)
    assert guess.log_spread is not None
    return Reproduced(kind, tuple(own.cells[i] for i in rows), guess.seconds, guess.log_spread)


def shipped(kind: str, table: str) -> Reproduced:
    """Return a table as predicted by :func:`costmodel.latency` with the shipped calibration.

    That calibration was fitted to all of Tables 1-4.
    """
    own = tuple(cells(kind, (table,)))
    name = PLATFORMS[kind] + (WHOLE if table == "table8" else "")
    found = [cm.latency(cm.network(cell.network), name) for cell in own]
    spreads = [p.uncertainty() for p in found if p.uncertainty is not None]
    return Reproduced(kind, own, np.array([p.seconds for p in found]), np.array(spreads))


@cache
def fitted_on_stacks(kind: str) -> Platform:
    """Return the paper's platform fitted to all of Tables 1-4."""
    stacks = paper_bench(kind)
    return stacks.bench.fitted(np.arange(len(stacks.cells)))


def _print_table(console: Console, name: str, found: Reproduced) -> None:
    basis = "Tables 1-4" if name == "table8" else "the other three of Tables 1-4"
    unit = "batches/s" if found.kind == "gpu" else "images/s"
    table = Table(
        title=f"{name.capitalize()} on {found.kind.upper()}, {unit}: printed, predicted after "
        f"fitting {basis}, error"
    )
    columns = list(dict.fromkeys(cell.column for cell in found.cells))
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    texts = {
        (cell.row, cell.column): _cell(cell, float(s))
        for cell, s in zip(found.cells, found.seconds, strict=True)
    }
    for row in dict.fromkeys(cell.row for cell in found.cells):
        table.add_row(row, *(texts.get((row, column), "") for column in columns))
    console.print(table)
    console.print(_summary(found))
    out = contradicted(found.cells)
    if out.any():
        printed = np.array([cell.seconds for cell in found.cells])
        errors = np.abs(found.seconds / printed - 1)
        console.print(
            f"Table 2 contradicts {out.sum()} of these cells "
            f"({', '.join(cell.row for cell, o in zip(found.cells, out, strict=True) if o)}; "
            f"{100 * errors[out].mean():.1f} % off in the mean): MAPE of the others "
            f"{100 * errors[~out].mean():.1f} %"
        )


def _summary(found: Reproduced) -> str:
    printed = np.array([cell.seconds for cell in found.cells])
    f = judge(found.seconds, printed, found.log_spread)
    right, all_columns = columns_in_order(found.cells, found.seconds)
    return (
        f"MAPE {100 * f.mape:.1f} %, median {100 * f.median:.1f} %, within 10 %: "
        f"{100 * f.within10:.0f} %, Spearman {f.spearman:.3f}, inside the 90 % interval: "
        f"{100 * f.coverage:.0f} %, columns in the paper's order: {right} of {all_columns}"
    )


def _cell(cell: Cell, seconds: float) -> str:
    printed, predicted = 1 / cell.seconds, 1 / seconds
    digits = 0 if printed >= 100 else 1
    error = 100 * (seconds / cell.seconds - 1)
    return f"{printed:.{digits}f}  {predicted:.{digits}f}  {error:+.0f} %"


def _print_figure2(console: Console) -> None:
    for kind in KINDS:
        platform = with_transfers(kind, fitted_on_stacks(kind))
        table = Table(
            title=f"Figure 2 on {kind.upper()}, batch {BATCH[kind]}, percent of the time: printed, "
            "predicted after fitting Tables 1-4, distance"
        )
        table.add_column("")
        for part in PARTS:
            table.add_column(part, justify="right")
        for name in NETWORKS:
            printed, ours = printed_shares(name, kind), predicted_shares(name, kind, platform)
            cells = (f"{printed[p]:.1f}  {ours[p]:.1f}  {ours[p] - printed[p]:+.1f}" for p in PARTS)
            table.add_row(name, *cells)
        console.print(table)


def claims_table(kind: str, found: Sequence[Claim]) -> Table:
    """Return the claims of the paper with what is printed and predicted."""
    table = Table(title=f"The paper's claims on {kind.upper()}, checked against predictions")
    for heading in ("guideline", "claim", "printed", "predicted", "holds"):
        table.add_column(heading)
    for c in found:
        holds = "yes" if c.holds else "no"
        table.add_row(
            c.guideline, c.text, c.printed, c.predicted, holds, style=None if c.holds else "yellow"
        )
    return table
