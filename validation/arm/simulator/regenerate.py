"""Make the tables ``cores/*.instructions.json``: ``python -m validation.arm.simulator.regenerate``.

Every form of instruction that the kernels execute, as built by each compiler found here, goes
through llvm-mca once alone; forms that only other compilers make stay as they are. Needs llvm-mca
19 or newer: older ones take other cores for some.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..bench.build import ARM_COMPILERS
from ..bench.cases import one_spec
from ..errors import BackendError
from .blocks import block_cycles
from .core import CORES, core_names, load_core
from .count import Block, CacheShape, count
from .elf import Program
from .isa import Instruction, disassemble

_OLDEST = 19
_ROUNDS = 100
_JUMPS = re.compile(r"^(b|bl|b\.\w+|cbn?z \w+,|tbn?z \w+, #\w+,|adrp \w+,|adr \w+,) #\w+$")
_CALLS = {"bl", "blr", "ret", "br"}  # llvm-mca guesses 100 cycles for a call: taken as a branch


def find_mca() -> tuple[Path, str]:
    """llvm-mca and its version.

    Raises
    ------
    BackendError
        There is none, or it is too old.
    """
    places = [f"/usr/lib/llvm-{version}/bin/llvm-mca" for version in range(30, _OLDEST - 1, -1)]
    for place in [*places, "llvm-mca"]:
        if (path := shutil.which(place)) is None:
            continue
        text = subprocess.run(
            [path, "--version"], capture_output=True, text=True, check=True
        ).stdout
        found = re.search(r"LLVM version (\d+)[\d.]*", text)
        if found and int(found[1]) >= _OLDEST:
            return Path(path), found[0].removeprefix("LLVM version ")
    raise BackendError(
        f"no llvm-mca of version {_OLDEST} or newer was found: install Debian's llvm-19"
    )


def run_mca(mca: Path, cpu: str, regions: Iterable[Sequence[str]]) -> dict[str, Any]:
    """Ask llvm-mca about each region of assembly text."""
    text = "".join(
        f"# LLVM-MCA-BEGIN r{number}\n" + "\n".join(lines) + "\n# LLVM-MCA-END\n"
        for number, lines in enumerate(regions)
    )
    command = [str(mca), "-mtriple=aarch64", f"-mcpu={cpu}", "--json", f"-iterations={_ROUNDS}"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BackendError(f"llvm-mca fails: {done.stderr.strip().splitlines()[:1]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def assembly(instruction: Instruction) -> str:
    """Write the instruction as llvm-mca reads it: jumps go nowhere in particular."""
    mnemonic = instruction.text.split(" ")[0]
    if mnemonic in _CALLS:
        return "b #16"
    jump = _JUMPS.match(instruction.text)
    return f"{jump[1]} #{4096 if mnemonic == 'adrp' else 16}" if jump else instruction.text


def executed_blocks() -> list[tuple[Block, Program]]:
    """Blocks the kernels execute, from each compiler that is installed."""
    l1, l2 = CacheShape(1 << 15, 2), CacheShape(1 << 20, 16)
    found = []
    for name, find in ARM_COMPILERS.items():
        if find() is not None:
            counted = count(one_spec(), l1, l2, compiler=name)
            blocks = {block.address: block for op in counted.operators for block in op.blocks}
            found += [(block, counted.program) for block in blocks.values()]
    return found


def examples(blocks: Iterable[tuple[Block, Program]]) -> dict[str, Instruction]:
    """One instruction of each form."""
    forms: dict[str, Instruction] = {}
    for block, program in blocks:
        for instruction in disassemble(program, [block])[block.address]:
            forms.setdefault(instruction.form, instruction)
    forms.pop(".word", None)
    return dict(sorted(forms.items()))


def make_table(
    mca: Path, version: str, cpu: str, forms: Mapping[str, Instruction]
) -> dict[str, Any]:
    """Make the content of one ``*.instructions.json``."""
    alone = run_mca(mca, cpu, [[assembly(example)] for example in forms.values()])
    if alone["TargetInfo"]["CPUName"] != cpu:
        raise BackendError(f"llvm-mca took {alone['TargetInfo']['CPUName']} for {cpu}")
    units = alone["TargetInfo"]["Resources"]
    rows = {
        form: _row(region, units) for form, region in zip(forms, alone["CodeRegions"], strict=True)
    }
    chains = {
        form: _chain(example) for form, example in forms.items() if example.addend is not None
    }
    measured = run_mca(mca, cpu, chains.values())["CodeRegions"]
    for form, region in zip(chains, measured, strict=True):
        rows[form]["accumulate"] = round(region["SummaryView"]["TotalCycles"] / _ROUNDS, 1)
    return {
        "origin": f"instruction costs by llvm-mca {version} -mcpu={cpu}",
        "dispatch_width": alone["CodeRegions"][0]["SummaryView"]["DispatchWidth"],
        "instructions": rows,
    }


def _row(region: Mapping[str, Any], units: Sequence[str]) -> dict[str, Any]:
    info = region["InstructionInfoView"]["InstructionList"][0]
    use = {
        units[item["ResourceIndex"]]
        .replace("\0", "0")
        .replace("\1", "1")
        .replace("\2", "2"): round(item["ResourceUsage"], 4)
        for item in region["ResourcePressureView"]["ResourcePressureInfo"]
        if item["InstructionIndex"] == 0 and item["ResourceUsage"] > 0
    }
    return {"latency": info["Latency"], "uops": info["NumMicroOpcodes"], "units": use}


def _chain(example: Instruction) -> list[str]:
    """Write the multiply-add so that it adds to its own result."""
    mnemonic, *operands = re.split(r"[ ,]+", example.text, maxsplit=1)
    if mnemonic in {"fmla", "fmls", "mla", "mls"}:
        return [example.text]
    words = operands[0].split(", ")
    return [f"{mnemonic} {', '.join([words[0], words[1], words[2], words[0]])}"]


def write_tables() -> list[Path]:
    """Write the table of every core; returns their paths."""
    mca, version = find_mca()
    forms = examples(executed_blocks())
    paths = []
    for name in core_names():
        path = CORES / f"{name}.instructions.json"
        cpu = tomllib.loads((CORES / f"{name}.toml").read_text())["llvm_cpu"]
        table = make_table(mca, version, cpu, forms)
        before = json.loads(path.read_text())["instructions"] if path.exists() else {}
        known = dict(sorted({**before, **table.pop("instructions")}.items()))
        rows = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in known.items())
        head = json.dumps(table, indent=1)[:-2]
        path.write_text(f'{head},\n "instructions": {{\n{rows}\n }}\n}}\n')
        paths.append(path)
    load_core.cache_clear()
    return paths


def compare_blocks(
    core_name: str, blocks: Iterable[tuple[Block, Program]]
) -> list[tuple[float, float, int]]:
    """Cycles of each block by the tables and by llvm-mca itself, and instructions executed."""
    mca, _ = find_mca()
    core = load_core(core_name)
    pairs = [(block, disassemble(program, [block])[block.address]) for block, program in blocks]
    regions = run_mca(mca, core.llvm_cpu, [[assembly(i) for i in code] for _, code in pairs])
    return [
        (
            block_cycles(core, code)[0],
            region["SummaryView"]["TotalCycles"] / _ROUNDS,
            block.executions * block.instructions,
        )
        for (block, code), region in zip(pairs, regions["CodeRegions"], strict=True)
    ]


def main() -> int:
    """Write the tables and say how far they are from llvm-mca on whole blocks."""
    try:
        for path in write_tables():
            print(f"wrote {path.name}")
        blocks = executed_blocks()
        for name in core_names():
            rows = compare_blocks(name, blocks)
            weight = sum(executed / max(1, mca) for _, mca, executed in rows)
            off = (
                sum(abs(own / mca - 1) * executed / max(1, mca) for own, mca, executed in rows)
                / weight
            )
            print(
                f"{name}: blocks are off llvm-mca by {100 * off:.1f} % on average, weighted by "
                "executions"
            )
    except BackendError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
