"""The printed measurements of the ShuffleNet V2 paper, as networks and seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PLATFORMS = {"gpu": "gtx-1080-ti/paper", "arm": "snapdragon-810/paper"}
"""Devices of the paper: a GTX 1080 Ti, and one Cortex-A57 of a Snapdragon 810."""
TABLES = ("table1", "table2", "table3", "table4")

# Table 8's networks whose structure is known, by the name that the table prints.
TABLE8 = {
    "ShuffleNet v2 0.5x (ours)": "shufflenet_v2?width=0.5",
    "ShuffleNet v2 1x (ours)": "shufflenet_v2?width=1.0",
    "ShuffleNet v2 1.5x (ours)": "shufflenet_v2?width=1.5",
    "ShuffleNet v2 2x (ours)": "shufflenet_v2?width=2.0",
    "ShuffleNet v1 0.5x (g=3)": "shufflenet_v1?width=0.5",
    "ShuffleNet v1 1x (g=3)": "shufflenet_v1?width=1.0",
    "ShuffleNet v1 1.5x (g=3)": "shufflenet_v1?width=1.5",
    "ShuffleNet v1 2x (g=3)": "shufflenet_v1?width=2.0",
    "0.25 MobileNet v1": "mobilenet_v1?width=0.25",
    "0.5 MobileNet v1": "mobilenet_v1?width=0.5",
    "0.75 MobileNet v1": "mobilenet_v1?width=0.75",
    "1.0 MobileNet v1": "mobilenet_v1?width=1.0",
    "1.0 MobileNet v2": "mobilenet_v2?width=1.0",
    "1.4 MobileNet v2": "mobilenet_v2?width=1.4",
    "IGCV3-D (0.7)": "igcv3?width=0.7",
    "IGCV3-D": "igcv3?width=1.0",
    "IGCV3-D (1.4)": "igcv3?width=1.4",
}
_TABLE8_BATCH = {"gpu": 8, "arm": 1}


@dataclass(frozen=True)
class Cell:
    """One printed speed.

    Parameters
    ----------
    table, row, column : str
        Its position.
    network : str
        The network, as in :mod:`costmodel.specs`.
    seconds : float
        One over the printed speed. [s]
    """

    table: str
    row: str
    column: str
    network: str
    seconds: float


@cache
def printed() -> dict[str, Any]:
    """Return the tables as printed."""
    text = (Path(__file__).parent / "paper.json").read_text(encoding="utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


def cells(kind: str, tables: tuple[str, ...] = TABLES) -> list[Cell]:
    """Return the cells of some tables for ``"gpu"`` or ``"arm"``.

    Examples
    --------
    >>> cells("gpu", ("table1",))[0]
    Cell(table='table1', row='1:1', column='gpu_x1', network='g1_stack?c1=128&c2=128', \
seconds=0.0006756756756756757)
    """
    return [cell for table in tables for cell in _READERS[table](kind)]


def _columns(table: str, kind: str) -> list[tuple[int, str]]:
    names = printed()["tables"][table]["columns"]
    return [
        (i, name)
        for i, name in enumerate(names)
        if name.startswith(f"{kind}_") and "_c1c2_" not in name and "_c_x1" not in name
    ]


def _table1(kind: str) -> list[Cell]:
    table = printed()["tables"]["table1"]
    channels = table["columns"].index(f"{kind}_c1c2_x1")
    found = []
    for row in table["rows"]:
        for i, column in _columns("table1", kind):
            times = int(column.rpartition("x")[2])
            c1, c2 = (times * c for c in row[channels])
            spec = f"g1_stack?c1={c1}&c2={c2}"
            found.append(Cell("table1", row[0], column, spec, 1 / row[i]))
    return found


def _table2(kind: str) -> list[Cell]:
    table = printed()["tables"]["table2"]
    channels = table["columns"].index(f"{kind}_c_x1")
    found = []
    for row in table["rows"]:
        for i, column in _columns("table2", kind):
            c = int(column.rpartition("x")[2]) * row[channels]
            # 180 channels in 8 groups (ARM, x1) is not a whole number; the next that is.
            c = -(-c // row[0]) * row[0]
            spec = f"g2_stack?c={c}&groups={row[0]}"
            found.append(Cell("table2", f"g={row[0]}", column, spec, 1 / row[i]))
    return found


def _table3(kind: str) -> list[Cell]:
    found = []
    for row in printed()["tables"]["table3"]["rows"]:
        for i, column in _columns("table3", kind):
            c = int(column.rpartition("_c")[2])
            spec = f"g3_stack?structure={row[0]}&c={c}"
            found.append(Cell("table3", row[0], column, spec, 1 / row[i]))
    return found


def _table4(kind: str) -> list[Cell]:
    found = []
    for row in printed()["tables"]["table4"]["rows"]:
        relu, shortcut = (str(flag).lower() for flag in row[:2])
        label = f"ReLU {'yes' if row[0] else 'no'}, shortcut {'yes' if row[1] else 'no'}"
        for i, column in _columns("table4", kind):
            c = int(column.rpartition("_c")[2])
            spec = f"g4_stack?c={c}&relu={relu}&shortcut={shortcut}"
            found.append(Cell("table4", label, column, spec, 1 / row[i]))
    return found


def _table8(kind: str) -> list[Cell]:
    table = printed()["tables"]["table8"]
    i = table["columns"].index({"gpu": "gpu_batches_per_s", "arm": "arm_images_per_s"}[kind])
    return [
        Cell("table8", row[0], kind, f"{TABLE8[row[0]]}&batch={_TABLE8_BATCH[kind]}", 1 / row[i])
        for row in table["rows"]
        if row[0] in TABLE8
    ]


_READERS = {
    "table1": _table1,
    "table2": _table2,
    "table3": _table3,
    "table4": _table4,
    "table8": _table8,
}
