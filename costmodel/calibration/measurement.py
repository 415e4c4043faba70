"""Tables of measured latencies: written by ``measure``, read by ``calibrate`` and ``score``.

A table is CSV (or Parquet, if pyarrow is installed) with one measurement per row. Columns:

``network``
    A network as in :mod:`costmodel.specs`: a zoo name with parameters, a file, or a single operator
    such as ``conv2d?cin=64&size=56&cout=64&k=1``. Required.
``seconds``
    The measured latency of one inference. Required; positive. [s]
``platform``, ``batch``, ``dtype``, ``threads``
    Device and conditions of the measurement. Optional; an empty cell means "not stated".
``between``
    Bytes that other kernels touched between two runs, after which the inputs were written: an
    operator measured as if inside a network. Optional; 0 or empty if it ran repeatedly alone.
    [byte]

``mode``, ``host``, ``layout``, ``cache``, ``device``
    The conditions: ``mode`` is ``eager``, ``compile``, ``graphs`` (kernels replayed from a CUDA
    graph) or ``library`` (called from C++); ``host`` is ``in`` or ``out``: whether the time
    includes it; ``cache`` is ``warm``, or ``cold`` together with ``between``. Optional; a platform
    with other conditions rejects the row (:mod:`costmodel.calibration.conditions`).

Further columns are kept as they are.
"""

from __future__ import annotations

import csv
import io
import math
import numbers
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import networkx as nx

from costmodel.arguments import path_of
from costmodel.counting.subject import Prepared
from costmodel.errors import DataError, listed, suggest
from costmodel.graph.writing import write_atomically
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.reading import read_text

REQUIRED = ("network", "seconds")
COLUMNS = ("network", "platform", "batch", "dtype", "threads", "between", "seconds")
MAX_ROWS = 1_000_000
"""Maximum number of rows."""
MAX_BYTES = 256 * 2**20
"""Maximum size of a table. [byte]"""
_SHOWN = 2
"""Number of reasons, and of rows of one reason, in an error."""


@dataclass(frozen=True)
class Measurement:
    """One measured latency.

    Parameters
    ----------
    network : str, DiGraph or Prepared
        The network, as in :mod:`costmodel.specs`, or the op graph itself.
    seconds : float
        Latency of one inference. [s]
    platform : str
        The measured platform; ``""`` if not stated.
    batch, threads : int, optional
        Batch size, number of threads.
    dtype : str
        Dtype of the network; ``""`` if not stated.
    extra : mapping
        Further columns.
    between : int
        Bytes that other kernels touched between two runs. [byte]
    row : int
        Its number in the file, where the header is row 1; 0 without a file.
    """

    network: str | nx.DiGraph | Prepared
    seconds: float
    platform: str = ""
    batch: int | None = None
    dtype: str = ""
    threads: int | None = None
    extra: Mapping[str, str] = field(default_factory=dict, compare=False)
    between: int = 0
    row: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """The name of the network: its text, or the name of the graph.

        Examples
        --------
        >>> from costmodel import zoo
        >>> Measurement(zoo.resnet18(), 0.02).name
        'resnet18'
        """
        if isinstance(self.network, str):
            return self.network
        return str(getattr(self.network, "name", "")) or "a graph"


@dataclass(frozen=True)
class BadRow:
    """A rejected row.

    Parameters
    ----------
    row : int
        Its number in the file, where the header is row 1.
    reason : str
        The fault.
    """

    row: int
    reason: str


def read_measurements(
    path: str | os.PathLike[str], keep_good: bool = False
) -> tuple[list[Measurement], list[BadRow]]:
    """Return the measurements of a table, and the rows that are bad.

    Parameters
    ----------
    path : path
        A ``.csv`` or ``.parquet`` file.
    keep_good : bool
        Whether good rows are returned in spite of bad ones; otherwise one bad row rejects the
        table.

    Raises
    ------
    DataError
        If the file cannot be read, lacks a column, or holds bad rows and ``keep_good`` is false;
        the message gives the first bad rows with the reasons.
    """
    file = path_of(path, "path")
    rows = _parquet_rows(file) if file.suffix == ".parquet" else _csv_rows(file)
    try:
        good, bad = check_rows(rows)
    except DataError as error:
        raise DataError(f"{file}: {error}") from None
    if bad and not keep_good:
        raise DataError(
            f"{file}: {len(bad)} of {len(rows)} rows are bad: {named(bad)}; mend or drop them"
        )
    return good, bad


def named(bad: Sequence[BadRow]) -> str:
    """Return the first reasons with their rows, and the number of the other bad rows.

    Examples
    --------
    >>> named([BadRow(2, "network is empty"), BadRow(5, "network is empty"), BadRow(7, "no time")])
    'rows 2, 5: network is empty; row 7: no time'
    """
    rows: dict[str, list[int]] = {}
    for b in bad:
        rows.setdefault(b.reason, []).append(b.row)
    first = list(rows.items())[:_SHOWN]
    shown = "; ".join(
        f"row{'s' if len(of) > 1 else ''} {listed(of, _SHOWN)}: {reason}" for reason, of in first
    )
    more = len(bad) - sum(len(of) for _, of in first)
    return shown + (f" (and {more} more)" if more else "")


