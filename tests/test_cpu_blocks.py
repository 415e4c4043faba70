"""Blocks of outputs in which ncnn computes convolutions on Arm, and its choice of algorithms."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import pytest

import costmodel as cm
from costmodel.errors import DataError
from costmodel.kernels import lower
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.runtimes.blocks import blocks_of
from costmodel.specs import network
from costmodel.timing import cpu_blocks, cpu_winograd
from costmodel.timing.reuse import workloads
from costmodel.timing.workload import Workload

A57, A76 = "snapdragon-810/ncnn", "snapdragon-855-plus/ncnn"
RULE = {"height": 128, "kernel": 8, "winograd_most": 128, "winograd_dot_product": False}


def busiest(m: int, most: int, kernel: int, units: int) -> tuple[int, int]:
    """Deal out blocks of outputs one by one; return the outputs and blocks of the first core."""
    block = kernel
    while ceil(m / block) > ceil(m / most):
        block += kernel
    if units > 1:
        together = block * units
        while together - kernel > 0 and ceil(m / (together - kernel)) == ceil(m / together):
            together -= kernel
        block = kernel
        while block * units < min(together, block * units + together):
            block += kernel
    sizes = [min(block, ceil(m / kernel) * kernel - i) for i in range(0, m, block)]
    first = sizes[: ceil(len(sizes) / units)]
    return sum(first), len(first)


@pytest.mark.parametrize("units", [1, 2, 4, 6])
def test_the_busiest_core_is_that_of_blocks_dealt_out(units: int) -> None:
    for m in (4, 16, 24, 40, 58, 96, 116, 144, 160, 240, 320, 960, 1000):
        found = cpu_blocks.split(m, 32, 8, units)
        assert (found.rows, found.passes) == busiest(m, 32, 8, units), m


def test_blocks_of_many_convolutions_are_those_of_each() -> None:
    m = np.array([16, 24, 144, 1000])
    found = cpu_blocks.split(m, 32, 8, 4)
    assert found.rows.tolist() == [cpu_blocks.split(int(n), 32, 8, 4).rows for n in m]
    assert int(cpu_blocks.split(cm.dim("m"), 32, 8, 4).rows.subs({cm.dim("m"): 144})) == 48


def test_few_outputs_leave_cores_idle() -> None:
    # 16 outputs are two blocks of 8: two of four cores have none.
    def speedup(outputs: int) -> float:
        w = workload(f"conv2d?k=1&cin=256&cout={outputs}&size=56", A57)
        times = []
        for platform in (A57, f"{A57}?threads=4"):
            where = load_platform(platform, calibrated=False)
            machine, q = machine_for(where, "float32"), {**where.fitted.theta, "pack": 0.0}
            rule = cpu_blocks.rule_of(machine)
            assert rule
            times.append(float(cpu_blocks.spent(w, rule, 0, machine, q)))
        return times[0] / times[1]

    assert speedup(128) == pytest.approx(4)
    assert speedup(16) == pytest.approx(2)


def workload(spec: str, platform: str) -> Workload:
    (w,) = workloads(lower(network(spec), load_platform(platform).runtime))
    return w


def test_larger_blocks_of_winograd_up_to_128_channels() -> None:
    where = load_platform(A57, calibrated=False)
    machine, q = machine_for(where, "float32"), where.fitted.theta
    rule = cpu_blocks.rule_of(machine)
    assert rule
    for cin, cout, side in ((128, 128, 6), (128, 132, 4), (132, 128, 4), (256, 4, 2)):
        w = workload(f"conv2d?cin={cin}&cout={cout}&size=24", A57)
        rows = min(ceil(cout / 8) * 8, cout)
        assert cpu_blocks.spent(w, rule, 1, machine, q) == pytest.approx(
            cpu_winograd.seconds(w, machine, q, side, rows)
        )


def test_winograd_is_taken_where_a_product_would_be_faster() -> None:
    # One pixel of 768 channels reads the weights of 36 products instead of 9.
    small = "conv2d?cin=768&cout=128&size=1"
    direct = cm.latency(network(f"{small}&stride=2"), A57).seconds
    assert cm.latency(network(small), A57).seconds > 1.5 * direct


def test_an_image_beyond_the_cache_is_read_again_for_every_block() -> None:
    where = load_platform(A57, calibrated=False)
    machine = machine_for(where, "float32")
    rule = cpu_blocks.rule_of(machine)
    assert rule
    # 64 channels of 240 x 240 pixels: 1600 blocks of 64 elements for each channel, 26 MB.
    w = workload("conv2d?cin=64&cout=64&size=240", A57)
    size = 1600 * 64 * 64 * 4
    assert cpu_blocks.streamed(w, rule, 1, machine) == ((2 + 8) * size, 0)
    assert cpu_blocks.streamed(w, rule, 0, machine) == ((2 + 2) * 9 * 64 * 240**2 * 4, 0)
    assert cpu_blocks.streamed(w, rule, 1, replace(machine, cache=1e9)) == (0, 0)
    # Cores read it together from memory, and each of them by itself from a shared cache.
    four = machine_for(load_platform(f"{A76}?threads=4", calibrated=False), "float32")
    assert cpu_blocks.streamed(w, rule, 1, four) == ((2 + 2) * size, (1 + 2 * 4) * size)


@pytest.mark.parametrize(("platform", "winograd"), [(A57, True), (A76, False)])
def test_8_bit_products_by_dot_product_take_no_winograd(platform: str, winograd: bool) -> None:
    where = load_platform(platform)
    assert machine_for(where, "int8").winograd == winograd
    assert machine_for(where, "int8").widens == winograd
    assert machine_for(where, "float32").winograd
    assert machine_for(load_platform(f"{platform.partition('/')[0]}/paddle-lite"), "int8").winograd


def test_widened_products_lose_less_by_winograd_than_others() -> None:
    # SMULL, SMLAL and SADALP are three instructions for 16 products, SMLAL one for 4 of 16 bits.
    where = load_platform(A57, calibrated=False)
    machine, q = machine_for(where, "int8"), where.fitted.theta
    w = workload("conv2d?cin=64&cout=64&size=24&dtype=int8", A57)
    narrow = cpu_winograd.seconds(w, machine, q)
    wide = cpu_winograd.seconds(w, replace(machine, widens=False), q)
    assert 1.2 < wide / narrow < 1.5


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"neon": RULE}, "packs.blocks must be a table by the bytes of a vector"),
        ({"16": {"height": 128}}, "packs.blocks.16 must have the fields height, kernel,"),
        ({"16": {**RULE, "height": 0}}, "packs.blocks.16.height must be a count, got 0"),
        ({"16": {**RULE, "kernel": True}}, "packs.blocks.16.kernel must be a count, got True"),
        ({"16": {**RULE, "winograd_dot_product": 1}}, "must be true or false, got 1"),
    ],
)
def test_a_wrong_rule_is_one_sentence(table: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message.replace(".", r"\.")):
        blocks_of(table, "mine.toml")
