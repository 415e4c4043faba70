"""Checks of hardware files and of the consistency of their facts, for common errors.

Each rule is one function from a device to its findings. Every shipped file passes all rules, and
each rule fails on its error: sparse peaks, a multiply-add counted twice, GB for GiB, a prefix that
is wrong by 10**3, the memory of another card.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from costmodel.errors import DataError
from costmodel.hardware.files import HOST, device_path, faults
from costmodel.hardware.load import load_hardware
from costmodel.hardware.model import TENSOR_DTYPES, Hardware
from costmodel.units import format_si

_PEAK_TOLERANCE = 0.03
_BANDWIDTH_TOLERANCE = 0.02
_LINK_TOLERANCE = 0.02
_KIB, _MIB = 1024, 1024**2

#: Plausible range by dotted name of the fact; wide, to catch wrong prefixes but no rare device.
_RANGES = {
    "clock": (5e7, 7e9),
    "max_clock": (2e8, 7e9),
    "running_clock": (2e8, 7e9),
    "tensor_clock": (2e8, 7e9),
    "units": (1, 512),
    "memory.bandwidth": (2e8, 2e13),
    "memory.data_rate": (2e8, 5e10),
    "memory.bus_width": (16, 16384),
    "memory.size": (2**28, 2**42),
    "link.bandwidth": (2e8, 3e11),
}
#: Bandwidth that streams reach, as a share of the bandwidth of the memory.
_STREAMED = (0.4, 1.0)
#: Speed that the power of a board sustains, as a share of the peak.
_SUSTAINED = (0.2, 1.0)
_PEAK_RANGE = (1e9, 2e16)
#: FLOP/B at which float32 arithmetic and main memory balance.
_RIDGE_RANGE = (0.5, 150)


@dataclass(frozen=True)
class Finding:
    """One error or contradiction.

    Parameters
    ----------
    hardware, field, message : str
        The device, the dotted name of the fact, and its fault. If ``field`` is empty, the message
        names the file.
    """

    hardware: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.hardware}: {self.field}: {self.message}" if self.field else self.message


def lint_device(name_or_path: str | Path) -> list[Finding]:
    """Return the faults of a device: of its file and those of its cores, else of its facts.

    Parameters
    ----------
    name_or_path : str or Path
        As for :func:`load_hardware`.

    Raises
    ------
    DataError
        If there is no such device, or its file is not TOML.

    Examples
    --------
    >>> lint_device("gtx-1080-ti")
    []
    """
    from costmodel.hardware.schema import DeviceFile

    if str(name_or_path) == HOST:
        return lint(load_hardware(HOST))
    path = device_path(name_or_path)
    if wrong := faults(path, DeviceFile):
        return [Finding(path.stem, field, message) for field, message in wrong]
    try:
        return lint(load_hardware(name_or_path))
    except DataError as error:
        return [Finding(path.stem, "", str(error))]


def lint(hardware: Hardware) -> list[Finding]:
    """Return the contradictions among the facts of a device.

    Examples
    --------
    >>> from costmodel.hardware import load_hardware
    >>> lint(load_hardware("gtx-1080-ti"))
    []
    """
    return [
        Finding(hardware.name, field, message)
        for rule in (
            _sources,
            _ranges,
            _clusters,
            _peaks,
            _sustained,
            _bandwidth,
            _streamed,
            _sizes,
            _levels,
            _link,
            _ridge,
        )
        for field, message in rule(hardware)
    ]


_Found = Iterator[tuple[str, str]]


def _sources(hardware: Hardware) -> _Found:
    """Every fact has a source; an assumed fact states its basis."""
    for field, fact in hardware.facts.items():
        if not fact.source.strip():
            yield field, "has no source"
        if fact.kind == "assumed" and not fact.note.strip() and "x clock" not in fact.source:
            yield field, "is assumed, but no note says why"


def _ranges(hardware: Hardware) -> _Found:
    """Magnitudes, and no NaN (which is outside every range)."""
    ranges = {**_RANGES, **{f"peak.{key}": _PEAK_RANGE for key in hardware.peak}}
    for field, (low, high) in ranges.items():
        fact = hardware.facts.get(field)
        if fact and not low <= fact.value <= high:
            right = f"{_show(low, fact.unit)} to {_show(high, fact.unit)}"
            yield field, f"{_show(fact.value, fact.unit)} is out of the plausible {right}"


def _show(value: float, unit: str) -> str:
    return f"{value:.4g}" if unit == "1" else format_si(value, unit)


def _clusters(hardware: Hardware) -> _Found:
    """Compare a CPU's units and clock with its big clusters; the fastest comes first."""
    if not hardware.clusters:
        return
    big = [cluster for cluster in hardware.clusters if cluster.core == hardware.core]
    if sum(cluster.units for cluster in big) != hardware.units:
        yield "units", f"{hardware.units} is not the number of {hardware.core} cores in cluster"
    if max((cluster.clock for cluster in big), default=0.0) != hardware.clock:
        yield "clock", f"is not that of the fastest {hardware.core} cluster"
    speeds = [c.clock * c.lanes.get("float32", 0) for c in hardware.clusters]
    if speeds != sorted(speeds, reverse=True):
        yield "cluster", "must list the fastest cores first"


def _peaks(hardware: Hardware) -> _Found:
    """Peak = units x clock x lanes x 2."""
    for key, lanes in hardware.lanes.items():
        expected = 2 * lanes * _cycles(hardware, key)
        ratio = hardware.peak[key] / expected
        if abs(ratio - 1) > _PEAK_TOLERANCE:
            yield (
                f"peak.{key}",
                f"{format_si(hardware.peak[key], 'FLOP/s')} is {ratio:.3g} times units x clock x "
                f"lanes x 2 = {format_si(expected, 'FLOP/s')}{_guess(ratio)}",
            )


