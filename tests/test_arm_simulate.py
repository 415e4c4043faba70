"""Counts that repeat to the instruction, and simulated times made of them."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from costmodel.errors import DataError
from costmodel.hardware.files import device_path
from costmodel_validation.arm.bench.cases import CASES, one_spec
from costmodel_validation.arm.bench.program import Spec, SpecBuilder
from costmodel_validation.arm.checks.check import check
from costmodel_validation.arm.errors import BackendError
from costmodel_validation.arm.simulator import regenerate
from costmodel_validation.arm.simulator.blocks import block_cycles
from costmodel_validation.arm.simulator.core import (
    CORES,
    Core,
    Cost,
    core_names,
    load_core,
)
from costmodel_validation.arm.simulator.count import Block, CacheShape, Counted, count
from costmodel_validation.arm.simulator.distinct import simulate_distinct
from costmodel_validation.arm.simulator.isa import Instruction, disassemble
from costmodel_validation.arm.simulator.simulate import apply_core

L1, L2 = CacheShape(1 << 15, 2), CacheShape(1 << 20, 16)


@cache
def counted_cases() -> Counted:
    return count(one_spec(), L1, L2)


def copy_spec(elements: int) -> Spec:
    builder = SpecBuilder()
    x, y = (builder.tensor((1, 1, 1, elements), seed=seed) for seed in (1, None))
    builder.op("copy", [x], [y])
    return builder.build()


def gemm_spec(cin: int, cout: int, size: int) -> Spec:
    builder = SpecBuilder()
    x, y = builder.tensor((1, cin, size, size), seed=1), builder.tensor((1, cout, size, size))
    builder.op("conv1x1", [x], [y], seed=1)
    return builder.build()


def test_the_emulated_processor_computes_every_kernel_right() -> None:
    counted = counted_cases()
    assert counted.result.label == "emulated"
    assert [d.kernel for d in check(one_spec(), counted.result.tensors) if not d.ok] == []


def test_two_runs_count_the_same_to_the_last_miss() -> None:
    assert count(one_spec(), L1, L2).operators == counted_cases().operators


def test_operators_are_counted_in_their_order() -> None:
    counted = [op.kernel for op in counted_cases().operators]
    assert counted == [call.kernel for call in one_spec().calls]
    assert counted[: len(CASES)] == [case[0] for case in CASES]
    assert all(op.instructions > 0 and op.bytes_written > 0 for op in counted_cases().operators)


def test_a_copy_moves_its_bytes_and_no_more() -> None:
    (op,) = count(copy_spec(1 << 14), L1, L2).operators
    assert 4 << 14 <= op.bytes_read < (4 << 14) + 1024
    assert 4 << 14 <= op.bytes_written < (4 << 14) + 1024


def test_a_matrix_product_executes_its_multiply_adds() -> None:
    """64 x 96 outputs of depth 128, 4 multiply-adds an fmla, no edges: counted from the blocks."""
    builder = SpecBuilder()
    x, y = builder.tensor((1, 128, 8, 12), seed=1), builder.tensor((1, 64, 8, 12))
    builder.op("conv1x1", [x], [y], seed=1)
    counted = count(builder.build(), L1, L2)
    (op,) = counted.operators
    code = disassemble(counted.program, op.blocks)
    multiply = sum(
        block.executions * sum(i.form.startswith("fmla v.4s") for i in code[block.address])
        for block in op.blocks
    )
    assert multiply == 64 * 96 * 128 // 4


def test_cache_misses_are_those_of_a_stream() -> None:
    """A first copy of 64 KiB misses each line read and each line written once, in both levels."""
    (op,) = count(copy_spec(1 << 14), L1, L2).operators
    lines = 2 * (4 << 14) // 64
    assert lines <= op.l1_misses < lines + 40
    assert lines <= op.l2_misses < lines + 40


def test_a_warm_pass_hits_what_fits() -> None:
    """Twice 8 KiB fit in L1 of 32 KiB: the second pass misses next to nothing."""
    spec = copy_spec(1 << 11)
    (cold,) = count(spec, L1, L2).operators
    (warm,) = count(spec.timed(warmup=1, repeats=1, budget_ms=1000), L1, L2).operators
    assert cold.l1_misses >= 256
    assert warm.l1_misses < 30
    assert warm.instructions == cold.instructions


def test_larger_caches_miss_less() -> None:
    spec = gemm_spec(64, 64, 28)
    small = count(spec, L1, L2).operators[0]
    large = count(spec, CacheShape(1 << 17, 4), CacheShape(1 << 22, 16)).operators[0]
    assert large.l1_misses < small.l1_misses
    assert large.l2_misses <= small.l2_misses
    assert large.instructions == small.instructions


def test_a_prefetcher_foresees_a_copy() -> None:
    """All but the first lines of each page written, and of the first page read."""
    (op,) = count(copy_spec(1 << 14), L1, L2).operators
    assert 0.93 * op.l2_misses < op.l2_streamed < op.l2_misses


def test_lines_that_miss_again_do_not_hide_a_stream() -> None:
    """Three tensors of 64 KiB, side by side: each line of one has the set of the others' in L1."""
    builder = SpecBuilder()
    tensors = [builder.tensor((1, 1, 1, 1 << 14), seed=seed) for seed in (1, 2, None)]
    builder.op("add", tensors[:2], tensors[2:])
    narrow = CacheShape(1 << 12, 1)
    (op,) = count(builder.build(), narrow, L2).operators
    lines = 3 * (4 << 14) // 64
    assert lines <= op.l2_misses < lines + 60
    assert op.l1_misses > 1.5 * lines
    assert op.l2_streamed > 0.9 * lines


