"""Unit strings at the boundary: ``"484 GB/s"`` to an SI float and back to short text.

Inside the library every quantity is a plain float in seconds, bytes, hertz or operations; units
appear only in files and printed text. Prefixes and conversions are those of pint, because
home-made tables are error-prone: others shipped ``T = 1e13`` or confused GB (10**9 bytes) with
GiB (2**30 bytes).
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import TYPE_CHECKING

from costmodel.errors import UnitError

if TYPE_CHECKING:
    import pint

#: A valid quantity for each requested unit; the keys are the units that files may use.
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
"""Prefixes handled here, each a thousand times the previous one.

Pint takes 0.3 s to start; it reads what these do not, and the tests hold both to one another.
"""
_LEAST, _MOST = -5, 7
"""Powers of a thousand of the first and the last prefix."""
_ALSO = {"B": (("bit", 0.125),), "FLOP": (("OP", 1.0),)}
"""Other units of the same dimension, with their size in the first unit."""
_BINARY = "KMGTP"
"""First letters of binary prefixes from Ki on, each 1024 times the previous one."""
_LONGEST = 100
"""Maximum length of a quantity; units of many words take seconds to parse. [character]"""
_QUANTITY = re.compile(
    r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-zµμ]+(?:/[A-Za-z]+)?)"
)


def parse(text: str, unit: str) -> float:
    """Read a number with a unit and return it in ``unit``.

    Parameters
    ----------
    text : str
        A number followed by a unit, as in a datasheet. GB is 10**9 bytes, GiB is 2**30 bytes; a bit
        is an eighth of a byte; one operation is written FLOP or OP.
    unit : str
        The unit to return, a key of :data:`EXAMPLES`.

    Returns
    -------
    float
        The value. [``unit``]

    Raises
    ------
    UnitError
        If the text is not a number with a unit, or the unit is unknown or of another dimension.

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
    """Format a quantity with three significant digits and the shortest prefix.

    Parameters
    ----------
    value : float
        The quantity. [``unit``]
    unit : str
        The unit of ``value``: ``"s"``, ``"B/s"``, ``"B"``, ``"Hz"``, ``"FLOP/s"`` ...

    Returns
    -------
    str
        For example ``"1.23 ms"``. Bytes get decimal prefixes (GB, not GiB), times above a second
        none.

    Examples
    --------
    >>> format_si(0.00123, "s"), format_si(484e9, "B/s"), format_si(11.34e12, "FLOP/s")
    ('1.23 ms', '484 GB/s', '11.3 TFLOP/s')
    """
    if not math.isfinite(value) or value == 0 or (unit == "s" and abs(value) >= 1):
        return f"{value:.3g} {unit}" if abs(value) < 1000 else f"{value:.0f} {unit}"
    # Round first: 999.9 MB/s must become 1 GB/s, not 1e+03 MB/s.
    rounded = float(f"{value:.3g}")
    power = min(max(math.floor(math.log10(abs(rounded)) / 3 + 1e-9), _LEAST), _MOST)
    prefix = _PREFIXES[power - _LEAST]
    return f"{rounded / 10.0 ** (3 * power):.3g} {prefix}{unit}"


def _plain_factor(written: str, unit: str) -> float | None:
    """Return the factor from ``written`` to ``unit`` if they differ in prefix and bits only.

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
    r"""Return ``text`` with the letter mu as the micro sign (U+00B5): versions of pint differ.

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
    """Return pint's units with information and operations as separate dimensions.

    In pint a bit is dimensionless, so it would accept "16 GB" as a plain number.
    """
    import pint

    registry: pint.UnitRegistry[float] = pint.UnitRegistry(on_redefinition="ignore")
    # New names that reuse the symbols: pint has already cached the dimensions of its own byte.
    registry.define("information_bit = [information] = bit")
    registry.define("information_byte = 8 * information_bit = B")
    registry.define("FLOP = [operation] = _ = OP")
    return registry


@cache
def _factor(written: str, unit: str) -> float:
    """Return the factor from ``written`` to ``unit``."""
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
