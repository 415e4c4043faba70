"""The machine that the time formulas see: facts of a platform for arithmetic in one dtype."""

from __future__ import annotations

from costmodel.platforms.platform import Platform
from costmodel.timing.machine import Machine
from costmodel.timing.tiles import generation

_CACHE_BYTES_PER_CYCLE = 32
"""What one multiprocessor takes from the last-level cache at most: 32 bytes a cycle, on all
generations since Pascal (Jia et al. 2018, 2019: L1 to L2 path). [byte]"""


def machine_for(platform: Platform, dtype: str) -> Machine:
    """Return the facts of ``platform`` for arithmetic in ``dtype``.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> a57 = machine_for(load_platform("snapdragon-810/paper"), "float32")
    >>> a57.lanes, a57.units, round(a57.multiply_adds / 1e9, 2)
    (4, 1, 7.83)
    """
    hardware = platform.hardware
    dtype = platform.dtype or dtype
    cpu = hardware.kind == "cpu"
    peak = hardware.peak_for(dtype, platform.threads if cpu else None) / 2
    vector = hardware.peak_for("float32", platform.threads if cpu else None) / 2
    kind = generation(hardware.architecture or "volta")
    caches = [level for level in hardware.levels[:-1] if level.size]
    last = caches[-1]
    shared = 1 if last.scope == "device" else platform.threads
    return Machine(
        kind=hardware.kind,
        units=platform.threads if cpu else hardware.units,
        multiply_adds=peak,
        vector=vector,
        lanes=hardware.lane_width(dtype),
        cache=float(last.size or 0) * shared,
        private_cache=_private_cache(platform) if cpu else 0.0,
        bandwidth=float(hardware.dram.bandwidth or 0),
        link=float(hardware.link or 0) if platform.transfers else 0.0,
        asynchronous=platform.runtime.asynchronous,
        algorithms=frozenset(platform.runtime.algorithms.get(hardware.kind, ())),
        grouped_serially=platform.runtime.grouped == "serial",
        generation=kind,
        sustained=(hardware.tdp or 0) * kind.flops_per_watt / 2 * peak / vector,
        cache_bandwidth=_CACHE_BYTES_PER_CYCLE * hardware.units * hardware.clock,
    )


def _private_cache(platform: Platform) -> float:
    caches = [level for level in platform.hardware.levels[:-1] if level.size]
    own = [level for level in caches if level.scope == "unit" and level.name != "register"]
    if caches[-1].scope == "unit" or len(own) < 2:
        return 0.0  # no shared level, or a shared level right behind the first
    return float(own[-1].size or 0) * platform.threads
