"""From checked files to :class:`Hardware`: join device and core, derive what they leave out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from costmodel.errors import DataError
from costmodel.hardware.model import (
    TENSOR_DTYPES,
    Cluster,
    Fact,
    FactKind,
    Hardware,
    Level,
    Scope,
)

if TYPE_CHECKING:
    from pydantic import BaseModel

    from costmodel.hardware.schema import ClusterTable, CoreFile, DeviceFile, LevelTable

_ORDER = ("register", "shared", "l1", "l2", "l3")


def build(device: DeviceFile, load_core: Callable[[str], CoreFile]) -> Hardware:
    """Put a checked device file together with the files of its cores.

    Parameters
    ----------
    device : DeviceFile
        The checked file.
    load_core : callable
        Returns the checked file of a core by its name.
    """
    core = load_core(device.core) if device.core else None
    facts = dict(_flatten(device))
    if core:
        facts |= {f"core.{key}": fact for key, fact in _flatten(core)}
        facts |= {f"lanes.{key}": fact for key, fact in core_lanes(core).items()}
    lanes = _counts(core_lanes(core) if core else device.lanes)
    if stray := sorted(device.peak.keys() - lanes.keys()):
        raise DataError(f"{device.name}: peak.{stray[0]} is given without lanes.{stray[0]}; add it")
    clusters = _clusters(device, lanes, load_core)
    big = sum(c.units * c.clock for c in clusters if c.core == device.core)
    # Cycles per second, summed over all big units; multiplied by lanes and by bytes per cycle.
    cycles = big or device.units.value * device.clock.value
    for key, count in lanes.items():
        facts.setdefault(f"peak.{key}", _peak(device, key, count, cycles))
    levels = _levels(device, core, cycles, facts)
    return Hardware(
        name=device.name,
        title=device.title,
        kind=device.kind,
        units=int(device.units.value),
        clock=device.clock.value,
        lanes=lanes,
        peak={key: facts[f"peak.{key}"].value for key in lanes},
        levels=levels,
        link=device.link.bandwidth.value if device.link else None,
        facts=facts,
        year=int(device.year.value),
        core=device.core,
        clusters=clusters,
        vector_width=_vector_width(device, core),
        architecture=device.architecture,
        tdp=device.tdp.value if device.tdp else None,
        probe=tuple(device.probe),
        isa=_isa(core),
    )


def _isa(core: CoreFile | None) -> str:
    """Return the instruction set of a core, with which the patterns begin that identify it."""
    if core is None:
        return ""
    return core.probe[0].partition(":")[0] if core.probe else core.isa


def _vector_width(device: DeviceFile, core: CoreFile | None) -> float:
    """Bytes of one vector instruction; for an accelerator only the rate is known."""
    if core:
        return core.vector_width.value / 8
    # A warp works on 32-bit elements for every data type.
    return device.warp.value * 4 if device.warp else 4.0


def _counts(lanes: dict[str, Fact]) -> dict[str, int]:
    return {key: int(fact.value) for key, fact in lanes.items()}


def core_lanes(core: CoreFile) -> dict[str, Fact]:
    """Return the lanes of a core's file and the derived ones: 8-bit products of other engines."""
    lanes = dict(core.lanes)
    if "int8" not in lanes:
        return lanes
    if core.int8_matrix and core.int8_matrix.value:
        twice = "2 x lanes.int8: 32 multiply-adds an SMMLA, 16 an SDOT (core.int8_matrix)"
        lanes["int8_matrix"] = Fact(2 * lanes["int8"].value, "1", twice, "derived")
    if core.dot_product.value:
        widening = "2 x lanes.float32: 8 products of 16 bits an instruction, no dot product"
        lanes["int8_widening"] = Fact(2 * lanes["float32"].value, "1", widening, "derived")
    else:
        same = "lanes.int8: the core has no dot product"
        lanes["int8_widening"] = Fact(lanes["int8"].value, "1", same, "derived")
    return lanes


