"""Single fp32 convolutions and matrix products on GTX 1080 Ti and V100 (DeepBench).

DeepBench calls cuDNN and cuBLAS from C++ and synchronizes after many calls. Forward convolutions
are read. Its Raspberry Pi 3 is not: the products are int8, and the convolutions reach 0.2 of 9.6
GFLOP/s a core, which no reasonable kernel does.
"""

from __future__ import annotations

from collections.abc import Mapping

from .dataset import DeviceSet, Row, read_csv

_PLATFORMS = {
    "NV_1080Ti": "gtx-1080-ti/cuda-library",
    "NV_V100": "v100-sxm2-16gb/cuda-library",
}
_FLOAT = "Float"


def device_sets() -> list[DeviceSet]:
    """Return the operators of each device, grouped into ``"conv"`` and ``"gemm"``."""
    found: dict[str, dict[tuple[str, str], Row]] = {device: {} for device in _PLATFORMS}
    for line in read_csv("deepbench/conv.csv"):
        if _is_read(line) and _time(line["fwd_ms"]):
            spec = _conv(line)
            found[line["device"]].setdefault(
                ("conv", spec), Row(spec, _time(line["fwd_ms"]), "conv")
            )
    for line in read_csv("deepbench/gemm.csv"):
        if _is_read(line) and _time(line["time_ms"]):
            spec = f"linear?n={line['N']}&cin={line['K']}&cout={line['M']}&bias=false"
            # The same size occurs again transposed; the first one is kept.
            found[line["device"]].setdefault(
                ("gemm", spec), Row(spec, _time(line["time_ms"]), "gemm")
            )
    return [
        DeviceSet(
            f"deepbench {platform.partition('/')[0]}", platform, tuple(found[device].values())
        )
        for device, platform in _PLATFORMS.items()
    ]


def _is_read(line: Mapping[str, str]) -> bool:
    return line["precision"] == _FLOAT and line["device"] in _PLATFORMS


def _time(cell: str) -> float:
    """Return seconds; 0 where none were measured (``N/A``)."""
    try:
        return float(cell) / 1e3
    except ValueError:
        return 0.0


def _conv(line: Mapping[str, str]) -> str:
    return (
        f"conv2d?n={line['N']}&cin={line['C']}&h={line['H']}&w={line['W']}&cout={line['K']}"
        f"&k={line['R_height']}x{line['S_width']}&stride={line['stride_h']}x{line['stride_w']}"
        f"&padding={line['pad_h']}x{line['pad_w']}"
    )
