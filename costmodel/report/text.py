"""Numbers as a reader wants them: counts with a suffix, times with a unit, shares, short names."""

from __future__ import annotations

import math

from costmodel.errors import printable
from costmodel.units import format_si

_SUFFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_EXACT_BELOW = 100_000
"""Counts below this are printed digit by digit."""


def count(value: float) -> str:
    """Return a count with four digits and a decimal suffix (k, M, G, T, P).

    Examples
    --------
    >>> count(5994), count(145_833_632), count(99_999_999), count(1.5)
    ('5,994', '145.8 M', '100.0 M', '1.5')
    """
    if not math.isfinite(value):
        return str(value)
    if abs(value) < _EXACT_BELOW:
        return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"
    rounded = float(f"{float(value):.4g}")
    scale, suffix = next((s, x) for s, x in _SUFFIXES if abs(rounded) >= s)
    scaled = rounded / scale
    digits = 3 - int(math.log10(abs(scaled)))
    return f"{scaled:.{max(digits, 0)}f} {suffix}"


def size(value: float) -> str:
    """Return bytes with three digits and a decimal prefix.

    Examples
    --------
    >>> size(602112), size(4)
    ('602 kB', '4 B')
    """
    return format_si(float(value), "B")


def seconds(value: float) -> str:
    """Return a time with three digits and the unit that keeps it short.

    Examples
    --------
    >>> seconds(0.00123)
    '1.23 ms'
    """
    return format_si(float(value), "s")


def share(value: float) -> str:
    """Return a part of one as a percentage.

    Examples
    --------
    >>> share(0.5), share(0.0123), share(0.0001), share(0.0)
    ('50 %', '1.2 %', '<0.1 %', '0 %')
    """
    if 0 < value < 0.0005:
        return "<0.1 %"
    return (
        f"{value:.0%}".replace("%", " %")
        if value >= 0.0995 or value <= 0
        else f"{value * 100:.1f} %"
    )


def cell(value: object) -> object:
    r"""Return a value of a CSV table so that no spreadsheet runs it and no terminal obeys it.

    Examples
    --------
    >>> cell("=1+1"), cell("a\x1b[2J"), cell("-3"), cell(-3)
    ("'=1+1", 'a\\x1b[2J', '-3', -3)
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text[:1] in _FORMULA and not _is_number(text) else text


_FORMULA = ("=", "+", "-", "@")
"""What a spreadsheet takes for the start of a formula."""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


QUOTIENTS = frozenset({"intensity", "average parallelism"})
"""Totals of what is counted that bound nothing: what is not counted may raise or lower them."""


def covered(coverage: float) -> str:
    """Return in words how much of a network is counted; a share of it is never 100 %.

    Examples
    --------
    >>> covered(1.0), covered(0.4), covered(0.9999)
    ('coverage 100 % of the operators', 'coverage at least 40 % of the work', \
'coverage at least 99 % of the work')
    """
    if coverage == 1:
        return "coverage 100 % of the operators"
    return f"coverage at least {share(min(coverage, 0.99))} of the work"


def shorten(name: str, width: int) -> str:
    """Return ``name``, its middle left out where it is longer than ``width``.

    Examples
    --------
    >>> shorten("stage2.0.branch_main.conv1", 16), shorten("conv", 16)
    ('stage2...n.conv1', 'conv')
    """
    if len(name) <= width:
        return name
    kept = max(width - 3, 2)
    head = kept // 2
    return f"{name[:head]}...{name[len(name) - (kept - head) :]}"


def bar(part: float, width: int, glyph: str = "#") -> str:
    """Return a bar as long as ``part`` of ``width``, at least one glyph for what is not zero.

    Examples
    --------
    >>> bar(0.5, 10), bar(0.001, 10), bar(0.0, 10)
    ('#####', '#', '')
    """
    filled = round(min(max(part, 0.0), 1.0) * width)
    return glyph * (max(filled, 1) if part > 0 else 0)
