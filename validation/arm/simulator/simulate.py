"""Simulated times: exact executed blocks x static cycles per block, plus a cache model.

Never a measurement. The model leaves out overlap between blocks, branch mispredictions, instruction
fetch, TLB, and the activity of other cores. Lines that a prefetcher foresees arrive at the rate at
which the core was measured to copy memory, if ``cores/*.toml`` has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..bench.program import Spec
from ..errors import BackendError
from .blocks import block_cycles
from .core import Core
from .count import Counted, OperatorCounts
from .elf import Program
from .isa import Instruction, disassemble

DEFAULT_CORE = "cortex-a57"
_MOST_UNKNOWN = 0.02  # of the executed instructions; more, and the tables must be regenerated


@dataclass(frozen=True)
class SimulatedOperator:
    """One operator: what it executed, and the cycles made of it.

    ``core_cycles`` are those of the instructions with every access an L1 hit; ``miss_cycles`` those
    of the misses one after the other; ``streamed_seconds`` the time of the lines that a prefetcher
    foresees, which are not among them.
    """

    counts: OperatorCounts
    name: str
    core_cycles: float
    miss_cycles: float
    streamed_seconds: float
    unknown: int

    def seconds(self, core: Core, misses_at_once: int) -> float:
        """Time with that many misses in flight together."""
        cycles = self.core_cycles + self.miss_cycles / misses_at_once
        return cycles / core.clock + self.streamed_seconds


@dataclass(frozen=True)
class Simulated:
    """Simulated times of a network; all times in seconds."""

    core: Core
    operators: tuple[SimulatedOperator, ...]

    @property
    def seconds(self) -> float:
        """Time of the whole network with the nominal number of misses in flight."""
        return self._total(self.core.misses_at_once[1])

    @property
    def interval(self) -> tuple[float, float]:
        """The same with the most and the fewest misses in flight."""
        fewest, _, most = self.core.misses_at_once
        return self._total(most), self._total(fewest)

    @property
    def instructions(self) -> int:
        """Instructions executed."""
        return sum(op.counts.instructions for op in self.operators)

    @property
    def unknown_share(self) -> float:
        """Share of the executed instructions without a cost; each takes one slot."""
        return sum(op.unknown for op in self.operators) / max(1, self.instructions)

    def _total(self, misses_at_once: int) -> float:
        return sum(op.seconds(self.core, misses_at_once) for op in self.operators)


def apply_core(core: Core, spec: Spec, counted: Counted) -> Simulated:
    """Make times of counts; their cache misses are those of the caches they were made with."""
    operators = tuple(
        _simulate_operator(core, counts, call.name or call.kernel, counted.program)
        for call, counts in zip(spec.calls, counted.operators, strict=True)
    )
    simulated = Simulated(core, operators)
    if simulated.unknown_share > _MOST_UNKNOWN:
        raise BackendError(
            f"arm:simulated: {100 * simulated.unknown_share:.1f} % of the instructions are not in "
            f"the tables of {core.name}; run python -m validation.arm.simulator.regenerate"
        )
    return simulated


def _simulate_operator(
    core: Core, counts: OperatorCounts, name: str, program: Program
) -> SimulatedOperator:
    instructions = disassemble(program, counts.blocks)
    cycles, unknown = 0.0, 0
    for block in counts.blocks:
        each, missing = _cycles(core, instructions[block.address])
        cycles += each * block.executions
        unknown += missing * block.executions
    l2_hits = counts.l1_misses - counts.l2_misses
    streamed = 0 if core.streamed_seconds is None else counts.l2_streamed
    misses = l2_hits * core.l2_cycles + (counts.l2_misses - streamed) * core.memory_cycles
    seconds = streamed * (core.streamed_seconds or 0.0)
    return SimulatedOperator(counts, name, cycles, misses, seconds, unknown)


@lru_cache(maxsize=65536)
def _cycles(core: Core, block: tuple[Instruction, ...]) -> tuple[float, int]:
    return block_cycles(core, block)
