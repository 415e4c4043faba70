"""Chunks of a design space: variants that are predicted at once, and the store of results."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np

from costmodel.errors import DataError
from costmodel.graph import nodes_in_order
from costmodel.graph.writing import replacing
from costmodel.platforms import Platform
from costmodel.spaces.select import Columns
from costmodel.spaces.space import Space

CHUNK = 65536
"""Variants on arrays that are predicted at once."""
STRUCTURES = 256
"""Structures that are predicted at once."""
_SEED = 2018


def chunks(space: Space, sample: int | None) -> Iterator[np.ndarray]:
    """Yield the numbers of the variants of each chunk, grouped by structure.

    Raises
    ------
    DataError
        If the sample has no variant.

    Examples
    --------
    >>> space = Space("one", print, {"c": range(CHUNK + 1)}, ("c",))
    >>> [len(numbers) for numbers in chunks(space, None)]
    [65536, 1]
    """
    size = chunk_size(space, sample)
    if sample is None:
        starts = range(0, space.count, size)
        yield from (np.arange(s, min(s + size, space.count), dtype=np.int64) for s in starts)
        return
    if sample < 1:
        raise DataError(f"a sample must have at least one variant, got {sample}")
    numbers = _drawn(space.count, sample)
    yield from (numbers[i : i + size] for i in range(0, len(numbers), size))


def chunk_size(space: Space, sample: int | None) -> int:
    """Return the number of variants of a chunk; all of them are whole grids of sizes if possible.

    Examples
    --------
    >>> grid = Space("grid", print, {"a": range(1000), "b": range(3000)}, ("a", "b"))
    >>> chunk_size(grid, None)
    63000
    """
    if sample is not None:
        return CHUNK if space.alike > STRUCTURES else STRUCTURES
    size = min(CHUNK, STRUCTURES * space.alike) if space.alike > 1 else STRUCTURES
    block = 1
    for name in reversed(space.sizes):
        if block * len(space.choices[name]) > size:
            break
        block *= len(space.choices[name])
    return size // block * block


def _drawn(count: int, sample: int) -> np.ndarray:
    """Return distinct numbers below ``count``, sorted, with a fixed seed."""
    if sample >= count:
        return np.arange(count, dtype=np.int64)
    random = np.random.default_rng(_SEED)
    found = np.unique(random.integers(0, count, sample, dtype=np.int64))
    while len(found) < sample:
        more = random.integers(0, count, sample, dtype=np.int64)
        found = np.unique(np.concatenate([found, more]))
    return np.sort(random.permutation(found)[:sample])


class Store:
    """Finished chunks, one file each, written atomically.

    Parameters
    ----------
    folder : Path
        Their folder, which is created.
    space, platform, sample
        The sweep.

    Raises
    ------
    DataError
        If the folder belongs to another sweep.
    """

    def __init__(self, folder: Path, space: Space, platform: Platform, sample: int | None) -> None:
        self._folder = folder
        what = _what(space, platform, sample)
        label = folder / "sweep.json"
        if label.exists() and label.read_text(encoding="utf-8") != what:
            raise DataError(f"{folder} holds another sweep: remove it, or name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        label.write_text(what, encoding="utf-8")

    def get(self, number: int) -> dict[str, np.ndarray] | None:
        """Return the columns of a chunk, None if it is not finished."""
        path = self._path(number)
        if not path.exists():
            return None
        with np.load(path) as found:
            return {name: found[name] for name in found.files}

    def put(self, number: int, columns: Columns) -> None:
        """Store the columns of a chunk."""
        path = self._path(number)
        if path.exists():
            return
        with replacing(path) as half, open(half, "wb") as stream:
            np.savez(stream, **dict(columns))  # type: ignore[arg-type]

    def _path(self, number: int) -> Path:
        return self._folder / f"chunk-{number:06}.npz"


def _what(space: Space, platform: Platform, sample: int | None) -> str:
    """Return a key of a sweep that distinguishes its chunks from those of others."""
    values = {n: [str(v) for v in vs] for n, vs in space.choices.items()}
    theta = sorted(platform.fitted.theta.items())
    size = chunk_size(space, sample)
    # Files of hardware and runtimes change under one name, and so do surfaces of a calibration.
    surfaces = [(s.kind, s.dtype, s.length, s.weights.tolist()) for s in platform.fitted.surfaces]
    facts = sha256(repr((platform.hardware, platform.rules, surfaces)).encode()).hexdigest()
    what = [space.name, values, platform.name, theta, facts, sample, size, _network_of(space)]
    return json.dumps(what, sort_keys=True)


def _network_of(space: Space) -> str:
    """Return a hash of the first variant, so that a changed file of the same name is noticed."""
    nodes = [
        (node.name, type(node.op).__name__, sorted(node.op.fields().items()), node.sources)
        for node in nodes_in_order(space.graph(0))
    ]
    return sha256(repr(nodes).encode()).hexdigest()
