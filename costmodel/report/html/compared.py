"""A comparison of networks or platforms as one HTML file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from costmodel.comparison import Comparison, Difference, Entry
from costmodel.prediction import LABEL
from costmodel.report.collect import LABELS
from costmodel.report.extras import versions
from costmodel.report.html.sheet import COUNTS, sheet
from costmodel.report.html.tables import bar, table, tools
from costmodel.report.text import count, seconds, share, signed

_LONG = 12
"""Modules of a difference from which on its table has a filter."""


def comparison_page(
    found: Comparison, crossovers: Sequence[str] = (), date: str | None = None
) -> str:
    """Return a comparison as a single HTML file that loads nothing.

    Parameters
    ----------
    found : Comparison
        The entries.
    crossovers : sequence of str
        Sentences on where the faster one changes.
    date : str, optional
        Of the comparison, by default today's in UTC.

    Examples
    --------
    >>> import costmodel as cm
    >>> found = cm.compare(["alexnet", "resnet18"], "rk3399/tflite")
    >>> "<title>alexnet, resnet18 on rk3399/tflite</title>" in comparison_page(found)
    True
    """
    entries = found.entries
    networks = list(dict.fromkeys(e.network for e in entries))
    platforms = list(dict.fromkeys(e.platform for e in entries))
    title = f"{', '.join(networks)} on {', '.join(platforms)}"
    facts = [(escape(name), escape(value)) for name, value in versions(date)]
    summary = (
        f"<p>{LABEL.capitalize()} latencies with {share(found.level)} intervals. Probabilities "
        "follow from the intervals; networks on one platform share its errors.</p>"
        f'<div class="facts">{table(("", ""), facts, words=(0, 1))}</div>'
        f'<p class="soft">{COUNTS}</p>'
    )
    sections = [("entries", "Latencies", _entries(entries, found.level))]
    for i, difference in enumerate(found.differences):
        sections.append((f"difference-{i}", *_section(found, difference, i)))
    if crossovers:
        said = "".join(f"<p>{escape(text)}.</p>" for text in crossovers)
        sections.append(("crossovers", "Where the faster one changes", said))
    return sheet(title, summary, sections)


def _entries(entries: Iterable[Entry], level: float) -> str:
    found = list(entries)
    longest = max(_ends(e)[1] for e in found)
    head = (
        *("network", "platform", "predicted", f"{share(level)} interval", "", "bound"),
        *("multiply-adds", "MAC, elements", "parameters", "from"),
    )
    rows = []
    for e in found:
        low, high = _ends(e)
        rows.append(
            (
                escape(e.network),
                escape(e.platform),
                seconds(float(e.prediction.seconds)),
                f"{seconds(low)} to {seconds(high)}",
                _range(low, float(e.prediction.seconds), high, longest),
                seconds(float(e.prediction.bound_seconds)),
                count(e.multiply_adds),
                count(e.mac),
                count(e.params),
                escape(e.prediction.basis),
            )
        )
    return table(head, rows, words=(0, 1, 4, 9), name="latencies")


def _ends(entry: Entry) -> tuple[float, float]:
    at = float(entry.prediction.seconds)
    low, high = entry.prediction.interval or (at, at)
    return float(low), float(high)


def _range(low: float, at: float, high: float, longest: float) -> str:
    """Return a line from ``low`` to ``high`` with a mark at ``at``."""
    start, end, mark = (100 * value / longest for value in (low, high, at))
    return (
        f'<span class="track range"><span style="left:{start:.1f}%;width:{end - start:.1f}%">'
        f'</span><i style="left:{mark:.1f}%"></i></span>'
    )


def _section(found: Comparison, d: Difference, number: int) -> tuple[str, str]:
    a, b = found.entries[d.first], found.entries[d.second]
    same = a.platform == b.platform
    names = (a.network, b.network) if same else (a.platform, b.platform)
    head = f"{names[1]} against {names[0]}, {'on' if same else 'both'} "
    head += a.platform if same else a.network
    low, high = d.interval
    text = (
        f'<p><span class="big">{d.ratio:.3g} times as long</span> ({low:.3g} to {high:.3g}, '
        f"{share(found.level)} interval).<br>{escape(names[1])} is faster with probability "
        f"{share(d.faster)}. Blue: it takes longer there; brown: less long.</p>"
    )
    terms = {LABELS[term]: value for term, value in d.terms.items()}
    first, second = (
        {LABELS[term]: value for term, value in e.prediction.waits().items()} for e in (a, b)
    )
    text += "<h3>By term</h3>" + _parts("waits for", names, terms, (first, second), "")
    key = f"modules-{number}"
    shown = tools(key, "stage2") if len(d.modules) >= _LONG else ""
    modules = {name or "outside modules": value for name, value in d.modules.items()}
    inside = [{name or "outside modules": v for name, v in e.modules.items()} for e in (a, b)]
    text += f"<h3>By module</h3>{shown}"
    return escape(head), text + _parts("module", names, modules, (inside[0], inside[1]), key)


def _parts(
    kind: str,
    names: tuple[str, str],
    apart: Mapping[str, float],
    times: tuple[Mapping[str, float], Mapping[str, float]],
    key: str,
) -> str:
    """Return a table of the times of parts in both entries, and of their differences."""
    largest = max(map(abs, apart.values()), default=0.0)
    rows = []
    for name, value in apart.items():
        length = bar(abs(value), largest) if value else ""
        rows.append(
            (
                escape(name),
                *(seconds(side[name]) if name in side else "-" for side in times),
                signed(value),
                length if value >= 0 else f'<b class="less">{length}</b>',
            )
        )
    head = (kind, *map(escape, names), "difference", "")
    return table(head, rows, words=(0, 4), name=key)
