"""Input of a score: measured rows of one device, and the location of the data."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import networkx as nx

from costmodel.errors import DataError
from costmodel.specs import network

DATA_VARIABLE = "COSTMODEL_DATA"
"""Environment variable that names the folder of public measurements."""


@dataclass(frozen=True)
class Row:
    """One measured latency of a data set.

    Parameters
    ----------
    network : str
        The network, as in :mod:`costmodel.specs`.
    seconds : float
        [s]
    group : str
        Kind of the row, if a set contains several (``"linear"``, ``"conv"``).
    site : str
        Rows of one site, such as the weights of a product, are never both fitted and scored.
    between : int
        Bytes that other kernels touched between two runs: its weights are cold. [byte]
    """

    network: str
    seconds: float
    group: str = ""
    site: str = ""
    between: int = 0


@dataclass(frozen=True)
class DeviceSet:
    """The rows of one device in one data set.

    Parameters
    ----------
    name : str
        Its name in the table of scores.
    platform : str
        The platform whose parameters are fitted.
    rows : tuple of Row
        All rows.
    graphs : mapping of str to DiGraph
        Networks without a text form in :mod:`costmodel.specs`, by the name that rows use.
    weights_at_hand : bool
        Whether all weights come from a core's first cache, whatever their size.
    elsewhere : tuple of mapping of str to float
        For each other board: the times of the same networks on it, by name. [s]
    """

    name: str
    platform: str
    rows: tuple[Row, ...]
    graphs: Mapping[str, nx.DiGraph] = field(default_factory=dict, compare=False)
    weights_at_hand: bool = False
    elsewhere: tuple[Mapping[str, float], ...] = field(default=(), compare=False)

    def graph(self, row: Row) -> nx.DiGraph:
        """Return the op graph of a row."""
        return self.graphs[row.network] if row.network in self.graphs else network(row.network)


def data_folder() -> Path:
    """Return the folder of public measurements: ``$COSTMODEL_DATA`` or ``../shared/data``.

    Raises
    ------
    DataError
        If there is none.
    """
    named = os.environ.get(DATA_VARIABLE)
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    folder = Path(named) if named else default
    if not folder.is_dir():
        raise DataError(
            f"no measurements at {folder}: set {DATA_VARIABLE} to the folder that holds them"
        )
    return folder


def read_csv(name: str) -> Iterator[dict[str, str]]:
    """Yield the rows of one file of the data folder."""
    file = data_folder() / name
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            yield from csv.DictReader(stream)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None