def test_a_prefetcher_does_not_foresee_lines_pages_apart() -> None:
    """A product walks over 64 channels, each in pages of its own, a line of each at a time."""
    (op,) = count(gemm_spec(64, 8, 56), L1, L2).operators
    lines = 64 * 56 * 56 * 4 // 64
    assert lines < op.l2_misses - op.l2_streamed < 1.1 * lines
    assert op.l2_streamed > 1920  # the block of 64 x 480 that it packs them into


@pytest.mark.parametrize(
    ("name", "elements", "seconds"),
    [
        ("cortex-a57", 1 << 20, (1 << 22) / 3.73e9),
        ("cortex-a72", 1 << 20, (1 << 22) / 2.55e9),
        ("cortex-a53", 1 << 20, (1 << 22) / 1.12e9),
        ("cortex-a55", 1 << 20, (1 << 22) / 2.98e9),
    ],
)
def test_a_copy_takes_as_long_as_measured_copies(name: str, elements: int, seconds: float) -> None:
    """memcpy of tinymembench on a board with this core, as the core's file cites it."""
    simulated = simulate_distinct(copy_spec(elements), name).seconds
    assert seconds < simulated < 1.5 * seconds


def test_lines_that_are_prefetched_do_not_depend_on_misses_in_flight() -> None:
    (op,) = simulate_distinct(copy_spec(1 << 14)).operators
    core = load_core("cortex-a57")
    assert core.streamed_seconds is not None
    alone = [
        op.seconds(core, n) - (op.core_cycles + op.miss_cycles / n) / core.clock for n in (1, 8)
    ]
    assert alone == pytest.approx([op.counts.l2_streamed * core.streamed_seconds] * 2)


def test_a_core_without_a_measured_copy_treats_streams_as_other_misses() -> None:
    core, spec = load_core("neoverse-v1"), copy_spec(1 << 14)
    counted = count(spec, core.l1, core.l2)
    (op,) = apply_core(core, spec, counted).operators
    hits = op.counts.l1_misses - op.counts.l2_misses
    assert op.counts.l2_streamed > 0
    assert op.miss_cycles == hits * core.l2_cycles + op.counts.l2_misses * core.memory_cycles


