"""Gives graphs and predictions their face in a notebook; importing this module does it.

The classes stay below the reports that show them: they do not import what they are shown with.
"""

from __future__ import annotations

from typing import Any

from costmodel.algebra.symbols import is_symbolic
from costmodel.graph import OpGraph, free_symbols
from costmodel.prediction import Prediction
from costmodel.report.html import graph_fragment, prediction_fragment


def _graph_html(graph: OpGraph) -> str | None:
    """Return the totals; a symbolic graph keeps the plain text of networkx."""
    return None if free_symbols(graph) else graph_fragment(graph)


def _prediction_html(prediction: Prediction) -> str | None:
    return None if is_symbolic(prediction.seconds) else prediction_fragment(prediction)


def _show(cls: Any, html: Any) -> None:
    cls._repr_html_ = html


_show(OpGraph, _graph_html)
_show(Prediction, _prediction_html)
