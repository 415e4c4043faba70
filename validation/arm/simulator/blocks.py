"""Cycles of a basic block that runs over and over, from the costs of its instructions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from .core import Core, Cost
from .isa import Instruction

_ROUNDS = 8  # of a block over itself, to see what it waits for


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
