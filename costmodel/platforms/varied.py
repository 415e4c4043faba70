"""A platform with another memory bandwidth, clock or number of threads, for what-if questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from costmodel.errors import DataError
from costmodel.hardware.model import Hardware
from costmodel.platforms.platform import Platform

UNITS: Mapping[str, str] = {"bandwidth": "B/s", "clock": "Hz"}
"""Quantities of hardware that can be varied, with their units."""


def quantity(platform: Platform, name: str) -> float:
    """Return the bandwidth of main memory, or the clock, of a platform [SI unit].

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> quantity(load_platform("gtx-1080-ti/paper"), "bandwidth")
    484000000000.0
    """
    hardware = platform.hardware
    return float(hardware.clock if name == "clock" else hardware.dram.bandwidth or 0)


def varied(platform: Platform, name: str, value: float) -> Platform:
    """Return ``platform`` with another ``"bandwidth"`` of main memory or another ``"clock"``.

    Peaks and cache bandwidths scale with the clock. Parameters do not change: if a fitted one
    limits the memory bandwidth of the cores, more bandwidth does not help.

    Raises
    ------
    DataError
        If ``name`` is neither, or ``value`` is not positive.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> varied(load_platform("gtx-1080-ti/paper"), "bandwidth", 1e12).hardware.dram.bandwidth
    1000000000000.0
    """
    if name not in _CHANGES:
        raise DataError(f"cannot vary {name!r} of hardware; give one of {', '.join(_CHANGES)}")
    if not 0 < value < float("inf"):
        raise DataError(f"{name} must be a positive number, got {value!r}")
    return replace(platform, hardware=_CHANGES[name](platform.hardware, float(value)))


def _with_bandwidth(hardware: Hardware, value: float) -> Hardware:
    *inner, dram = hardware.levels
    return replace(hardware, levels=(*inner, replace(dram, bandwidth=value)))


def _with_clock(hardware: Hardware, value: float) -> Hardware:
    times = value / hardware.clock
    *caches, dram = hardware.levels
    facts = dict(hardware.facts)
    for name in ("running_clock", "max_clock"):
        if known := facts.get(name):
            facts[name] = replace(known, value=known.value * times)
    return replace(
        hardware,
        clock=value,
        peak={dtype: rate * times for dtype, rate in hardware.peak.items()},
        levels=(
            *(replace(x, bandwidth=x.bandwidth and x.bandwidth * times) for x in caches),
            dram,
        ),
        clusters=tuple(replace(c, clock=c.clock * times) for c in hardware.clusters),
        facts=facts,
    )


_CHANGES: Mapping[str, Callable[[Hardware, float], Hardware]] = {
    "bandwidth": _with_bandwidth,
    "clock": _with_clock,
}
