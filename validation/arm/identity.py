"""Identification of a board by the parts, numbers and clocks of its cores in hardware files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from costmodel.errors import DataError
from costmodel.hardware.files import core_names, hardware_names, load_core
from costmodel.hardware.load import load_hardware
from costmodel.hardware.model import Cluster, Hardware

from .bench.answers import BoardCore, Host
from .errors import BackendError

_OTHER_CLOCK = 0.3  # boards of one name differ by less; other boards often by more
_SAME_CLOCK = 0.1


def parts() -> dict[str, str]:
    """Return the known cores by what Linux says of them, such as ``arm:0x41:0xd08``."""
    found = {}
    for name in core_names():
        for probe in load_core(name).probe:
            if probe.startswith("arm:"):
                found[probe] = name
    return found


def contradiction(host: Host, hardware: Hardware) -> str:
    """Return how a board contradicts a device; empty if it does not.

    Cores that a board does not show (switched off, or not rented) contradict nothing.

    Parameters
    ----------
    host : Host
        The report of the program on the board.
    hardware : Hardware
        The device that is to predict it.
    """
    if hardware.kind != "cpu":
        return f"{hardware.name} is a {hardware.kind.upper()}, the board's processor is not"
    expected = clusters(hardware)
    here = Counter(_core_name(core) for core in host.cores)
    for name, number in here.items():
        if name not in expected:
            return f"the board has {_counted(here)}, {hardware.name} has {_expected(expected)}"
        if number > expected[name].units:
            return f"the board has {number} cores {name}, {hardware.name} has {_expected(expected)}"
    if here and not here[hardware.core or ""]:
        return f"the board shows no core {hardware.core}, which {hardware.name} computes on"
    for core in host.cores:
        clock = expected[_core_name(core)].clock
        if core.clock and abs(core.clock / clock - 1) > _OTHER_CLOCK:
            return (
                f"core {core.number} of the board runs at up to {core.clock / 1e9:.2f} GHz, "
                f"that of {hardware.name} at {clock / 1e9:.2f} GHz"
            )
    return ""


def name_device(host: Host) -> str:
    """Return the hardware file that the board is.

    Raises
    ------
    DataError
        If none fits, or several do: the message says which.
    """
    fits = [name for name in hardware_names() if _is(host, load_hardware(name))]
    if len(fits) == 1:
        return fits[0]
    here = Counter(_core_name(core) for core in host.cores)
    said = f"has {_counted(here)}" if here else "does not name its cores"
    also = f" ({' or '.join(fits)}?)" if fits else ""
    raise DataError(f"the board {said}: which hardware is it{also}?")


def _is(host: Host, hardware: Hardware) -> bool:
    if hardware.kind != "cpu" or not host.cores or contradiction(host, hardware):
        return False
    expected = clusters(hardware)
    here = Counter(_core_name(core) for core in host.cores)
    if any(here[name] != cluster.units for name, cluster in expected.items()):
        return False
    return all(
        core.clock is None or abs(core.clock / expected[_core_name(core)].clock - 1) <= _SAME_CLOCK
        for core in host.cores
    )


def clusters(hardware: Hardware) -> dict[str, Cluster]:
    """Return the cores of a device by name; those of one core count together."""
    found: dict[str, Cluster] = {}
    for cluster in hardware.clusters:
        known = found.get(cluster.core)
        units = cluster.units + (known.units if known else 0)
        first = known or cluster
        found[cluster.core] = Cluster(cluster.core, units, first.clock, first.lanes)
    return found


def named_cores(host: Host, name: str) -> tuple[int, ...]:
    """Return the cores of a board that are called ``"big"``, ``"little"`` or by their core.

    Big cores are those of the highest clock, little ones those of the lowest.

    Raises
    ------
    DataError
        If it has none of that name: the message says which it has.
    """
    clocks = {core.clock for core in host.cores if core.clock}
    found = [core.number for core in host.cores if _core_name(core) == name]
    if name in ("big", "little") and clocks:
        wanted = max(clocks) if name == "big" else min(clocks)
        found = [core.number for core in host.cores if core.clock == wanted]
    if not found:
        kinds = dict.fromkeys(map(_core_name, host.cores))
        has = ", ".join((*(("big", "little") if clocks else ()), *kinds)) or "no name for its cores"
        raise DataError(f"the board has no cores called {name!r}; it has {has}")
    return tuple(found)


def confirm(host: Host, hardware: Hardware, where: str) -> None:
    """Refuse a device that the board contradicts.

    Raises
    ------
    BackendError
        With what contradicts.
    """
    if said := contradiction(host, hardware):
        raise BackendError(f"{where}: the board is not {hardware.name}: {said}")


def _core_name(core: BoardCore) -> str:
    return parts().get(core.part, core.part)


def _counted(cores: Mapping[str, int]) -> str:
    return " and ".join(f"{number} {name}" for name, number in cores.items()) or "no core"


def _expected(found: Mapping[str, Cluster]) -> str:
    return " and ".join(f"{cluster.units} {name}" for name, cluster in found.items())
