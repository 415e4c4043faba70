"""Probe of this machine: a :class:`Hardware` from files of Linux, without measuring.

Cores, caches and clock come from ``/proc`` and ``/sys``; the rates of a core come from its core
file, found by CPUID family and model (x86) or implementer and part (Arm). No unprivileged file
states the bandwidth of main memory, which is therefore an assumed bound per core, to be calibrated.
A virtual machine may show fewer caches, and hides the clock (see ``_clock``).
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.errors import DataError
from costmodel.hardware.build import core_lanes
from costmodel.hardware.identify import find_core, flags, guess, processors
from costmodel.hardware.model import Cluster, Fact, Hardware, Level

if TYPE_CHECKING:
    from costmodel.hardware.schema import CoreFile

_CPUINFO = "/proc/cpuinfo"
_CPU_SYS = "/sys/devices/system/cpu"

#: Cache lines of 64 B that a core keeps in flight, including prefetches, over the time of a miss:
#: by Little's law, the maximum bandwidth of one core from main memory. Estimates.
_LINES_IN_FLIGHT = {"x86": 48, "arm": 16}
_MISS_SECONDS = 100e-9
#: Cores that saturate the memory of a machine of unknown make.
_DRAM_CORES = 8
_CLOCK_UNKNOWN = 2e9


@dataclass(frozen=True)
class _Cpu:
    """One processor line of /proc/cpuinfo, with its number and the core file it matches."""

    number: int
    info: Mapping[str, str]
    core: CoreFile | None
    clock: Fact


def probe_host(root: Path = Path("/"), cpus: Collection[int] | None = None) -> Hardware:
    """Describe this machine; requires Linux on x86 or Arm.

    Parameters
    ----------
    root : Path
        Folder that contains ``proc`` and ``sys``; another root reads a copied tree.
    cpus : collection of int, optional
        Processors to count; by default those this process may run on, or all of a copied tree.

    Returns
    -------
    Hardware
        Named ``host``; ``units`` are physical cores of the fastest kind, clocks as the kernel or
        the hypervisor reports them. Facts are ``probed``, or ``assumed`` with a note.

    Raises
    ------
    DataError
        On systems without ``/proc/cpuinfo``; use a hardware file instead.

    Examples
    --------
    >>> probe_host().name
    'host'
    """
    path = root / _CPUINFO.lstrip("/")
    if not path.is_file():
        raise DataError(
            f"host cannot be probed on {platform.system()}: {path} is missing (Linux on x86 or Arm "
            "has it); describe the machine in a .toml file and give its path"
        )
    if cpus is None and root == Path("/"):
        cpus = os.sched_getaffinity(0)
    found = _cpus(root, path.read_text(), cpus)
    groups: dict[str, list[_Cpu]] = {}
    for cpu in found:
        groups.setdefault(cpu.core.name if cpu.core else "unknown", []).append(cpu)
    clusters = sorted(
        (
            Cluster(name, len(g), max(c.clock.value for c in g), _lanes(g[0]))
            for name, g in groups.items()
        ),
        key=lambda c: -c.clock * c.lanes["float32"],
    )
    return _hardware(root, tuple(clusters), groups[clusters[0].core])


def _hardware(root: Path, clusters: tuple[Cluster, ...], big: list[_Cpu]) -> Hardware:
    core, first = big[0].core, clusters[0]
    clock = max((cpu.clock for cpu in big), key=lambda fact: fact.value)
    facts = {
        "units": Fact(
            first.units, "1", f"{_CPUINFO}, physical cores open to this process", "probed"
        ),
        "clock": clock,
    }
    for key, lanes in first.lanes.items():
        facts[f"lanes.{key}"] = core_lanes(core)[key] if core else guess(big[0].info)[0]
        formula = f"units x clock x lanes.{key} x 2 FLOP per multiply-add"
        facts[f"peak.{key}"] = Fact(
            2 * lanes * first.units * clock.value, "FLOP/s", formula, "derived"
        )
    levels = _levels(root, big, clock.value, facts)
    return Hardware(
        name="host",
        title=_title(big[0]),
        kind="cpu",
        units=first.units,
        clock=clock.value,
        lanes=first.lanes,
        peak={key: facts[f"peak.{key}"].value for key in first.lanes},
        levels=(*levels, _dram(root, big[0], levels, facts)),
        link=None,
        facts=facts,
        year=None,
        core=first.core,
        clusters=clusters,
        vector_width=core.vector_width.value / 8 if core else guess(big[0].info)[1] / 8,
        isa=_isa(big[0]),
    )


def _isa(cpu: _Cpu) -> str:
    return "arm" if "CPU part" in cpu.info else "x86"


def _cpus(root: Path, text: str, allowed: Collection[int] | None) -> list[_Cpu]:
    """One entry for each physical core among the allowed processors."""
    seen, cores = set(), []
    for number, block in processors(text).items():
        if allowed is not None and number not in allowed:
            continue
        # Hyper-threads share a core; Arm has no "core id", there each processor is one.
        identity = (block.get("physical id"), block.get("core id", number))
        if identity not in seen:
            seen.add(identity)
            core = find_core(block)
            cores.append(_Cpu(number, block, core, _clock(root, number, block, core)))
    if not cores:
        raise DataError(
            f"host cannot be probed: {_CPUINFO} lists no processor open to this process"
        )
    return cores


def _lanes(cpu: _Cpu) -> dict[str, int]:
    if cpu.core:
        return {key: int(fact.value) for key, fact in core_lanes(cpu.core).items()}
    return {"float32": int(guess(cpu.info)[0].value)}


def _clock(root: Path, number: int, info: Mapping[str, str], core: CoreFile | None) -> Fact:
    """Read the highest clock; if it is not available, use the core's usual boost clock.

    A virtual machine shows the time-stamp counter's clock. The core runs faster than that and would
    exceed a peak computed from it (by 15 % and more on a Zen 4).
    """
    name = f"{_CPU_SYS}/cpu{number}/cpufreq/cpuinfo_max_freq"
    if (text := _read(root, name)).isdigit():
        return Fact(int(text) * 1e3, "Hz", name, "probed")
    shown = float(info.get("cpu MHz") or 0) * 1e6
    if shown and "hypervisor" not in flags(info):
        return Fact(shown, "Hz", f"{_CPUINFO}, cpu MHz", "probed")
    boost = core.boost_clock if core else None
    if boost and boost.value >= shown:
        note = f"the clock is hidden (cpu MHz says {shown / 1e6:.0f}); {boost.note}; calibrate"
        return Fact(boost.value, "Hz", boost.source, "assumed", note)
    if shown:
        note = "a virtual machine: often the counter's clock, not the core's"
        return Fact(shown, "Hz", f"{_CPUINFO}, cpu MHz", "probed", note)
    note = "neither /sys nor /proc tells the clock; calibrate"
    return Fact(_CLOCK_UNKNOWN, "Hz", "no source", "assumed", note)


def _levels(root: Path, big: list[_Cpu], clock: float, facts: dict[str, Fact]) -> tuple[Level, ...]:
    """Take caches from /sys; take registers and missing caches from the core's file."""
    core = big[0].core
    tables = {table.name: table for table in core.level} if core else {}
    caches = _caches(root, big[0].number)
    levels = []
    for name in ("register", "l1", "l2", "l3"):
        table = tables.get(name)
        size, shared = caches.get(name, (table.size if table else None, False))
        if size is None:
            continue
        facts[f"level.{name}.size"] = size
        rate = None
        if table and table.bytes_per_cycle and not shared:
            facts[f"level.{name}.bytes_per_cycle"] = table.bytes_per_cycle
            rate = table.bytes_per_cycle.value * clock * len(big)
            formula = f"level.{name}.bytes_per_cycle x clock x units"
            facts[f"level.{name}.bandwidth"] = Fact(rate, "B/s", formula, "derived")
        levels.append(Level(name, size.value, rate, "device" if shared else "unit"))
    return tuple(levels)