def test_simulated_times_have_parameters_and_a_range() -> None:
    simulated = simulate_distinct(gemm_spec(58, 58, 28))
    low, high = simulated.interval
    assert low < simulated.seconds < high
    assert simulated.unknown_share < 0.005
    for words in ("Cortex-A57", "1.96 GHz", "L1 32 KiB", "llvm-mca", "none of it calibrated"):
        assert words in simulated.core.parameters()
    # 58 * 58 * 784 multiply-adds at 4 a cycle are 0.34 ms at 1.958 GHz: nothing can be faster
    assert simulated.seconds > 58 * 58 * 784 / 4 / 1.958e9
    assert simulated.seconds < 1e-3


def test_a_newer_core_is_faster() -> None:
    spec = gemm_spec(64, 64, 14)
    counted = count(spec, L1, L2)
    cycles = {
        name: apply_core(load_core(name), spec, counted).operators[0].core_cycles
        for name in ("cortex-a57", "neoverse-n1")
    }
    assert 1.6 < cycles["cortex-a57"] / cycles["neoverse-n1"] < 2.2


@pytest.mark.parametrize("name", core_names())
def test_tables_know_every_instruction_of_every_kernel(name: str) -> None:
    simulated = apply_core(load_core(name), one_spec(), counted_cases())
    assert simulated.unknown_share < 0.002


@pytest.mark.parametrize("name", core_names())
def test_every_assumed_number_says_so(name: str) -> None:
    facts = tomllib.loads((CORES / f"{name}.toml").read_text())
    numbers = [fact for fact in facts.values() if isinstance(fact, dict)]
    optional = {"full_width", "streamed_line_ns"} & set(facts)
    assert len(numbers) == 5 + len(optional)
    kinds = {"datasheet", "measured", "assumed"}
    assert all(fact["source"] and fact["kind"] in kinds for fact in numbers)
    table = json.loads((CORES / f"{name}.instructions.json").read_text())
    assert table["origin"].endswith(f"-mcpu={facts['llvm_cpu']}")
    assert "llvm-mca" in table["origin"]


def test_an_unknown_core_is_refused() -> None:
    known = r"'m1' can be simulated, nor is it a .toml file; known are cortex-a53"
    with pytest.raises(DataError, match=known):
        load_core("m1")


OWN = """title = "My core"
device = "{device}"
instructions = "cortex-a72"
l1_ways = {{ value = 2 }}
l2_ways = {{ value = 16 }}
l2_cycles = {{ value = 18 }}
memory_cycles = {{ value = 180 }}
misses_at_once = {{ value = [1, 4, 8] }}
"""


def test_a_core_of_ones_own_is_a_file(tmp_path: Path) -> None:
    shipped = device_path("raspberry-pi-4").read_text()
    (tmp_path / "mine.toml").write_text(OWN.format(device="raspberry-pi-4"))
    core = load_core(str(tmp_path / "mine.toml"))
    assert (core.name, core.clock) == ("cortex-a72", 1.5e9)
    assert core.costs == load_core("cortex-a72").costs
    board = shipped.replace('name = "raspberry-pi-4"', 'name = "board"').replace("1.5 GHz", "2 GHz")
    (tmp_path / "board.toml").write_text(board)
    (tmp_path / "faster.toml").write_text(OWN.format(device="board.toml"))
    assert load_core(str(tmp_path / "faster.toml")).clock == 2e9
    spec = gemm_spec(8, 8, 4)
    mine, faster = (
        simulate_distinct(spec, str(tmp_path / f"{name}.toml")).seconds
        for name in ("mine", "faster")
    )
    assert faster == pytest.approx(0.75 * mine)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('title = "My core"', "", "a core needs title, device, l1_ways"),
        ("value = 2 }", "worth = 2 }", "a core needs title, device, l1_ways"),
        ('"cortex-a72"', '"m1"', "instructions of 'm1'; known are cortex-a53"),
        ("l1_ways", "streamed_line_ns = { value = 0 }\nl1_ways", "it must be positive"),
    ],
)
def test_a_core_that_lacks_something_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN.format(device="raspberry-pi-4").replace(old, new))
    with pytest.raises(DataError, match=words):
        load_core(str(path))


