"""Exact counts of the instructions of each operator: the real binary on an emulated processor."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

from ..bench.build import build_armbench, build_counter
from ..bench.process import interpret_output
from ..bench.program import Spec
from ..bench.result import RunResult
from ..errors import BackendError
from .elf import Program, read_program
from .machine import Machine, steady_clock

_FAILURES = {
    1: "two different blocks start at one address",
    2: "out of memory",
    3: "code ran outside the program",
}


@dataclass(frozen=True)
class CacheShape:
    """One cache level: size and line in bytes, associativity."""

    bytes: int
    ways: int
    line: int = 64

    @property
    def sets(self) -> int:
        """Number of sets."""
        return self.bytes // (self.ways * self.line)


@dataclass(frozen=True)
class Block:
    """A basic block: first address, size in bytes, how often it ran."""

    address: int
    bytes: int
    executions: int

    @property
    def instructions(self) -> int:
        """Instructions in one execution."""
        return self.bytes // 4


@dataclass(frozen=True)
class OperatorCounts:
    """Counts of one operator. The emulator splits a 128-bit access into two.

    ``l2_streamed`` are those of ``l2_misses`` that a prefetcher foresees.
    """

    kernel: str
    blocks: tuple[Block, ...]
    accesses_read: int
    accesses_written: int
    bytes_read: int
    bytes_written: int
    l1_misses: int
    l2_misses: int
    l2_writebacks: int
    l2_streamed: int

    @property
    def instructions(self) -> int:
        """Instructions executed."""
        return sum(block.instructions * block.executions for block in self.blocks)


@dataclass(frozen=True)
class Counted:
    """Counts of each operator, with the run they come from and the program that ran."""

    operators: tuple[OperatorCounts, ...]
    result: RunResult
    program: Program


class _CacheShape(ctypes.Structure):
    _fields_ = [
        ("sets", ctypes.c_uint32),
        ("ways", ctypes.c_uint32),
        ("line_bits", ctypes.c_uint32),
    ]


_TOTALS = (
    *("accesses_read", "accesses_written", "bytes_read", "bytes_written"),
    *("l1_misses", "l2_misses", "l2_writebacks", "l2_streamed", "first_block", "n_blocks"),
)


class _Totals(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in _TOTALS]


class _Block(ctypes.Structure):
    _fields_ = [("address", ctypes.c_uint64), ("executions", ctypes.c_uint64)]
    _fields_ += [("bytes", ctypes.c_uint32), ("padding", ctypes.c_uint32)]


def count(
    spec: Spec,
    l1: CacheShape,
    l2: CacheShape,
    compiler: str | None = None,
    clock: Callable[[], int] | None = None,
) -> Counted:
    """Run a network on the emulated processor and count its last pass.

    Parameters
    ----------
    spec
        The network; its warm-up passes fill the caches, and only the last pass is counted.
    l1, l2
        The data caches.
    compiler
        A key of ``build.ARM_COMPILERS``; counts depend on the compiler.
    clock
        The clock the program sees, in nanoseconds.
    """
    program = read_program(build_armbench(compiler))
    machine = Machine(program, spec.text().encode(), clock or steady_clock())
    library = _library()
    counter = _new_counter(library, program, l1, l2)
    try:
        # nothing is counted before the first operator, and preparation runs faster without hooks
        if machine.run_until(program.symbols["roi_begin"]):
            _add_hooks(library, machine, counter)
        code = machine.run()
        result = interpret_output(
            code, bytes(machine.stdout), bytes(machine.stderr), "arm:simulated"
        )
        if failed := library.counter_failed(counter):
            raise BackendError(f"arm:simulated: counting failed: {_FAILURES[failed]}")
        return Counted(_read(library, counter, spec), result, program)
    finally:
        library.counter_free(counter)


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(build_counter()))
    pointer, u64 = ctypes.c_void_p, ctypes.c_uint64
    library.counter_new.restype = pointer
    library.counter_new.argtypes = [u64, u64, u64, u64, _CacheShape, _CacheShape]
    for name, kind in {
        "counter_failed": ctypes.c_int,
        "counter_operators": u64,
        "counter_n_blocks": u64,
        "counter_totals": ctypes.POINTER(_Totals),
        "counter_blocks": ctypes.POINTER(_Block),
        "counter_free": None,
    }.items():
        getattr(library, name).restype = kind
        getattr(library, name).argtypes = [pointer]
    return library


def _new_counter(library: ctypes.CDLL, program: Program, l1: CacheShape, l2: CacheShape) -> int:
    shapes = [_CacheShape(c.sets, c.ways, c.line.bit_length() - 1) for c in (l1, l2)]
    code = program.code
    begin, end = program.symbols["roi_begin"], program.symbols["roi_end"]
    counter = library.counter_new(begin, end, code.address, code.memory_bytes // 4, *shapes)
    if not counter:
        raise BackendError("arm:simulated: no memory for the counter")
    return int(counter)


def _add_hooks(library: ctypes.CDLL, machine: Machine, counter: int) -> None:
    """Call the counter's C functions from unicorn: Python callbacks are 50 times slower."""
    import unicorn
    from unicorn.unicorn_py3.unicorn import uclib

    machine.uc.ctl_flush_tb()  # code that was translated before has no hooks in it
    for kind, name in (
        (unicorn.UC_HOOK_BLOCK, "counter_block"),
        (unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, "counter_memory"),
    ):
        handle = ctypes.c_size_t()
        function = ctypes.cast(getattr(library, name), ctypes.c_void_p)
        status = uclib.uc_hook_add(
            machine.uc._uch,
            ctypes.byref(handle),
            ctypes.c_int(kind),
            function,
            ctypes.c_void_p(counter),
            ctypes.c_uint64(1),
            ctypes.c_uint64(0),
        )
        if status != unicorn.UC_ERR_OK:
            raise BackendError(f"arm:simulated: unicorn refuses a hook (error {status})")


def _read(library: ctypes.CDLL, counter: int, spec: Spec) -> tuple[OperatorCounts, ...]:
    total, calls = library.counter_operators(counter), len(spec.calls)
    if total != calls * (spec.warmup + spec.repeats):
        raise BackendError(
            f"arm:simulated: {total} operators were counted, {calls} a pass were expected"
        )
    totals, blocks = library.counter_totals(counter), library.counter_blocks(counter)
    operators = []
    for call, index in zip(spec.calls, range(total - calls, total), strict=True):
        found = {name: int(getattr(totals[index], name)) for name in _TOTALS}
        first, number = found.pop("first_block"), found.pop("n_blocks")
        raw = [blocks[i] for i in range(first, first + number)]
        ran = tuple(
            sorted((Block(b.address, b.bytes, b.executions) for b in raw), key=lambda b: b.address)
        )
        operators.append(OperatorCounts(call.kernel, ran, **found))
    return tuple(operators)
