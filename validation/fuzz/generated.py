"""Generated inputs: expressions by their grammar, and texts by hypothesis."""

from __future__ import annotations

import random
from functools import cache

_SYMBOLS = ("h", "w", "c", "c1", "n", "size", "abc")
_DEEPEST = 6
_TEXTS = 200


def expression(rng: random.Random, depth: int = 0) -> str:
    """Return an expression of sizes: most are within the limits of the parser, some far beyond.

    Examples
    --------
    >>> expression(random.Random(1))
    'w'
    """
    if depth >= _DEEPEST or rng.random() < 0.25 + 0.1 * depth:
        return rng.choice((*_SYMBOLS, str(rng.choice((1, 2, 3, 7, 32, 224, 10**12)))))
    parts = [expression(rng, depth + 1) for _ in range(rng.choice((1, 2, 2, 3)))]
    match rng.randrange(6):
        case 0:
            return f"{rng.choice(('ceiling', 'floor', 'sqrt'))}({parts[0]})"
        case 1:
            return f"{rng.choice(('Max', 'Min'))}({', '.join(parts)})"
        case 2:
            return f"({parts[0]})**{rng.choice((2, 3, 16, 17, 64, -1, '(1/2)'))}"
        case 3:
            return f"({parts[0]})/{rng.choice((2, 3, 'h', 0, parts[-1]))}"
    return rng.choice((" + ", "*", " - ")).join(f"({part})" for part in parts)


@cache
def texts(words: tuple[str, ...]) -> list[str]:
    """Return texts of words and any characters, by hypothesis; none where it is not installed.

    They are the same in every process, so that inputs are reproducible.
    """
    try:
        from hypothesis import HealthCheck, Phase, given, settings
        from hypothesis import strategies as st
    except ImportError:
        return []
    made: list[str] = []
    piece = st.one_of(st.sampled_from(words), st.text(max_size=5))

    @settings(
        max_examples=_TEXTS,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(piece, max_size=20))
    def collect(parts: list[str]) -> None:
        made.append("".join(parts))

    collect()
    return made
