"""Disjoint splits into fitted and scored rows, fixed by a seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.errors import DataError

SEED = 1807_11164
"""Seed of all splits."""


@dataclass(frozen=True)
class Split:
    """Positions of the rows that are fitted and of those that are scored.

    Parameters
    ----------
    fitted, scored : ndarray of int
        Positions.

    Raises
    ------
    DataError
        If a row is in both.
    """

    fitted: np.ndarray
    scored: np.ndarray

    def __post_init__(self) -> None:
        both = np.intersect1d(self.fitted, self.scored)
        if len(both):
            raise DataError(f"row {both[0]} is fitted and scored")


def draws(rows: int, fitted: int, count: int) -> Iterator[Split]:
    """Yield ``count`` random splits with ``fitted`` fitted rows.

    Examples
    --------
    >>> [(len(s.fitted), len(s.scored)) for s in draws(12, 5, 2)]
    [(5, 7), (5, 7)]
    """
    for number in range(count):
        order = np.random.default_rng([SEED, number]).permutation(rows)
        yield Split(np.sort(order[:fitted]), np.sort(order[fitted:]))


def per_group(groups: Sequence[str], fitted: int, draw: int = 0) -> Split:
    """Return a split with ``fitted`` rows of each group, at most half of them.

    Splits of other draws have other rows.

    Examples
    --------
    >>> split = per_group(["a"] * 10 + ["b"] * 4, 3)
    >>> len(split.fitted), len(split.scored)
    (5, 9)
    """
    names = np.array(groups)
    chosen = []
    for number, name in enumerate(sorted(set(groups))):
        seed = [SEED, number, draw] if draw else [SEED, number]
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(names == name))
        chosen.append(rows[: min(fitted, len(rows) // 2)])
    picked = np.sort(np.concatenate(chosen))
    return Split(picked, np.setdiff1d(np.arange(len(names)), picked))


def by_site(sites: Sequence[str], fitted: int, count: int) -> Iterator[Split]:
    """Yield ``count`` splits with ``fitted`` rows of one half of the sites; the other is scored.

    Examples
    --------
    >>> (split,) = by_site(["a", "a", "b", "b", "c", "d"], 1, 1)
    >>> len(split.fitted), len(split.scored) in (2, 3, 4)
    (1, True)
    """
    names = np.array(sites)
    unique = sorted(set(sites))
    for number in range(count):
        rng = np.random.default_rng([SEED, number])
        known = rng.permutation(unique)[: len(unique) // 2]
        inside = np.isin(names, known)
        picked = rng.permutation(np.flatnonzero(inside))[:fitted]
        yield Split(np.sort(picked), np.flatnonzero(~inside))


def beyond(sizes: np.ndarray, fitted: int) -> Split:
    """Return a split that fits ``fitted`` of the smaller rows and scores the largest fifth.

    Examples
    --------
    >>> split = beyond(np.arange(10), 3)
    >>> len(split.fitted), split.scored.tolist()
    (3, [8, 9])
    """
    order = np.argsort(sizes, kind="stable")
    inside, outside = np.split(order, [len(order) * 4 // 5])
    picked = np.random.default_rng([SEED, len(sizes)]).permutation(inside)[:fitted]
    return Split(np.sort(picked), np.sort(outside))


def leave_out(groups: Sequence[str], name: str) -> Split:
    """Return a split that scores one group and fits the others.

    Examples
    --------
    >>> leave_out(["a", "b", "a"], "a").scored.tolist()
    [0, 2]
    """
    names = np.array(groups)
    return Split(np.flatnonzero(names != name), np.flatnonzero(names == name))


def sample(rows: int, most: int) -> np.ndarray:
    """Return at most ``most`` positions of ``rows``, in a fixed draw."""
    order = np.random.default_rng([SEED, rows]).permutation(rows)
    return np.sort(order[:most])
