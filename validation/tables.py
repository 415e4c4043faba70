"""Comparisons as tables on the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from validation.compare import Comparison, Score, score


def networks_table(comparisons: Sequence[Comparison], where: str, label: str = "measured") -> Table:
    """Return predicted beside measured (or simulated, as ``label`` says), one row a network."""
    table = Table(title=f"Latency in ms: predicted, and {label} on {where}")
    table.add_column("network")
    for name in ("predicted", "90 %", label, "95 %", "error", "noise"):
        table.add_column(name, justify="right")
    for c in comparisons:
        table.add_row(
            c.network,
            milliseconds(c.predicted),
            f"{milliseconds(c.interval[0])}-{milliseconds(c.interval[1])}",
            milliseconds(c.measured.median),
            f"{milliseconds(c.measured.low)}-{milliseconds(c.measured.high)}",
            f"{c.error:+.1%}",
            f"{c.noise:.1%}",
        )
    table.caption = sentence(score(comparisons))
    return table


def kernels_table(comparison: Comparison) -> Table:
    """Return predicted beside measured for the kinds of kernel of one network, each run alone."""
    table = Table(title=f"{comparison.network}: its kernels in ms, each measured alone")
    table.add_column("kind")
    for name in ("predicted", "measured", "error", "share of measured"):
        table.add_column(name, justify="right")
    total = comparison.measured.median
    for kind, (predicted, measured) in comparison.by_kind().items():
        table.add_row(
            kind,
            milliseconds(predicted),
            milliseconds(measured),
            f"{predicted / measured - 1:+.1%}",
            f"{measured / total:.1%}",
        )
    parts = ", ".join(f"{name} {share:+.1%}" for name, share in comparison.decomposition().items())
    table.caption = f"error {comparison.error:+.1%} = {parts}"
    return table


def sentence(result: Score) -> str:
    """Return a score in words."""
    ranks = ""
    if result.spearman is not None:
        ranks = f", Spearman {result.spearman:.3f}, Kendall {result.kendall:.3f}"
    return (
        f"MAPE {result.mape:.1%}, median error {result.bias:+.1%}, "
        f"{result.within:.0%} within 10 %, {result.covered:.0%} in the interval{ranks}; "
        f"noise {result.noise:.1%}"
    )


def to_dict(comparisons: Sequence[Comparison], host: Mapping[str, str]) -> dict[str, Any]:
    """Return all of it for JSON; times in seconds."""
    return {
        "host": dict(host),
        "score": asdict(score(comparisons)),
        "networks": [
            {
                **asdict(c),
                "error": c.error,
                "covered": c.covered,
                "noise": c.noise,
                "decomposition": c.decomposition(),
            }
            for c in comparisons
        ],
    }


def milliseconds(seconds: float) -> str:
    """Return a time for reading, to three digits.

    Examples
    --------
    >>> milliseconds(0.0123), milliseconds(12e-6), milliseconds(3.21)
    ('12.3', '0.012', '3210')
    """
    shown = f"{seconds * 1e3:.3g}"
    return shown if "e" not in shown else f"{float(shown):.7g}"
