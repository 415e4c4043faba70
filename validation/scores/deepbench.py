"""Single fp32 convolutions and matrix products on GTX 1080 Ti, V100 and Raspberry Pi 3 (DeepBench).

DeepBench calls cuDNN, cuBLAS and, on the Raspberry Pi, Arm's Compute Library and gemmlowp directly. Only
forward convolutions in fp32 are read: on the Pi these are the convolutions alone, its products being int8.
"""

from __future__ import annotations

from collections.abc import Mapping

from validation.scores.dataset import DeviceSet, Row, read_csv

_PLATFORMS = {
    "NV_1080Ti": "gtx-1080-ti/torch-eager",
    "NV_V100": "v100-sxm2-16gb/torch-eager",
    "Raspberry_Pi_3": "raspberry-pi-3/tflite?threads=4",
}
_FLOAT = "Float"
# On the Pi the sheet is headed int8, and says of the convolutions that they are float.
_FLOAT_CONVOLUTIONS = "Convolution results are still in float"


def device_sets() -> list[DeviceSet]:
    """Return the operators of each device, grouped into ``"conv"`` and ``"gemm"``."""
    found: dict[str, dict[tuple[str, str], Row]] = {device: {} for device in _PLATFORMS}
    for line in read_csv("deepbench/conv.csv"):
        if _is_float(line["precision"], convolution=True) and _time(line["fwd_ms"]):
            spec = _conv(line)
            found[line["device"]].setdefault(("conv", spec), Row(spec, _time(line["fwd_ms"]), "conv"))
    for line in read_csv("deepbench/gemm.csv"):
        if _is_float(line["precision"], convolution=False) and _time(line["time_ms"]):
            spec = f"linear?n={line['N']}&cin={line['K']}&cout={line['M']}&bias=false"
            # The same size comes again transposed; the first is kept.
            found[line["device"]].setdefault(("gemm", spec), Row(spec, _time(line["time_ms"]), "gemm"))
    return [
        DeviceSet(f"deepbench {platform.partition('/')[0]}", platform, tuple(found[device].values()))
        for device, platform in _PLATFORMS.items()
    ]


def _is_float(precision: str, convolution: bool) -> bool:
    return precision == _FLOAT or (convolution and _FLOAT_CONVOLUTIONS in precision)


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
