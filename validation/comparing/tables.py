"""Comparisons as tables on the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from costmodel.report.tables import WIDE, table
from costmodel.report.text import share as percent
from costmodel.report.text import shorten, signed_share

from ..measuring.backend import Label
from ..measuring.clock import Timing
from .compare import REPEATS, Comparison, Score, score

NOTES: dict[Label, str] = {
    "measured": "",
    "simulated": "Simulated, not measured: this validates nothing. It rests on ",
    "emulated": "Emulated: counts and results only, no latency. ",
}
"""Label of numbers in tables and documents that are not measured."""


def networks_table(
    console: Console, comparisons: Sequence[Comparison], where: str, label: Label = "measured"
) -> Table:
    """Return predicted and measured times (or simulated ones, by ``label``), one row per network.

    The measured time is the lowest median of a round, when the machine was least disturbed. The
    median of all samples and the noise are shown where there is room.
    """
    measured = label == "measured"
    wide = console.width >= WIDE
    besides = ("median", "noise") if measured else ("range", "half range")
    names = ["predicted", "90 %", label, "error"]
    if wide:
        names = [*names[:3], besides[0], "error", besides[1]]
    result = table(console, "network", *names, title=escape(f"Latency in ms, {label} on {where}"))
    result.caption_justify = "left"
    for c in comparisons:
        middle = milliseconds(c.measured.median) if measured else _range(c.measured)
        result.add_row(
            escape(shorten(c.network, console.width - (56 if wide else 44))),
            milliseconds(c.predicted),
            f"{milliseconds(c.interval[0])}-{milliseconds(c.interval[1])}",
            milliseconds(c.measured.quiet),
            *([middle] if wide else []),
            signed_share(c.error),
            *([percent(c.noise)] if wide else []),
        )
    result.caption = sentence(score(comparisons), label) + escape(unsteady(comparisons))
    return result


def unsteady(comparisons: Sequence[Comparison]) -> str:
    """Return which networks do not repeat, in words; nothing without a second measurement.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from costmodel_validation.measuring.clock import summary
    >>> one = Comparison("a", "p", 1.0, (0.9, 1.1), summary([1.0]), summary([1.05]))
    >>> unsteady([one, replace(one, network="b", again=summary([1.01]))])
    '. Measured again, 1 of 2 networks differ by more than 3.0 %: a (5.0 %)'
    """
    again = [c for c in comparisons if c.repeats is not None]
    far = sorted((c for c in again if not c.repeats), key=lambda c: -c.noise)
    if not again:
        return ""
    if not far:
        return f". Measured again, all networks agree within {percent(REPEATS)}"
    named = ", ".join(f"{c.network} ({percent(c.noise)})" for c in far)
    return (
        f". Measured again, {len(far)} of {len(again)} networks differ by more than "
        f"{percent(REPEATS)}: {named}"
    )


def _range(timing: Timing) -> str:
    return f"{milliseconds(timing.low)}-{milliseconds(timing.high)}"


def kernels_table(
    console: Console, comparison: Comparison, label: Label = "measured", inside: bool = False
) -> Table:
    """Return predicted beside measured (or simulated) for the kinds of kernel of one network.

    ``inside``: the kernels were timed as the network ran, not each alone.
    """
    alone = ", inside the network" if inside or label != "measured" else ", each measured alone"
    result = table(
        console,
        *("kind", "predicted", label, "error", f"share of {label}"),
        title=escape(f"{comparison.network}: its kernels in ms{alone}"),
    )
    result.caption_justify = "left"
    total = comparison.measured.quiet
    for kind, (predicted, measured) in comparison.by_kind().items():
        result.add_row(
            kind,
            milliseconds(predicted),
            milliseconds(measured),
            signed_share(predicted / measured - 1),
            percent(measured / total),
        )
    parts = ", ".join(f"{n} {signed_share(part)}" for n, part in comparison.decomposition().items())
    result.caption = f"error {signed_share(comparison.error)} = {parts}"
    return result


def layers_table(console: Console, comparison: Comparison) -> Table:
    """Return the kinds of layer of one network as the engine counts and times them."""
    result = table(
        console,
        *("kind", "layers", "measured", "share of network"),
        title=escape(f"{comparison.network}: its layers in ms, by the engine's profile"),
    )
    total = comparison.measured.quiet
    for kind, (number, seconds) in comparison.layers_by_kind().items():
        result.add_row(escape(kind), str(number), milliseconds(seconds), percent(seconds / total))
    return result


def sentence(result: Score, label: Label = "measured") -> str:
    """Return a score in words."""
    ranks = ""
    if result.spearman is not None:
        ranks = f", Spearman {result.spearman:.3f}, Kendall {result.kendall:.3f}"
    noise = f"noise {percent(result.noise)}" if label == "measured" else f"against {label} times"
    return (
        f"MAPE {percent(result.mape)}, median error {signed_share(result.bias)}, "
        f"{percent(result.within)} within 10 %, {percent(result.covered)} in the interval{ranks}; "
        f"{noise}"
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
        "repeats": c.repeats,
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
