"""Channels that an engine computes at once; widths that are multiples of them waste nothing."""

from __future__ import annotations

from costmodel.platforms import Platform
from costmodel.platforms.machine import machine_for

_TENSOR_CORES = 8
"""Number that the channels of 16-bit tensors should be a multiple of on tensor cores (NVIDIA, Deep
Learning Performance, Matrix Multiplication Background User's Guide, requirements to use tensor
cores)."""


def pack_of(platform: Platform, dtype: str) -> int:
    """Return the channels that the engine of a platform computes at once [1].

    This is the value of the runtime (``channel_pack``) for this dtype, else eight for tensor cores
    and the lanes of a vector for other hardware.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> pack_of(load_platform("snapdragon-810/paper"), "float32")
    4
    """
    stated = getattr(platform.runtime, "channel_pack", None)
    if isinstance(stated, dict):
        stated = stated.get(dtype)
    if isinstance(stated, int) and stated > 0:
        return stated
    machine = machine_for(platform, dtype)
    if machine.kind == "gpu":
        return _TENSOR_CORES if machine.tensor else 1
    return machine.lanes
