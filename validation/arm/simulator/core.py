"""A core for the simulation: its caches, latencies and costs of instructions.

``cores/*.toml`` has the first two; ``cores/*.instructions.json`` the last, made from llvm-mca by
``python -m validation.arm.simulator.regenerate``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from costmodel.errors import DataError, suggest
from costmodel.hardware.load import load_hardware
from costmodel.reading import MAX_TOML_BYTES, parse_json, parse_toml, read_text

from .count import CacheShape

CORES = Path(__file__).parent / "cores"
_WIDE = (".4s", ".2d", ".16b", ".8h")
_MOST_BYTES = 2**24


@dataclass(frozen=True)
class Cost:
    """Cost of one instruction form.

    Parameters
    ----------
    latency
        From its operands to its result. [cycle]
    accumulate
        The same from the addend of a multiply-add that another one made. [cycle]
    uops
        Micro-operations dispatched.
    units
        Cycles it keeps each execution unit busy, by unit; spread over those it may use.
    """

    latency: float
    accumulate: float
    uops: int
    units: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Core:
    """One core of the simulation, with the device it is taken from.

    ``streamed_seconds`` is the time of a line of memory that a prefetcher asks for, where it was
    measured; elsewhere such a line takes as long as any other.
    """

    name: str
    title: str
    device: str
    llvm_cpu: str
    clock: float
    l1: CacheShape
    l2: CacheShape
    l2_cycles: float
    memory_cycles: float
    misses_at_once: tuple[int, int, int]
    streamed_seconds: float | None
    dispatch_width: int
    costs: Mapping[str, Cost] = field(repr=False)
    origin: str = field(repr=False)
    in_order: bool = False

    def parameters(self) -> str:
        """Return one sentence on the inputs of a simulated time other than counts."""
        low, nominal, high = self.misses_at_once
        streamed = ""
        if self.streamed_seconds is not None:
            streamed = f", {self.streamed_seconds * 1e9:.3g} ns a line that is prefetched"
        return (
            f"{self.title} at {self.clock / 1e9:.3g} GHz ({self.device}), "
            f"L1 {self.l1.bytes // 1024} KiB {self.l1.ways}-way, "
            f"L2 {self.l2.bytes // 1024} KiB {self.l2.ways}-way, L2 hit "
            f"+{self.l2_cycles:g} cycles, memory +{self.memory_cycles:g} cycles, "
            f"{nominal} misses at once "
            f"(range: {high} to {low}){streamed}; {self.origin}; none of it calibrated"
        )

    def cost(self, form: str) -> Cost | None:
        """Cost of a form, or of one with the same mnemonic; nothing when there is none."""
        exact = self.costs.get(form)
        if exact is not None:
            return exact
        mnemonic = form.split(" ")[0]
        alike = (cost for known, cost in self.costs.items() if known.split(" ")[0] == mnemonic)
        return next(alike, None)


def core_names() -> tuple[str, ...]:
    """Cores that can be simulated."""
    return tuple(sorted(path.stem for path in CORES.glob("*.toml")))


@cache
def load_core(name: str) -> Core:
    """Load a core of ``core_names()``, or a user's file in the same format.

    Parameters
    ----------
    name : str
        One of ``core_names()``, or a path that ends in ``.toml``. Beside such a file lie its
        ``NAME.instructions.json`` and the hardware file that its ``device`` names, or it names
        those that ship: ``instructions = "cortex-a57"``, ``device = "raspberry-pi-4"``.

    Raises
    ------
    DataError
        If there is no such core, or its file lacks something.
    """
    own = name.endswith(".toml")
    path = Path(name) if own else CORES / f"{name}.toml"
    if not own and name not in core_names():
        raise DataError(
            f"no ARM core {name!r} can be simulated, nor is it a .toml file; "
            f"{suggest(name, core_names())}"
        )
    facts = parse_toml(read_text(path, MAX_TOML_BYTES))
    try:
        return _core(path, facts, own)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path.name}: a core needs title, device, l1_ways, l2_ways, l2_cycles, memory_cycles "
            f"and misses_at_once as cortex-a57.toml has them; {type(error).__name__}: {error}"
        ) from None


def _core(path: Path, facts: Mapping[str, Any], own: bool) -> Core:
    table_path = path.with_name(f"{path.stem}.instructions.json")
    if own and "instructions" in facts:
        table_path = CORES / f"{_known(facts['instructions'])}.instructions.json"
    table = parse_json(read_text(table_path, _MOST_BYTES))
    device = facts["device"]
    if device.endswith(".toml"):
        device = str(path.parent / device)
    hardware = load_hardware(device)
    sizes = {level.name: level.size for level in hardware.levels}
    full = facts.get("full_width", {"value": []})["value"]
    return Core(
        name=hardware.core or path.stem if own else path.stem,
        title=facts["title"],
        device=device,
        llvm_cpu=facts.get("llvm_cpu", ""),
        clock=hardware.clock,
        l1=CacheShape(int(sizes["l1"] or 0), facts["l1_ways"]["value"]),
        l2=CacheShape(int(sizes.get("l2") or sizes["l3"] or 0), facts["l2_ways"]["value"]),
        l2_cycles=facts["l2_cycles"]["value"],
        memory_cycles=facts["memory_cycles"]["value"],
        misses_at_once=tuple(facts["misses_at_once"]["value"]),
        streamed_seconds=_nanoseconds(facts.get("streamed_line_ns")),
        dispatch_width=table["dispatch_width"],
        costs=_read_costs(table["instructions"], full),
        origin=table["origin"],
        in_order=facts.get("in_order", False),
    )


def _nanoseconds(fact: Mapping[str, Any] | None) -> float | None:
    if fact is None:
        return None
    if not fact["value"] > 0:
        raise ValueError(f"streamed_line_ns is {fact['value']}; it must be positive")
    return float(fact["value"]) * 1e-9


def _known(name: str) -> str:
    if name not in core_names():
        raise ValueError(f"instructions of {name!r}; {suggest(name, core_names())}")
    return name


def _read_costs(
    table: Mapping[str, Mapping[str, Any]], full_width: Sequence[str]
) -> dict[str, Cost]:
    """Read the costs; a vector of 128 bit takes both of the pipes that are half as wide."""
    costs = {}
    for form, row in table.items():
        wide = any(shape in form for shape in _WIDE)
        units = {
            unit: 2 * cycles if wide and unit.partition(".")[0] in full_width else cycles
            for unit, cycles in row["units"].items()
        }
        accumulate = row.get("accumulate", row["latency"])
        costs[form] = Cost(row["latency"], accumulate, row["uops"], units)
    return costs
