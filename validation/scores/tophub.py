"""Single convolutions under the best schedule that TVM's tuner found (TopHub).

On Raspberry Pi 3 and Snapdragon 835 all big cores work. The algorithm of a row is known, so that
rows that were tuned as Winograd are a set of their own, on a runtime that has it: TVM's schedule
for Arm, in a file beside this one, and PyTorch's cuDNN.

While TVM tunes for Arm it does not pack or transform weights ("will be pre-computed during
compilation, so we skip this part", ``debug_skip_region``: ``topi/arm_cpu/conv2d.py``,
``depthwise_conv2d.py``). The buffer that the kernel reads them from is never written, and Linux
backs such pages with a single page of zeros (``mm/memory.c``, ``do_anonymous_page``): weights of
any size come from the first cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .dataset import DeviceSet, Row, read_csv

_TVM_WINOGRAD = str(Path(__file__).with_name("tvm-winograd.toml"))
# Device: hardware, settings, runtime of direct and of Winograd rows.
_DEVICES = {
    "bcm2837": ("raspberry-pi-3", "?threads=4", "tvm", _TVM_WINOGRAD),
    "snapdragon835": ("snapdragon-835", "?threads=4", "tvm", _TVM_WINOGRAD),
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
        for suffix, runtime, rows in (("", direct, plain), (" Winograd", winograd, transformed)):
            platform = f"{hardware}/{runtime}{settings}"
            arm = device != "1080ti"
            sets.append(DeviceSet(f"tophub {device}{suffix}", platform, rows, weights_at_hand=arm))
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
