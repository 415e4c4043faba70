"""A core for the simulation: its caches, latencies and costs of instructions.

``cores/*.toml`` has the first two; ``cores/*.instructions.json`` the last, made from llvm-mca by
``python -m validation.arm.simulator.regenerate``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from costmodel.errors import DataError
from costmodel.hardware.load import load_hardware
from costmodel.reading import MAX_TOML_BYTES, parse_json, parse_toml, read_text

from .count import CacheShape
from .isa import Instruction

CORES = Path(__file__).parent / "cores"
_WIDE = (".4s", ".2d", ".16b", ".8h")
_MOST_BYTES = 2**24
_ROUNDS = 8  # of a block over itself, to see what it waits for


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
    """One core of the simulation, with the device it is taken from."""

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
    dispatch_width: int
    costs: Mapping[str, Cost] = field(repr=False)
    origin: str = field(repr=False)
    in_order: bool = False

    def parameters(self) -> str:
        """Return one sentence on the inputs of a simulated time other than counts."""
        low, nominal, high = self.misses_at_once
        return (
            f"{self.title} at {self.clock / 1e9:.3g} GHz ({self.device}), "
            f"L1 {self.l1.bytes // 1024} KiB {self.l1.ways}-way, "
            f"L2 {self.l2.bytes // 1024} KiB {self.l2.ways}-way, L2 hit "
            f"+{self.l2_cycles:g} cycles, memory +{self.memory_cycles:g} cycles, "
            f"{nominal} misses at once "
            f"(range: {high} to {low}); {self.origin}; none of it calibrated"
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
            f"no ARM core {name!r} can be simulated; there are {', '.join(core_names())}, and a "
            "path to a file of your own"
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
        dispatch_width=table["dispatch_width"],
        costs=_read_costs(table["instructions"], full),
        origin=table["origin"],
        in_order=facts.get("in_order", False),
    )


def _known(name: str) -> str:
    if name not in core_names():
        raise ValueError(f"instructions of {name!r}; there are {', '.join(core_names())}")
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


def block_cycles(core: Core, block: Sequence[Instruction]) -> tuple[float, int]:
    """Return the cycles of a block that runs over and over, and instructions without a cost.

    The largest of three bounds: dispatch of the micro-operations; work over the execution units
    that may do it; and the chain of instructions that wait for one another from round to round. A
    core that executes in order waits with each instruction for those before it.
    """
    costs = [core.cost(instruction.form) for instruction in block]
    unknown = sum(cost is None for cost in costs)
    known = [cost or Cost(1, 1, 1, {}) for cost in costs]
    if core.in_order:
        return _in_order(block, known, core.dispatch_width), unknown
    dispatch = _dispatch_bound(known, core.dispatch_width)
    return max(dispatch, _unit_bound(known), _chain_bound(block, known)), unknown


def _dispatch_bound(costs: Sequence[Cost], width: int) -> float:
    """Cycles to dispatch a round: what an instruction is made of goes together when it fits."""
    cycle, used = 0, 0
    for _ in range(_ROUNDS):
        for cost in costs:
            if used + cost.uops > width and used > 0:
                cycle, used = cycle + 1, 0
            used += cost.uops
            cycle, used = cycle + used // width, used % width
    return (cycle + used / width) / _ROUNDS


def _unit_bound(costs: Sequence[Cost]) -> float:
    """Least time the units need: for a set of units, the work only they do over their number."""
    work: dict[frozenset[str], float] = {}
    for cost in costs:
        for allowed, cycles in _alternatives(cost):
            work[allowed] = work.get(allowed, 0.0) + cycles
    best = 0.0
    sets = list(work)
    for size in range(1, min(len(sets), 4) + 1):
        for chosen in combinations(sets, size):
            union = frozenset().union(*chosen)
            inside = sum(amount for allowed, amount in work.items() if allowed <= union)
            best = max(best, inside / len(union))
    return best


def _alternatives(cost: Cost) -> list[tuple[frozenset[str], float]]:
    """Return the units one instruction uses, those that can stand in for one another together.

    llvm names them A57UnitI.0, A57UnitI.1 (alike), A57UnitW and A57UnitX (the two vector pipes),
    N1UnitL.0 and so on: a store takes a load/store unit and a vector unit, not one of all four.
    """
    kinds: dict[str, dict[str, float]] = {}
    for unit, cycles in cost.units.items():
        letter = unit.partition("Unit")[2][:1]
        kinds.setdefault("V" if letter in "WX" else letter, {})[unit] = cycles
    return [(frozenset(units), sum(units.values())) for units in kinds.values()]


def _in_order(block: Sequence[Instruction], costs: Sequence[Cost], width: int) -> float:
    """Return the cycles a round adds where no instruction overtakes another."""
    ready: dict[int, float] = {}
    free: dict[str, float] = {}
    now, issued, ends = 0.0, 0, []
    for _ in range(_ROUNDS):
        for instruction, cost in zip(block, costs, strict=True):
            wanted = [(sorted(units), cycles) for units, cycles in _alternatives(cost)]
            chosen = [min(units, key=lambda u: free.get(u, 0.0)) for units, _ in wanted]
            start = max(
                now,
                *(ready.get(register, 0.0) for register in instruction.reads),
                *(free.get(unit, 0.0) for unit in chosen),
                0.0,
            )
            if start > now:
                now, issued = start, 0
            for unit, (_, cycles) in zip(chosen, wanted, strict=True):
                free[unit] = now + max(1.0, cycles)
            for register in instruction.writes:
                early = register == instruction.base
                ready[register] = now + (1 if early else cost.latency)
            issued += cost.uops
            if issued >= width:
                now, issued = now + max(1, issued // width), 0
        ends.append(now)
    return (ends[-1] - ends[_ROUNDS // 2 - 1]) / (_ROUNDS - _ROUNDS // 2)


def _chain_bound(block: Sequence[Instruction], costs: Sequence[Cost]) -> float:
    """Cycles a round adds when only waiting for registers counts."""
    ready: dict[int, float] = {}
    adds: dict[int, bool] = {}
    accumulated: dict[int, float] = {}
    ends = []
    for _ in range(_ROUNDS):
        for instruction, cost in zip(block, costs, strict=True):
            start = 0.0
            for register in instruction.reads:
                forwarded = register == instruction.addend and adds.get(register, False)
                at = accumulated[register] if forwarded else ready.get(register, 0.0)
                start = max(start, at)
            for register in instruction.writes:
                is_sum = instruction.addend is not None
                # the next address is there at once, whatever the load waits for
                ready[register] = start + (1 if register == instruction.base else cost.latency)
                accumulated[register] = start + cost.accumulate
                adds[register] = is_sum
        ends.append(max(ready.values(), default=0.0))
    return max(0.0, (ends[-1] - ends[_ROUNDS // 2 - 1]) / (_ROUNDS - _ROUNDS // 2))
