"""Results as an append-only file of JSON lines that survives an interruption at any point.

A result is one line, written at once and forced to the disk before the next measurement starts. A
line that was cut off (power cut, ``kill -9``) is left where it is, reported, and never read. The
samples of unfinished networks are in a file next to it (:mod:`.rounds`).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from costmodel.calibration.measurement import Measurement
from costmodel.errors import DataError
from costmodel.reading import is_file, parse_json, read_bytes

from ..errors import StoreError
from .lines import append_line, open_alone
from .rounds import Rounds, StoredTurn
from .summary import Timing

_CONDITIONS = ("device", "mode", "layout", "cache")  # columns that calibrate holds rows against
SCHEMA = 1
"""Version of the lines, raised when they change."""
MAX_BYTES = 2**30
"""Largest store that is read. [byte]"""
_MOST_TORN = 1000
"""Most lines that may be cut off; a process that dies leaves one."""


@dataclass(frozen=True)
class Result:
    """One measurement with where it comes from.

    Parameters
    ----------
    spec : str
        What was measured, as in :mod:`costmodel.specs`.
    backend, platform : str
        What ran it; the platform that it is to be compared with (``"host/torch-eager"``).
    settings : mapping
        Every setting of the backend and of the plan.
    batch : int
        Inputs at once.
    timing : Timing, optional
        What was measured; None where it failed.
    failure : str
        Why it failed: one sentence; ``""`` where it did not.
    host : mapping
        The machine, its load and the versions of the software.
    run : int
        Repetition of the same measurement at another time; 0 is the first.
    kernel : str
        The kernel of ``spec`` that was measured alone; ``""`` for all of it.
    measured_at : str
        UTC, ISO 8601.
    graph : str
        What was built of ``spec`` (:func:`validation.measuring.networks.digest`); ``""`` where it
        could not be, and in stores of before.
    """

    spec: str
    backend: str
    platform: str
    settings: Mapping[str, Any]
    batch: int = 1
    timing: Timing | None = None
    failure: str = ""
    host: Mapping[str, Any] = field(default_factory=dict)
    run: int = 0
    kernel: str = ""
    measured_at: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds")
    )
    graph: str = ""

    @property
    def key(self) -> str:
        """What makes two results the same measurement: spec, backend, settings, run, kernel."""
        return result_key(self.spec, self.backend, self.settings, self.run, self.kernel)


def result_key(
    spec: str, backend: str, settings: Mapping[str, Any], run: int = 0, kernel: str = ""
) -> str:
    """Return the key under which a result is stored.

    Examples
    --------
    >>> result_key("a", "torch", {"threads": 1}) == result_key("a", "torch", {"threads": 2})
    False
    """
    text = json.dumps([spec, backend, dict(settings), run, kernel], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class Store:
    """The results in one file; open it in a ``with`` block to append.

    Parameters
    ----------
    path : path
        The file; it is made if it does not exist.

    Attributes
    ----------
    torn : list of int
        Numbers of the lines that were cut off and are not read.

    Raises
    ------
    StoreError
        If the file cannot be read, or (on entering) another process appends to it.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> with Store(f"{folder.name}/results.jsonl") as store:
    ...     store.append(Result("shufflenet_v2", "torch", "host/torch-eager", {}, failure="tried"))
    >>> [r.spec for r in Store(f"{folder.name}/results.jsonl").results()]
    ['shufflenet_v2']
    >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.torn: list[int] = []
        self.rounds = Rounds(self.path)
        self._results: dict[str, Result] = {}
        self._file = -1
        self._read()

    def __enter__(self) -> Store:
        try:
            self._file = open_alone(self.path)
        except BlockingIOError:
            raise StoreError(
                f"{self.path}: another measurement writes to it; wait for it, or take another file"
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StoreError(f"{self.path}: cannot be opened: {reason}") from None
        self._read()  # another process may have appended before this one got the lock
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.rounds.close()
        os.close(self._file)
        self._file = -1

    def __contains__(self, key: str) -> bool:
        """Return whether a successful result is stored under ``key``."""
        return self.get(key) is not None

    def get(self, key: str) -> Result | None:
        """Return the result that is stored under ``key``; none where it failed."""
        found = self._results.get(key)
        return None if found is None or found.timing is None else found

    def results(self) -> list[Result]:
        """Return the results in the order of measuring; the last one of a key stands."""
        return list(self._results.values())

    def append(self, result: Result) -> None:
        """Write ``result`` and force it to the disk.

        Raises
        ------
        StoreError
            If the disk is full or fails; the results before it are kept whole.
        """
        try:
            self._make_again()
            append_line(self._file, _line(result))
        except OSError as error:
            raise StoreError(self._sentence(error)) from None
        self._take(result)

    def _make_again(self) -> None:
        """Write the results before to the file once more where somebody has removed it."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self.path), os.fstat(self._file)):
                return
        opened = open_alone(self.path)
        os.close(self._file)
        self._file = opened
        for result in self._results.values():
            append_line(opened, _line(result))

    def append_round(self, turns: Sequence[StoredTurn]) -> None:
        """Write the turns of a round beside the results and force them to the disk.

        Raises
        ------
        StoreError
            If the disk is full or fails; what was written before is kept whole.
        """
        try:
            self.rounds.append(turns)
        except OSError as error:
            raise StoreError(self._sentence(error)) from None

    def to_measurements(self, keys: Container[str] | None = None) -> list[Measurement]:
        """Return the successful results of whole specs as rows of a measurement table.

        Parameters
        ----------
        keys : container of str, optional
            Only the results of these keys.
        """
        return [
            _measurement(result)
            for key, result in self._results.items()
            if result.timing is not None and not result.kernel and (keys is None or key in keys)
        ]

    def _sentence(self, error: OSError) -> str:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        what = "the disk is full" if full else f"writing failed: {error.strerror}"
        return (
            f"{self.path}: {what}; the {len(self._results)} results before are kept: make room "
            "and run the same command again to go on"
        )

    def _take(self, result: Result) -> None:
        self._results.pop(result.key, None)
        self._results[result.key] = result
        if result.timing is not None:
            self.rounds.forget(result.key)

    def _read(self) -> None:
        try:
            text = read_bytes(self.path, MAX_BYTES) if is_file(self.path) else b""
            self.rounds.read()
        except DataError as error:
            raise StoreError(str(error)) from None
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror}") from None
        self.torn, self._results = [], {}
        for number, line in enumerate(text.split(b"\n"), start=1):
            if not line:
                continue
            result = _parse(line)
            if result is None:
                self.torn.append(number)
                if len(self.torn) > _MOST_TORN:
                    raise StoreError(
                        f"{self.path}: more than {_MOST_TORN} lines of it are not results: it is "
                        "not a store"
                    )
            else:
                self._take(result)
        if self.torn and not self._results and not _is_cut_result(text):
            raise StoreError(f"{self.path}: no line of it is a result: it is not a store")


def _line(result: Result) -> dict[str, Any]:
    return {"schema": SCHEMA, **asdict(result)}


def _is_cut_result(text: bytes) -> bool:
    """Return whether all of a file is the beginning of a result: the first one was cut off."""
    return b"\n" not in text and b'{"backend": "'.startswith(text[:13])


def _parse(line: bytes) -> Result | None:
    try:
        data = parse_json(line)
        if data.pop("schema") != SCHEMA:
            return None
        timing = data.pop("timing")
        result = Result(**data, timing=None if timing is None else Timing(**timing))
    except (DataError, TypeError, KeyError, AttributeError):
        return None
    return result if _is_sound(result) else None


_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "Mapping[str, Any]": dict,
    "Timing | None": (Timing, type(None)),
}


def _is_sound(result: Result) -> bool:
    """Return whether the fields of a line are of their types, and its times and counts possible."""
    if not _is_typed(result):
        return False
    settings = result.settings
    counts = (result.batch, settings.get("threads", 1) or 1, settings.get("between", 0))
    if not all(type(count) is int and 0 <= count < 2**63 for count in counts):
        return False
    timing = result.timing
    return timing is None or (_is_typed(timing) and min(timing.median, timing.quiet) > 0)


def _is_typed(record: Result | Timing) -> bool:
    values = ((f, getattr(record, f.name)) for f in fields(record))
    return all(
        isinstance(value, _TYPES[str(f.type)]) and isinstance(value, bool) == (f.type == "bool")
        for f, value in values
    )


def _measurement(result: Result) -> Measurement:
    timing = result.timing
    assert timing is not None
    extra = {
        "low": timing.low,
        "high": timing.high,
        "minimum": timing.minimum,
        "p90": timing.p90,
        "median": timing.median,
        "samples": timing.samples,
        "run": result.run,
    }
    return Measurement(
        network=result.spec,
        seconds=timing.quiet,
        platform=result.platform,
        batch=result.batch,
        dtype=str(result.settings.get("dtype", "")),
        threads=result.settings.get("threads"),
        between=result.settings.get("between", 0),
        extra={
            **{name: repr(value) for name, value in extra.items()},
            **{name: str(result.settings[name]) for name in _CONDITIONS if name in result.settings},
        },
    )
