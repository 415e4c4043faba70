"""The part of the ELF format that the emulator needs: segments and addresses of symbols."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from costmodel.errors import DataError

_PT_LOAD, _SHT_SYMTAB, _ET_EXEC, _EM_AARCH64 = 1, 2, 2, 183


@dataclass(frozen=True)
class Segment:
    """A part of the file that is loaded: where, what, how large in memory, whether it is code."""

    address: int
    content: bytes
    memory_bytes: int
    executable: bool


@dataclass(frozen=True)
class Program:
    """A static aarch64 executable."""

    entry: int
    segments: tuple[Segment, ...]
    symbols: dict[str, int]
    header_address: int
    header_count: int

    @property
    def code(self) -> Segment:
        """The executable segment."""
        return next(segment for segment in self.segments if segment.executable)

    @property
    def end(self) -> int:
        """First address after all segments."""
        return max(segment.address + segment.memory_bytes for segment in self.segments)


def read_program(path: Path) -> Program:
    """Read an executable.

    Raises
    ------
    DataError
        The file is not a static aarch64 executable with fixed addresses.
    """
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise DataError(f"{path}: not a 64-bit little-endian ELF file")
    kind, machine = struct.unpack_from("<HH", data, 16)
    if (kind, machine) != (_ET_EXEC, _EM_AARCH64):
        raise DataError(f"{path}: not a static aarch64 executable with fixed addresses")
    entry, program_at, section_at = struct.unpack_from("<QQQ", data, 24)
    size, count, _, sections, _ = struct.unpack_from("<HHHHH", data, 54)
    segments = []
    for number in range(count):
        head = struct.unpack_from("<IIQQQQQQ", data, program_at + number * size)
        kind, flags, offset, address, _, in_file, in_memory, _ = head
        if kind == _PT_LOAD:
            content = data[offset : offset + in_file]
            segments.append(Segment(address, content, in_memory, bool(flags & 1)))
    first = min(segments, key=lambda segment: segment.address)
    symbols = _read_symbols(data, section_at, sections)
    return Program(entry, tuple(segments), symbols, first.address + program_at, count)


def _read_symbols(data: bytes, section_at: int, count: int) -> dict[str, int]:
    heads = [struct.unpack_from("<IIQQQQIIQQ", data, section_at + 64 * i) for i in range(count)]
    symbols: dict[str, int] = {}
    for head in heads:
        _, kind, _, _, offset, size, link, _, _, _ = head
        if kind != _SHT_SYMTAB:
            continue
        names = heads[link][4]
        for at in range(offset, offset + size, 24):
            name_at, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", data, at)
            end = data.index(b"\0", names + name_at)
            symbols[data[names + name_at : end].decode(errors="replace")] = value
    return symbols
