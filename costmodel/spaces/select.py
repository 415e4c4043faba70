"""Selection of variants: conditions, the best, the Pareto front."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.errors import DataError, suggest

Columns = Mapping[str, np.ndarray]
_TESTS = {
    "<=": np.less_equal,
    ">=": np.greater_equal,
    "<": np.less,
    ">": np.greater,
    "==": np.equal,
    "!=": np.not_equal,
}
_CONDITION = re.compile(r"\s*([A-Za-z_]\w*)\s*(<=|>=|==|!=|<|>)\s*([-+0-9.eE]+)\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a column with a number, such as ``flops < 300e6``."""

    column: str
    test: str
    value: float

    def holds(self, columns: Columns) -> np.ndarray:
        """Return a mask of the rows where it holds."""
        return np.asarray(_TESTS[self.test](columns[self.column], self.value))


def conditions(text: str, known: Sequence[str]) -> list[Condition]:
    """Return the conditions in a text, separated by ``and`` or a comma.

    Raises
    ------
    DataError
        If it cannot be read, or a column is unknown.

    Examples
    --------
    >>> conditions("flops<300e6 and latency <= 0.01", ("flops", "latency"))[1]
    Condition(column='latency', test='<=', value=0.01)
    """
    found = []
    for part in re.split(r"\band\b|,", text):
        match = _CONDITION.fullmatch(part)
        try:
            found.append(Condition(match[1], match[2], float(match[3])))  # type: ignore[index]
        except (TypeError, ValueError):
            raise DataError(
                f"a condition must be as in flops<300e6 and latency<0.01, got {part.strip()!r}"
            ) from None
        if found[-1].column not in known:
            raise DataError(
                f"there is no column {found[-1].column!r}; {suggest(found[-1].column, known)}"
            )
    return found


def pareto(values: np.ndarray) -> np.ndarray:
    """Return a mask of the rows that are not dominated by another row.

    Parameters
    ----------
    values : ndarray
        One row per variant; all columns are minimized. A row dominates another one if it is at most
        as large in all columns and smaller in one.

    Examples
    --------
    >>> pareto(np.array([[1.0, 5.0], [2.0, 2.0], [3.0, 3.0], [5.0, 1.0]])).tolist()
    [True, True, False, True]
    """
    order = np.lexsort(values.T[::-1])
    if values.shape[1] == 2:
        return _pareto_of_two(values, order)
    front = np.zeros(len(values), dtype=bool)
    kept = np.empty((0, values.shape[1]))
    for block in np.array_split(order, max(1, len(order) // _BLOCK)):
        rows = values[block]
        rows_kept = ~_dominated(rows, kept) if len(kept) else np.ones(len(rows), dtype=bool)
        survivors = block[rows_kept]
        own = values[survivors]
        alive = survivors[~_dominated(own, own)]
        front[alive] = True
        kept = np.vstack([kept, values[alive]])
    return front


def _pareto_of_two(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the front of two columns: sorted by the first, each second must be a new minimum."""
    rows = values[order]
    least = np.minimum.accumulate(np.concatenate([[np.inf], rows[:-1, 1]]))
    new = np.ones(len(rows), dtype=bool)
    new[1:] = np.any(rows[1:] != rows[:-1], axis=1)
    better = rows[:, 1] < least
    front = np.empty(len(rows), dtype=bool)
    front[order] = better[new][np.cumsum(new) - 1]  # equal rows are all kept or all dropped
    return front


_BLOCK = 512


def _dominated(rows: np.ndarray, by: np.ndarray) -> np.ndarray:
    at_most = np.all(by[None] <= rows[:, None], axis=2)
    less = np.any(by[None] < rows[:, None], axis=2)
    return np.asarray(np.any(at_most & less, axis=1))


def keep(columns: Columns, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows of columns selected by a mask or by positions."""
    return {name: values[wanted] for name, values in columns.items()}


def joined(parts: Sequence[Columns]) -> dict[str, np.ndarray]:
    """Return the concatenated rows of several parts."""
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
