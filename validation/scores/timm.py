"""Whole networks of timm with autocast to float16.

RTX 3090, eager, with images of either layout, and RTX 4090, compiled, as timm's authors timed them
with PyTorch 2.4; images of the printed size and batch. H100, eager and compiled, as this project
timed them with PyTorch 2.11 (``docs/data/h100_timm.csv``), at batch 128.

Networks are imported through timm: where it is not installed, graphs that were imported before are
read from the folder that ``$COSTMODEL_GRAPHS`` names. With both, networks that the folder lacks are
added to it.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import networkx as nx
import numpy as np

from costmodel.errors import DataError
from costmodel.graph.serialize import load, save

from .dataset import DeviceSet, Row, read_csv
from .own_gpu import lines_of
from .splits import SEED

GRAPHS_VARIABLE = "COSTMODEL_GRAPHS"
"""Environment variable that names the folder of imported networks."""
NETWORKS = 90
"""Networks that take part, drawn once."""
_FILES = {
    "rtx-3090 eager": (
        "rtx-3090/torch-eager?amp=float16",
        "timm/benchmark-infer-amp-nchw-pt240-cu124-rtx3090.csv",
    ),
    "rtx-4090 compiled": (
        "rtx-4090/torch-compile?amp=float16",
        "timm/benchmark-infer-amp-nchw-pt240-cu124-rtx4090-dynamo.csv",
    ),
}
_AGAIN = {
    "rtx-3090 channels last": (
        "rtx-3090/torch-eager?amp=float16&layout=nhwc",
        "timm/benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv",
    ),
}
"""Duplicates of networks at the same sizes, which are excluded from the draw."""
_OWN = {
    "h100 eager": ("h100-sxm/torch-eager?amp=float16", "eager"),
    "h100 compiled": ("h100-sxm/torch-compile?amp=float16", "compile"),
}
"""Sets that this project measured: platform, and mode of its rows."""

Line = Mapping[str, str]


def device_sets() -> list[DeviceSet]:
    """Return the networks of each GPU.

    Raises
    ------
    DataError
        If neither timm nor the folder is there.
    """
    tables = {name: _table(file) for name, (_, file) in _FILES.items()}
    chosen = drawn(set.intersection(*(set(table) for table in tables.values())))
    graphs = Graphs()
    graphs.check()
    known = {_key(line) for table in tables.values() for line in table.values()}
    tables |= {name: _table(file) for name, (_, file) in _AGAIN.items()}
    sets = []
    for name, (platform, _) in (_FILES | _AGAIN).items():
        rows = tuple(
            Row(_key(line), float(line["infer_step_time"]) / 1e3)
            for line in (tables[name][model] for model in chosen if model in tables[name])
            if _key(line) in known
        )
        sets.append(DeviceSet(f"timm {name}", platform, rows, graphs))
    for name, (platform, mode) in _OWN.items():
        rows = tuple(
            Row(f"{line['model']}-{line['size']}-{line['batch']}", float(line["seconds"]))
            for line in lines_of("h100_timm.csv")
            if line["mode"] == mode
        )
        sets.append(DeviceSet(f"timm {name}", platform, rows, graphs))
    return sets


def drawn(names: set[str]) -> list[str]:
    """Return the drawn networks, the same on every device."""
    order = np.random.default_rng(SEED).permutation(sorted(names))
    return [str(name) for name in sorted(order[:NETWORKS])]


def _table(file: str) -> dict[str, Line]:
    return {line["model"]: line for line in read_csv(file)}


def _key(line: Line) -> str:
    """Return the name of a graph: ``resnet50-224-256``, with its image size and batch."""
    return f"{line['model']}-{line['infer_img_size']}-{line['infer_batch_size']}"


@dataclass(frozen=True)
class Graphs(Mapping[str, nx.DiGraph]):
    """Networks by name, imported on demand.

    Parameters
    ----------
    folder : Path, optional
        Their folder.
    """

    folder: Path | None = field(default_factory=lambda: _folder())

    def check(self) -> None:
        """Raise if networks cannot be imported and none were."""
        if not _has_timm() and self.folder is None:
            raise DataError(
                f"timm is not installed: install it, or set {GRAPHS_VARIABLE} to a folder of "
                "networks that were imported where it is"
            )

    def __getitem__(self, name: str) -> nx.DiGraph:
        file = self.folder / f"{name}.json" if self.folder is not None else None
        if file is not None and file.is_file():
            return load(file)
        graph = imported(name)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            save(graph, file)
        return graph

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def imported(name: str) -> nx.DiGraph:
    """Return a network of timm.

    Raises
    ------
    DataError
        If timm is not installed, or has no such network.
    """
    if not _has_timm():
        raise DataError(f"{name}: it is not in ${GRAPHS_VARIABLE}, and timm is not installed")
    import timm
    import torch

    from costmodel.importers import from_torch

    model, size, batch = name.rsplit("-", 2)
    try:
        with torch.device("meta"):
            module = timm.create_model(model).eval()
    except RuntimeError as error:
        raise DataError(f"{name}: timm {timm.__version__} cannot make it: {error}") from None
    image = torch.empty(int(batch), 3, int(size), int(size), device="meta")
    return from_torch(module, image)


def _has_timm() -> bool:
    return importlib.util.find_spec("timm") is not None


def _folder() -> Path | None:
    named = os.environ.get(GRAPHS_VARIABLE)
    return Path(named) if named else None
