"""MobileNets, EfficientNet-Lites and ResNet-50 on CPUs, single stream (MLPerf Inference).

One set for each system, table (rounds up to v2.0, and v2.1 with v3.0) and dtype; the median latency
is read. Systems with fewer than :data:`FEWEST` networks are left out, and so are the "minimalistic"
MobileNets v3, which the zoo does not have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from .dataset import DeviceSet, Row, read_csv
from .efficientnet_lite import efficientnet_lite
from .mlperf_systems import platform_of, short

FEWEST = 16
"""Fewest networks of a system that is read."""
_TABLES = {"mlperf/arm_singlestream.csv": "", "mlperf/singlestream_v2.1_v3.0.csv": " v2.1-v3.0"}
_DTYPES = {"fp32": "float32", "uint8": "uint8", "": "float32"}
_LITE_DTYPES = {"float32": "float32", "uint8": "int8"}
"""The quantized EfficientNet-Lites are int8 inside, with a scale for each channel; MobileNets were
trained for uint8 (TensorFlow's models/official/efficientnet/lite: post-training quantization)."""
_FAMILIES = {
    "mobilenet_v1": "mobilenet_v1?classes=1001",
    "mobilenet_v2": "mobilenet_v2?classes=1001",
    "mobilenet_v3_large": "mobilenet_v3?variant=large&classes=1001",
    "mobilenet_v3_small": "mobilenet_v3?variant=small&classes=1001",
}
_LITE = "efficientnet-lite"
_RESNET = ("resnet", "resnet50")
_FULL = 224
"""Usual size of an image."""
_V3 = re.compile(r"(large|small)(?:_224_([\d.]+)|-224$)")
_WIDTH_SIZE = re.compile(r"-([\d.]+)-(\d+)(?:-|$)")


def device_sets() -> list[DeviceSet]:
    """Return the networks of each system and dtype that has a platform."""
    sets = []
    for (system, table, dtype), rows in _read().items():
        platform = platform_of(system)
        if platform and len(rows) >= FEWEST:
            lite_dtype = _LITE_DTYPES[dtype]
            lite = {f"{_LITE}{v}&{dtype}": efficientnet_lite(v, lite_dtype) for v in range(5)}
            name = f"mlperf {short(system)}{table} {dtype}"
            sets.append(DeviceSet(name, platform, tuple(rows.values()), lite))
    return sets


def left_out() -> list[str]:
    """Return one sentence for each system and dtype that is in no set, with its rows."""
    found = []
    for (system, table, dtype), rows in _read().items():
        if not platform_of(system):
            why = "no platform runs its engine"
        elif len(rows) < FEWEST:
            why = f"fewer than {FEWEST} networks that can be built"
        else:
            continue
        found.append(f"mlperf {system}{table} {dtype} is left out, {len(rows)} rows: {why}")
    return found


def _read() -> dict[tuple[str, str, str], dict[str, Row]]:
    found: dict[tuple[str, str, str], dict[str, Row]] = {}
    for file, table in _TABLES.items():
        for line in read_csv(file):
            if spec := _spec(line):
                dtype = _DTYPES[line["dtype"]]
                rows = found.setdefault((line["system"], table, dtype), {})
                rows.setdefault(spec, Row(spec, float(line["p50_ms"]) / 1e3))
    return found


def _spec(line: Mapping[str, str]) -> str:
    """Return the network of a row, ``""`` where it is none that can be built."""
    dtype = _DTYPES[line["dtype"]]
    if line["model"] in _RESNET:
        return "resnet50"
    return next(_named(line, dtype), "")


def _named(line: Mapping[str, str], dtype: str) -> Iterator[str]:
    """Yield the network of a row by its family: the newer table has some sizes in the name only."""
    family, model = line["family"].replace("-v", "_v"), line["model"]
    if lite := re.search(r"lite(\d)", family + model):
        yield f"{_LITE}{lite[1]}&{dtype}"
    if family == "mobilenet_v3" and (found := _V3.search(model)):
        family, width, size = f"{family}_{found[1]}", float(found[2] or 1), _FULL
    elif line["width_mult"]:
        width, size = float(line["width_mult"]), int(float(line["resolution"]))
    elif found := _WIDTH_SIZE.search(model):
        width, size = float(found[1]), int(found[2])
    else:
        return
    if family in _FAMILIES:
        yield f"{_FAMILIES[family]}&width={width}&size={size}&dtype={dtype}"
