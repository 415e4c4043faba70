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
from costmodel.timing.machine import Machine
from costmodel.timing.reuse import workloads

H100 = load_platform("h100-sxm/torch-eager?dtype=bfloat16", calibrated=False)
A100 = load_platform("a100-sxm-80gb/torch-eager?dtype=bfloat16", calibrated=False)
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
    machine = machine_for(H100, "bfloat16")
    long = {"n": 8, "heads": 16, "length": 8192, "depth": 64}
    q = {**Q, "attention_tile": 0, "attention_feed": 1e30}
    # 43 tiles of 192 queries a head, in 42 waves.
    least = 42 * 192 * 8192 / (16 * machine.clock)
    instant = replace(machine, multiply_adds=1e30)
    assert seconds(machine=instant, q=q, **long) == pytest.approx(least)
    free = replace(machine, generation=replace(machine.generation, exponentials=1e30))
    both, products = seconds(q=q, **long), seconds(machine=free, q=q, **long)
    assert products > least
    assert both == pytest.approx(products + Q["attention_serial"] * least)


def test_a_causal_mask_spares_half_of_long_sequences_and_nothing_of_one_tile() -> None:
    long = {"n": 4, "heads": 32, "length": 16384, "depth": 128}
    assert seconds(**long, causal=True) == pytest.approx(seconds(**long) / 2, rel=0.05)
    tile = {"heads": 132, "length": 128, "depth": 128}
    assert seconds(**tile, causal=True) == seconds(**tile)


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
    whole = replace(machine, units=1, multiply_adds=machine.multiply_adds / machine.units)
    assert seconds(**cached, keys=65536) < 0.1 * seconds(machine=whole, **cached, keys=65536)
    # One tile of keys cannot be split: nothing is gained, nothing is paid.
    assert seconds(**cached, keys=128) == seconds(machine=whole, **cached, keys=128)
    # FlashAttention-2 in serving engines splits for packed queries alone.
    single = {**cached, "heads": 1}
    assert seconds(A100, **single, keys=65536) > 5 * seconds(A100, **cached, keys=65536)


def test_a_multiprocessor_draws_keys_at_a_limited_rate() -> None:
    slow = {**Q, "attention_feed": Q["attention_feed"] / 2}
    graph = cm.zoo.attention(heads=264, length=1, keys=8192, depth=128, dtype="bfloat16")
    (w,) = workloads(lower(graph, A100.runtime))
    machine = machine_for(A100, "bfloat16")
    drawn = 3 * 8192 * 256 * 2 / (Q["attention_feed"] * machine.clock)
    fill = 3 * Q["attention_tile"]
    assert float(attention(w, machine, Q)) == pytest.approx(drawn + fill)
    assert float(attention(w, machine, slow)) == pytest.approx(2 * drawn + fill)


@pytest.mark.parametrize("platform", [A100, H100], ids=["A100", "H100"])
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
