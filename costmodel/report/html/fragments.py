"""Totals and predictions as fragments of HTML, for notebooks and pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from costmodel.prediction import LABEL
from costmodel.report.collect import LABELS, Report, collect
from costmodel.report.figures import total_rows
from costmodel.report.text import covered, seconds, share

if TYPE_CHECKING:
    import networkx as nx

    from costmodel.prediction import KernelTime, Prediction

_STYLE = """
.costmodel{font:14px/1.45 system-ui,sans-serif;max-width:64rem}
.costmodel table{border-collapse:collapse;margin:.5rem 0 1.2rem;font-variant-numeric:tabular-nums}
.costmodel th,.costmodel td{padding:.15rem .7rem .15rem 0;text-align:right;vertical-align:top}
.costmodel th:first-child,.costmodel td:first-child,.costmodel .text{text-align:left}
.costmodel thead th{border-bottom:1px solid #8888}
.costmodel tbody tr:hover{background:#8882}
.costmodel .bar{display:inline-block;height:.7em;background:#3b76af;min-width:1px}
.costmodel .track{min-width:9rem;text-align:left}
.costmodel .note{opacity:.75}
.costmodel .warn{border-left:3px solid #c77700;padding-left:.6rem}
.costmodel .scroll{overflow-x:auto}
"""


def prediction_fragment(prediction: Prediction) -> str:
    """Return a prediction as HTML to be shown inside a notebook or a page.

    Examples
    --------
    >>> from costmodel.prediction import Prediction
    >>> p = Prediction("net", "gpu/eager", 2.0, None, 0.9, (), 2.0, 0.0, 0.0, 1.0, "priors")
    >>> "predicted <strong>2 s</strong>" in prediction_fragment(p)
    True
    """
    return _wrap([_prediction(prediction)])


def graph_fragment(graph: nx.DiGraph) -> str:
    """Return the totals of a concrete op graph as HTML to be shown inside a notebook or a page.

    Examples
    --------
    >>> from costmodel import zoo
    >>> "819.2 k elements" in graph_fragment(zoo.pointwise(56, 56, 128, 128))
    True
    """
    report = collect(graph)
    return _wrap(
        [
            f"<h3>{escape(report.network)}</h3>",
            coverage(report),
            notes(report),
            _table(("", "", ""), total_rows(report)),
        ]
    )


def _wrap(parts: Iterable[str]) -> str:
    body = "\n".join(part for part in parts if part)
    return f'<div class="costmodel">\n<style>{_STYLE}</style>\n{body}\n</div>'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are HTML."""
    header = "".join(f"<th>{cell}</th>" for cell in head)
    top = f"<thead><tr>{header}</tr></thead>" if any(head) else ""
    body = "\n".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table>{top}<tbody>\n{body}\n</tbody></table></div>'


def coverage(report: Report) -> str:
    """Return how much of the network is counted."""
    counted = f"{covered(report.coverage).capitalize()}."
    if not report.unknown:
        return f'<p class="note">{counted}</p>'
    missing = "".join(f"<li>{escape(name)}</li>" for name in report.unknown)
    return f'<div class="warn">{counted} No figure holds these:<ul>{missing}</ul></div>'


def notes(report: Report) -> str:
    """Return the remarks on all totals."""
    return "".join(f'<p class="note">{escape(note)}</p>' for note in report.notes)


def _prediction(prediction: Prediction) -> str:
    total = float(prediction.seconds)
    interval = ""
    if prediction.interval is not None:
        low, high = map(seconds, prediction.interval)
        interval = f" ({share(prediction.level)} interval {low} to {high})"
    bound = seconds(float(prediction.bound_seconds))
    lines = [
        f"<h2>{escape(prediction.network)} on {escape(prediction.platform)}</h2>",
        f"<p>{LABEL} <strong>{seconds(total)}</strong>{interval}, from "
        f"{escape(prediction.basis)}. Bottleneck: {LABELS[prediction.bottleneck]}. "
        f"Bound of the hardware: {bound}.</p>",
        _table(
            ("", "", "", ""),
            [
                (LABELS[term], seconds(spent), share(_over(spent, total)), _bar(spent, total))
                for term, spent in prediction.waits().items()
            ],
        ),
    ]
    longest = max((float(k.seconds) for k in prediction.kernels), default=0.0)
    head = ("kernel", "kind", "waits for", "time", "", *(t for t in _TERMS), "fused")
    rows = [_kernel(k, longest) for k in prediction.kernels]
    count_of = f"{len(rows)} kernels, in order"
    return "\n".join(
        [*lines, f"<details open><summary>{count_of}</summary>{_table(head, rows)}</details>"]
    )


_TERMS = ("launch", "compute", "memory", "passes", "learned", "residual")


def _kernel(k: KernelTime, longest: float) -> tuple[str, ...]:
    fused = ", ".join(escape(name) for name in k.kernel.nodes if name != k.kernel.name)
    return (
        escape(k.kernel.name),
        escape(k.kernel.kind),
        k.waits_for,
        seconds(float(k.seconds)),
        _bar(float(k.seconds), longest),
        *(seconds(float(getattr(k.terms, term))) for term in _TERMS),
        f'<span class="note text">{fused}</span>',
    )


def _over(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _bar(part: float, whole: float) -> str:
    width = 100 * min(_over(part, whole), 1.0)
    return f'<div class="track"><span class="bar" style="width:{width:.1f}%"></span></div>'