def check_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Measurement], list[BadRow]]:
    """Return the measurements of ``rows``, and the rows that are bad.

    Examples
    --------
    >>> check_rows([{"network": "shufflenet_v2", "seconds": "-1"}])
    ([], [BadRow(row=2, reason="seconds must be a positive number, got '-1'")])
    """
    if not rows:
        raise DataError("the table has no rows")
    if len(rows) > MAX_ROWS:
        raise DataError(f"{len(rows)} rows are too many (at most {MAX_ROWS})")
    missing = [name for name in REQUIRED if name not in rows[0]]
    if missing:
        raise DataError(
            f"column {missing[0]!r} is missing; there are {', '.join(map(str, rows[0]))}"
        )
    good: list[Measurement] = []
    bad: list[BadRow] = []
    seen: dict[tuple[str, ...], int] = {}
    for number, row in enumerate(rows, start=2):
        try:
            measurement = _measurement(row, number)
        except DataError as error:
            bad.append(BadRow(number, str(error)))
            continue
        key = tuple(f"{name}={value}" for name, value in row.items())
        if key in seen:
            bad.append(BadRow(number, f"the same as row {seen[key]} in every column"))
            continue
        seen[key] = number
        good.append(measurement)
    return good, bad


def check_numbers(measurements: Iterable[Measurement]) -> list[BadRow]:
    """Return the measurements, made in Python, whose time or bytes between runs are none.

    Examples
    --------
    >>> check_numbers([Measurement("shufflenet_v2", 0.1), Measurement("shufflenet_v2", 0.0)])
    [BadRow(row=3, reason='seconds must be a positive number, got 0.0')]
    """
    return [
        BadRow(m.row or number, reason)
        for number, m in enumerate(measurements, start=2)
        if (reason := _wrong_number(m))
    ]


def _wrong_number(m: Measurement) -> str:
    if not (_is_number(m.seconds) and 0 < m.seconds < math.inf):
        return f"seconds must be a positive number, got {m.seconds!r}"
    if not (_is_number(m.between) and 0 <= m.between < math.inf):
        return f"between must be a number of bytes, got {m.between!r}"
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def write_measurements(path: str | os.PathLike[str], measurements: Iterable[Measurement]) -> None:
    """Write a CSV table atomically.

    Raises
    ------
    DataError
        If a network is a graph in memory: a table names networks by text.
    """
    rows = list(measurements)
    for number, m in enumerate(rows, start=2):
        if not isinstance(m.network, str):
            raise DataError(
                f"row {number}: {m.name} is a graph in memory, which a table cannot hold: save it "
                "(costmodel.save) and give the name of its file"
            )
    extra = list(dict.fromkeys(name for m in rows for name in m.extra))
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, *extra])
    for m in rows:
        known = (
            m.network,
            m.platform,
            m.batch,
            m.dtype,
            m.threads,
            m.between or None,
            repr(m.seconds),
        )
        writer.writerow(
            [*("" if v is None else v for v in known), *(m.extra.get(n, "") for n in extra)]
        )
    write_atomically(Path(path), stream.getvalue())


def _measurement(row: Mapping[str, Any], number: int) -> Measurement:
    if None in row or any(value is None for value in row.values()):
        raise DataError("it has another number of cells than the header")
    network = str(row["network"]).strip()
    if not network:
        raise DataError("network is empty")
    dtype = str(row.get("dtype", "")).strip()
    if dtype and dtype not in DTYPE_BYTES:
        raise DataError(f"dtype {dtype!r} is unknown; {suggest(dtype, DTYPE_BYTES)}")
    return Measurement(
        network=network,
        seconds=_seconds(row["seconds"]),
        platform=str(row.get("platform", "")).strip(),
        batch=_count(row, "batch"),
        dtype=dtype,
        threads=_count(row, "threads"),
        between=_count(row, "between", smallest=0) or 0,
        extra={k: str(v) for k, v in row.items() if k not in COLUMNS},
        row=number,
    )


def _seconds(cell: Any) -> float:
    try:
        seconds = float(cell)
    except (TypeError, ValueError):
        raise DataError(f"seconds must be a number in seconds, got {cell!r}") from None
    if not (math.isfinite(seconds) and seconds > 0):
        raise DataError(f"seconds must be a positive number, got {cell!r}")
    if seconds > 86_400:
        raise DataError(f"seconds is {seconds:g}, more than a day: is it in another unit?")
    return seconds


def _count(row: Mapping[str, Any], name: str, smallest: int = 1) -> int | None:
    text = str(row.get(name, "")).strip()
    if text in ("", "nan", "None"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not value.is_integer() or value < smallest:
        wanted = "a positive integer" if smallest else "a whole number of bytes"
        raise DataError(f"{name} must be {wanted}, got {text!r}")
    return int(value)


def _csv_rows(file: Path) -> list[dict[str, Any]]:
    text = read_text(file, MAX_BYTES, encoding="utf-8-sig")
    try:
        return list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise DataError(f"{file}: not CSV: {error}") from None


def _parquet_rows(file: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(f"{file}: reading Parquet needs pyarrow: pip install pyarrow") from None
    try:
        rows: list[dict[str, Any]] = parquet.read_table(file).to_pylist()
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: not Parquet: {error}") from None
    return [{k: "" if v is None else v for k, v in row.items()} for row in rows]
