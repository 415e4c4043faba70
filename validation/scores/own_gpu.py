"""Measurements of this project on an H200 and an H100: operators and networks with PyTorch.

The rows are in ``docs/data``. No prior was set with the networks, or with any row of the H100. The
rules of alignment, layout and rows for which the GPU model cites the H200 come from its operators,
and the prior ``half_tile`` was set with its products in view.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from costmodel.errors import DataError

from ..measuring.backend import Settings
from ..measuring.networks import network_for
from .dataset import DeviceSet, Row

FOLDER = Path(__file__).parents[2] / "docs" / "data"
"""Where the rows are."""
_HARDWARE = {"h200": "h200", "h100": "h100-sxm"}
_RUNTIMES = {"eager": "torch-eager", "graphs": "cuda-graphs"}
_PRODUCTS = ("linear", "bmm", "attention", "conv2d", "depthwise")
_STREAMS = ("elementwise", "layer_norm", "softmax", "pool", "batch_norm", "channel_shuffle")
_OPERATORS = {**dict.fromkeys(_PRODUCTS, "products"), **dict.fromkeys(_STREAMS, "streams")}


def device_sets(gpu: str) -> list[DeviceSet]:
    """Return the rows of each mode and dtype; operators and networks are scored separately.

    Parameters
    ----------
    gpu : {"h200", "h100"}
        Which file.
    """
    found: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    for line in lines_of(f"{gpu}_torch.csv"):
        name = line["network"].partition("?")[0]
        kind = "operators" if name in _OPERATORS else "networks"
        found[line["mode"], line["dtype"], kind].append(line)
    return [_set(gpu, *key, lines) for key, lines in found.items()]


def designed(name: str) -> DeviceSet | None:
    """Return the operators that ``costmodel calibrate`` chose and measured on the device of a set.

    Parameters
    ----------
    name : str
        Name of a set of :func:`device_sets`; its mode and dtype must be those of the measurement.
    """
    if not name.startswith("h100 graphs bfloat16"):
        return None
    return _set("h100", "graphs", "bfloat16", "operators", lines_of("h100_design.csv"))


def lines_of(name: str) -> list[dict[str, str]]:
    """Return the lines of a file of ``docs/data``.

    Parameters
    ----------
    name : str
        Name of the file.

    Raises
    ------
    DataError
        If it is not there.
    """
    file = FOLDER / name
    if not file.exists():
        raise DataError(f"no measurements at {file}: it lies in the source of this project")
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _set(gpu: str, mode: str, dtype: str, kind: str, lines: list[dict[str, str]]) -> DeviceSet:
    settings = Settings(device="cuda", mode=mode, dtype=dtype)  # type: ignore[arg-type]
    rows = tuple(
        Row(line["network"], float(line["seconds"]), group=_group(line["network"], kind))
        for line in lines
    )
    graphs = {row.network: network_for(row.network, settings) for row in rows}
    platform = f"{_HARDWARE[gpu]}/{_RUNTIMES[mode]}"
    return DeviceSet(f"{gpu} {mode} {dtype} {kind}", platform, rows, graphs)


def _group(spec: str, kind: str) -> str:
    name = spec.partition("?")[0]
    return _OPERATORS[name] if kind == "operators" else spec.rpartition("batch=")[2]
