"""Measurements of this project on an H200: operators and networks, eager and as CUDA graphs.

The rows are in ``docs/data/h200_torch.csv``. No prior was set with the networks; the rules of
alignment, layout and rows for which the GPU model cites this file come from the operators.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from costmodel.errors import DataError

from ..measuring.backend import Settings
from ..measuring.networks import network_for
from .dataset import DeviceSet, Row

FILE = Path(__file__).parents[2] / "docs" / "data" / "h200_torch.csv"
_RUNTIMES = {"eager": "torch-eager", "graphs": "cuda-graphs"}
_OPERATORS = {
    **dict.fromkeys(("linear", "bmm", "attention", "conv2d", "depthwise"), "products"),
    **dict.fromkeys(("elementwise", "layer_norm", "softmax"), "streams"),
}


def device_sets() -> list[DeviceSet]:
    """Return the rows of each mode and dtype; operators and networks are scored separately."""
    if not FILE.exists():
        raise DataError(f"no measurements at {FILE}: it lies in the source of this project")
    found: dict[tuple[str, str, str], list[dict[str, str]]] = defaultdict(list)
    with FILE.open(newline="", encoding="utf-8") as stream:
        for line in csv.DictReader(stream):
            name = line["network"].partition("?")[0]
            kind = "operators" if name in _OPERATORS else "networks"
            found[line["mode"], line["dtype"], kind].append(line)
    return [_set(*key, lines) for key, lines in found.items()]


def _set(mode: str, dtype: str, kind: str, lines: list[dict[str, str]]) -> DeviceSet:
    settings = Settings(device="cuda", mode=mode, dtype=dtype)  # type: ignore[arg-type]
    rows = tuple(
        Row(line["network"], float(line["seconds"]), group=_group(line["network"], kind))
        for line in lines
    )
    graphs = {row.network: network_for(row.network, settings) for row in rows}
    return DeviceSet(f"h200 {mode} {dtype} {kind}", f"h200/{_RUNTIMES[mode]}", rows, graphs)


def _group(spec: str, kind: str) -> str:
    name = spec.partition("?")[0]
    return _OPERATORS[name] if kind == "operators" else spec.rpartition("batch=")[2]
