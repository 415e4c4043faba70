"""Prediction of all variants of a space, or a sample, in resumable chunks on several cores."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass
from functools import partial
from itertools import islice
from numbers import Integral
from typing import Any

import numpy as np

from costmodel.arguments import path_of, values_of
from costmodel.errors import DataError, suggest
from costmodel.platforms import Platform, load_platform
from costmodel.spaces.chunks import Store, chunks
from costmodel.spaces.evaluate import COLUMNS, check_sizes, evaluate
from costmodel.spaces.select import Columns, Condition, conditions, joined, keep, pareto
from costmodel.spaces.space import Space, column_of

_AHEAD = 32
"""Maximum number of chunks that wait for a worker, or whose results wait."""
NUMBER = "variant"
"""The column of the numbers of the variants."""


@dataclass(frozen=True)
class Sweep:
    """The kept variants of a space.

    Parameters
    ----------
    space : Space
        The space.
    platform : str
        Where they run.
    columns : mapping
        ``variant``, the number of each, and ``latency`` [s], ``multiply_adds``, ``flops`` (two
        for each multiply-add), ``params`` and ``mac`` [element]; the fastest first.
    seen : int
        Number of predicted variants.
    """

    space: Space
    platform: str
    columns: dict[str, np.ndarray]
    seen: int

    def __repr__(self) -> str:
        kept = f"{len(self):,} kept of {self.seen:,}"
        return f"<Sweep of {self.space.name} on {self.platform}: {kept}>"

    def __len__(self) -> int:
        return len(self.columns[NUMBER])

    def variant(self, row: int) -> dict[str, object]:
        """Return the choices of a row."""
        return self.space.variant(int(self.columns[NUMBER][row]))

    def table(self) -> dict[str, np.ndarray]:
        """Return the columns with one more for each parameter."""
        return with_choices(self.space, self.columns)


def with_choices(space: Space, columns: Columns) -> dict[str, np.ndarray]:
    """Return columns of variants with one more for each parameter of their space."""
    places = space.places(columns[NUMBER])
    chosen = {n: column_of(space.choices[n])[places[n]] for n in space.choices}
    return {**columns, **chosen}


def sweep(
    space: Space,
    platform: str | Platform,
    where: str = "",
    best: int | None = None,
    front: Sequence[str] = (),
    sample: int | None = None,
    executor: Executor | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    each: Callable[[dict[str, np.ndarray]], None] | None = None,
) -> Sweep:
    """Predict the variants of a space and keep the selected ones.

    Parameters
    ----------
    space : Space
        The space.
    platform : str or Platform
        Where they run.
    where : str
        Conditions on the columns, such as ``"flops<300e6 and latency<0.01"``.
    best : int, optional
        Number of the fastest variants to keep.
    front : sequence of str
        Columns whose Pareto front is kept instead; all are minimized.
    sample : int, optional
        Number of variants drawn at random without replacement; by default all are predicted.
    executor : Executor, optional
        Executor of the chunks: any of :mod:`concurrent.futures`, or that of a cluster
        (``dask.distributed.Client.get_executor``). Chunks that are lost with its processes are
        predicted in this process.
    folder : path, optional
        Folder of finished chunks, with which an interrupted sweep can resume.
    progress : callable, optional
        Called with the number of finished variants and the total.
    each : callable, optional
        Called with the columns of the variants of each chunk that meet the conditions, in order, so
        that they need not fit into memory together; with ``best`` only these are kept.

    Raises
    ------
    DataError
        If ``space`` is none, a condition or column is unknown, ``folder`` is of another sweep, or
        sizes of the space change its structure.

    Examples
    --------
    >>> from costmodel.spaces import find_space
    >>> space = find_space("shufflenet_v2")
    >>> found = sweep(space, "rk3399/tflite", "flops<150e6", best=3, sample=64)
    >>> len(found), bool(np.all(found.columns["flops"] < 150e6))
    (3, True)
    """
    _check(space, {"best": best, "sample": sample}, {"progress": progress, "each": each})
    if not isinstance(where, str) or isinstance(front, str):
        raise DataError(
            f"where must be a text and front a list of columns, got {where!r} and {front!r}"
        )
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise DataError(f"executor must be an Executor of concurrent.futures, got {executor!r}")
    place = load_platform(platform)
    front_of = values_of(front, "front", "columns")
    tests = conditions(where, COLUMNS) if where.strip() else []
    if wrong := [c for c in front_of if c not in COLUMNS]:
        raise DataError(f"there is no column {wrong[0]!r}; {suggest(str(wrong[0]), COLUMNS)}")
    chosen = _Chosen(tests, best, front_of)
    store = None if folder is None else Store(path_of(folder, "folder"), space, place, sample)
    check_sizes(space, place, next(chunks(space, sample)))
    work = partial(_chunk, space, place)
    seen, whole = 0, space.count if sample is None else min(sample, space.count)
    for i, columns in _results(chunks(space, sample), work, store, executor):
        if store is not None:
            store.put(i, columns)
        seen += len(columns[NUMBER])
        fine = chosen.take(columns)
        if each is not None:
            each(fine)
        if progress is not None:
            progress(seen, whole)
    return Sweep(space, place.name, chosen.ranked(), seen)


def _check(space: object, numbers: Mapping[str, object], functions: Mapping[str, object]) -> None:
    """Refuse arguments of :func:`sweep` of a wrong kind, each by its name."""
    if not isinstance(space, Space):
        raise DataError(
            "expected a Space, as costmodel.find_space('nasbench201') returns it, got "
            f"{type(space).__name__}"
        )
    for name, number in numbers.items():
        if number is not None and not isinstance(number, Integral):
            raise DataError(f"{name} must be an integer, got {number!r}")
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise DataError(f"{name} must be a function, got {function!r}")


class _Chosen:
    """The variants kept so far."""

    def __init__(
        self, tests: Sequence[Condition], best: int | None, front: tuple[str, ...]
    ) -> None:
        self._tests, self._best, self._front = tests, best, front
        self._kept: list[dict[str, np.ndarray]] = []

    def take(self, columns: Columns) -> dict[str, np.ndarray]:
        """Add a chunk, and return its rows that meet the conditions."""
        wanted = np.ones(len(columns[NUMBER]), dtype=bool)
        for test in self._tests:
            wanted &= test.holds(columns)
        fine = keep(columns, wanted)
        self._kept.append(self._of(fine))
        if self._front or self._best is not None:
            self._kept = [self._of(joined(self._kept))]
        return fine

    def _of(self, rows: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if self._front:
            # A front is cut only at the end, because a row cut now might have been on it.
            return keep(rows, pareto(np.stack([rows[c] for c in self._front], axis=1)))
        return rows if self._best is None else keep(rows, _order(rows)[: self._best])

    def ranked(self) -> dict[str, np.ndarray]:
        """Return the kept variants, the fastest first."""
        kept = joined(self._kept)
        return keep(kept, _order(kept)[: self._best])


def _order(rows: Columns) -> np.ndarray:
    return np.lexsort((rows[NUMBER], rows["latency"]))


def _chunk(space: Space, platform: Platform, numbers: np.ndarray) -> dict[str, np.ndarray]:
    return {NUMBER: numbers, **evaluate(space, platform, numbers)}


def _results(
    chunks: Iterable[np.ndarray],
    work: Callable[[np.ndarray], dict[str, np.ndarray]],
    store: Store | None,
    executor: Executor | None,
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield every chunk with its number, in order; finished ones come from the store."""
    numbered = enumerate(chunks)
    waiting: deque[tuple[int, np.ndarray, Any]] = deque()
    while True:
        for i, numbers in islice(numbered, (_AHEAD if executor else 1) - len(waiting)):
            known = store.get(i) if store is not None else None
            waiting.append((i, numbers, known or _submitted(executor, work, numbers)))
        if not waiting:
            return
        i, numbers, found = waiting.popleft()
        if isinstance(found, Future):
            found = _result(found)
        yield i, work(numbers) if found is None else found


def _submitted(executor: Executor | None, work: Callable[..., Any], numbers: np.ndarray) -> Any:
    """Return the future of a chunk, None if it is predicted in this process."""
    try:
        return None if executor is None else executor.submit(work, numbers)
    except BrokenExecutor:
        return None


def _result(future: Future[dict[str, np.ndarray]]) -> dict[str, np.ndarray] | None:
    """Return the result of a chunk, None if it was lost with the processes of an executor."""
    try:
        return future.result()
    except BrokenExecutor:
        return None
