"""Numbers as a reader wants them: counts with a suffix, times with a unit, shares, short names."""

from __future__ import annotations

import math
import re
from textwrap import fill

from costmodel.errors import printable
from costmodel.units import format_si

_SUFFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_TIMES = (("µs", 1e-6), ("ms", 1e-3), ("s", 1.0))
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


def signed(value: float) -> str:
    """Return a difference of times with its sign.

    Examples
    --------
    >>> signed(0.00123), signed(-2e-6)
    ('+1.23 ms', '-2 µs')
    """
    return f"{'+' if value >= 0 else '-'}{seconds(abs(value))}"


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


def paragraph(text: str, width: int, indent: str = "") -> str:
    """Return a text in lines of at most ``width``; no line parts a number from its unit.

    Examples
    --------
    >>> print(paragraph("faster with probability 44 %", 27))
    faster with probability
    44 %
    """
    whole = re.sub(r"(?<=\d) (?=%|[nµm]?s\b)", "\u00a0", text)
    lines = fill(whole, width, initial_indent=indent, subsequent_indent=indent)
    return lines.replace("\u00a0", " ")


def number_of(number: int, thing: str) -> str:
    """Return how many of a thing there are.

    Examples
    --------
    >>> number_of(1, "row"), number_of(0, "row"), number_of(15625, "variant")
    ('1 row', '0 rows', '15,625 variants')
    """
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def signed_share(value: float) -> str:
    """Return a relative difference as a percentage with its sign.

    Examples
    --------
    >>> signed_share(0.5), signed_share(-0.0123), signed_share(-0.00001), signed_share(0.0)
    ('+50 %', '-1.2 %', '<0.1 %', '0 %')
    """
    size = share(abs(value))
    return size if size[0] == "<" or value == 0 else f"{'+' if value > 0 else '-'}{size}"


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
"""Characters that start a formula in a spreadsheet."""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


QUOTIENTS = frozenset({"intensity", "average parallelism"})
"""Totals that are no lower bounds, because uncounted operators may raise or lower them."""


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
    """Return ``name``, with its middle left out if it is longer than ``width``.

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


def relative(name: str, other: str) -> str:
    """Return a dotted name without the modules that it shares with ``other``.

    Examples
    --------
    >>> relative("stage2.0.main.relu", "stage2.0.main.conv")
    'relu'
    """
    parts, known = name.split("."), other.split(".")
    shared = 0
    while shared < len(parts) - 1 and parts[shared : shared + 1] == known[shared : shared + 1]:
        shared += 1
    return ".".join(parts[shared:])


def decimal(value: float) -> str:
    """Return a number below 10,000 in at most six characters, a minus left out.

    Examples
    --------
    >>> [decimal(x) for x in (0, 0.001, 0.02345, 7.6071, 9999.6, -0.5)]
    ['0', '<0.01', '0.023', '7.607', '10000', '-0.500']
    """
    if value == 0:
        return "0"
    if value < 0:
        return f"-{decimal(-value).removeprefix('<')}"
    if value < 0.01:
        return "<0.01"
    return f"{value:.4g}" if 1 <= value < 1000 else f"{value:.{3 if value < 1 else 0}f}"


def time_unit(longest: float) -> tuple[str, float]:
    """Return the unit in which the times of a table are written: its name, its seconds.

    Examples
    --------
    >>> time_unit(3e-4), time_unit(0.02)
    (('µs', 1e-06), ('ms', 0.001))
    """
    return next(unit for unit in _TIMES if longest < unit[1] * 1e4 or unit[0] == "s")


def times_of(value: float, whole: float) -> str:
    """Return how many times ``whole`` a value is, with three digits.

    Examples
    --------
    >>> times_of(3.0, 2.0), times_of(3e6, 1.0)
    ('1.5', '3.000 M')
    """
    return count(float(f"{value / whole:.3g}"))


def plain_shape(text: str) -> str:
    """Return a tensor's shape without dtype and brackets.

    Examples
    --------
    >>> plain_shape("float32[1, 64, 56, 56]"), plain_shape("")
    ('1x64x56x56', '')
    """
    return text.partition("[")[2].rstrip("]").replace(", ", "x")
