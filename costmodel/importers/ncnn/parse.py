"""Reading ncnn's ``.param`` text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from costmodel.errors import DataError
from costmodel.reading import read_text

MAGIC = "7767517"
MAX_BYTES = 64 * 2**20
"""Maximum file size. [byte]"""
MAX_LAYERS = 20_000
"""Maximum number of layers in a file."""
MAX_BLOBS = 4096
"""Maximum number of input or output blobs of a layer."""
_SHAPE_HINTS = -23330
_FIRST_ARRAY = -23300
_COUNT = re.compile(r"[0-9]{1,9}")
_LARGEST = 3.5e38
"""Upper bound of a number in a file, above the float32 range."""


@dataclass(frozen=True)
class Layer:
    """One layer: its type, name, inputs, outputs and numbered parameters.

    Parameters
    ----------
    kind, name : str
        Layer type and name.
    inputs, outputs : tuple of str
        Blob names.
    params : dict
        Scalars by number; arrays by number (-23300 - k is written for array k).
    hints : tuple of tuple
        Shapes (without batch) of the outputs where the file notes them. [element]
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict[int, float | tuple[float, ...]]
    hints: tuple[tuple[int, ...], ...] = ()

    def integer(self, key: int, default: int = 0) -> int:
        """Return scalar parameter ``key`` as an int."""
        value = self.params.get(key, default)
        return default if isinstance(value, tuple) else int(value)

    def number(self, key: int, default: float = 0.0) -> float:
        """Return scalar parameter ``key``."""
        value = self.params.get(key, default)
        return default if isinstance(value, tuple) else float(value)

    def array(self, key: int) -> tuple[int, ...] | None:
        """Return array parameter ``key``, or None where it is not given."""
        value = self.params.get(key)
        return tuple(int(v) for v in value) if isinstance(value, tuple) else None


def read(path: Path) -> list[Layer]:
    """Return the layers of an ncnn ``.param`` file.

    Raises
    ------
    DataError
        Names the file and the faulty line.
    """
    return parse(read_text(path, MAX_BYTES).splitlines(), path.name)


def parse(lines: list[str], name: str) -> list[Layer]:
    """Return the layers written in ``lines``; ``name`` is used in messages.

    Examples
    --------
    >>> parse(["7767517", "1 1", "Input data 0 1 data 0=224 1=224 2=3"], "net")[0].params
    {0: 224, 1: 224, 2: 3}
    """
    if not lines or lines[0].strip() != MAGIC:
        raise DataError(f"{name}: the first line of an ncnn .param file must be {MAGIC}")
    counts = lines[1].split() if len(lines) > 1 else []
    if len(counts) != 2 or not all(map(_COUNT.fullmatch, counts)):
        raise DataError(f"{name}: line 2 must give the numbers of layers and blobs")
    if int(counts[0]) > MAX_LAYERS:
        raise DataError(f"{name}: {counts[0]} layers are too many (at most {MAX_LAYERS})")
    written = [(i, line) for i, line in enumerate(lines[2:], 3) if line.strip()]
    if len(written) < int(counts[0]):
        raise DataError(f"{name}: line 2 gives {counts[0]} layers but {len(written)} follow")
    # ncnn reads as many layers as are announced and no more.
    layers = [_layer(line, f"{name}, line {i}") for i, line in written[: int(counts[0])]]
    made: set[str] = set()
    for layer in layers:
        for blob in layer.inputs:
            if blob not in made:
                raise DataError(
                    f"{name}: layer {layer.name!r} takes {blob!r}, made by none before it"
                )
        made.update(layer.outputs)
    return layers


def _layer(line: str, where: str) -> Layer:
    words = line.split()
    try:
        kind, name, taken, given = words[0], words[1], int(words[2]), int(words[3])
        blobs, rest = words[4 : 4 + taken + given], words[4 + taken + given :]
        if min(taken, given) < 0 or max(taken, given) > MAX_BLOBS or len(blobs) != taken + given:
            raise ValueError("blobs")
        params: dict[int, float | tuple[float, ...]] = {}
        hints: tuple[tuple[int, ...], ...] = ()
        for word in rest:
            key, _, text = word.partition("=")
            number = int(key)
            if number == _SHAPE_HINTS:
                hints = _hints([int(v) for v in text.split(",")[1:]])
            elif number <= _FIRST_ARRAY:
                params[_FIRST_ARRAY - number] = tuple(map(_number, text.split(",")[1:]))
            else:
                params[number] = _number(text)
    except (IndexError, ValueError):
        raise DataError(
            f"{where}: expected 'type name inputs outputs blobs... key=value...', got {line[:80]!r}"
        ) from None
    return Layer(kind, name, tuple(blobs[:taken]), tuple(blobs[taken:]), params, hints)


def _number(text: str) -> float:
    """Return an int or a finite float, as large as ncnn's own at most."""
    value = float(text) if "." in text or "e" in text.lower() else int(text)
    if not abs(value) <= _LARGEST:
        raise ValueError(text)
    return value


def _hints(flat: list[int]) -> tuple[tuple[int, ...], ...]:
    """Return the shapes of ``dims, w, h, c`` quadruples, outermost axis first."""
    quadruples = [flat[i : i + 4] for i in range(0, len(flat) - 3, 4)]
    return tuple(tuple(reversed(sizes[:rank])) for rank, *sizes in quadruples)
