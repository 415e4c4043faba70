"""Text from a board, escaped before it is shown, stored or raised."""

from __future__ import annotations

LONGEST = 300
"""Characters of a board's own words that a message repeats."""


def harmless(text: str | bytes) -> str:
    r"""Return ``text`` without anything that a terminal would obey, and not too long.

    Examples
    --------
    >>> harmless(b"\x1b[31mred\x07")
    '\\x1b[31mred\\x07'
    """
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    shown = "".join(c if c.isprintable() else _escaped(c) for c in text[: LONGEST + 1])
    return shown if len(text) <= LONGEST else f"{shown[:LONGEST]}..."


def last_line(text: bytes) -> str:
    r"""Return the last line that says something, made harmless.

    Examples
    --------
    >>> last_line(b"first\nlast\n\n"), last_line(b"")
    ('last', 'it said nothing')
    """
    lines = [line for line in text.splitlines() if line.strip()]
    return harmless(lines[-1].strip()) if lines else "it said nothing"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
