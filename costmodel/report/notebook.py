"""Notebook displays of the library's classes, installed when this module is imported.

The classes are on a lower floor than reports, so they cannot import their displays. Each gets a
table (``_repr_html_``) and a method ``to_dataframe``, which needs pandas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any

import numpy as np

from costmodel.algebra.symbols import is_symbolic
from costmodel.calibration import Calibration
from costmodel.comparison import Comparison
from costmodel.counting.cost import Cost
from costmodel.counting.timeline import Timeline
from costmodel.graph import OpGraph, free_symbols
from costmodel.guidelines import Advice
from costmodel.platforms import Platform
from costmodel.prediction import Prediction
from costmodel.spaces.sweeping import Sweep

_MOST = 40
"""Rows that a notebook shows."""


def _graph_html(graph: OpGraph) -> str | None:
    """Return the totals; a symbolic graph keeps the plain text."""
    from costmodel.report.html import graph_fragment

    return None if free_symbols(graph) else graph_fragment(graph)


def _prediction_html(prediction: Prediction) -> str | None:
    from costmodel.report.html import prediction_fragment

    if is_symbolic(prediction.seconds) or np.ndim(prediction.seconds):
        return None
    return prediction_fragment(prediction)


def _rows_html(thing: Any) -> str:
    """Return the description of an object, and its rows as a table."""
    from costmodel.report.rows import ROWS

    rows = ROWS[type(thing)](thing)
    return _table("" if isinstance(thing, Cost) else repr(thing), rows, len(rows))


def _sweep_html(sweep: Sweep) -> str:
    """Return the first variants: of all, of which there may be millions, no rows are made."""
    from costmodel.report.rows import of_sweep

    first = {name: values[:_MOST] for name, values in sweep.columns.items()}
    return _table(repr(sweep), of_sweep(replace(sweep, columns=first)), len(sweep))


def _table(said: str, rows: list[dict[str, Any]], number: int) -> str:
    """Return rows, the first of ``number``, as a table below a line."""
    head = "".join(f"<th>{escape(name)}</th>" for name in (rows[0] if rows else ()))
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows[:_MOST]
    )
    more = f"<p>{number - _MOST} more rows</p>" if number > _MOST else ""
    title = f"<p>{escape(said.strip('<>'))}</p>" if said else ""
    return f"{title}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _frame(thing: Any) -> Any:
    """Return a ``pandas.DataFrame``, a row for each operator, kernel or parameter."""
    from costmodel.report.rows import to_dataframe

    return to_dataframe(thing)


_FACES: dict[type, Callable[[Any], str | None]] = {
    OpGraph: _graph_html,
    Prediction: _prediction_html,
    Platform: _rows_html,
    Calibration: _rows_html,
    Timeline: _rows_html,
    Cost: _rows_html,
    Advice: _rows_html,
    Comparison: _rows_html,
    Sweep: _sweep_html,
}

for _class, _html in _FACES.items():
    _class._repr_html_ = _html  # type: ignore[attr-defined]
    _class.to_dataframe = _frame  # type: ignore[attr-defined]