def _caches(root: Path, number: int) -> dict[str, tuple[Fact, bool]]:
    """Read the data caches of a processor: size, and whether other cores share it."""
    found = {}
    own = _read(root, f"{_CPU_SYS}/cpu{number}/topology/thread_siblings_list") or str(number)
    for index in range(8):
        folder = f"{_CPU_SYS}/cpu{number}/cache/index{index}"
        size = re.fullmatch(r"(\d+)K", _read(root, f"{folder}/size"))
        if size and _read(root, f"{folder}/type") != "Instruction":
            fact = Fact(int(size[1]) * 1024.0, "B", f"{folder}/size", "probed")
            shared = _read(root, f"{folder}/shared_cpu_list") not in (own, "")
            found[f"l{_read(root, f'{folder}/level')}"] = (fact, shared)
    return found


def _dram(root: Path, cpu: _Cpu, levels: tuple[Level, ...], facts: dict[str, Fact]) -> Level:
    size = None
    if match := re.search(r"MemTotal:\s*(\d+) kB", _read(root, "/proc/meminfo")):
        size = int(match[1]) * 1024.0
        facts["memory.size"] = Fact(size, "B", "/proc/meminfo, MemTotal", "probed")
    lines = _LINES_IN_FLIGHT[_isa(cpu)]
    rate = lines * 64 / _MISS_SECONDS * min(facts["units"].value, _DRAM_CORES)
    # A slow little core cannot load more than its first cache delivers.
    rate = min([rate, *(0.5 * level.bandwidth for level in levels if level.bandwidth)])
    note = f"{lines} lines of 64 B per core over 100 ns, up to {_DRAM_CORES} cores; calibrate"
    facts["memory.bandwidth"] = Fact(rate, "B/s", "Little's law", "assumed", note)
    return Level("dram", size, rate, "device")


def _title(cpu: _Cpu) -> str:
    name = cpu.info.get("model name") or (cpu.core.title if cpu.core else "unknown processor")
    return f"{name} (this machine)"


def _read(root: Path, name: str) -> str:
    try:
        return (root / name.lstrip("/")).read_text().strip()
    except OSError:
        return ""
