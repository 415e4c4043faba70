"""The fuzzed readers: their valid seeds, and the function that reads one text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import costmodel as cm
from costmodel.algebra.written import parse_dim
from costmodel.calibration.measurement import read_measurements
from costmodel.errors import DataError
from costmodel.graph.serialize import to_json
from costmodel.hardware import load_hardware
from costmodel.hardware.files import read
from costmodel.hardware.schema import CoreFile
from costmodel.importers import from_ncnn, from_onnx
from costmodel.ops import OPERATORS
from costmodel.platforms import load_platform
from costmodel.runtimes import load_runtime
from costmodel.specs import network

from ..measuring.store import Store
from . import models

_NAME = "fuzzed"


@dataclass(frozen=True)
class Reader:
    """One reader.

    Parameters
    ----------
    suffix : str
        Suffix of its files; ``""`` if it reads text.
    seeds : callable
        Returns valid contents.
    read : callable
        Reads the file at a path, or a text.
    """

    suffix: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Any], object]

    def take(self, content: bytes, folder: Path) -> None:
        """Read ``content``, as a file in ``folder`` where the reader takes files.

        Raises
        ------
        CostModelError
            If the input is rejected; any other exception is a fault of the reader.
        """
        if not self.suffix:
            self.read(content.decode("utf-8", "surrogateescape"))
            return
        file = folder / f"{_NAME}{self.suffix}"
        file.write_bytes(content)
        self.read(file)


def _graphs() -> list[bytes]:
    size, c = cm.dim("size"), cm.dim("c")
    graphs = [
        cm.zoo.squeezenet(size=size),
        cm.zoo.gpt2(layers=1, length=c),
        cm.zoo.pointwise(*cm.symbols("h w c1 c2")),
        cm.zoo.pointwise(56, 56, 24, 48),
        cm.zoo.g4_stack(c, blocks=1),
        cm.zoo.attention(1, 8, c, 64),
    ]
    return [to_json(graph).encode() for graph in graphs]


def _shipped(folder: str) -> Callable[[], list[bytes]]:
    """Return the TOML files of a folder of the package, each under the name of the fuzzed file."""

    def seeds() -> list[bytes]:
        files = sorted(Path(str(resources.files("costmodel") / folder)).glob("*.toml"))
        return [
            f.read_bytes().replace(f'name = "{f.stem}"'.encode(), f'name = "{_NAME}"'.encode())
            for f in files
        ]

    return seeds


def _table() -> list[bytes]:
    return [
        b"network,platform,batch,dtype,threads,between,seconds,low,note\n"
        b"resnet50?size=224,host/torch-eager,1,float32,2,,0.0123,0.012,\n"
        b"conv2d?cin=64&size=56&cout=64&k=1,,,,,1048576,0.00015,,\n"
        b'shufflenet_v2,,,,,,0.002,0.001,"a, b"\n',
        b"network,seconds\nshufflenet_v2,0.5\nresnet50,1\n",
    ]


def _platforms() -> list[bytes]:
    texts = (
        "gtx-1080-ti/paper",
        "raspberry-pi-4/ncnn?threads=4",
        "rtx-3090/torch-eager?dtype=float16&transfers=yes",
        "snapdragon-810/paper?threads=1",
        "rk3399/tflite?threads=2&dtype=int8",
        "t4/cuda-graphs",
    )
    return [text.encode() for text in texts]


def _specs() -> list[bytes]:
    texts = (
        "shufflenet_v2?width=1.5&size=224",
        "pointwise?h=56&c1=c&c2=32*m",
        "conv2d?cin=4*c&cout=c&k=3&size=h&groups=2&padding=1&stride=2",
        "resnet?depth=50&size=800x1200&batch=2",
        "bert?layers=2&length=128&hidden=128&heads=2",
        "elementwise?kind=add&shape=1x64x14x14&value=2",
        "densenet?layers=2,3&growth=8",
        "nasbench201?arch_str=|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|none~1|none~2|",
        "attention?n=1&heads=8&length=dim:tokens&depth=64&causal=true",
        "mobilenet_v3?variant=small&width=0.75&size=ceiling(c/2)",
    )
    return [text.encode() for text in texts]


def _expressions() -> list[bytes]:
    texts = ("2*c1 + ceiling(h/2)", "Max(a, b) - 1", "floor((h + 2*p - k)/s) + 1", "sqrt(n**2)/3")
    return [text.encode() for text in texts]


def _read_spec(text: str) -> object:
    """Read a spec that runs no code of a file or module that it names."""
    if text.strip().startswith("python:"):
        raise DataError("not fuzzed: a spec that runs code")
    return network(text)


def _read_store(path: Path) -> object:
    store = Store(path)
    return store.results(), store.to_measurements()


READERS: dict[str, Reader] = {
    "graph": Reader(".json", _graphs, cm.load),
    "hardware": Reader(".toml", _shipped("hardware/devices"), load_hardware),
    "core": Reader(".toml", _shipped("hardware/cores"), lambda path: read(path, CoreFile)),
    "runtime": Reader(".toml", _shipped("runtimes"), lambda path: load_runtime(str(path))),
    "calibration": Reader(".toml", _shipped("calibrations"), lambda path: load_platform(str(path))),
    "table": Reader(".csv", _table, read_measurements),
    "store": Reader(".jsonl", models.store_lines, _read_store),
    "ncnn": Reader(".param", models.ncnn, lambda path: from_ncnn(path, (1, 3, 32, 32))),
    "onnx": Reader(".onnx", models.onnx, from_onnx),
    "spec": Reader("", _specs, _read_spec),
    "platform": Reader("", _platforms, load_platform),
    "expression": Reader("", _expressions, parse_dim),
}
"""Readers by name."""
WORDS = (
    *OPERATORS,
    *("expr", "taken", "nodes", "fields", "inputs", "outputs", "shape", "dtype", "op", "name"),
    *("value", "source", "kind", "datasheet", "level", "cluster", "probe", "fusion", "priors"),
    *("network", "seconds", "settings", "timing", "schema", "float16", "int8", "host", "paper"),
    *("ceiling(", "floor(", "Max(", "Min(", "sqrt(", "dim:", "layers=", "size=", "threads="),
)
"""Words of the formats, inserted anywhere."""
