"""Unit strings at the edges: ``"484 GB/s"`` to an SI float and back to short text.

Inside the library every quantity is a plain float in seconds, bytes, hertz or operations; units are
for files and printed text. Prefixes and conversions are those of pint: a table of our own is how
others came to ship ``T = 1e13`` and to mix up GB (10**9 bytes) and GiB (2**30 bytes).
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import TYPE_CHECKING

from costmodel.errors import UnitError

if TYPE_CHECKING:
    import pint

#: What a right quantity looks like, by the unit asked for; also the units that files may use.
EXAMPLES = {
    "B": "2.75 MiB",
    "bit": "352 bit",
    "B/s": "484 GB/s",
    "bit/s": "11 Gbit/s",
    "Hz": "1582 MHz",
    "FLOP/s": "11.34 TFLOP/s",
    "FLOP/B": "23.4 FLOP/B",
    "s": "1.23 ms",
    "W": "250 W",
}

_PREFIXES = ("f", "p", "n", "µ", "m", "", "k", "M", "G", "T", "P", "E", "Z")
"""Prefixes that are worked out here, each a thousand times the one before it.

Pint takes 0.3 s to start; it reads what these do not, and the tests hold both to one another.
"""
_LEAST, _MOST = -5, 7
"""Powers of a thousand of the first and the last of them."""
_ALSO = {"B": (("bit", 0.125),), "FLOP": (("OP", 1.0),)}
"""Other units of the same thing, and how many of the first one of them is."""
_BINARY = "KMGTP"
"""First letters of binary prefixes, Ki on, each 1024 times the one before it."""
_LONGEST = 100
"""Longest quantity that is read; a unit of many words takes seconds to work out. [character]"""
_QUANTITY = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-zµμ]+(?:/[A-Za-z]+)?)"
)


def parse(text: str, unit: str) -> float:
    """Read a number with a unit and return it in ``unit``.

    Parameters
    ----------
    text : str
        A number, then a unit, as in a datasheet. GB is 10**9 bytes, GiB is 2**30 bytes; a bit is an
        eighth of a byte; one operation is written FLOP or OP.
    unit : str
        The unit to return, a key of :data:`EXAMPLES`.

    Returns
    -------
    float
        The value. [``unit``]

    Raises
    ------
    UnitError
        If the text is not a number with a unit, the unit is unknown, or it measures something else.

    Examples
    --------
    >>> parse("484 GB/s", "B/s")
    484000000000.0
    >>> parse("2.75 MiB", "B")
    2883584.0
    >>> parse("11 Gbit/s", "B/s")
    1375000000.0
    """
    short = isinstance(text, str) and len(text) <= _LONGEST
    match = _QUANTITY.fullmatch(text.strip()) if short else None
    if match is None:
        raise UnitError(f"{text!r} is not a number with a unit; write it like {_example(unit)}")
    number, written = match.groups()
    try:
        value = float(number) * _factor(written, unit)
    except UnitError as error:
        raise UnitError(f"{text!r}: {error}; write it like {_example(unit)}") from None
    if not math.isfinite(value):
        raise UnitError(f"{text!r} is too large for a number; write it like {_example(unit)}")
    return value


def format_si(value: float, unit: str) -> str:
    """Write a quantity with three significant digits and the prefix that keeps it short.

    Parameters
    ----------
    value : float
        The quantity. [``unit``]
    unit : str
        The unit ``value`` is in: ``"s"``, ``"B/s"``, ``"B"``, ``"Hz"``, ``"FLOP/s"`` ...

    Returns
    -------
    str
        Such as ``"1.23 ms"``; bytes get decimal prefixes (GB, not GiB), times above a second none.

    Examples
    --------
    >>> format_si(0.00123, "s"), format_si(484e9, "B/s"), format_si(11.34e12, "FLOP/s")
    ('1.23 ms', '484 GB/s', '11.3 TFLOP/s')
    """
    if not math.isfinite(value) or value == 0 or (unit == "s" and abs(value) >= 1):
        return f"{value:.3g} {unit}" if abs(value) < 1000 else f"{value:.0f} {unit}"
    # Rounding first: 999.9 MB/s must become 1 GB/s, not 1e+03 MB/s.
    rounded = float(f"{value:.3g}")
    power = min(max(math.floor(math.log10(abs(rounded)) / 3 + 1e-9), _LEAST), _MOST)
    prefix = _PREFIXES[power - _LEAST]
    return f"{rounded / 10.0 ** (3 * power):.3g} {prefix}{unit}"


def _plain_factor(written: str, unit: str) -> float | None:
    """Return how many ``unit`` one ``written`` is where they differ by prefixes and bits only.

    >>> _plain_factor("GB/s", "B/s"), _plain_factor("MiB", "B"), _plain_factor("mile", "B")
    (1000000000.0, 1048576.0, None)
    """
    numerator, _, denominator = written.partition("/")
    base, _, below = unit.partition("/")
    for name, scale in ((base, 1.0), *_ALSO.get(base, ())):
        prefix = numerator.removesuffix(name)
        if not numerator.endswith(name) or denominator != below:
            continue
        if prefix in _PREFIXES:
            return float(scale * 10.0 ** (3 * (_PREFIXES.index(prefix) + _LEAST)))
        if name in ("B", "bit") and prefix[1:] == "i" and prefix[0] in _BINARY:
            return float(scale * 1024.0 ** (_BINARY.index(prefix[0]) + 1))
    return None


def one_micro(text: str) -> str:
    r"""Return ``text`` with the micro sign (U+00B5) for the letter mu: versions of pint differ.

    Examples
    --------
    >>> one_micro("3 \u03bcs") == one_micro("3 \u00b5s") == "3 \u00b5s"
    True
    """
    return text.replace("\u03bc", "\u00b5")


def _example(unit: str) -> str:
    return f'"{EXAMPLES[unit]}"' if unit in EXAMPLES else f"a number in {unit}"


@cache
def _registry() -> pint.UnitRegistry[float]:
    """Pint's own units, with information and operations as dimensions of their own.

    Pint counts a bit as dimensionless, so "16 GB" would pass for a plain number.
    """
    import pint

    registry: pint.UnitRegistry[float] = pint.UnitRegistry(on_redefinition="ignore")
    # New names, taking over the symbols: pint has already cached the dimensions of its own byte.
    registry.define("information_bit = [information] = bit")
    registry.define("information_byte = 8 * information_bit = B")
    registry.define("FLOP = [operation] = _ = OP")
    return registry


@cache
def _factor(written: str, unit: str) -> float:
    """How many ``unit`` one ``written`` is."""
    known = _plain_factor(one_micro(written), unit)
    if known is not None:
        return known
    import pint

    try:
        return float(_registry().Quantity(1, written).to(unit).magnitude)
    except pint.UndefinedUnitError:
        raise UnitError(f"the unit {written!r} is unknown") from None
    except pint.DimensionalityError:
        raise UnitError(f"the unit {written!r} does not measure the same as {unit}") from None