def _flatten(table: BaseModel, prefix: str = "") -> Iterator[tuple[str, Fact]]:
    """Every fact by its dotted name, except the levels, which device and core share."""
    from pydantic import BaseModel

    for name, value in table:
        if isinstance(value, Fact):
            yield prefix + name, value
        elif isinstance(value, BaseModel):
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, dict):
            yield from ((f"{prefix}{name}.{key}", fact) for key, fact in value.items())
        elif isinstance(value, list) and name == "cluster":
            for number, item in enumerate(value):
                yield from _flatten(item, f"{prefix}{name}.{number}.")


def _clusters(
    device: DeviceFile, lanes: dict[str, int], load_core: Callable[[str], CoreFile]
) -> tuple[Cluster, ...]:
    if device.core is None:
        return ()
    if not device.cluster:
        own = bool(load_core(device.core).out_of_order.value)
        return (Cluster(device.core, int(device.units.value), device.clock.value, lanes, own),)
    return tuple(_cluster(device, c, load_core(c.core)) for c in device.cluster)


def _cluster(device: DeviceFile, table: ClusterTable, core: CoreFile) -> Cluster:
    """Return a cluster with the caches of its cores."""
    return Cluster(
        core=table.core,
        units=int(table.units.value),
        clock=table.clock.value,
        lanes=_counts(core_lanes(core)),
        out_of_order=bool(core.out_of_order.value),
        levels=_levels_of(device, table, core),
    )


def _levels_of(device: DeviceFile, table: ClusterTable, core: CoreFile) -> tuple[Level, ...] | None:
    """Return the caches of the cores of a cluster.

    The caches in the device file are those of the big cores, except an L3, which all cores share.
    """
    shared: dict[str, LevelTable] = {t.name: t for t in device.level if t.scope == "device"}
    own: dict[str, LevelTable] = {t.name: t for t in core.level}
    if table.core == device.core:
        own |= {t.name: t for t in device.level if t.scope == "unit"}
    elif "l2" in shared and table.l2 is None:
        return None
    cycles = table.units.value * table.clock.value
    found = []
    for name in _ORDER:
        level = shared.get(name) or own.get(name)
        if name == "l2" and table.l2:
            scope: Scope = level.scope if level else "unit"
            found.append(Level(name, table.l2.value, None, scope))
        elif level:
            found.append(_level(level, table.clock.value, cycles, {}))
    return tuple(found)


def _peak(device: DeviceFile, key: str, lanes: int, cycles: float) -> Fact:
    """Peak of a data type without a peak in the datasheet."""
    clock = "clock"
    if device.tensor_clock and key in TENSOR_DTYPES:
        cycles, clock = device.units.value * device.tensor_clock.value, "tensor_clock"
    formula = f"units x {clock} x lanes.{key} x 2 FLOP per multiply-add"
    return Fact(cycles * lanes * 2, "FLOP/s", formula, "derived")


def _levels(
    device: DeviceFile, core: CoreFile | None, cycles: float, facts: dict[str, Fact]
) -> tuple[Level, ...]:
    """All levels, inner to outer, the device's before its core's; their facts go to ``facts``."""
    tables = {table.name: table for table in (*(core.level if core else ()), *device.level)}
    levels = [
        _level(tables[name], device.clock.value, cycles, facts) for name in _ORDER if name in tables
    ]
    memory = device.memory
    size = memory.size.value if memory.size else None
    return (*levels, Level("dram", size, memory.bandwidth.value, "device"))


def _level(table: LevelTable, clock: float, cycles: float, facts: dict[str, Fact]) -> Level:
    name = f"level.{table.name}"
    bandwidth = table.bandwidth
    facts[f"{name}.size"] = table.size
    if per_cycle := table.bytes_per_cycle:
        facts[f"{name}.bytes_per_cycle"] = per_cycle
        rate = per_cycle.value * (cycles if table.scope == "unit" else clock)
        formula = f"{name}.bytes_per_cycle x clock" + (" x units" if table.scope == "unit" else "")
        # A product with an assumed fact is also assumed.
        kind: FactKind = "assumed" if per_cycle.kind == "assumed" else "derived"
        bandwidth = Fact(rate, "B/s", formula, kind)
    if bandwidth:
        facts[f"{name}.bandwidth"] = bandwidth
    return Level(table.name, table.size.value, bandwidth.value if bandwidth else None, table.scope)
