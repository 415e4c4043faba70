"""MobileNets, EfficientNet-Lites and ResNet-50 on a Raspberry Pi 4 (MLPerf Inference).

TFLite and ArmNN on all four cores, float32 and uint8, single stream; the median latency is read.
Systems with fewer than :data:`FEWEST` networks are left out, and so are the "minimalistic"
MobileNets v3, which the zoo does not have.
"""

from __future__ import annotations

from collections.abc import Mapping

from validation.scores.dataset import DeviceSet, Row, read_csv
from validation.scores.efficientnet_lite import efficientnet_lite

FEWEST = 30
"""Fewest networks of a system that is read."""
_PLATFORM = "raspberry-pi-4/tflite?threads=4"
_DTYPES = {"fp32": "float32", "uint8": "uint8", "": "float32"}
_FAMILIES = {
    "mobilenet_v1": "mobilenet_v1?classes=1001",
    "mobilenet_v2": "mobilenet_v2?classes=1001",
    "mobilenet_v3_large": "mobilenet_v3?variant=large&classes=1001",
    "mobilenet_v3_small": "mobilenet_v3?variant=small&classes=1001",
}
_LITE = "efficientnet-lite"
_RESNET = ("resnet", "resnet50")


def device_sets() -> list[DeviceSet]:
    """Return the networks of each system and dtype."""
    found: dict[tuple[str, str], dict[str, Row]] = {}
    for line in read_csv("mlperf/arm_singlestream.csv"):
        spec = _spec(line)
        if spec and "edgetpu" not in line["system"]:
            dtype = _DTYPES[line["dtype"]]
            rows = found.setdefault((line["system"], dtype), {})
            rows.setdefault(spec, Row(spec, float(line["p50_ms"]) / 1e3))
    lite = {
        f"{_LITE}{v}&{dtype}": efficientnet_lite(v, dtype)
        for v in range(5)
        for dtype in ("float32", "uint8")
    }
    return [
        DeviceSet(f"mlperf {_short(system)} {dtype}", _PLATFORM, tuple(rows.values()), lite)
        for (system, dtype), rows in found.items()
        if len(rows) >= FEWEST
    ]


def _short(system: str) -> str:
    """Return the engine and its version: ``tflite-v2.4.1`` of ``rpi4-fan.on-tflite-v2.4.1-ruy``."""
    parts = system.split("-")
    engine = next(i for i, part in enumerate(parts) if part in ("tflite", "armnn"))
    return "-".join(parts[engine : engine + 2])


def _spec(line: Mapping[str, str]) -> str:
    """Return the network of a row, ``""`` where it is none that can be built."""
    family, dtype = line["family"], _DTYPES[line["dtype"]]
    if line["model"] in _RESNET:
        return "resnet50"
    if family.startswith(_LITE):
        return f"{family}&{dtype}"
    if family not in _FAMILIES:
        return ""
    width, size = float(line["width_mult"]), int(float(line["resolution"]))
    return f"{_FAMILIES[family]}&width={width}&size={size}&dtype={dtype}"
