"""Whole networks under Paddle-Lite on one big core of four phones and boards.

Dense networks in float32, float16 and int8, 64-bit rows only: one set per device for all its
dtypes, because each has few networks. Networks that the zoo does not have are left out.
"""

from __future__ import annotations

from costmodel.errors import DataError

from .dataset import DeviceSet, Row, read_csv

_BACKEND = "ARMV8 CPU"
_DEVICES = ("snapdragon-845", "snapdragon-835", "kirin-980", "rk3399")
_NETWORKS = {
    "MobileNetV1": "mobilenet_v1?dtype={}",
    "MobileNetV2": "mobilenet_v2?dtype={}",
    "MobileNetV3_large_x1_0": "mobilenet_v3?variant=large&dtype={}",
    "MobileNetV3_small_x1_0": "mobilenet_v3?variant=small&dtype={}",
    "ResNet50": "resnet50?dtype={}",
}
_DTYPES = {"fp32": "float32", "fp16": "float16"}
_QUANTIZED = "_quant"


def device_sets() -> list[DeviceSet]:
    """Return the networks of each device."""
    found: dict[str, list[Row]] = {device: [] for device in _DEVICES}
    for line in read_csv("paddle_lite/benchmark.csv"):
        if _BACKEND not in line["backend"] or line["weights"] != "dense":
            continue
        if line["soc"] not in found:
            raise DataError(f"paddle_lite/benchmark.csv: unknown device {line['soc']!r}")
        name = line["network"].removesuffix(_QUANTIZED)
        dtype = "int8" if name != line["network"] else _DTYPES.get(line["run_precision"], "")
        if name in _NETWORKS and dtype:
            row = Row(_NETWORKS[name].format(dtype), float(line["ms"]) / 1e3)
            found[line["soc"]].append(row)
    return [
        DeviceSet(f"paddle_lite {device}", f"{device}/paddle-lite", tuple(rows))
        for device, rows in found.items()
        if rows
    ]
