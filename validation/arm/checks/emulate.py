"""Emulated runs of a network: correctness of every operator, and exact counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import networkx as nx
from rich.markup import escape
from rich.table import Table

from ..bench.targets import emulated_target
from ..simulator.core import load_core
from ..simulator.count import Counted, OperatorCounts, count
from ..simulator.distinct import shorten
from ..simulator.isa import disassemble
from ..simulator.simulate import DEFAULT_CORE
from ..translate.lower import lower
from ..translate.reuse import reuse_memory
from .check import TOLERANCE, check

TOTAL = "total"
"""Name of the row of all kernels."""


@dataclass(frozen=True)
class KernelCounts:
    """Instructions of the operators of one kernel, and the errors of their results.

    Parameters
    ----------
    kernel : str
        The kernel, or :data:`TOTAL`.
    operators : int
        Number of calls in the network.
    worst : float
        Largest error of an output, relative to the largest reference value of it. [1]
    instructions, loads, stores : int
        Instructions executed, and those of them that read or write memory.
    bytes_read, bytes_written : int
        What these move between registers and memory. [byte]
    """

    kernel: str
    operators: int
    worst: float
    instructions: int
    loads: int
    stores: int
    bytes_read: int
    bytes_written: int


@dataclass(frozen=True)
class Emulated:
    """A network that ran emulated. It has no latency.

    Parameters
    ----------
    network : str
        Its name in tables.
    kernels : tuple of KernelCounts
        A row per kernel, most instructions first, and the total.
    wrong : tuple of str
        Operators whose error is above 1e-5.
    """

    network: str
    kernels: tuple[KernelCounts, ...]
    wrong: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "tolerance": TOLERANCE}


def emulate(network: str, graph: nx.DiGraph) -> Emulated:
    """Run a network emulated, check every operator against NumPy and count what it executes.

    Operators with equal kernel, shapes and parameters execute the same instructions, so they are
    counted at most twice; each is run and checked separately.

    Parameters
    ----------
    network : str
        Its name in tables.
    graph : DiGraph
        A concrete float32 graph.
    """
    spec = lower(graph)
    dumping = spec.dumping(spec.written())
    deviations = check(dumping, emulated_target().run(dumping).tensors)
    core = load_core(DEFAULT_CORE)
    short, source = shorten(reuse_memory(spec))
    counted = count(short.timed(warmup=0, repeats=1, budget_ms=1000), core.l1, core.l2)
    each = [_counts(counted, operator) for operator in counted.operators]
    rows: dict[str, list[KernelCounts]] = {}
    for deviation, index in zip(deviations, source, strict=True):
        name, executed = deviation.kernel, each[index]
        row = KernelCounts(name, 1, deviation.relative, *executed)
        rows.setdefault(name, []).append(row)
    kernels = sorted((_sum(k, v) for k, v in rows.items()), key=lambda row: -row.instructions)
    wrong = tuple(
        f"{spec.calls[d.index].name} ({d.kernel}, {d.relative:.1e})" for d in deviations if not d.ok
    )
    return Emulated(network, (*kernels, _sum(TOTAL, kernels)), wrong)


def emulated_table(emulated: Emulated) -> Table:
    """Return the counts, one row a kernel."""
    table = Table(title=escape(f"{emulated.network}: emulated; exact counts, no latency"))
    table.add_column("kernel")
    columns = ("operators", "largest error", "instructions", "loads", "stores", "MB read", "MB wr.")
    for name in columns:
        table.add_column(name, justify="right")
    for row in emulated.kernels:
        counts = (row.instructions, row.loads, row.stores)
        moved = (row.bytes_read, row.bytes_written)
        table.add_row(
            row.kernel,
            str(row.operators),
            f"{row.worst:.1e}",
            *(f"{n:,}" for n in counts),
            *(f"{n / 1e6:.2f}" for n in moved),
            end_section=row is emulated.kernels[-2],
        )
    number = emulated.kernels[-1].operators
    table.caption = (
        f"{number - len(emulated.wrong)} of {number} operators agree with the reference "
        f"within {TOLERANCE:g}"
    )
    return table


def _counts(counted: Counted, operator: OperatorCounts) -> tuple[int, int, int, int, int]:
    """Return instructions, loads, stores, bytes read and bytes written."""
    blocks = disassemble(counted.program, operator.blocks)
    loads = stores = 0
    for block in operator.blocks:
        names = [instruction.text[:2] for instruction in blocks[block.address]]
        loads += names.count("ld") * block.executions
        stores += names.count("st") * block.executions
    moved = operator.bytes_read, operator.bytes_written
    return operator.instructions, loads, stores, *moved


def _sum(kernel: str, rows: Sequence[KernelCounts]) -> KernelCounts:
    worst = max(row.worst for row in rows)
    added = {f.name: sum(getattr(row, f.name) for row in rows) for f in fields(KernelCounts)[3:]}
    return KernelCounts(kernel, sum(row.operators for row in rows), worst, **added)
