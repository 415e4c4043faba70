"""Files of variants, written chunk by chunk: CSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from costmodel.errors import DataError
from costmodel.graph.writing import replacing
from costmodel.spaces.select import Columns

Write = Callable[[Columns], None]
"""Append rows to a file; all calls have the same columns."""


def rows_to(file: Path) -> AbstractContextManager[Write]:
    """Return a context manager that opens a file and yields a function that appends rows.

    A Parquet file holds columns of objects, such as choices of mixed types, as text, because a
    column has one type in all chunks.

    Raises
    ------
    DataError
        If the file is neither ``.csv`` nor ``.parquet``, cannot be written, or pyarrow is not
        installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "rows.csv"
    ...     with rows_to(file) as write:
    ...         write({"variant": np.arange(2), "latency": np.array([0.5, 0.25])})
    ...     print(file.read_text())
    variant,latency
    0,0.5
    1,0.25
    <BLANKLINE>
    """
    if file.suffix == ".csv":
        return _csv(file)
    if file.suffix == ".parquet":
        return _parquet(file)
    raise DataError(f"{file}: the file must end in .csv or .parquet")


@contextmanager
def _csv(file: Path) -> Iterator[Write]:
    with replacing(file) as half, open(half, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        begun = False

        def write(rows: Columns) -> None:
            nonlocal begun
            if not begun:
                writer.writerow(rows)
                begun = True
            writer.writerows(zip(*(column.tolist() for column in rows.values()), strict=True))

        yield write


@contextmanager
def _parquet(file: Path) -> Iterator[Write]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise DataError(
            "a Parquet file needs the package pyarrow: pip install 'nn-costmodel[sweep]', or "
            "name a .csv file"
        ) from None
    writer: Any = None

    def write(rows: Columns) -> None:
        nonlocal writer
        table = pyarrow.table(
            {
                name: pyarrow.array(_texts(column), pyarrow.string())
                if column.dtype == object
                else column
                for name, column in rows.items()
            }
        )
        if writer is None:
            writer = parquet.ParquetWriter(half, table.schema)
        writer.write_table(table)

    with replacing(file) as half:
        try:
            yield write
        finally:
            if writer is not None:
                writer.close()


def _texts(column: np.ndarray) -> list[str | None]:
    return [None if value is None else str(value) for value in column]
