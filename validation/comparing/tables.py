"""Comparisons as tables on the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.markup import escape
from rich.table import Table

from ..measuring.backend import Label
from ..measuring.clock import Timing
from .compare import Comparison, Score, score

NOTES: dict[Label, str] = {
    "measured": "",
    "simulated": "Simulated, not measured: this validates nothing. It rests on ",
    "emulated": "Emulated: counts and results only, no latency. ",
}
"""Label of numbers in tables and documents that are not measured."""


def networks_table(
    comparisons: Sequence[Comparison], where: str, label: Label = "measured"
) -> Table:
    """Return predicted and measured times (or simulated ones, by ``label``), one row per network.

    The measured time is the lowest median of a round, when the machine was least disturbed; the
    median of all samples is in the next column.
    """
    measured = label == "measured"
    table = Table(title=escape(f"Latency in ms: predicted, and {label} on {where}"))
    table.add_column("network", overflow="fold")
    besides, noise = ("median", "noise") if measured else ("range", "half range")
    for name in ("predicted", "90 %", label, besides, "error", noise):
        table.add_column(name, justify="right")
    for c in comparisons:
        table.add_row(
            escape(c.network),
            milliseconds(c.predicted),
            f"{milliseconds(c.interval[0])}-{milliseconds(c.interval[1])}",
            milliseconds(c.measured.quiet),
            milliseconds(c.measured.median) if measured else _range(c.measured),
            f"{c.error:+.1%}",
            f"{c.noise:.1%}",
        )
    table.caption = sentence(score(comparisons), label)
    return table


def _range(timing: Timing) -> str:
    return f"{milliseconds(timing.low)}-{milliseconds(timing.high)}"


def kernels_table(comparison: Comparison, label: Label = "measured", inside: bool = False) -> Table:
    """Return predicted beside measured (or simulated) for the kinds of kernel of one network.

    ``inside``: the kernels were timed as the network ran, not each alone.
    """
    alone = ", inside the network" if inside or label != "measured" else ", each measured alone"
    table = Table(title=escape(f"{comparison.network}: its kernels in ms{alone}"))
    table.add_column("kind")
    for name in ("predicted", label, "error", f"share of {label}"):
        table.add_column(name, justify="right")
    total = comparison.measured.quiet
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


def layers_table(comparison: Comparison) -> Table:
    """Return the kinds of layer of one network as the engine counts and times them."""
    table = Table(title=escape(f"{comparison.network}: its layers in ms, by the engine's profile"))
    table.add_column("kind", overflow="fold")
    for name in ("layers", "measured", "share of network"):
        table.add_column(name, justify="right")
    total = comparison.measured.quiet
    for kind, (number, seconds) in comparison.layers_by_kind().items():
        table.add_row(escape(kind), str(number), milliseconds(seconds), f"{seconds / total:.1%}")
    return table


def sentence(result: Score, label: Label = "measured") -> str:
    """Return a score in words."""
    ranks = ""
    if result.spearman is not None:
        ranks = f", Spearman {result.spearman:.3f}, Kendall {result.kendall:.3f}"
    noise = f"noise {result.noise:.1%}" if label == "measured" else f"against {label} times"
    return (
        f"MAPE {result.mape:.1%}, median error {result.bias:+.1%}, "
        f"{result.within:.0%} within 10 %, {result.covered:.0%} in the interval{ranks}; {noise}"
    )


def to_dict(
    comparisons: Sequence[Comparison], host: Mapping[str, str], label: Label = "measured"
) -> dict[str, Any]:
    """Return all of it for JSON; times in seconds, those of the backend under their ``label``."""
    return {
        "label": label,
        "note": NOTES[label] + host.get("parameters", ""),
        "host": dict(host),
        "score": asdict(score(comparisons)),
        "networks": [_network(c, label) for c in comparisons],
    }


def _network(c: Comparison, label: Label) -> dict[str, Any]:
    fields = asdict(c)
    fields[label] = fields.pop("measured")
    for kernel in fields["kernels"]:
        kernel[label] = kernel.pop("measured")
    fields["layers"] = [{**asdict(layer), "seconds": layer.seconds} for layer in c.layers]
    for layer in fields["layers"]:
        del layer["samples"]
    return {
        **fields,
        "error": c.error,
        "covered": c.covered,
        "noise": c.noise,
        "decomposition": c.decomposition(),
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
