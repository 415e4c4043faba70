"""All variants of a space, or a sample, predicted in chunks: resumable, on several cores."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from costmodel.errors import DataError
from costmodel.platforms import Platform, load_platform
from costmodel.spaces.evaluate import COLUMNS, evaluate
from costmodel.spaces.select import Columns, Condition, conditions, joined, keep, pareto
from costmodel.spaces.space import Space

CHUNK = 16384
"""Variants of arrays that are predicted at once."""
STRUCTURES = 256
"""Structures that are predicted at once."""
_AHEAD = 4  # chunks that wait for a worker
_SEED = 2018
NUMBER = "variant"
"""The column of the numbers of the variants."""


@dataclass(frozen=True)
class Sweep:
    """Variants of a space that were kept.

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
        Variants that were predicted.
    """

    space: Space
    platform: str
    columns: dict[str, np.ndarray]
    seen: int

    def __len__(self) -> int:
        return len(self.columns[NUMBER])

    def variant(self, row: int) -> dict[str, object]:
        """Return the choices of a row."""
        return self.space.variant(int(self.columns[NUMBER][row]))

    def table(self) -> dict[str, np.ndarray]:
        """Return the columns with one more for each parameter."""
        places = self.space.places(self.columns[NUMBER])
        chosen = {n: np.asarray(self.space.choices[n])[places[n]] for n in self.space.choices}
        return {**self.columns, **chosen}


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
) -> Sweep:
    """Predict the variants of a space and keep those that are wanted.

    Parameters
    ----------
    space : Space
        The space.
    platform : str or Platform
        Where they run.
    where : str
        Conditions on the columns, such as ``"flops<300e6 and latency<0.01"``.
    best : int, optional
        How many of the fastest are kept.
    front : sequence of str
        Columns whose Pareto front is kept instead: all are to be small.
    sample : int, optional
        How many variants are drawn at random, without return; by default all are predicted.
    executor : Executor, optional
        Where chunks are predicted: any of :mod:`concurrent.futures`.
    folder : path, optional
        Where chunks that are done are kept, so that an interrupted sweep goes on.
    progress : callable, optional
        Called with the variants that are done and all of them.

    Raises
    ------
    DataError
        If a condition or column is unknown, or ``folder`` is of another sweep.

    Examples
    --------
    >>> from costmodel.spaces import find_space
    >>> space = find_space("shufflenet_v2")
    >>> found = sweep(space, "rk3399/tflite", "flops<150e6", best=3, sample=64)
    >>> len(found), bool(np.all(found.columns["flops"] < 150e6))
    (3, True)
    """
    place = load_platform(platform)
    tests = conditions(where, COLUMNS) if where.strip() else []
    if wrong := [c for c in front if c not in COLUMNS]:
        raise DataError(f"there is no column {wrong[0]!r}; there are {', '.join(COLUMNS)}")
    chosen = _Chosen(tests, best, tuple(front))
    chunks = _chunks(space, sample)
    store = None if folder is None else _Store(Path(folder), _what(space, place, where, sample))
    work = partial(_chunk, space, place)
    kept: dict[str, np.ndarray] | None = None
    seen, whole = 0, space.count if sample is None else min(sample, space.count)
    for i, columns in _results(chunks, work, store, executor):
        if store is not None:
            store.put(i, columns)
        seen += len(columns[NUMBER])
        kept = chosen.of(
            columns if kept is None else joined([kept, keep(columns, chosen.fine(columns))])
        )
        if progress is not None:
            progress(seen, whole)
    assert kept is not None
    order = np.lexsort((kept[NUMBER], kept["latency"]))
    return Sweep(space, place.name, keep(kept, order), seen)


@dataclass(frozen=True)
class _Chosen:
    """What is kept of the variants so far."""

    tests: Sequence[Condition]
    best: int | None
    front: tuple[str, ...]

    def fine(self, columns: Columns) -> np.ndarray:
        wanted = np.ones(len(columns[NUMBER]), dtype=bool)
        for test in self.tests:
            wanted &= test.holds(columns)
        return wanted

    def of(self, columns: Columns) -> dict[str, np.ndarray]:
        kept = keep(columns, self.fine(columns))
        if self.front:
            kept = keep(kept, pareto(np.stack([kept[c] for c in self.front], axis=1)))
        if self.best is not None and len(kept[NUMBER]) > self.best:
            order = np.lexsort((kept[NUMBER], kept["latency"]))
            # A front is cut at the end only: what is cut now might have been on it.
            kept = kept if self.front else keep(kept, order[: self.best])
        return kept


def _chunk(space: Space, platform: Platform, numbers: np.ndarray) -> dict[str, np.ndarray]:
    return {NUMBER: numbers, **evaluate(space, platform, numbers)}


def _chunks(space: Space, sample: int | None) -> Iterator[np.ndarray]:
    """Yield the numbers of the variants of each chunk, those of one structure together."""
    size = CHUNK if space.alike > 1 and sample is None else STRUCTURES
    size = min(size, STRUCTURES * space.alike)
    if sample is None:
        starts: Iterable[int] = range(0, space.count, size)
        yield from (np.arange(s, min(s + size, space.count), dtype=np.int64) for s in starts)
        return
    if sample < 1:
        raise DataError(f"a sample should have at least one variant, got {sample}")
    numbers = _drawn(space.count, sample)
    size = CHUNK if space.alike > STRUCTURES else STRUCTURES
    yield from (numbers[i : i + size] for i in range(0, len(numbers), size))


def _drawn(count: int, sample: int) -> np.ndarray:
    """Return different numbers below ``count``, sorted, always the same ones."""
    if sample >= count:
        return np.arange(count, dtype=np.int64)
    random = np.random.default_rng(_SEED)
    found = np.unique(random.integers(0, count, sample, dtype=np.int64))
    while len(found) < sample:
        more = random.integers(0, count, sample, dtype=np.int64)
        found = np.unique(np.concatenate([found, more]))
    return np.sort(random.permutation(found)[:sample])


def _results(
    chunks: Iterable[np.ndarray],
    work: Callable[[np.ndarray], dict[str, np.ndarray]],
    store: _Store | None,
    executor: Executor | None,
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Yield every chunk with its number: from the store where it is done, else predicted."""
    numbered = enumerate(chunks)
    if executor is None:
        for i, numbers in numbered:
            known = store.get(i) if store is not None else None
            yield i, known if known is not None else work(numbers)
        return
    waiting: list[tuple[int, Any]] = []
    while True:
        for i, numbers in islice(numbered, _AHEAD - len(waiting)):
            known = store.get(i) if store is not None else None
            waiting.append((i, known if known is not None else executor.submit(work, numbers)))
        if not waiting:
            return
        i, pending = waiting.pop(0)
        yield i, pending if isinstance(pending, dict) else pending.result()


