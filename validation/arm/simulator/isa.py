"""Instructions in the static model: a form, and the registers read and written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..errors import BackendError
from .count import Block
from .elf import Program

_CONDITIONS = "eq|ne|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le|al|nv"
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(rf"\b(?:{_CONDITIONS})$"), "cond"),
    (re.compile(r"#-?(?:0x[0-9a-f]+|\d[\d.e+-]*)"), "#"),
    (re.compile(r"\b[wx]zr\b|\bsp\b|\bwsp\b"), "x0"),
    (re.compile(r"\b([wxvqdshb])\d+"), r"\1"),
    (re.compile(r"\[\d+\]"), "[]"),
)
_MOVED_BASE = re.compile(r"\[(x\d+|sp)(?:\], |[^\]]*\]!)")  # [x0], #16 and [x0, #16]!
# multiply-adds take their addend late: a chain of them runs faster than their latency says
_ACCUMULATES = ("fmla", "fmls", "fmadd", "fmsub", "madd", "msub", "smaddl", "umaddl", "mla", "mls")


@dataclass(frozen=True)
class Instruction:
    """One instruction of a block.

    ``form`` is what the tables are keyed by: the mnemonic and operands with numbers taken out,
    ``fmla v.4s, v.4s, v.s[]``. ``addend`` is the register a multiply-add adds to, ``base`` the
    address register that a load or store moves on.
    """

    text: str
    form: str
    reads: frozenset[int]
    writes: frozenset[int]
    addend: int | None = None
    base: int | None = None


def form_of(mnemonic: str, operands: str) -> str:
    """Return the form of an instruction.

    >>> form_of("fmla", "v17.4s, v4.4s, v2.s[3]")
    'fmla v.4s, v.4s, v.s[]'
    >>> form_of("b.ne", "#0x408cf8"), form_of("csel", "w0, w1, wzr, ge")
    ('b.cond #', 'csel w, w, x, cond')
    """
    if mnemonic.startswith("b.") and mnemonic[2:] in _CONDITIONS.split("|"):
        mnemonic = "b.cond"
    for pattern, replacement in _REWRITES:
        operands = pattern.sub(replacement, operands)
    operands = operands.replace("x0", "x")
    return f"{mnemonic} {operands}".strip()


def disassemble(program: Program, blocks: Iterable[Block]) -> dict[int, tuple[Instruction, ...]]:
    """Instructions of each block, by its address."""
    code = program.code
    return {
        block.address: _disassemble(code.content[start : start + block.bytes])
        for block in blocks
        for start in [block.address - code.address]
    }


@lru_cache(maxsize=65536)
def _disassemble(raw: bytes) -> tuple[Instruction, ...]:
    try:
        import capstone  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        raise BackendError(
            "arm:simulated needs the Python package capstone: pip install 'nn-costmodel[arm]'"
        ) from error
    decoder = capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM)
    decoder.detail = True
    found = []
    for at in range(0, len(raw), 4):  # one by one: an unknown word does not end the block
        decoded = list(decoder.disasm(raw[at : at + 4], 0))
        if not decoded:
            found.append(Instruction(".word", ".word", frozenset(), frozenset()))
            continue
        one = decoded[0]
        reads, writes = _registers(decoder, one)
        text = f"{one.mnemonic} {one.op_str}".strip()
        addend = _addend(
            one.mnemonic, [operand.reg for operand in one.operands if operand.type == 1]
        )
        found.append(
            Instruction(
                text,
                form_of(one.mnemonic, one.op_str),
                reads,
                writes,
                None if addend is None else _whole(decoder.reg_name(addend)),
                _moved_base(text),
            )
        )
    return tuple(found)


def _registers(decoder: Any, one: Any) -> tuple[frozenset[int], frozenset[int]]:
    """Whole registers read and written."""
    reads, writes = (
        frozenset(_whole(decoder.reg_name(register)) for register in registers)
        for registers in one.regs_access()
    )
    if one.mnemonic.startswith("ld") and "}[" not in one.op_str:
        # capstone 5 has whole-vector loads read the vectors they write
        reads = frozenset(register for register in reads if register >= 100)
    return reads, writes


def _moved_base(text: str) -> int | None:
    found = _MOVED_BASE.search(text)
    return None if found is None else _whole(found[1])


def _addend(mnemonic: str, registers: list[int]) -> int | None:
    if mnemonic not in _ACCUMULATES or not registers:
        return None
    return registers[0] if mnemonic in {"fmla", "fmls", "mla", "mls"} else registers[-1]


def _whole(name: str) -> int:
    """Return a number for the whole register that a name is a part of: w3 is in x3, s3 in v3."""
    kind, digits = name[0], name[1:]
    if digits.isdigit():
        return int(digits) + (100 if kind in "wx" else 0)
    return {"sp": 131, "wsp": 131, "fp": 129, "lr": 130}.get(name, 200 if name == "nzcv" else 199)
