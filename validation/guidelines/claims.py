"""The guidelines of the ShuffleNet V2 paper and the order that each claims for its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from costmodel.errors import DataError

Pair = tuple[str, str]


@dataclass(frozen=True)
class Guideline:
    """A guideline and the order of rows that it claims.

    Parameters
    ----------
    name, title, table : str
        ``"G1"``, what it says, and the paper's table for it.
    claims : tuple of pairs
        Rows, the faster one first.
    extremes : pair
        The row that must be fastest, and the one that must be slowest.
    """

    name: str
    title: str
    table: str
    claims: tuple[Pair, ...]
    extremes: Pair


def _order(*rows: str) -> tuple[Pair, ...]:
    return tuple(pairwise(rows))


_BARE, _BOTH = "ReLU no, shortcut no", "ReLU yes, shortcut yes"
_RELU, _SHORTCUT = "ReLU yes, shortcut no", "ReLU no, shortcut yes"
GUIDELINES = {
    "g1": Guideline(
        "G1",
        "equal channel widths are fastest",
        "table1",
        _order("1:1", "1:2", "1:6", "1:12"),
        ("1:1", "1:12"),
    ),
    "g2": Guideline(
        "G2",
        "more groups are slower",
        "table2",
        _order("g=1", "g=2", "g=4", "g=8"),
        ("g=1", "g=8"),
    ),
    "g3": Guideline(
        "G3",
        "fragments are slower",
        "table3",
        (
            *_order("1-fragment", "2-fragment-series", "4-fragment-series"),
            *_order("1-fragment", "2-fragment-parallel", "4-fragment-parallel"),
        ),
        ("1-fragment", "4-fragment-parallel"),
    ),
    "g4": Guideline(
        "G4",
        "element-wise operations are slow",
        "table4",
        (*_order(_BARE, _RELU, _BOTH), *_order(_BARE, _SHORTCUT, _BOTH)),
        (_BARE, _BOTH),
    ),
}
"""The guidelines by the name that the command takes."""


def guidelines_only(networks: Sequence[str]) -> bool:
    """Return whether guidelines are asked for.

    Raises
    ------
    DataError
        If networks are asked for in the same breath: they make other tables.

    Examples
    --------
    >>> guidelines_only(["g1", "g2"]), guidelines_only(["shufflenet_v2"])
    (True, False)
    """
    wanted = [name in GUIDELINES for name in networks]
    if any(wanted) and not all(wanted):
        raise DataError(
            f"guidelines ({', '.join(GUIDELINES)}) and networks are validated by commands of their "
            f"own; take out {networks[wanted.index(False)]!r}"
        )
    return all(wanted)