def _what(space: Space, platform: Platform, where: str, sample: int | None) -> str:
    """Return what tells a sweep from others whose chunks would not be its own."""
    values = {n: [str(v) for v in vs] for n, vs in space.choices.items()}
    theta = sorted(platform.fitted.theta.items())
    return json.dumps([space.name, values, platform.name, theta, sample], sort_keys=True)


class _Store:
    """Chunks that are done, one file each, written whole or not at all."""

    def __init__(self, folder: Path, what: str) -> None:
        self._folder = folder
        label = folder / "sweep.json"
        if label.exists() and label.read_text(encoding="utf-8") != what:
            raise DataError(f"{folder} holds another sweep: remove it, or name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        label.write_text(what, encoding="utf-8")

    def get(self, number: int) -> dict[str, np.ndarray] | None:
        path = self._path(number)
        if not path.exists():
            return None
        with np.load(path) as found:
            return {name: found[name] for name in found.files}

    def put(self, number: int, columns: Columns) -> None:
        path = self._path(number)
        if path.exists():
            return
        half = path.with_suffix(".half")
        with open(half, "wb") as stream:
            np.savez(stream, **dict(columns))  # type: ignore[arg-type]
        os.replace(half, path)

    def _path(self, number: int) -> Path:
        return self._folder / f"chunk-{number:06}.npz"
