"""Several cores: one thread is untouched, more wait for each other, equal parts for the slowest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import costmodel as cm
from costmodel.hardware import load_hardware
from costmodel.hardware.model import IN_ORDER
from costmodel.kernels import lower
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.runtimes import load_runtime
from costmodel.timing import cpu
from costmodel.timing import cpu_threads as threads
from costmodel.timing.cpu_ways import near_bandwidth
from costmodel.timing.fitted import with_values
from costmodel.timing.reuse import workloads

Q = {"contention": 0.3, "contention_own": 0.1, "barrier": 1e-5}


def machine(platform: str, dtype: str = "float32"):
    return machine_for(load_platform(platform, calibrated=False), dtype)


def test_one_thread_waits_for_no_one() -> None:
    alone = machine("raspberry-pi-4/ncnn")
    assert threads.crowding(alone, Q) == 1
    assert threads.barrier(alone, Q) == 0
    assert threads.uneven(7, alone) == 1
    assert threads.cores_for(_copy(), alone) is alone


def test_cores_that_share_a_cache_crowd_each_other_in_any_dtype() -> None:
    # A Cortex-A72 has its shared cache right behind the first, a Cortex-A76 a second of its own.
    assert threads.crowding(machine("raspberry-pi-4/ncnn?threads=2"), Q) == pytest.approx(1.3)
    assert threads.crowding(machine("raspberry-pi-4/ncnn?threads=4"), Q) == pytest.approx(1.9)
    assert threads.crowding(machine("raspberry-pi-5/ncnn?threads=4"), Q) == pytest.approx(1.3)
    # The dtype does not matter: 8-bit networks are as much faster on four cores as others.
    assert threads.crowding(machine("raspberry-pi-4/ncnn?threads=4", "int8"), Q) == (
        threads.crowding(machine("raspberry-pi-4/ncnn?threads=4"), Q)
    )
    # Eight cores are two clusters of four, each with a cache.
    eight = machine("graviton1/armnn?threads=8")
    assert threads.crowding(eight, Q) == pytest.approx(1.9)


def test_cores_that_share_a_cache_share_its_bandwidth() -> None:
    def speed(board: str, count: int) -> float:
        q = {"near_bandwidth": 2.0}
        return near_bandwidth(machine(f"{board}/ncnn?threads={count}"), q)

    # A Cortex-A72 or A57 uses its cluster's cache up alone; a Cortex-A76 has one of its own.
    for board in ("raspberry-pi-4", "snapdragon-810"):
        assert speed(board, 4) == speed(board, 2) == speed(board, 1)
    assert speed("raspberry-pi-5", 4) == pytest.approx(4 * speed("raspberry-pi-5", 1))
    # Eight cores are two clusters of four, each with a cache.
    assert speed("graviton1", 8) == pytest.approx(2 * speed("graviton1", 4))


@pytest.mark.parametrize(("board", "gain"), [("raspberry-pi-4", 1), ("raspberry-pi-5", 4)])
def test_traffic_within_a_shared_cache_is_no_faster_on_more_cores(board: str, gain: float) -> None:
    (w,) = workloads(lower(cm.zoo.pointwise(14, 14, 64, 64), load_runtime("ncnn")))

    def memory(count: int) -> float:
        theta = dict(load_platform(f"{board}/ncnn", calibrated=False).fitted.theta)
        theta |= {"contention": 0.0, "contention_own": 0.0}
        return float(cpu.terms(w, machine(f"{board}/ncnn?threads={count}"), theta).memory)

    assert memory(1) / memory(4) == pytest.approx(gain)


def test_spinning_threads_meet_sooner_on_faster_cores() -> None:
    slow, fast = machine("raspberry-pi-4/ncnn?threads=4"), machine("raspberry-pi-5/ncnn?threads=4")
    ratio = fast.vector / slow.vector
    assert threads.barrier(slow, Q) == pytest.approx(ratio * threads.barrier(fast, Q))
    asleep = machine("raspberry-pi-5/armnn?threads=4")
    assert threads.barrier(asleep, Q) == Q["barrier"]


LOW = {"low_clock": 1.5, "sleep": 4e-5, "fixed": 1e-3}


def test_threads_that_sleep_too_often_run_at_a_low_clock() -> None:
    asleep = machine("rk3588/armnn?threads=4")
    for kernels in (0, 1, 50):
        idle = 1e-3 + kernels * 4e-5
        busy, between, full = (idle * load / (1 - load) for load in (0.8, 5 / 6, 6 / 7))
        assert threads.low_clock(asleep, kernels, busy / 2, LOW) == pytest.approx(0.75 * busy)
        assert threads.low_clock(asleep, kernels, busy, LOW) == pytest.approx(1.5 * busy)
        assert threads.low_clock(asleep, kernels, between, LOW) == pytest.approx(0.75 * between)
        assert threads.low_clock(asleep, kernels, full, LOW) == pytest.approx(0, abs=1e-12)
        assert threads.low_clock(asleep, kernels, 2 * full, LOW) == 0
    for busy in ("rk3588/tflite?threads=4", "rk3588/armnn"):  # they spin; one never sleeps
        assert threads.low_clock(machine(busy), 50, 1e-3, LOW) == 0


def test_a_low_clock_is_predicted_alike_one_by_one_together_and_open() -> None:
    platform = load_platform("rk3588/armnn?threads=4", calibrated=False)
    theta = {**platform.fitted.theta, "low_clock": 1.5, "sleep": 1e-3}
    platform = replace(platform, fitted=with_values(platform.fitted, theta))
    found = [cm.latency(cm.zoo.mobilenet_v2(size=s), platform) for s in (96, 224)]
    for p in found:
        assert p.seconds > 2 * p.device_seconds
        assert p.seconds == pytest.approx(p.fixed + p.device_seconds)
    both = cm.latencies([cm.zoo.mobilenet_v2(size=s) for s in (96, 224)], platform)
    assert [p.seconds for p in both] == pytest.approx([p.seconds for p in found])
    arrays = cm.latency(cm.zoo.mobilenet_v2(size=np.array([96, 224])), platform)
    assert arrays.seconds == pytest.approx([p.seconds for p in found])
    c = cm.dim("c")
    small = cm.latency(cm.zoo.pointwise(14, 14, 64, c), platform)
    assert float(small.seconds.subs(c, 128)) == pytest.approx(
        cm.latency(cm.zoo.pointwise(14, 14, 64, 128), platform).seconds
    )


def _copy():
    (w,) = workloads(lower(cm.zoo.channel_shuffle(), load_runtime("ncnn")))
    assert w.kind == "copy"
    return w


def test_what_an_engine_does_not_split_runs_on_one_core() -> None:
    four = machine("raspberry-pi-4/ncnn?threads=4")
    one = threads.cores_for(_copy(), four)
    assert (one.units, one.vector) == (1, four.vector / 4)
    split = replace(four, one_core=frozenset())
    assert threads.cores_for(_copy(), split) is split


@pytest.mark.parametrize("board", ["raspberry-pi-4", "snapdragon-855-plus", "graviton1"])
@pytest.mark.parametrize("network", ["mobilenet_v1", "resnet18"])
def test_two_and_four_threads_help_less_than_they_are(board: str, network: str) -> None:
    graph = cm.zoo.NETWORKS[network]()
    one, two, four = (
        float(cm.latency(graph, f"{board}/ncnn?threads={n}").seconds) for n in (1, 2, 4)
    )
    assert 1 < one / two < 2
    assert one / two < one / four < 4


@pytest.mark.parametrize("board", ["snapdragon-845", "snapdragon-835", "snapdragon-810"])
def test_equal_parts_wait_for_the_little_cores(board: str) -> None:
    graph = cm.zoo.mobilenet_v2()
    four, eight = (float(cm.latency(graph, f"{board}/ncnn?threads={n}").seconds) for n in (4, 8))
    assert eight > 0.95 * four  # on one of the three, 2 % faster
    # A split that gives more to who is done gains from all cores in arithmetic.
    dynamic = machine(f"{board}/onnxruntime?threads=8")
    assert dynamic.multiply_adds > machine(f"{board}/onnxruntime?threads=4").multiply_adds
    # The least time knows of no split.
    assert machine(f"{board}/ncnn?threads=8").ceiling == dynamic.ceiling


def test_the_slowest_core_counts_and_in_order_ones_less() -> None:
    phone = load_hardware("snapdragon-855-plus")
    assert phone.slowest_for("float32", 1) == 2 * 8 * 2.96e9
    assert phone.slowest_for("float32", 4) == 2 * 8 * 2.42e9
    lanes = phone.clusters[-1].lanes["float32"]
    assert phone.slowest_for("float32", 5) == pytest.approx(IN_ORDER * 2 * lanes * 1.8e9)
    # In-order cores alone are not beside others.
    board = load_hardware("raspberry-pi-3")
    assert board.slowest_for("float32", 4) * 4 == board.peak_for("float32", 4)


def test_cores_take_whole_packs() -> None:
    four = machine("raspberry-pi-4/ncnn?threads=4")
    assert [threads.uneven(n, four) for n in (1, 4, 5, 8)] == [4, 1, 8 / 5, 1]
