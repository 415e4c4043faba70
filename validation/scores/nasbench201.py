"""NAS-Bench-201 networks on GPUs, Xeons, phones (HELP) and a Raspberry Pi 5 (HW-NAS-Bench-360)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .dataset import DeviceSet, Row, read_csv

# Device column of HELP: platform, batch. The Xeons worked with all cores of a socket. On the Galaxy
# A50 edges "none" take time, on the Pixel 3 only those behind a convolution that nothing else reads
# (its weights become zero): the converters differ.
_HELP = {
    "1080ti_1": ("gtx-1080-ti/torch-eager", 1),
    "1080ti_32": ("gtx-1080-ti/torch-eager", 32),
    "1080ti_256": ("gtx-1080-ti/torch-eager", 256),
    "2080ti_256": ("rtx-2080-ti/torch-eager", 256),
    "silver_4114": ("xeon-silver-4114/torch-eager?threads=10", 1),
    "gold_6240": ("xeon-gold-6240/torch-eager?threads=18", 1),
    "samsung_a50": ("exynos-9610/tflite-strict", 1),
    "pixel3": ("snapdragon-845/tflite-toco", 1),
}
_PI5 = "raspberry-pi-5/tflite"
# Task of the Raspberry Pi 5 rows: what differs from CIFAR-10.
_TASKS = {
    "cifar100": "classes=100",
    "ninapro": "in_channels=1&size=52x16&classes=18",
    "darcy": "in_channels=1&size=88&classes=7744",
}


def device_sets() -> list[DeviceSet]:
    """Return the networks of each device."""
    help_lines = list(read_csv("nasbench201/help.csv"))
    pi5_lines = list(read_csv("nasbench201/pi5_litert.csv"))
    return [
        *(_help(column, help_lines) for column in _HELP),
        *(_pi5(task, pi5_lines) for task in _TASKS),
    ]


def _help(column: str, lines: Iterable[Mapping[str, str]]) -> DeviceSet:
    platform, batch = _HELP[column]
    rows = [
        Row(f"nasbench201?arch_str={line['arch_str']}&batch={batch}", float(line[column]) / 1e3)
        for line in lines
        if line.get(column) and float(line[column]) > 0
    ]
    return DeviceSet(f"nasbench201 {column}", platform, tuple(rows))


def _pi5(task: str, lines: Iterable[Mapping[str, str]]) -> DeviceSet:
    rows = [
        Row(
            f"nasbench201?arch_str={line['arch_str']}&{_TASKS[task]}",
            float(line["lat_ms_median"]) / 1e3,
        )
        for line in lines
        if line["task"] == task and line["status"] == "ok"
    ]
    return DeviceSet(f"nasbench201 pi5_{task}", _PI5, tuple(rows))
