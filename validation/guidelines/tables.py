"""Experiments of guidelines as tables on the terminal and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from .experiments import Experiment, Row


def experiment_table(experiment: Experiment) -> Table:
    """Return the paper's table: here, predicted here, printed; speeds and ratios in a column."""
    guideline = experiment.guideline
    here = "measured here" if experiment.label == "measured" else experiment.label
    table = Table(
        title=f"{guideline.name}, {guideline.title}: images/s, and ratio to the first row "
        f"(the paper's {guideline.table.replace('table', 'Table ')})"
    )
    table.add_column("column", overflow="fold")
    table.add_column("row", no_wrap=True, min_width=max(len(r.cell.row) for r in experiment.rows))
    for name in (here, "ratio", "predicted", "ratio", "paper, ARM", "ratio"):
        table.add_column(name, justify="right", overflow="fold")
    for column in experiment.columns():
        rows = list(column.values())
        for row in rows:
            times = [_times(one) for one in (rows[0], row)]
            shown = [(f"{1 / b:.3g}", f"{a / b:.2f}") for a, b in zip(*times, strict=True)]
            table.add_row(
                row.cell.column.partition("_")[2],
                row.cell.row,
                *(text for pair in shown for text in pair),
                end_section=row is rows[-1],
            )
    table.caption = experiment.sentence()
    return table


def experiment_dict(experiment: Experiment) -> dict[str, Any]:
    """Return all of it for JSON; times in seconds."""
    verdict = experiment.verdict()
    return {
        "guideline": experiment.guideline.name,
        "table": experiment.guideline.table,
        "platform": experiment.platform,
        "rows": [
            {
                "column": row.cell.column,
                "row": row.cell.row,
                "network": row.cell.network,
                experiment.label: asdict(row.here),
                "predicted": row.predicted,
                "printed": row.cell.seconds,
            }
            for row in experiment.rows
        ],
        "verdict": {**asdict(verdict), "words": verdict.words},
        "sentence": experiment.sentence(),
    }


def _times(row: Row) -> tuple[float, float, float]:
    return row.here.median, row.predicted, row.cell.seconds
