"""The latency of a network: sums, the host beside the device, transfers, intervals, bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest

import costmodel as cm
from costmodel import zoo
from costmodel.errors import DataError, GraphError, ShapeError
from costmodel.platforms.machine import machine_for
from costmodel.prediction import KernelTime, Prediction
from costmodel.prediction.table import tabulate
from costmodel.timing.network import network_seconds
from costmodel.timing.terms import Terms

CPU = cm.load_platform("snapdragon-810/paper", calibrated=False)
GPU = cm.load_platform("gtx-1080-ti/paper", calibrated=False)
EAGER = cm.load_platform("gtx-1080-ti/torch-eager", calibrated=False)
ALL = pytest.mark.parametrize("where", [CPU, GPU, EAGER], ids=["cpu", "gpu", "eager"])
NET = zoo.shufflenet_v2()


@ALL
def test_intervals_hold_the_prediction_and_widen_with_their_level(where: cm.Platform) -> None:
    found = [cm.latency(NET, where, level) for level in (0.5, 0.9, 0.99)]
    assert len({p.seconds for p in found}) == 1
    low, high = zip(*(p.interval for p in found), strict=True)
    assert 0 < low[2] < low[1] < low[0] < found[0].seconds < high[0] < high[1] < high[2]
    # Symmetric in the logarithm; the quantiles of a normal distribution.
    log = [np.log(p.interval[1] / p.seconds) for p in found]
    assert low[1] * high[1] == pytest.approx(found[0].seconds ** 2)
    assert log[1] / log[0] == pytest.approx(1.6449 / 0.6745, rel=1e-3)


@pytest.mark.parametrize("level", [0, 1, -0.1, 1.5, float("nan"), None, "0.9", np.ones(2) / 2])
def test_a_level_is_between_0_and_1(level: Any) -> None:
    with pytest.raises(DataError, match="level must lie between 0 and 1"):
        cm.latency(NET, CPU, level)


@pytest.mark.parametrize("graphs", [None, NET, cm.prepare(NET), "resnet18", 3])
def test_many_networks_are_not_one(graphs: Any) -> None:
    with pytest.raises(GraphError, match="expected several op graphs, such as a list, got"):
        cm.latencies(graphs, CPU)


@pytest.mark.parametrize("graph", [None, "resnet18", [NET], 3])
def test_one_network_is_a_graph(graph: Any) -> None:
    with pytest.raises(GraphError, match="expected an op graph"):
        cm.latency(graph, CPU)


@pytest.mark.parametrize("platform", [None, 3, ["gtx-1080-ti/paper"]])
def test_a_platform_is_a_name_or_a_platform(platform: Any) -> None:
    with pytest.raises(DataError, match="a platform must be its name"):
        cm.latency(NET, platform)


def test_intervals_are_as_wide_as_errors_and_residual_make_them() -> None:
    sure = replace(CPU.fitted, covariance=0 * CPU.fitted.covariance)
    for graph, residual in [(NET, sure.network_spread), (zoo.conv2d(), sure.operator_spread)]:
        p = cm.latency(graph, replace(CPU, fitted=sure))
        assert np.log(p.interval[1] / p.seconds) == pytest.approx(1.6449 * residual, rel=1e-3)
        unsure = cm.latency(graph, CPU)
        assert unsure.interval[1] > p.interval[1]


@ALL
def test_kernels_and_fixed_costs_sum(where: cm.Platform) -> None:
    p = cm.latency(NET, where)
    device = sum(k.seconds for k in p.kernels)
    assert p.device_seconds == pytest.approx(device)
    busy = max(device, p.dispatch) if where.runtime.asynchronous else device
    assert p.seconds == pytest.approx(p.fixed + p.transfer + busy)
    assert sum(p.by_kind().values()) == pytest.approx(device)
    assert list(p.by_kind().values()) == sorted(p.by_kind().values(), reverse=True)
    assert {k.kernel.kind for k in p.kernels} == set(p.by_kind())


def test_host_and_device_run_side_by_side_only_where_asynchronous() -> None:
    gpu, theta = machine_for(EAGER, "float32"), EAGER.fitted.theta
    processor, cpu = machine_for(CPU, "float32"), CPU.fitted.theta
    assert gpu.asynchronous
    assert not processor.asynchronous
    for host, device in [(1.0, 3.0), (5.0, 3.0)]:
        busy = max(host, device)
        assert network_seconds(gpu, host, device, 0, theta, 1e9, 1) == theta["fixed"] + busy
        cold = cpu["fixed"] * cpu["cold_call"]
        assert network_seconds(processor, host, device, 0, cpu, 1e9, 1) == cold + device
        fixed = cpu["fixed"]
        assert network_seconds(processor, host, device, 0, cpu, 0, 1) == fixed + device


def test_a_framework_waits_for_its_host_on_small_batches_only() -> None:
    small, large = (cm.latency(zoo.shufflenet_v2(batch=n), EAGER) for n in (1, 256))
    assert small.dispatch > small.device_seconds
    assert small.seconds == pytest.approx(small.fixed + small.transfer + small.dispatch)
    assert small.bottleneck == "dispatch"
    assert large.dispatch == pytest.approx(small.dispatch)
    assert large.seconds == pytest.approx(large.fixed + large.transfer + large.device_seconds)
    assert "dispatch" not in large.waits()


def test_transfers_cost_their_bytes_over_the_link() -> None:
    name = "gtx-1080-ti/paper?transfers="
    moved, kept = (cm.load_platform(name + x, calibrated=False) for x in ("yes", "no"))
    with_, without = cm.latency(NET, moved), cm.latency(NET, kept)
    size = 4 * (3 * 224 * 224 + 1000)
    rate = moved.hardware.link * moved.fitted.theta["copy"]
    assert with_.transfer == pytest.approx(size / rate)
    assert without.transfer == 0
    assert with_.seconds - without.seconds == pytest.approx(size / rate)
    assert cm.latency(NET, CPU).transfer == 0  # shared memory: nothing to move


@ALL
@pytest.mark.parametrize("make", [zoo.shufflenet_v2, zoo.mobilenet_v2, zoo.resnet50, zoo.depthwise])
def test_nothing_beats_the_roofline(where: cm.Platform, make: Callable[..., nx.DiGraph]) -> None:
    p = cm.latency(make(), where)
    assert 0 < p.bound_seconds < p.seconds


def test_the_bound_of_one_kernel_by_hand() -> None:
    compute = cm.latency(zoo.pointwise(56, 56, 512, 512), CPU)
    assert compute.bound_seconds == pytest.approx(56 * 56 * 512 * 512 / (15.664e9 / 2), rel=1e-6)
    # The board runs up to 1911 MHz; its peak is printed for 1582 MHz.
    fast = cm.latency(zoo.pointwise(56, 56, 512, 512), GPU)
    peak = 28 * 128 * 1.911e9
    assert fast.bound_seconds == pytest.approx(56 * 56 * 512 * 512 / peak, rel=1e-4)
    # What the last-level cache does not hold of each tensor comes from memory.
    size, cache = 4 * 64 * 560 * 560, 2.75 * 2**20
    memory = cm.latency(zoo.elementwise(shape=(1, 64, 560, 560)), GPU)
    assert memory.bound_seconds == pytest.approx(2 * (size - cache) / 484e9, rel=1e-6)
    # A tensor that fits the cache may be there: 64 bytes a cycle and multiprocessor.
    near = cm.latency(zoo.elementwise(shape=(1, 64, 56, 56)), GPU)
    assert near.bound_seconds == pytest.approx(size / 100 / (28 * 64 * 1.911e9), rel=1e-6)


@ALL
def test_arrays_of_widths_are_the_networks_one_by_one(where: cm.Platform) -> None:
    c1, c2 = np.array([24, 36, 52, 128]), np.array([48, 72, 100, 128])
    p = cm.latency(zoo.g1_stack(c1, c2), where)
    alone = [cm.latency(zoo.g1_stack(int(a), int(b)), where) for a, b in zip(c1, c2, strict=True)]
    intervals = np.array([a.interval for a in alone]).T
    assert np.array(p.interval) == pytest.approx(intervals, rel=1e-9)
    assert p.bottleneck.tolist() == [a.bottleneck for a in alone]
    for name in ("seconds", "bound_seconds", "device_seconds"):
        one_by_one = [float(getattr(a, name)) for a in alone]
        assert getattr(p, name) == pytest.approx(one_by_one, rel=1e-12)


@ALL
def test_tables_of_networks_are_the_networks_one_by_one(where: cm.Platform) -> None:
    graphs = [NET, zoo.conv2d(), zoo.mobilenet_v2(), zoo.linear(), NET]
    table = tabulate(graphs, where)
    alone = [cm.latency(g, where) for g in graphs]
    assert table.seconds(where, where.fitted.theta) == pytest.approx([p.seconds for p in alone])
    wide = np.array([np.log(p.interval[1] / p.seconds) / 1.644854 for p in alone])
    assert table.log_spread(where) == pytest.approx(wide, rel=1e-5)
    some = table.rows(np.array([3, 1]))
    assert some.seconds(where, where.fitted.theta) == pytest.approx(
        [alone[3].seconds, alone[1].seconds]
    )


@ALL
def test_predictions_are_deterministic(where: cm.Platform) -> None:
    first, again = cm.latency(zoo.shufflenet_v2(), where), cm.latency(NET, where)
    assert (first.seconds, first.interval) == (again.seconds, again.interval)


# What is waited for

KERNEL = cm.latency(zoo.pointwise(7, 7, 8, 8), CPU).kernels[0].kernel


def timed(seconds: float, **terms: float) -> KernelTime:
    none = dict.fromkeys(("host", "launch", "compute", "memory", "passes"), 0.0)
    return KernelTime(KERNEL, Terms(**{**none, "model": seconds, **terms}))


def predicted(seconds: float, dispatch: float, *kernels: KernelTime) -> Prediction:
    return Prediction("n", "p", seconds, None, 0.9, kernels, 1.0, 2.0, dispatch, 0.0, "priors")


def test_a_kernel_waits_for_its_largest_term() -> None:
    small = {"launch": 0.5, "compute": 0.6, "memory": 0.7, "passes": 0.4}
    for name in small:
        assert timed(4.0, **{**small, name: 3.0}).waits_for == name


def test_waits_sum_to_the_latency() -> None:
    device = (timed(5.0, compute=4.0, memory=3.0), timed(4.0, memory=3.0), timed(1.0, compute=1.0))
    p = predicted(13.0, 9.0, *device)
    assert p.waits() == {"compute": 6.0, "memory": 4.0, "transfer": 2.0, "fixed": 1.0}
    assert p.bottleneck == "compute"
    slow_host = predicted(23.0, 20.0, *device)
    assert slow_host.waits() == {"dispatch": 20.0, "transfer": 2.0, "fixed": 1.0}
    assert slow_host.bottleneck == "dispatch"
    for where in (CPU, GPU, EAGER):
        found = cm.latency(NET, where)
        assert sum(found.waits().values()) == pytest.approx(found.seconds)


def test_a_bound_decides_only_where_it_lies_above_the_model() -> None:
    small = {"compute": 3.0, "memory": 2.0}
    assert timed(4.0, bound=3.5, **small).waits_for == "compute"
    assert timed(4.0, bound=4.0, **small).waits_for == "compute"
    assert timed(4.0, bound=4.5, **small).waits_for == "bound"
    kernels = [timed(4.0, bound=b, **small) for b in (3.5, 4.0, 4.5)]
    assert predicted(15.5, 0.0, *kernels).waits() == {
        "compute": 8.0,
        "bound": 4.5,
        "transfer": 2.0,
        "fixed": 1.0,
    }


def test_a_host_that_is_slower_by_more_than_rounding_is_waited_for() -> None:
    kernel = timed(10.0, memory=10.0)
    slower = 10.0 * (1 + 1e-6)
    assert "dispatch" in predicted(3.0 + slower, slower, kernel).waits()
    assert "dispatch" not in predicted(3.0 + 10.0 * (1 + 1e-12), 10.0, kernel).waits()


# Arrays and symbols


@ALL
def test_an_empty_entry_of_an_array_costs_what_the_empty_network_does(where: cm.Platform) -> None:
    found = cm.latency(zoo.resnet18(batch=np.array([0, 1, 2])), where)
    for i in range(3):
        one = cm.latency(zoo.resnet18(batch=i), where)
        assert found.seconds[i] == pytest.approx(one.seconds)
        assert found.bottleneck[i] == one.bottleneck
        assert found.bound_seconds[i] == pytest.approx(one.bound_seconds)


def test_kinds_and_largest_terms_of_arrays_are_arrays() -> None:
    batch = np.array([1, 64])
    found = cm.latency(zoo.resnet18(batch=batch), GPU)
    for i, size in enumerate(batch.tolist()):
        one = cm.latency(zoo.resnet18(batch=size), GPU)
        assert {k: v[i] for k, v in found.by_kind().items()} == pytest.approx(one.by_kind())
        names = [k.waits_for for k in one.kernels]
        assert [np.broadcast_to(k.waits_for, 2)[i] for k in found.kernels] == names


def test_symbols_have_no_largest_term() -> None:
    found = cm.latency(zoo.pointwise(56, 56, cm.dim("c"), 8), CPU)
    assert found.by_kind() == {"pointwise": found.kernels[0].seconds}
    for ask in (found.waits, lambda: found.bottleneck, lambda: found.kernels[0].waits_for):
        with pytest.raises(DataError, match="a time in symbols has no largest term"):
            ask()


def test_arrays_of_sizes_broadcast() -> None:
    with pytest.raises(ShapeError, match="must broadcast"):
        zoo.resnet18(batch=np.array([1, 2]), size=np.array([32, 64, 96]))


def test_waits_of_arrays_hold_what_any_of_them_waits_for() -> None:
    dispatch, device = np.array([1.0, 20.0]), timed(9.0, memory=np.array([9.0, 9.0]))
    p = replace(predicted(0.0, 0.0, device), seconds=np.array([12.0, 23.0]), dispatch=dispatch)
    assert {name: v.tolist() for name, v in p.waits().items()} == {
        "dispatch": [0.0, 20.0],
        "memory": [9.0, 0.0],
        "transfer": [2.0, 2.0],
        "fixed": [1.0, 1.0],
    }
    assert list(p.waits()) == ["dispatch", "memory", "transfer", "fixed"]
    assert p.bottleneck.tolist() == ["memory", "dispatch"]


def test_a_network_that_takes_no_time_waits_for_its_fixed_cost() -> None:
    idle = replace(predicted(0.0, 0.0), fixed=0.0, transfer=0.0)
    assert idle.waits() == {}
    assert idle.bottleneck == "fixed"


def test_seconds_by_kind_add_up() -> None:
    assert predicted(0.0, 0.0, timed(3.0), timed(4.0)).by_kind() == {KERNEL.kind: 7.0}


def test_a_prediction_says_what_its_network_costs_beyond_its_kernels() -> None:
    p = cm.latency(NET, CPU)
    machine = machine_for(CPU, "float32")
    distance = sum(k.kernel.bytes for k in p.kernels)
    assert p.fixed == network_seconds(machine, 0, 0, 0, CPU.fitted.theta, distance, 0)
    assert p.fixed > CPU.fitted.theta["fixed"]
    assert p.dispatch == 0
    eager = cm.latency(NET, EAGER)
    assert eager.dispatch == pytest.approx(sum(k.terms.host for k in eager.kernels))
    assert eager.bound_seconds == pytest.approx(sum(k.terms.bound for k in eager.kernels))
    assert p.level == 0.9