def test_vectors_take_both_pipes_of_half_their_width() -> None:
    """Arm's manual of the A55: two multiply-adds of 64 bit a cycle, or one of 128 bit."""
    core = load_core("cortex-a55")
    wide, single = core.cost("fmla v.4s, v.4s, v.s[]"), core.cost("fmadd s, s, s, s")
    assert wide is not None
    assert sum(wide.units.values()) == 2
    assert single is None or sum(single.units.values()) == 1


def core_with(costs: dict[str, Cost]) -> Core:
    real = load_core("cortex-a57")
    fields = {name: getattr(real, name) for name in real.__dataclass_fields__}
    return Core(**{**fields, "costs": costs, "dispatch_width": 2})


def instruction(
    form: str, reads: set[int], writes: set[int], addend: int | None = None
) -> Instruction:
    return Instruction(form, form, frozenset(reads), frozenset(writes), addend)


def test_block_cycles_by_hand() -> None:
    """Each bound alone, with numbers worked out by hand."""
    core = core_with(
        {
            "a": Cost(1, 1, 1, {"X": 1.0}),
            "b": Cost(1, 1, 1, {"X": 0.5, "Y": 0.5}),
            "m": Cost(7, 3, 1, {"Y": 1.0}),
            "n": Cost(1, 1, 1, {}),
        }
    )
    free = [instruction("n", set(), {i}) for i in range(5)]
    assert block_cycles(core, free) == (2.5, 0)  # dispatch: 5 over a width of 2
    units = [
        instruction("a", set(), {1}),
        instruction("a", set(), {2}),
        instruction("b", set(), {3}),
    ]
    assert block_cycles(core, units)[0] == 2.0  # X: the two that need it; b goes to Y
    assert block_cycles(core, [instruction("m", {1}, {1})])[0] == 7.0  # waits for itself
    assert block_cycles(core, [instruction("m", {1}, {1}, addend=1)])[0] == 3.0  # forwarded addend
    assert block_cycles(core, [instruction("?", set(), {1})]) == (0.5, 1)


def test_tables_that_do_not_fit_the_compiler_are_refused() -> None:
    spec = gemm_spec(8, 8, 4)
    with pytest.raises(BackendError, match=r"are not in the tables of cortex-a57; run python -m"):
        apply_core(core_with({}), spec, count(spec, L1, L2))


def test_blocks_agree_with_llvm_mca() -> None:
    """The tables and the block model against llvm-mca on every block the kernels execute."""
    try:
        regenerate.find_mca()
    except BackendError as error:
        pytest.skip(str(error))
    counted = counted_cases()
    executions: Counter[tuple[int, int]] = Counter()
    for op in counted.operators:
        executions.update({(block.address, block.bytes): block.executions for block in op.blocks})
    blocks = [Block(*place, times) for place, times in executions.items()]
    pairs = [(block, counted.program) for block in blocks]
    # the largest differences are short blocks on the wide core, with either compiler
    bounds = {"cortex-a57": 0.03, "cortex-a72": 0.03, "neoverse-n1": 0.12, "cortex-a76": 0.12}
    bounds |= {"cortex-a53": 0.3, "cortex-a55": 0.3, "cortex-x1": 0.3, "neoverse-v1": 0.3}
    for name, most in bounds.items():
        off = total = 0.0
        rows = regenerate.compare_blocks(name, pairs)
        for (own, mca, _), block in zip(rows, blocks, strict=True):
            off += abs(own - mca) * block.executions
            total += mca * block.executions
        assert off / total < most
