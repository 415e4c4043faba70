"""Rounds of unfinished networks: the file next to a store that keeps their samples."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .journal import Turn
from .lines import append_line

SUFFIX = ".rounds"
"""Behind the name of the store."""


@dataclass(frozen=True)
class StoredTurn:
    """One turn of a network that is not finished.

    Parameters
    ----------
    key : str
        Of the result that it will be part of (:func:`validation.measuring.store.result_key`).
    origin : str
        What tells the graph, the machine and its software from others: a network does not go on
        from turns of another origin.
    spec : str
        What is measured, for whoever reads the file.
    turn : Turn
        The samples.
    """

    key: str
    origin: str
    spec: str
    turn: Turn


class Rounds:
    """The file of one store: a line a round, emptied when all its networks are finished.

    Parameters
    ----------
    store : Path
        The store; whoever has locked it may append here.

    Attributes
    ----------
    torn : list of int
        Numbers of the lines that were cut off and are not read.
    """

    def __init__(self, store: Path) -> None:
        self.path = Path(f"{store}{SUFFIX}")
        self.torn: list[int] = []
        self._turns: dict[str, list[StoredTurn]] = {}
        self._file = -1

    def read(self) -> None:
        """Read what the file holds.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        self.torn, self._turns = [], {}
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else []
        for number, line in enumerate(lines, start=1):
            try:
                turns = [_parse(entry) for entry in json.loads(line)["round"]] if line else []
            except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
                self.torn.append(number)
            else:
                self._take(turns)

    def append(self, turns: Sequence[StoredTurn]) -> None:
        """Write the turns of a round and force them to the disk.

        Raises
        ------
        OSError
            If the file cannot be made, or the disk is full or fails.
        """
        if self._file < 0:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        append_line(self._file, {"round": [asdict(turn) for turn in turns]})
        self._take(turns)

    def of(self, key: str, origin: str) -> tuple[Turn, ...]:
        """Return the turns under ``key`` that are of the same ``origin``."""
        return tuple(t.turn for t in self._turns.get(key, ()) if t.origin == origin)

    def forget(self, key: str) -> None:
        """Forget the turns under ``key``, whose result is on the disk."""
        self._turns.pop(key, None)
        if self._file >= 0 and not self._turns:
            with contextlib.suppress(OSError):  # what stays is skipped: its results are there
                os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Close the file, and remove it where nothing in it is of use."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if not self._turns and self.path.is_file():
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _take(self, turns: Sequence[StoredTurn]) -> None:
        for turn in turns:
            self._turns.setdefault(turn.key, []).append(turn)


def _parse(entry: Mapping[str, Any]) -> StoredTurn:
    """Return a turn that was written as the fields of :class:`StoredTurn`.

    Raises
    ------
    ValueError, TypeError, KeyError
        If a field is missing or of another type, or a time is impossible.
    """
    fields = dict(entry["turn"])
    clean, disturbed = (tuple(map(_seconds, fields.pop(name))) for name in ("clean", "disturbed"))
    turn = Turn(clean, disturbed, **fields)
    _seconds(turn.median)
    counts = (turn.repeat, turn.rejected)
    if not all(type(count) is int and count >= 0 for count in counts) or turn.repeat < 1:
        raise ValueError("a count is impossible")
    if not (clean or disturbed) or not 0 <= float(turn.spent) < math.inf:
        raise ValueError("a turn has samples, and takes time")
    texts = [entry[name] for name in ("key", "origin", "spec")]
    if not all(isinstance(text, str) for text in texts) or not isinstance(turn.steady, bool):
        raise TypeError("a field is of another type")
    return StoredTurn(entry["key"], entry["origin"], entry["spec"], turn)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError("a time is a number")
    if not 0 < value < math.inf:
        raise ValueError("a time is positive")
    return float(value)
