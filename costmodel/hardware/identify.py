"""Identification of a processor's core by /proc/cpuinfo and the ``probe`` keys of core files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from costmodel.errors import DataError
from costmodel.hardware.files import core_names, load_core
from costmodel.hardware.model import Fact

if TYPE_CHECKING:
    from costmodel.hardware.schema import CoreFile

#: For a core without a file: float32 multiply-adds per cycle and register bits, by the widest
#: instruction set; one 512-bit or two 256-bit pipes, which every such core has at least.
_BY_FLAG = (("avx512f", 16, 512), ("fma", 16, 256), ("avx", 8, 256), ("sse2", 4, 128))
_BY_FLAG_ARM = (("asimd", 4, 128), ("fp", 1, 64))


def processors(cpuinfo: str) -> dict[int, dict[str, str]]:
    """Split /proc/cpuinfo into the fields of each processor, by number."""
    blocks = [dict(_pairs(block)) for block in re.split(r"\n\s*\n", cpuinfo)]
    return {int(b["processor"]): b for b in blocks if b.get("processor", "").isdigit()}


def _pairs(block: str) -> list[tuple[str, str]]:
    lines = (line.partition(":") for line in block.splitlines() if ":" in line)
    return [(key.strip(), value.strip()) for key, _, value in lines]


def flags(info: Mapping[str, str]) -> set[str]:
    """Instruction sets of a processor."""
    return set((info.get("flags") or info.get("Features") or "").split())


def find_core(info: Mapping[str, str]) -> CoreFile | None:
    """Find the core file with a matching ``probe``; of several, the most specific one."""
    fits = []
    for name in core_names():
        core = load_core(name)
        fits += [(pattern.count(":"), core) for pattern in core.probe if _matches(pattern, info)]
    if not fits:
        return None
    most = max(count for count, _ in fits)
    # Cascade Lake has the model number of Skylake-SP and additional flags.
    best = [core for count, core in fits if count == most]
    return max(best, key=lambda core: core.dot_product.value)


def _matches(pattern: str, info: Mapping[str, str]) -> bool:
    """``arm:IMPLEMENTER:PART`` or ``x86:VENDOR:FAMILY:MODEL[-MODEL][:FLAG]``."""
    kind, *parts = pattern.split(":")
    if kind == "arm":
        return parts == [info.get("CPU implementer"), info.get("CPU part")]
    vendor, family, models, *needed = parts
    if (info.get("vendor_id"), info.get("cpu family")) != (vendor, family):
        return False
    low, _, high = models.partition("-")
    return int(low) <= int(info.get("model", -1)) <= int(high or low) and {*needed} <= flags(info)


def guess(info: Mapping[str, str]) -> tuple[Fact, int]:
    """Float32 lanes and vector register bits of a core without a file."""
    found = flags(info)
    for flag, lanes, bits in (*_BY_FLAG, *_BY_FLAG_ARM):
        if flag in found:
            note = "the core is not known; the least that cores with this instruction set do"
            return Fact(lanes, "1", f"/proc/cpuinfo, flag {flag}", "assumed", note), bits
    raise DataError(
        "host cannot be probed: /proc/cpuinfo names no vector instruction set that is known here; "
        "describe the machine in a .toml file and give its path"
    )
