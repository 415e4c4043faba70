"""Single convolutions under the best schedule that TVM's tuner found (TopHub).

On Raspberry Pi 3 and Snapdragon 835 all big cores work. The algorithm of a row is known, so that
rows that were tuned as Winograd are a set of their own, on a runtime that has it.
"""

from __future__ import annotations

from collections.abc import Mapping

from .dataset import DeviceSet, Row, read_csv

# Device: hardware, settings, runtime of direct and of Winograd rows.
_DEVICES = {
    "bcm2837": ("raspberry-pi-3", "?threads=4", "tvm", "ncnn"),
    "snapdragon835": ("snapdragon-835", "?threads=4", "tvm", "ncnn"),
    "1080ti": ("gtx-1080-ti", "", "tvm", "torch-eager"),
}


def device_sets() -> list[DeviceSet]:
    """Return the convolutions of each device: direct and depthwise, then Winograd."""
    lines = list(read_csv("tophub/conv2d.csv"))
    sets = []
    for device, (hardware, settings, direct, winograd) in _DEVICES.items():
        own = [line for line in lines if line["device"] == device]
        plain = tuple(_row(line) for line in own if line["algo"] != "winograd")
        transformed = tuple(_row(line) for line in own if line["algo"] == "winograd")
        sets.append(DeviceSet(f"tophub {device}", f"{hardware}/{direct}{settings}", plain))
        sets.append(
            DeviceSet(f"tophub {device} Winograd", f"{hardware}/{winograd}{settings}", transformed)
        )
    return sets


def _row(line: Mapping[str, str]) -> Row:
    groups = line["C"] if line["algo"] == "depthwise" else "1"
    cout = line["C"] if line["algo"] == "depthwise" else line["K"]
    spec = (
        f"conv2d?n={line['N']}&cin={line['C']}&h={line['H']}&w={line['W']}&cout={cout}"
        f"&k={line['R']}x{line['S']}&stride={line['stride_h']}x{line['stride_w']}"
        f"&padding={line['pad_t']}x{line['pad_l']}&groups={groups}"
    )
    return Row(spec, float(line["mean_ms"]) / 1e3, line["algo"])
