"""The time of one kernel: every term in its limit, what rounds up, and what may never happen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import costmodel as cm
from costmodel import zoo
from costmodel.graph.builder import Builder
from costmodel.kernels.lowering import lower
from costmodel.ops import Elementwise, Softmax
from costmodel.platforms import Platform
from costmodel.platforms.machine import machine_for
from costmodel.runtimes import load_runtime
from costmodel.timing import cpu, gpu
from costmodel.timing.cpu_ways import far_bandwidth, last_cache
from costmodel.timing.fitted import with_values
from costmodel.timing.machine import Machine
from costmodel.timing.reuse import workloads
from costmodel.timing.terms import Terms, overlap
from costmodel.timing.workload import Moved, Workload

CPU = cm.load_platform("raspberry-pi-4/ncnn", calibrated=False)
GPU = cm.load_platform("gtx-1080-ti/paper", calibrated=False)
T4 = cm.load_platform("t4/torch-eager", calibrated=False)
BOTH = pytest.mark.parametrize("where", [CPU, GPU], ids=["cpu", "gpu"])


def kernel(spec: str, where: Platform) -> Workload:
    (found,) = workloads(lower(cm.network(spec), where.runtime))
    return found


def time(w: Workload | str, where: Platform, machine: Machine | None = None) -> Terms:
    w = kernel(w, where) if isinstance(w, str) else w
    machine = machine or machine_for(where, w.dtype)
    formula = cpu if where.hardware.kind == "cpu" else gpu
    return formula.terms(w, machine, where.fitted.theta)


# Limits


@BOTH
def test_a_tiny_operator_takes_its_launch(where: Platform) -> None:
    t = time("elementwise?shape=1x8", where)
    assert t.launch == where.fitted.theta["call" if where is CPU else "launch"]
    assert t.launch <= t.seconds <= 1.01 * t.launch


def test_a_huge_product_runs_at_its_share_of_the_peak_on_a_cpu() -> None:
    w = kernel("pointwise?h=64&w=64&c1=4096&c2=4096", CPU)
    ratio = time(w, CPU).seconds * machine_for(CPU, "float32").multiply_adds / w.multiply_adds
    gemm = CPU.fitted.theta["gemm"]
    assert 1 < 1 / gemm <= ratio <= 1.1 / gemm


def test_a_huge_product_runs_at_its_share_of_the_peak_on_a_gpu() -> None:
    w = kernel("matmul?m=8192&k=8192&n=8192", GPU)
    machine, q = machine_for(GPU, "float32"), GPU.fitted.theta
    ratio = time(w, GPU).seconds * machine.multiply_adds / w.multiply_adds
    intensity = 64 * 128 / (64 + 128)
    efficiency = q["gemm"] * intensity / (intensity + q["half_tile"] * machine.generation.feed)
    # Lanes that wait for their operands use less power: the lower of the two speeds counts.
    efficiency = min(efficiency, machine.sustained * q["power"] / machine.multiply_adds)
    assert 1 < 1 / efficiency <= ratio <= 1.05 / efficiency


def test_a_big_elementwise_kernel_streams_on_a_gpu() -> None:
    w = kernel("elementwise?shape=1x1024x512x512", GPU)
    share = w.bytes / (time(w, GPU).seconds * machine_for(GPU, "float32").bandwidth)
    assert 0.97 * GPU.fitted.theta["dram"] < share <= GPU.fitted.theta["dram"]


def test_a_big_elementwise_kernel_streams_on_a_cpu() -> None:
    w = kernel("elementwise?shape=1x1024x512x512", CPU)
    machine, q, t = machine_for(CPU, "float32"), CPU.fitted.theta, time(w, CPU)
    rate = min(q["far_bandwidth"], q["dram"] * machine.bandwidth)
    written_twice = 1.5 * w.bytes / rate  # a write reads the line first
    cached = w.bytes / (machine.vector * q["near_bandwidth"])
    assert t.memory == pytest.approx(written_twice + cached)
    assert t.memory < t.seconds <= t.launch + t.memory + t.compute


# Monotone


@BOTH
@pytest.mark.parametrize(
    "spec",
    [
        "conv2d?k=1&size=28&cin={x}&cout=64",
        "conv2d?k=1&size=28&cin=64&cout={x}",
        "conv2d?k=3&size={x}&cin=32&cout=32",
        "depthwise?c={x}&size=28",
        "linear?n={x}&cin=512&cout=512",
        "elementwise?shape=1x{x}x56x56",
        "pool?c={x}&size=28",
    ],
)
def test_more_work_never_takes_less_time(where: Platform, spec: str) -> None:
    sizes: tuple[int, ...] = (4, 7, 8, 9, 31, 33, 64, 100, 300)
    if where.runtime.packs and ("cin={x}" in spec or "cout={x}" in spec or "depthwise" in spec):
        # Channels off the pack take longer than the next that fill it: those are another rule.
        sizes = (4, 8, 12, 32, 36, 64, 100, 300)
    seconds = [time(spec.format(x=x), where).seconds for x in sizes]
    assert seconds == sorted(seconds)
    assert seconds[0] < seconds[-1]


@BOTH
@pytest.mark.parametrize("field", ["multiply_adds", "bandwidth"])
def test_better_hardware_is_never_slower(where: Platform, field: str) -> None:
    machine = machine_for(where, "float32")
    better = replace(machine, **{field: 2 * getattr(machine, field)})
    specs = ["conv2d?k=1&size=28", "conv2d?k=3&size=14&cin=512&cout=512", "linear?cin=4096"]
    specs += ["depthwise", "elementwise?shape=1x256x112x112", "matmul", "conv2d?k=1&groups=4"]
    gain = [time(s, where).seconds / time(s, where, better).seconds for s in specs]
    assert min(gain) >= 1
    if where is GPU or field == "multiply_adds":  # one core does not reach the Pi's memory limit
        assert max(gain) > 1.1


# What rounds up


def test_a_tile_that_sticks_out_costs_as_much_as_a_whole_one() -> None:
    cost = {c: time(f"conv2d?k=1&cin=64&cout={c}", GPU).compute for c in (36, 64, 65)}
    assert cost[36] == cost[64] < cost[65]


def test_one_tile_more_than_multiprocessors_is_a_second_wave() -> None:
    cost = {b: time(f"bmm?b={b}&m=64&n=128&k=512", GPU).compute for b in (1, 28, 29, 56)}
    ramp = GPU.fitted.theta["ramp"] / (64 * 128)
    assert cost[1] == cost[28]
    assert cost[29] / cost[28] == pytest.approx((2 + ramp) / (1 + ramp))
    assert cost[29] == cost[56]


def test_channels_fill_whole_vectors_on_a_cpu() -> None:
    machine = replace(machine_for(CPU, "float32"), packs=None)
    cost = [time(f"conv2d?k=1&cin=64&cout={c}", CPU, machine).compute for c in range(8, 14)]
    assert machine.lanes == 4
    assert cost[0] < cost[1] == cost[2] == cost[3] == cost[4] < cost[5]


# Algorithms


def test_groups_one_after_the_other_cost_a_launch_each() -> None:
    w = kernel("conv2d?k=1&cin=256&cout=256&groups=8&size=14", GPU)
    machine = machine_for(GPU, "float32")
    assert machine.grouped_serially
    serial, batched = time(w, GPU), time(w, GPU, replace(machine, grouped_serially=False))
    extra = 7 * GPU.fitted.theta["group_launch"]
    assert serial.launch - batched.launch == pytest.approx(extra)
    assert serial.compute > batched.compute
    one = kernel("conv2d?k=1&cin=32&cout=32&size=14", GPU)
    assert serial.compute == pytest.approx(8 * time(one, GPU).compute)


@BOTH
def test_winograd_is_for_3x3_of_stride_1_only(where: Platform) -> None:
    for spec in ("k=3", "k=3&groups=2"):
        assert kernel(f"conv2d?{spec}", where).product.winograd
    for other in ("k=1", "k=5", "k=3&stride=2", "k=3&groups=64", "k=3&dilation=2"):
        assert not kernel(f"conv2d?{other}", where).product.winograd


@BOTH
def test_winograd_is_taken_only_where_it_is_faster(where: Platform) -> None:
    machine = machine_for(where, "float32")
    direct = replace(machine, algorithms=machine.algorithms - {"winograd"})
    gain = []
    small = [(1, 7), (3, 224)]
    if where is GPU:  # ncnn takes it from 8 channels on, whatever the size
        small.append((8, 3))
    for c, size in [*small, (64, 56), (256, 14), (512, 7)]:
        w = kernel(f"conv2d?k=3&cin={c}&cout={c}&size={size}", where)
        gain.append(time(w, where, direct).seconds / time(w, where).seconds)
    assert min(gain) >= 1
    assert max(gain) > 1.1
    plain = kernel("conv2d?k=5", where)
    assert time(plain, where, direct) == time(plain, where)


def test_whole_winograd_moves_what_the_last_cache_does_not_hold() -> None:
    machine = machine_for(CPU, "float32")
    whole = replace(machine, algorithms=machine.algorithms - {"winograd"} | {"whole_winograd"})
    q = CPU.fitted.theta
    added = []
    for c, size in ((16, 28), (64, 224), (128, 224)):
        w = kernel(f"conv2d?k=3&cin={c}&cout={c}&size={size}", CPU)
        added.append(cpu.terms(w, whole, q).compute - cpu.terms(w, machine, q).compute)
    assert added[0] == 0  # 28 x 28 x 16 elements become 112 kB, far below half of the cache
    # 38 x 38 blocks of 64 elements, inputs and outputs, each written (two ways) and read.
    moved = 3 * 2 * 64 * 38 * 38 * 4 * 64
    expected = moved / far_bandwidth(machine, q)
    assert added[1:] == pytest.approx([expected, 2 * expected])


def test_only_linear_layers_split_their_reduction(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = ("linear?n=1&cin=8192&cout=64", "conv2d?k=1&size=1&cin=8192", "matmul?m=64&k=8192&n=64")
    split = [time(s, GPU).compute for s in specs]
    monkeypatch.setattr(gpu, "SPLITS", (1,))
    whole = [time(s, GPU).compute for s in specs]
    assert whole[0] > 2 * split[0]
    assert whole[1:] == split[1:]


@BOTH
def test_every_pass_costs_the_same(where: Platform) -> None:
    w = kernel("conv2d?k=1&cin=64&cout=256", where)
    none, one, three = (time(replace(w, passes=n), where) for n in (0, 1, 3))
    added = one.passes - none.passes  # ncnn unpacks the output of the network, whatever it is
    assert (none.passes == 0) == (where is not CPU)
    assert three.passes - none.passes == pytest.approx(3 * added)
    assert one.seconds - none.seconds == pytest.approx(added)
    q = where.fitted.theta
    machine = machine_for(where, "float32")
    if where is CPU:
        moved = w.writes.bytes * q["pass_traffic"]
        assert added == pytest.approx(moved / (machine.vector * q["near_bandwidth"]))
    else:
        again = Moved(w.writes.bytes, w.writes.bytes).missed(machine.cache * q["reach"])
        missed = 2 * again / (machine.bandwidth * q["dram"])
        near = 2 * (w.writes.bytes - again) / (machine.cache_bandwidth * q["cache"])
        assert near > 0
        assert added == pytest.approx(q["pass_launch"] + missed + near)  # a kernel of its own
        inside = gpu.terms(replace(w, passes=1), replace(machine, bias_apart=False), q)
        assert inside.passes == pytest.approx(q["pass_launch"] + missed)


def test_a_board_of_70_watts_does_not_sustain_its_peak() -> None:
    machine = machine_for(T4, "float32")
    limit = machine.sustained * T4.fitted.theta["power"]
    assert limit < 0.75 * machine.multiply_adds
    w = kernel("matmul?m=8192&k=8192&n=8192", T4)
    assert 0.7 * limit < w.multiply_adds / time(w, T4).seconds < limit
    large = replace(machine, sustained=10 * machine.sustained)
    assert time(w, T4, large).seconds < 0.8 * time(w, T4).seconds
    small = kernel("matmul?m=64&k=512&n=64", T4)  # one tile: most of the board idles
    assert time(small, T4, large) == time(small, T4)


# Traffic


def test_missed_bytes() -> None:
    missed = [Moved(100, d).missed(1000) for d in (0, 400, 500, 1000, 1250, 1500, 2000)]
    assert missed == [0, 0, 0, 50, 75, 100, 100]


def test_reuse_distances_of_three_kernels_by_hand() -> None:
    b = Builder("chain")
    x = b.input((1, 1000))
    y = b.add(Elementwise("relu"), x)
    z = b.add(Elementwise("relu"), y)
    graph = b.finish(b.add(Elementwise("add"), z, y))
    first, second, third = workloads(lower(graph, load_runtime("torch-eager")))
    s = 4000  # bytes of each tensor; the kernels touch 2, 2 and 3 of them
    assert [r.distance for r in first.reads] == [7 * s]  # a whole run ago
    # From the start of the write of y to the end of the kernel that reads it.
    assert [r.distance for r in second.reads] == [3 * s]
    # z was written last, y was read just before: both from 3 s on, until 7 s.
    assert sorted(r.distance for r in third.reads) == [4 * s, 4 * s]
    # Outputs take what was freed when the kernel before was done.
    assert [w.writes.distance for w in (first, second, third)] == [2 * s, 4 * s, 5 * s]


def test_calls_are_cold_where_the_caches_were_filled_in_between() -> None:
    kernels = lower(zoo.pointwise(14, 14, 24, 48), CPU.runtime)
    machine = machine_for(CPU, "float32")
    repeated, later, much_later = (
        time(workloads(kernels, between)[0], CPU).launch
        for between in (0, int(machine.cache), 10 * int(machine.cache))
    )
    cold = CPU.fitted.theta["cold_call"]
    assert cold > 1
    assert repeated < later < much_later == pytest.approx(cold * repeated)


def test_half_of_a_cold_call_is_code_that_kernels_of_a_kind_share() -> None:
    xeon = cm.load_platform("xeon-gold-6240/torch-eager", calibrated=False)
    machine, q = machine_for(xeon, "float32"), xeon.fitted.theta
    far, near = 2 * last_cache(machine, q), 2 * machine.private_cache
    half = 1 + (q["cold_call"] - 1) / 2
    found = [cpu.cold(machine, q, *d) for d in ((0, 0), (far, 0), (0, near), (far, near))]
    assert found == pytest.approx([1, half, half, q["cold_call"]])


def test_bytes_since_a_kernel_of_the_same_kind_by_hand() -> None:
    b = Builder("kinds")
    x = b.add(Elementwise("relu"), b.input((1, 1000)))
    y = b.add(Softmax(), b.add(Softmax(), x))
    graph = b.finish(b.add(Elementwise("relu"), y))
    found = workloads(lower(graph, load_runtime("torch-eager")))
    s = 8000  # bytes that each of the four kernels touches
    # The first of a kind follows the last of it in the run before.
    assert [w.since for w in found] == [0, 2 * s, 0, 2 * s]
    (alone,) = workloads(lower(zoo.elementwise("relu", (1, 1000)), load_runtime("torch-eager")))
    assert alone.since == 0


SECONDS = st.floats(0, 1e3)


@given(a=SECONDS, b=SECONDS, serial=st.floats(0, 1))
def test_overlap_lies_between_the_longer_and_the_sum(a: float, b: float, serial: float) -> None:
    assert max(a, b) <= overlap(a, b, serial) <= (a + b) * (1 + 1e-12)
    assert overlap(a, b, serial) == overlap(b, a, serial)


@BOTH
@pytest.mark.parametrize("spec", ["conv2d?k=1", "depthwise", "linear", "batch_norm", "matmul"])
def test_terms_add_up(where: Platform, spec: str) -> None:
    t = time(spec, where)
    busy = overlap(t.compute, t.memory, where.fitted.theta["serial"])
    assert t.seconds == pytest.approx(t.launch + busy + t.passes)


def test_cores_share_whole_vectors_of_channels() -> None:
    def gain(spec: str, threads: int, term: str = "seconds") -> float:
        many = cm.load_platform(f"raspberry-pi-4/ncnn?threads={threads}", calibrated=False)
        theta = many.fitted.theta | {"contention": 0.0, "barrier": 0.0}  # sharing alone
        alone = replace(many, fitted=with_values(many.fitted, theta))
        one, shared = time(spec, CPU), time(spec, alone)
        return getattr(one, term) / getattr(shared, term)

    wide = "conv2d?k=1&cin=512&cout=512&size=28"
    gains = [gain(wide, n) for n in (1, 2, 3, 4)]
    assert gains == sorted(gains)
    assert gains[0] == 1
    assert 3.5 < gains[3] <= 4
    # One vector of channels cannot be shared, only packing can: 4 + p of work become 4 + p / 4.
    p = CPU.fitted.theta["pack"]
    narrow = gain("conv2d?k=1&cin=512&cout=4&size=14", 4, "compute")
    assert narrow == pytest.approx((4 + p) / (4 + p / 4), rel=0.1)
    # A stream is limited by the memory of the chip.
    assert gain("elementwise?shape=1x1024x512x512", 4) < 3


# Numbers, arrays, symbols


@pytest.mark.parametrize("name", ["snapdragon-810/paper", "gtx-1080-ti/paper"])
def test_numbers_arrays_and_symbols_agree(name: str) -> None:
    where = cm.load_platform(name, calibrated=False)
    c1, c2 = cm.symbols("c1 c2")
    sizes = [(24, 48), (36, 100), (128, 128)]
    widths = tuple(np.array(column) for column in zip(*sizes, strict=True))
    for make in (
        lambda a, b: zoo.pointwise(28, 28, a, b),
        lambda a, b: zoo.g1_stack(a, b, blocks=1),
    ):
        numbers = [float(cm.latency(make(*s), where).seconds) for s in sizes]
        arrays = cm.latency(make(*widths), where).seconds
        formula = cm.latency(make(c1, c2), where).seconds
        symbols = [float(formula.subs({c1: a, c2: b})) for a, b in sizes]
        assert arrays == pytest.approx(numbers, rel=1e-9)
        assert symbols == pytest.approx(numbers, rel=1e-9)