def _sustained(hardware: Hardware) -> _Found:
    """Compare the speed that the board's power sustains with the peak: a large part of it."""
    for field, fact in hardware.facts.items():
        group, _, key = field.partition(".")
        if group != "sustained":
            continue
        share = fact.value / hardware.peak[key] if key in hardware.peak else 0.0
        if not _SUSTAINED[0] <= share <= _SUSTAINED[1]:
            yield field, f"is {share:.3g} times peak.{key}; it must be a part of it"


def _cycles(hardware: Hardware, key: str) -> float:
    if hardware.clusters:
        return sum(c.units * c.clock for c in hardware.clusters if c.core == hardware.core)
    tensor = hardware.facts.get("tensor_clock") if key in TENSOR_DTYPES else None
    return hardware.units * (tensor.value if tensor else hardware.clock)


def _guess(ratio: float) -> str:
    if abs(ratio - 2) < 0.1:
        return "; a sparse peak, or a multiply-add counted twice?"
    if abs(ratio - 0.5) < 0.03:
        return "; multiply-adds instead of FLOPs?"
    return "; a wrong prefix?" if not 0.05 < ratio < 20 else ""


def _bandwidth(hardware: Hardware) -> _Found:
    """Bandwidth = bus width x data rate / 8."""
    width, rate = (hardware.facts.get(f"memory.{key}") for key in ("bus_width", "data_rate"))
    bandwidth = hardware.dram.bandwidth
    if width is None or rate is None or bandwidth is None:
        return
    expected = width.value * rate.value / 8
    ratio = bandwidth / expected
    if abs(ratio - 1) > _BANDWIDTH_TOLERANCE:
        hint = "; GiB/s for GB/s?" if abs(ratio * 1.073741824 - 1) < _BANDWIDTH_TOLERANCE else ""
        hint = "; GB/s for GiB/s?" if abs(ratio / 1.073741824 - 1) < _BANDWIDTH_TOLERANCE else hint
        yield (
            "memory.bandwidth",
            f"{format_si(bandwidth, 'B/s')} is {ratio:.3g} times bus_width x data_rate / 8 = "
            f"{format_si(expected, 'B/s')}{hint}",
        )


def _streamed(hardware: Hardware) -> _Found:
    """Compare the bandwidth that streams reach with that of the memory: a large part of it."""
    seen = hardware.facts.get("memory.streamed")
    if seen is None or not hardware.dram.bandwidth:
        return
    share = seen.value / hardware.dram.bandwidth
    if not _STREAMED[0] <= share <= _STREAMED[1]:
        yield "memory.streamed", f"is {share:.3g} times memory.bandwidth; it must be a part of it"


def _sizes(hardware: Hardware) -> _Found:
    """Memories come in binary sizes: caches in whole KiB, main memory in whole MiB."""
    if hardware.facts.get("memory.size") and hardware.facts["memory.size"].kind == "probed":
        return  # The operating system's kernel reserves a part.
    for level in hardware.levels:
        grain, name = (_MIB, "MiB") if level.name == "dram" else (_KIB, "KiB")
        if level.size and level.name != "register" and level.size % grain:
            field = "memory.size" if level.name == "dram" else f"level.{level.name}.size"
            yield field, f"{level.size:.0f} bytes are no whole {name}; write GiB, MiB or KiB"


def _levels(hardware: Hardware) -> _Found:
    """Outward, levels grow in size, and none is faster than the one inside it."""
    # A GPU's registers hold more than its shared memory, so sizes are compared from there on.
    skipped = "register" if hardware.kind == "gpu" else None
    sized = [level for level in hardware.levels if level.size and level.name != skipped]
    for inner, outer in itertools.pairwise(sized):
        if (outer.size or 0) <= (inner.size or 0):
            yield f"level.{outer.name}.size", f"is not above that of {inner.name}"
    rated = [level for level in hardware.levels if level.bandwidth]
    for inner, outer in itertools.pairwise(rated):
        if (outer.bandwidth or 0) > (inner.bandwidth or 0):
            yield f"level.{outer.name}.bandwidth", f"is above that of {inner.name}"


def _link(hardware: Hardware) -> _Found:
    """PCIe: 2.5 and 5 GT/s coded 8b/10b; from generation 3 on 8 GT/s doubling, 128b/130b."""
    generation, lanes = (hardware.facts.get(f"link.{key}") for key in ("generation", "lanes"))
    if hardware.link is None or generation is None or lanes is None:
        return
    step = int(generation.value)
    lane = 2.5e9 * 2 ** (step - 1) * 8 / 10 if step < 3 else 8e9 * 2.0 ** (step - 3) * 128 / 130
    expected = lane * lanes.value / 8
    ratio = hardware.link / expected
    if abs(ratio - 1) > _LINK_TOLERANCE:
        hint = "; both directions added?" if abs(ratio - 2) < 0.1 else ""
        yield (
            "link.bandwidth",
            f"{format_si(hardware.link, 'B/s')} is {ratio:.3g} times that of one direction of PCIe "
            f"{step} x{lanes.value:.0f}, {format_si(expected, 'B/s')}{hint}",
        )


def _ridge(hardware: Hardware) -> _Found:
    """Check that the float32 ridge point lies where those of real devices lie."""
    if "float32" not in hardware.peak or not hardware.dram.bandwidth:
        return
    ridge = hardware.peak["float32"] / hardware.dram.bandwidth
    low, high = _RIDGE_RANGE
    if not low <= ridge <= high:
        yield (
            "peak.float32",
            f"ridge point {ridge:.3g} FLOP/B is out of the plausible {low} to {high}",
        )
