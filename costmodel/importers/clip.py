"""The name of a clipping, by its limits."""

from __future__ import annotations

_UNLIMITED = 3.4e38
"""Formats that need a number write the largest of float32 where there is no limit."""
_NAMED: dict[tuple[float | None, float | None], str] = {
    (0.0, 6.0): "relu6",
    (-1.0, 1.0): "hard_tanh",
}


def clip_kind(low: float | None, high: float | None) -> str:
    """Return the element-wise kind that clips to ``low`` and ``high``; None is no limit.

    A single limit costs as much as a rectifier, whatever its value.

    Examples
    --------
    >>> clip_kind(0, None), clip_kind(0, 6), clip_kind(-1, 1), clip_kind(0, 1)
    ('relu', 'relu6', 'hard_tanh', 'clamp')
    """
    low, high = (None if x is None or abs(x) >= _UNLIMITED else x for x in (low, high))
    return "relu" if (low is None) != (high is None) else _NAMED.get((low, high), "clamp")
