"""Fused attention on a GPU: each claim at its limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

import costmodel as cm
from costmodel.kernels import lower
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.timing.gpu_attention import attention
from costmodel.timing.gpu_pages import kernels_beside, pages
from costmodel.timing.machine import Machine
from costmodel.timing.reuse import workloads

H100 = load_platform("h100-sxm/torch-eager?dtype=bfloat16", calibrated=False)
A100 = load_platform("a100-sxm-80gb/torch-eager?dtype=bfloat16", calibrated=False)
PAGED = load_platform("a100-sxm-80gb/cuda-graphs?dtype=bfloat16", calibrated=False)
BLACKWELL = load_platform("rtx-pro-6000/cuda-graphs?dtype=bfloat16", calibrated=False)
Q = H100.fitted.theta


def seconds(
    platform: cm.Platform = H100,
    machine: Machine | None = None,
    q: Mapping[str, float] = Q,
    **sizes: int | bool | str,
) -> float:
    """Return the time of an attention without launch and memory."""
    graph = cm.zoo.attention(**{"dtype": "bfloat16", **sizes})  # type: ignore[arg-type]
    (w,) = workloads(lower(graph, platform.runtime))
    return float(attention(w, machine or machine_for(platform, "bfloat16"), q))


def test_a_head_of_65_costs_as_much_as_one_of_96() -> None:
    many = {"n": 8, "heads": 16, "length": 4096}
    of = {depth: seconds(**many, depth=depth) for depth in (33, 64, 65, 96, 129, 192, 257, 384)}
    assert of[33] == of[64] < of[65] == of[96]
    assert of[129] == of[192]
    assert of[257] == of[384]


def test_a_query_more_than_a_tile_costs_another_tile() -> None:
    # On an A100 a tile has 128 queries, and 108 heads fill the device once.
    full, more = (seconds(A100, heads=108, length=length, depth=128) for length in (128, 129))
    assert more > 1.9 * full
    # FlashAttention-3 takes 192 queries of short heads.
    short = [seconds(heads=132, length=length, keys=8192, depth=64) for length in (129, 192, 193)]
    assert short[0] == short[1] < 0.6 * short[2]


def test_a_head_more_than_a_wave_costs_another_wave() -> None:
    one, two = (seconds(heads=heads, length=128, depth=128) for heads in (132, 133))
    assert two == pytest.approx(2 * one)
    # Tiles of all lengths, behind a causal mask, even out.
    one, two = (seconds(heads=h, length=128, depth=128, causal=True) for h in (132, 133))
    assert one < two < 1.1 * one


def test_exponentials_run_beside_the_products_and_bound_them() -> None:
    machine = replace(machine_for(H100, "bfloat16"), vector=1e30)
    long = {"n": 8, "heads": 16, "length": 9216, "depth": 64}
    q = {**Q, "attention_tile": 0}
    # 48 tiles of 192 queries a head, in 47 waves, and 48 blocks of 192 keys.
    least = 47 * 192 * 9216 / (16 * machine.clock)
    instant = replace(machine, multiply_adds=1e30)
    loads = 192 / 64 * 192 * 128 * 2 / (128 * machine.clock) * 48 * 47
    expected = least + Q["attention_serial"] * loads
    assert seconds(machine=instant, q=q, **long) == pytest.approx(expected)
    free = replace(machine, generation=replace(machine.generation, exponentials=1e30))
    both, products = seconds(q=q, machine=machine, **long), seconds(machine=free, q=q, **long)
    assert products > least
    assert both == pytest.approx(products + Q["attention_serial"] * least)


def test_other_operations_of_a_softmax_take_lanes() -> None:
    machine, long = machine_for(H100, "bfloat16"), {"heads": 132, "length": 9216, "depth": 64}
    free = replace(machine, vector=1e30)
    q = {**Q, "attention_serial": 1.0}
    scores = 132 * 9216 * 9216
    spared = seconds(machine=machine, q=q, **long) - seconds(machine=free, q=q, **long)
    assert spared == pytest.approx(4 * scores / machine.vector)


@pytest.mark.parametrize(("keys", "tolerance"), [(1024, 0.25), (4096, 0.2)])
@pytest.mark.parametrize("depth", [64, 128])
def test_attention_on_lanes_takes_as_long_as_measured(
    keys: int, tolerance: float, depth: int
) -> None:
    measured = {
        (1024, 64): 522.5e-6,
        (1024, 128): 787.2e-6,
        (4096, 64): 7779e-6,
        (4096, 128): 11850e-6,
    }
    h200 = load_platform("h200/cuda-graphs", calibrated=False)
    graph = cm.zoo.attention(n=4, heads=16, length=keys, depth=depth)
    found = cm.latency(graph, h200).seconds
    assert found == pytest.approx(measured[keys, depth], rel=tolerance)


def test_single_queries_of_very_long_heads_run_one_after_the_other() -> None:
    h200 = load_platform("h200/cuda-graphs?dtype=bfloat16", calibrated=False)
    machine = machine_for(h200, "bfloat16")
    found = []
    for depth, n in ((256, 64), (512, 64), (512, 992), (512, 993)):
        graph = cm.zoo.attention(
            n=n, heads=8, kv_heads=2, length=1, keys=64, depth=depth, dtype="bfloat16"
        )
        (w,) = workloads(lower(graph, h200.runtime))
        found.append(kernels_beside(w, machine))
    assert found == [2, 2 + 2 * 64, 2 + 2 * 992, 2]


def test_keys_are_not_split_on_lanes() -> None:
    h200 = load_platform("h200/cuda-graphs", calibrated=False)
    graph = cm.zoo.attention(heads=16, length=1, keys=8192, depth=128)
    assert cm.latency(graph, h200).seconds == pytest.approx(792.5e-6, rel=0.15)  # measured


def test_pages_hold_16_bits() -> None:
    h200 = load_platform("h200/cuda-graphs", calibrated=False)
    assert machine_for(h200, "bfloat16").paged_attention
    assert not machine_for(h200, "float32").paged_attention


def test_warps_read_all_keys_from_shared_memory() -> None:
    # Four warps share 128 queries, or 64 where keys are in pages: then they read twice as much.
    q = {**Q, "attention_serial": 1.0, "attention_tile": 0}
    many = {"heads": 216, "length": 8192, "depth": 128, "causal": True}
    plain, paged = (machine_for(p, "bfloat16") for p in (A100, PAGED))
    least = 216 * 8192 * 8192 / 2 * 4 * 256 * 2 / (128 * plain.clock * 108)
    more = seconds(PAGED, paged, q, **many) - seconds(A100, plain, q, **many)
    assert more == pytest.approx(least / 128, rel=0.02)


def test_a_causal_mask_spares_half_of_long_sequences_and_nothing_of_one_tile() -> None:
    long = {"n": 4, "heads": 32, "length": 16384, "depth": 128}
    assert seconds(**long, causal=True) == pytest.approx(seconds(**long) / 2, rel=0.05)
    tile = {"heads": 108, "length": 128, "depth": 64}
    assert seconds(A100, **tile, causal=True) == seconds(A100, **tile)


def test_a_single_query_is_packed_with_its_group() -> None:
    cached = {"n": 64, "heads": 32, "length": 1, "keys": 2048, "depth": 128}
    for platform in (A100, H100):
        alone = seconds(platform, **cached)
        assert seconds(platform, **cached, kv_heads=4) < 0.2 * alone
    # Several queries only in FlashAttention-3.
    few = {**cached, "length": 16}
    assert seconds(**few, kv_heads=4) < 0.3 * seconds(**few)
    assert seconds(A100, **few, kv_heads=4) == seconds(A100, **few)


def test_decoding_splits_long_keys_among_idle_multiprocessors() -> None:
    cached = {"heads": 8, "kv_heads": 1, "length": 1, "depth": 128}
    machine = machine_for(H100, "bfloat16")
    alone = {"multiply_adds": machine.multiply_adds, "vector": machine.vector}
    whole = replace(machine, units=1, **{k: v / machine.units for k, v in alone.items()})
    assert seconds(**cached, keys=65536) < 0.1 * seconds(machine=whole, **cached, keys=65536)
    # One tile of keys cannot be split: nothing is gained, nothing is paid.
    assert seconds(**cached, keys=128) == seconds(machine=whole, **cached, keys=128)
    # FlashAttention-2 splits paged keys for packed queries alone.
    single = {**cached, "heads": 1}
    assert seconds(PAGED, **single, keys=65536) > 5 * seconds(PAGED, **cached, keys=65536)
    assert seconds(A100, **single, keys=65536) == seconds(A100, **cached, keys=65536)


def test_parts_of_split_keys_are_added_up_one_after_the_other() -> None:
    cached = {"heads": 8, "kv_heads": 1, "length": 1, "depth": 128, "keys": 16384}
    for platform, at_once in ((A100, 1), (H100, 4)):
        clock = machine_for(platform, "bfloat16").clock
        slow = {**Q, "attention_part": 1000.0 + Q["attention_part"]}
        # 128 blocks of keys, 128 parts.
        more = seconds(platform, q=slow, **cached) - seconds(platform, **cached)
        assert more == pytest.approx(128 * 1000 / at_once / clock, rel=0.15)


def test_a_second_tile_on_a_multiprocessor_hides_the_start() -> None:
    # Tiles of 80 KiB: two fit into the 164 KiB of an A100, one into the 100 KiB of an RTX PRO 6000.
    many = {"n": 64, "heads": 64, "length": 1, "keys": 128, "depth": 128}
    for platform, waves in ((PAGED, 38), (BLACKWELL, 22)):
        machine = machine_for(platform, "bfloat16")
        own = replace(machine, shared_memory=82e3)
        both = replace(machine, shared_memory=170e3)
        later = {**Q, "attention_tile": 500.0}
        gained = seconds(platform, own, later, **many) - seconds(platform, both, later, **many)
        assert gained == pytest.approx((waves - 1) * 500 / machine.clock)
        fits = both if platform is PAGED else own
        assert seconds(platform, machine, later, **many) == seconds(platform, fits, later, **many)


def test_the_longest_tile_is_waited_for_unless_it_comes_first() -> None:
    causal = {"heads": 216, "length": 2048, "depth": 128, "causal": True}
    paged = machine_for(PAGED, "bfloat16")
    base = seconds(PAGED, paged, **causal) / seconds(PAGED, paged, **{**causal, "heads": 8 * 216})
    assert 1 / 8 < base < 1.1 / 8


@pytest.mark.parametrize(("length", "causal"), [(1, False), (512, True), (512, False)])
def test_an_engine_with_pages_writes_new_keys_to_them(length: int, causal: bool) -> None:
    graph = cm.zoo.attention(
        n=64, heads=8, length=length, keys=512, depth=64, causal=causal, dtype="bfloat16"
    )
    (w,) = workloads(lower(graph, PAGED.runtime))
    machine = machine_for(PAGED, "bfloat16")
    moved, least = pages(w, machine, Q)
    tokens = 0 if length > 1 and not causal else 64 * length
    # Read and written: keys and values of 8 heads of 64 numbers of 2 bytes.
    assert moved.bytes == tokens * 2 * 2 * 8 * 64 * 2
    # 512 threads a token: four of them on each of 108 multiprocessors at once.
    assert least == pytest.approx(tokens / (108 * 4) * Q["attention_tile"] / machine.clock)
    assert kernels_beside(w, machine) == min(1, tokens)
    assert kernels_beside(w, machine_for(A100, "bfloat16")) == 0
    assert pages(w, machine_for(A100, "bfloat16"), Q)[0].bytes == 0


@pytest.mark.parametrize("platform", [A100, H100, PAGED], ids=["A100", "H100", "pages"])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("shared", [1, 8])
@pytest.mark.parametrize("what", ["n", "length", "heads"])
def test_more_of_a_batch_queries_or_heads_never_take_less(
    platform: cm.Platform, causal: bool, shared: int, what: str
) -> None:
    start = {"n": 1, "heads": 8, "length": 2 if what == "length" else 1, "keys": 1500, "depth": 80}
    if causal:
        del start["keys"]
    times = []
    for i in range(1, 60):
        sizes = {**start, what: int(start[what] * (1 + i**1.9 / 4)) * (8 if what == "heads" else 1)}
        sizes["kv_heads"] = sizes["heads"] // shared
        times.append(seconds(platform, causal=causal, **sizes))
    assert times == sorted(times)
