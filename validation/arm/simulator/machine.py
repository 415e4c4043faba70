"""A bare aarch64 machine for one static program: unicorn's processor, a few Linux calls.

Everything the program sees is fixed (addresses, clock, standard input), so a run is the same to the
last instruction whenever and wherever it is made.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import BackendError, KernelError
from .elf import Program

if TYPE_CHECKING:
    from unicorn import Uc

PAGE = 4096
_HEAP_BYTES = 1 << 24
_MAP_AT = 0x10_0000_0000
_STACK_AT, _STACK_BYTES = 0x08_0000_0000, 1 << 22
_EXE = b"/unicorn-aarch64"  # what /proc/thread-self/exe names: the program finds its emulator
_ENOENT, _EBADF, _ENOMEM, _ENOTTY, _ENOSYS = -2, -9, -12, -25, -38
_HWCAP_FP_ASIMD = 3
_TICK_NS = 1000


def steady_clock() -> Callable[[], int]:
    """Return a clock in nanoseconds that advances one microsecond each time it is read."""
    now = 0

    def read() -> int:
        nonlocal now
        now += _TICK_NS
        return now

    return read


def _round_up(value: int) -> int:
    return -(-value // PAGE) * PAGE


@dataclass
class Machine:
    """One run of one program.

    Parameters
    ----------
    program
        The executable.
    stdin
        All of its standard input.
    clock
        The monotonic clock, in nanoseconds.
    """

    program: Program
    stdin: bytes
    clock: Callable[[], int] = field(default_factory=steady_clock)
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    exit_code: int | None = None

    def __post_init__(self) -> None:
        self.uc = _new_processor()
        self._read_at = 0
        self._break = self._heap = _round_up(self.program.end)
        self._next_map = _MAP_AT
        self._next = self.program.entry
        self._load()
        self.uc.hook_add(_interrupts(), self._interrupt)

    def run_until(self, address: int) -> bool:
        """Run until that instruction comes next; false when the program ended before."""
        self._resume(address)
        return self.exit_code is None

    def run(self) -> int:
        """Run on to the end; returns the exit code."""
        if self.exit_code is None:
            self._resume(0)
        if self.exit_code is None:
            raise KernelError("arm:simulated: armbench stopped without an exit code")
        return self.exit_code

    def _resume(self, until: int) -> None:
        import unicorn

        try:
            self.uc.emu_start(self._next, until)
        except unicorn.UcError as error:
            where = self.uc.reg_read(_registers()["pc"])
            raise KernelError(f"arm:simulated: armbench crashed at {where:#x}: {error}") from error
        self._next = self.uc.reg_read(_registers()["pc"])

    def _load(self) -> None:
        first = min(segment.address for segment in self.program.segments) // PAGE * PAGE
        self.uc.mem_map(first, self._heap - first + _HEAP_BYTES)
        for segment in self.program.segments:
            self.uc.mem_write(segment.address, segment.content)
        self.uc.mem_map(_STACK_AT, _STACK_BYTES)
        top = _STACK_AT + _STACK_BYTES - PAGE
        self.uc.mem_write(top, b"armbench\0")
        auxiliary = [(3, self.program.header_address), (4, 56), (5, self.program.header_count)]
        auxiliary += [(6, PAGE), (9, self.program.entry), (16, _HWCAP_FP_ASIMD), (25, top), (0, 0)]
        words = [1, top, 0, 0] + [word for pair in auxiliary for word in pair]
        stack = top - PAGE
        self.uc.mem_write(stack, struct.pack(f"<{len(words)}Q", *words))
        registers = _registers()
        self.uc.reg_write(registers["sp"], stack)
        self.uc.reg_write(registers["cpacr"], 3 << 20)  # floating point on

    def _interrupt(self, uc: Uc, number: int, _: object) -> None:
        registers = _registers()
        if number != 2:  # not a system call
            uc.emu_stop()
            return
        call = uc.reg_read(registers["x8"])
        arguments = [uc.reg_read(register) for register in registers["arguments"]]
        handler = _CALLS.get(call)
        result = _ENOSYS if handler is None else handler(self, *arguments)
        uc.reg_write(registers["x0"], result & 0xFFFF_FFFF_FFFF_FFFF)

    def _text(self, address: int) -> bytes:
        return bytes(self.uc.mem_read(address, 256)).split(b"\0")[0]

    def _exit(self, code: int, *_: int) -> int:
        self.exit_code = code & 0xFF
        self.uc.emu_stop()
        return 0

    def _kill(self, _: int, signal: int, *__: int) -> int:
        return self._exit(128 + signal)

    def _tgkill(self, _: int, __: int, signal: int, *___: int) -> int:
        return self._exit(128 + signal)

    def _read(self, fd: int, address: int, count: int, *_: int) -> int:
        if fd != 0:
            return _EBADF
        chunk = self.stdin[self._read_at : self._read_at + count]
        self.uc.mem_write(address, chunk)
        self._read_at += len(chunk)
        return len(chunk)

    def _readv(self, fd: int, vectors: int, count: int, *_: int) -> int:
        total = 0
        for address, size in self._vectors(vectors, count):
            done = self._read(fd, address, size)
            if done < 0:
                return done
            total += done
        return total

    def _write(self, fd: int, address: int, count: int, *_: int) -> int:
        if fd not in {1, 2}:
            return _EBADF
        (self.stdout if fd == 1 else self.stderr).extend(self.uc.mem_read(address, count))
        return count

    def _writev(self, fd: int, vectors: int, count: int, *_: int) -> int:
        return sum(
            self._write(fd, address, size) for address, size in self._vectors(vectors, count)
        )

    def _vectors(self, address: int, count: int) -> list[tuple[int, int]]:
        raw = bytes(self.uc.mem_read(address, 16 * count))
        return list(struct.iter_unpack("<QQ", raw))

    def _brk(self, wanted: int, *_: int) -> int:
        if self._heap <= wanted <= self._heap + _HEAP_BYTES:
            self._break = wanted
        return self._break

    def _mmap(self, _: int, size: int, __: int, ___: int, fd: int, ____: int) -> int:
        if fd & 0xFFFF_FFFF != 0xFFFF_FFFF:  # files cannot be mapped
            return _EBADF
        import unicorn

        address, size = self._next_map, _round_up(size)
        try:
            self.uc.mem_map(address, size)
        except unicorn.UcError:
            return _ENOMEM
        self._next_map += size + PAGE
        return address

    def _munmap(self, address: int, size: int, *_: int) -> int:
        self.uc.mem_unmap(address, _round_up(size))
        return 0

    def _readlinkat(self, _: int, path: int, out: int, size: int, *__: int) -> int:
        if self._text(path) not in {b"/proc/thread-self/exe", b"/proc/self/exe"}:
            return _ENOENT
        name = _EXE[:size]
        self.uc.mem_write(out, name)
        return len(name)

    def _clock_gettime(self, _: int, out: int, *__: int) -> int:
        self.uc.mem_write(out, struct.pack("<qq", *divmod(self.clock(), 1_000_000_000)))
        return 0

    def _getrandom(self, out: int, count: int, *_: int) -> int:
        self.uc.mem_write(out, b"\x55" * count)
        return count

    def _uname(self, out: int, *_: int) -> int:
        fields = (b"Linux", b"", b"6.0", b"", b"aarch64", b"")
        self.uc.mem_write(out, b"".join(word.ljust(65, b"\0") for word in fields))
        return 0

    def _zero(self, *_: int) -> int:
        return 0

    def _one(self, *_: int) -> int:
        return 1

    def _no_file(self, *_: int) -> int:
        return _ENOENT

    def _no_terminal(self, *_: int) -> int:
        return _ENOTTY


_CALLS: dict[int, Callable[..., int]] = {
    29: Machine._no_terminal,  # ioctl
    56: Machine._no_file,  # openat
    57: Machine._zero,  # close
    63: Machine._read,
    64: Machine._write,
    65: Machine._readv,
    66: Machine._writev,
    78: Machine._readlinkat,
    79: Machine._no_file,  # newfstatat
    80: Machine._no_file,  # fstat
    93: Machine._exit,
    94: Machine._exit,  # exit_group
    96: Machine._one,  # set_tid_address
    99: Machine._zero,  # set_robust_list
    113: Machine._clock_gettime,
    129: Machine._kill,
    131: Machine._tgkill,
    135: Machine._zero,  # rt_sigprocmask
    160: Machine._uname,
    172: Machine._one,  # getpid
    178: Machine._one,  # gettid
    214: Machine._brk,
    215: Machine._munmap,
    222: Machine._mmap,
    226: Machine._zero,  # mprotect
    233: Machine._zero,  # madvise
    278: Machine._getrandom,
}


def _new_processor() -> Uc:
    try:
        import unicorn
        from unicorn import arm64_const
    except ImportError as error:
        raise BackendError(
            "arm:simulated needs the Python package unicorn: pip install 'nn-costmodel[arm]'"
        ) from error
    uc = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
    uc.ctl_set_cpu_model(arm64_const.UC_CPU_ARM64_A57)
    return uc


def _interrupts() -> int:
    from unicorn import UC_HOOK_INTR

    return int(UC_HOOK_INTR)


def _registers() -> dict[str, Any]:
    from unicorn import arm64_const as names

    return {
        "arguments": [getattr(names, f"UC_ARM64_REG_X{i}") for i in range(6)],
        "x0": names.UC_ARM64_REG_X0,
        "x8": names.UC_ARM64_REG_X8,
        "sp": names.UC_ARM64_REG_SP,
        "pc": names.UC_ARM64_REG_PC,
        "cpacr": names.UC_ARM64_REG_CPACR_EL1,
    }
