"""NAS-Bench-201 networks on GPUs, Xeons, phones (HELP) and a Raspberry Pi 5 (HW-NAS-Bench-360)."""

from __future__ import annotations

from validation.scores.dataset import DeviceSet, Row, read_csv

# Device column of HELP: platform, batch.
_HELP = {
    "1080ti_1": ("gtx-1080-ti/torch-eager", 1),
    "1080ti_32": ("gtx-1080-ti/torch-eager", 32),
    "1080ti_256": ("gtx-1080-ti/torch-eager", 256),
    "silver_4114": ("xeon-silver-4114/torch-eager?threads=10", 1),
    "gold_6240": ("xeon-gold-6240/torch-eager?threads=18", 1),
    "samsung_a50": ("exynos-9610/tflite", 1),
    "pixel3": ("snapdragon-845/tflite", 1),
}
# Task of the Raspberry Pi 5 rows: input channels, height, width, classes.
_PI5 = {"cifar100": (3, 32, 32, 100), "ninapro": (1, 52, 16, 18), "darcy": (1, 88, 88, 7744)}


def device_sets() -> list[DeviceSet]:
    """Return the networks of each device."""
    lines = list(read_csv("nasbench201/help.csv"))
    sets = []
    for column, (platform, batch) in _HELP.items():
        rows = tuple(
            Row(f"nasbench201?arch={line['arch_str']}&batch={batch}", float(line[column]) / 1e3)
            for line in lines
            if line[column] and float(line[column]) > 0
        )
        sets.append(DeviceSet(f"nasbench201 {column}", platform, rows))
    return [*sets, *_pi5()]
