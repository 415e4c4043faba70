"""A subset of the clusters of a CPU as a separate CPU, for threads that are kept on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from costmodel.errors import DataError
from costmodel.hardware.model import Cluster, Hardware, Level

_OF_DEVICE = ("running_clock", "max_clock")
"""Facts that describe only the fastest cores."""


def cluster_names(hardware: Hardware) -> list[str]:
    """Return the name of each cluster: that of its core, with the clock in GHz if not unique.

    Examples
    --------
    >>> from costmodel.hardware import load_hardware
    >>> cluster_names(load_hardware("snapdragon-855"))
    ['cortex-a76@2.84', 'cortex-a76@2.42', 'cortex-a55']
    """
    cores = Counter(c.core for c in hardware.clusters)
    return [
        f"{c.core}@{c.clock / 1e9:g}" if cores[c.core] > 1 else c.core for c in hardware.clusters
    ]


def on_clusters(hardware: Hardware, cores: str) -> tuple[Hardware, str]:
    """Return the clusters of a CPU that threads are kept on, in the device's order, as a CPU.

    Parameters
    ----------
    hardware : Hardware
        The CPU, or a part of it, which stands for the whole CPU.
    cores : str
        Names of clusters separated by commas, such as ``"cortex-a715,cortex-a710"``. The name of a
        core selects all its clusters, and an empty text all clusters of the device.

    Raises
    ------
    DataError
        If a cluster or the size of its caches is unknown; the message lists the clusters.

    Examples
    --------
    >>> from costmodel.hardware import load_hardware
    >>> part, name = on_clusters(load_hardware("snapdragon-8-gen-2"), "cortex-a710,cortex-a715")
    >>> name, part.units, part.clock, part.peak_for("float32", 4) == 4 * 2 * 8 * 2.8e9
    ('cortex-a715,cortex-a710', 2, 2800000000.0, True)
    """
    whole = hardware.whole or hardware
    if not cores:
        return whole, ""
    names = cluster_names(whole)
    wanted = cores.split(",")
    for name in wanted:
        if name not in names and name not in {c.core for c in whole.clusters}:
            known = (
                f"its clusters are {', '.join(names)}" if names else "it has none; leave cores out"
            )
            raise DataError(f"{whole.name} has no cores {name!r}; {known}")
    chosen = {
        name: cluster
        for name, cluster in zip(names, whole.clusters, strict=True)
        if name in wanted or cluster.core in wanted
    }
    if len(chosen) == len(names):
        return whole, ""
    # If all clusters of a core are selected, use the name of the core.
    split = {c.core for name, c in zip(names, whole.clusters, strict=True) if name not in chosen}
    stated = dict.fromkeys(n if c.core in split else c.core for n, c in chosen.items())
    return _part(whole, chosen), ",".join(stated)


def _part(whole: Hardware, chosen: dict[str, Cluster]) -> Hardware:
    name, first = next(iter(chosen.items()))
    alike = [c for c in chosen.values() if c.core == first.core]
    cycles = sum(c.units * c.clock for c in alike)
    return replace(
        whole,
        units=first.units,
        clock=first.clock,
        lanes=first.lanes,
        peak={key: 2 * count * cycles for key, count in first.lanes.items()},
        levels=_levels(whole, name, first),
        facts={key: fact for key, fact in whole.facts.items() if key not in _OF_DEVICE},
        core=first.core,
        clusters=tuple(chosen.values()),
        whole=whole,
    )


def _levels(whole: Hardware, name: str, first: Cluster) -> tuple[Level, ...]:
    if first.levels is None and first.core == whole.core:
        return whole.levels
    if first.levels is None:
        raise DataError(
            f"the caches of cores {name!r} of {whole.name} are unknown; give cluster.l2 in its file"
        )
    return (*first.levels, whole.dram)
