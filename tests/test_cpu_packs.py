"""Channels in packs: the rules of engines, against measurements and against what they do."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import costmodel as cm
from costmodel.errors import DataError
from costmodel.graph.builder import Builder
from costmodel.kernels import lower
from costmodel.ops import Concat, Conv, Elementwise, Pool
from costmodel.platforms.machine import machine_for
from costmodel.platforms.packs import channel_pack
from costmodel.runtimes import load_runtime
from costmodel.runtimes.packs import packs_of
from costmodel.specs import network
from costmodel.timing import cpu
from costmodel.timing.cpu_divisors import _vectors, pack_of
from costmodel.timing.cpu_nchwc import in_blocks
from costmodel.timing.cpu_ways import fits
from costmodel.timing.reuse import workloads
from costmodel.timing.stacks import stack
from costmodel.timing.workload import Channels

X86, ARM = "xeon-gold-6240", "raspberry-pi-4"
MEASURED = Path(__file__).parents[1] / "docs" / "data" / "engine_packs.csv"


def seconds(spec: str, platform: str) -> float:
    return float(cm.latency(network(spec), cm.load_platform(platform, calibrated=False)).seconds)


def slower(spec: str, other: str, platform: str) -> float:
    return seconds(spec, platform) / seconds(other, platform)


# What ONNX Runtime 1.32 makes of a convolution with AVX-512: inputs, outputs, groups; whether it
# reads and writes blocks (the model that SessionOptions.optimized_model_filepath writes).
BLOCKS = [
    (31, 189, 1, 0, 0),
    (32, 189, 1, 1, 1),
    (28, 189, 1, 1, 1),
    (18, 32, 1, 0, 0),
    (20, 30, 1, 1, 1),
    (3, 30, 1, 0, 1),
    (15, 32, 1, 0, 1),
    (63, 63, 1, 0, 0),
    (60, 63, 1, 1, 1),
    (36, 36, 36, 1, 1),
    (189, 189, 189, 0, 0),
    (4, 4, 4, 1, 1),
    (18, 18, 18, 0, 0),
    (64, 64, 2, 1, 1),
    (48, 48, 2, 0, 0),
    (48, 48, 3, 1, 1),
    (64, 64, 8, 0, 0),
    (24, 48, 24, 0, 0),
]


@pytest.mark.parametrize(("cin", "cout", "groups", "reads", "writes"), BLOCKS)
def test_blocks_are_those_of_onnx_runtime(
    cin: int, cout: int, groups: int, reads: int, writes: int
) -> None:
    rule = load_runtime("onnxruntime").packs
    assert rule
    channels = Channels(groups, cin // groups, cout // groups)
    assert in_blocks(channels, rule, 16) == (reads, writes)


@pytest.mark.parametrize(("cin", "cout", "groups", "reads", "writes"), BLOCKS)
def test_onnx_runtime_itself_blocks_the_same(
    cin: int, cout: int, groups: int, reads: int, writes: int, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
    from costmodel_validation.backends.graph_to_torch import random_inputs, to_torch
    from costmodel_validation.backends.onnxruntime import load_session, to_onnx

    if machine_for(cm.load_platform("host/onnxruntime"), "float32").lanes != 16:
        pytest.skip("the table is that of AVX-512, which this machine does not have")
    graph = network(f"conv2d?cin={cin}&cout={cout}&groups={groups}&size=8")
    model = to_onnx(to_torch(graph), random_inputs(graph))
    load_session(model, 1, str(tmp_path / "optimized.onnx"))
    found = list(onnx.load(tmp_path / "optimized.onnx").graph.node)
    made = {node.op_type: "nchwc" in node.domain for node in found}
    assert (made.get("ReorderInput", False), made["Conv"]) == (bool(reads), bool(writes))


def test_packs_divide_channels_and_fit_a_vector() -> None:
    assert [pack_of(c, 16) for c in (192, 188, 189, 24, 8)] == [16, 4, 1, 8, 8]
    assert [pack_of(c, 4) for c in (192, 188, 189)] == [4, 4, 1]
    assert [pack_of(c, 8) for c in (192, 188)] == [8, 4]
    assert np.array_equal(pack_of(np.array([192, 189]), 8), [8, 1])
    assert int(fits(cm.dim("c"), 4).subs({cm.dim("c"): 12})) == 1


@pytest.mark.parametrize("engine", ["onnxruntime", "ncnn"])
@pytest.mark.parametrize("width", [0.98, 0.9, 0.7])
def test_a_network_pruned_off_the_packs_is_no_faster_for_it(engine: str, width: float) -> None:
    """Measured on AVX-512: width 0.98 takes 1.4 and 1.7 times as long as 1, and .7 as 0.75."""
    on = {0.98: 1.0, 0.9: 0.875, 0.7: 0.75}[width]
    assert (
        slower(f"mobilenet_v1?width={width}", f"mobilenet_v1?width={on}", f"{X86}/{engine}") > 1.1
    )


def test_channels_that_are_not_in_blocks_are_unrolled_group_by_group() -> None:
    where = f"{X86}/onnxruntime"
    assert 1.15 < slower("conv2d?cin=63&cout=63", "conv2d?cin=64&cout=64", where) < 1.6
    assert 0.95 < slower("conv2d?cin=60&cout=60", "conv2d?cin=64&cout=64", where) < 1.1
    assert slower("depthwise?c=189", "depthwise?c=192", where) > 2
    # No vectors of Arm are blocked: 188 channels cost what 189 cost.
    assert slower("depthwise?c=189", "depthwise?c=188", f"{ARM}/onnxruntime") < 1.05


def test_few_blocks_of_outputs_wait_for_their_multiply_adds() -> None:
    """Measured on AVX-512 under ONNX Runtime: 16 outputs a group take 0.71 of 32, not 0.5."""
    where = f"{X86}/onnxruntime"
    halves, quarters = (f"conv2d?cin=64&cout=64&size=28&groups={g}" for g in (2, 4))
    assert 0.6 < slower(quarters, halves, where) < 0.8
    assert slower("conv2d?cin=64&cout=16&size=56", "conv2d?cin=64&cout=32&size=56", where) > 0.6


def test_a_stride_is_unrolled_element_by_element() -> None:
    """Measured on AVX-512 under ONNX Runtime: 51 channels, 112 to 56 pixels, take 0.47 ms."""
    where = f"{X86}/onnxruntime"
    odd, blocks = (f"depthwise?c={c}&size=112&stride=2" for c in (51, 52))
    assert slower(odd, blocks, where) > 2.5
    # A 1x1 window of stride 2 is unrolled, too: a quarter of the work takes more of the time.
    two, one = (f"conv2d?cin=51&cout=51&k=1&size=56&stride={s}" for s in (2, 1))
    assert slower(two, one, where) > 0.35


def test_groups_of_ncnn_are_layers_that_fill_their_own_vectors() -> None:
    """Measured on AVX-512, 28x28: 64 channels in 8 groups take 1.46 times as long as in 2."""
    where = f"{X86}/ncnn"
    two, four, eight = (f"conv2d?cin=64&cout=64&size=28&groups={g}" for g in (2, 4, 8))
    assert 1.2 < slower(eight, two, where) < 1.8
    # 15 outputs are pieces of 8, 4, 2 and 1: measured, twice as long as 16.
    assert slower("conv2d?cin=60&cout=60&size=28&groups=4", four, where) > 1.7


def test_outputs_that_fill_no_vector_are_pieces() -> None:
    assert [_vectors(m, 16) for m in (16, 17, 24, 31, 63)] == [1, 1.5, 1.5, 3, 5]
    assert [_vectors(m, 4) for m in (4, 5, 7)] == [1, 1.5, 2]
    assert np.array_equal(_vectors(np.array([31, 32]), 16), [3, 2])
    assert _vectors(cm.dim("m"), 16).subs({cm.dim("m"): 31}) == 3


def test_single_channels_leave_vectors_of_ncnn_empty() -> None:
    where = f"{X86}/ncnn"
    assert slower("depthwise?c=189", "depthwise?c=192", where) > 2
    assert 1 < slower("depthwise?c=188", "depthwise?c=192", where) < 2.5
    assert 1 < slower("conv2d?cin=64&cout=61", "conv2d?cin=64&cout=64", where) < 1.6
    # Vectors of Arm hold 4: 188 are as good as 192, fewer is faster.
    assert slower("depthwise?c=188", "depthwise?c=192", f"{ARM}/ncnn") < 1
    assert slower("depthwise?c=189", "depthwise?c=192", f"{ARM}/ncnn") > 1.2


def test_a_shared_cache_is_as_fast_as_the_clock_of_the_cores() -> None:
    """Measured under ncnn on a Zen 5 core: 0.31 ms; 30 GB/s as on a board would give 0.5 ms."""
    where = cm.load_platform(f"{MEASURED.with_name('zen5-vm.toml')}/ncnn", calibrated=False)
    name = "depthwise?c=192&size=56&k=3"
    assert float(cm.latency(network(name), where).seconds) < 1.3 * rows()["ncnn", name]


def test_ends_of_a_network_are_packed_and_unpacked() -> None:
    """Measured under ncnn on a Zen 5 core: one depthwise convolution 40 us a 100 channels of 28x28,
    the same inside a network a quarter of it."""
    b = Builder("two")
    x = b.input((1, 96, 28, 28))
    conv = Conv(96, (3, 3), padding=1, groups=96)
    two = b.finish(b.add(conv, b.add(conv, x)))
    where = cm.load_platform(f"{MEASURED.with_name('zen5-vm.toml')}/ncnn", calibrated=False)
    one = cm.latency(network("depthwise?c=96&size=28"), where)
    assert float(cm.latency(two, where).seconds) < 1.6 * float(one.seconds)
    odd = cm.latency(network("depthwise?c=97&size=28"), where)
    assert float(odd.kernels[0].terms.passes) == 0 < float(one.kernels[0].terms.passes)


def test_engines_have_priors_for_an_instruction_set() -> None:
    """Under ncnn on x86, the mean ratio to measurements was 1.42 with the priors of Arm boards."""
    theta = {p: cm.load_platform(f"{p}/ncnn", calibrated=False).fitted.theta for p in (X86, ARM)}
    assert theta[X86]["call"] < 0.6 * theta[ARM]["call"]
    assert theta[X86]["barrier"] == theta[ARM]["barrier"]
    known = {name: value for (runtime, name), value in rows().items() if runtime == "ncnn"}
    where = cm.load_platform(f"{MEASURED.with_name('zen5-vm.toml')}/ncnn", calibrated=False)
    found = cm.latencies([network(name) for name in known], where)
    ratios = [float(p.seconds) / s for p, s in zip(found, known.values(), strict=True)]
    assert np.exp(np.mean(np.log(ratios))) == pytest.approx(1, abs=0.1)


def test_windows_without_a_kernel_of_their_own_are_chains() -> None:
    per_tap = [seconds(f"depthwise?c=192&size=28&k={k}", f"{X86}/ncnn") / k**2 for k in (5, 7, 11)]
    assert per_tap[1] > 1.3 * per_tap[0]
    assert per_tap[2] == pytest.approx(per_tap[1], rel=0.2)


def test_tiles_are_filled_and_nothing_else() -> None:
    where = f"{ARM}/tflite"
    tile = channel_pack(cm.load_platform(where))
    assert tile == 8
    assert seconds("conv2d?k=1&cin=64&cout=57", where) == pytest.approx(
        seconds("conv2d?k=1&cin=64&cout=64", where), rel=0.03
    )
    assert slower("conv2d?k=1&cin=63&cout=64", "conv2d?k=1&cin=64&cout=64", where) < 1


def chain(*ops: object, channels: int = 32) -> float:
    b = Builder("chain")
    x = b.input((1, channels, 28, 28))
    for op in ops:
        x = b.add(op, x, x) if isinstance(op, Concat) else b.add(op, x)  # type: ignore[arg-type]
    return float(cm.latency(b.finish(x), f"{X86}/onnxruntime").seconds)


def test_layouts_change_where_kernels_of_different_layouts_meet() -> None:
    conv = Conv(32, (3, 3), padding=1)
    relu, pool = Elementwise("relu"), Pool("max", (3, 3), padding=1)
    alone, two = chain(conv), chain(conv, conv)
    assert two < 2 * alone  # two changes in all, not four
    for between in (relu, pool):  # in either layout
        assert chain(conv, between, conv) < chain(conv, between) + alone
    odd = Conv(31, (3, 3), padding=1), Conv(32, (3, 3), padding=1)
    graph = _odd(*odd)
    (first, second) = workloads(lower(graph, load_runtime("onnxruntime")))
    assert second.makers == (Channels(1, 32.0, 31),)
    assert (first.last, second.last) == (0, 1)


def _odd(*ops: Conv) -> object:
    b = Builder("odd")
    x = b.input((1, 32, 14, 14))
    for op in ops:
        x = b.add(op, x)
    return b.finish(x)


def test_arrays_of_kernels_are_those_of_each() -> None:
    names = [f"g1_stack?c1={a}&c2={b}" for a, b in ((31, 189), (32, 192), (28, 188), (3, 16))]
    for engine in ("onnxruntime", "ncnn", "tflite"):
        where = cm.load_platform(f"{X86}/{engine}", calibrated=False)
        many = cm.latencies([network(name) for name in names], where)
        assert [float(p.seconds) for p in many] == pytest.approx(
            [float(cm.latency(network(name), where).seconds) for name in names], rel=1e-9
        )
    found = workloads(lower(network("mobilenet_v1"), load_runtime("onnxruntime")))
    assert sum(len(part.index) for part in stack(found)) == len(found)


def test_half_precision_is_packed_by_8_on_arm() -> None:
    op = Conv(64, (3, 3))
    half = cm.load_platform("raspberry-pi-5/ncnn?dtype=float16")
    assert channel_pack(half, op) == 8
    assert channel_pack(cm.load_platform("raspberry-pi-5/ncnn"), op) == 4
    where = "raspberry-pi-5/ncnn?dtype=float16"
    assert slower("depthwise?c=188&k=5", "depthwise?c=192&k=5", where) > 1


def test_what_channels_should_be_a_multiple_of() -> None:
    def packs(platform: str, op: Conv | None = None) -> int:
        return channel_pack(cm.load_platform(platform), op)

    assert packs(f"{X86}/onnxruntime") == packs(f"{X86}/ncnn") == 16
    assert packs(f"{ARM}/onnxruntime") == packs(f"{ARM}/ncnn") == 4
    assert packs(f"{X86}/torch-eager") == 16
    assert packs(f"{X86}/ncnn", Conv(64, (3, 3), groups=2)) == 32
    assert packs("gtx-1080-ti/paper") == 1
    # Tiles of ruy and Paddle-Lite; halves in vectors of eight, where they are computed.
    assert packs("raspberry-pi-4/tflite-ruy") == packs("raspberry-pi-4/paddle-lite") == 8
    assert packs("raspberry-pi-5/ncnn?dtype=float16") == 8
    assert packs("raspberry-pi-4/ncnn?dtype=float16") == 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layout": "heaps"}, "packs.layout must be one of"),
        ({"multiple": 0}, "packs.multiple must be a count"),
        ({"windows": [3.5]}, "packs.windows must be a list"),
        ({"dtypes": ["float31"]}, "packs.dtypes: 'float31' is unknown"),
        ({"padded_copy": 1}, "packs.padded_copy must be true or false"),
        ({"rows": {"x": 1}}, "packs.rows must be a table"),
        ({"single_windows": {"4": 9}}, "packs.single_windows must be a table"),
        ({"source": " "}, "packs.source must say"),
        ({"width": 4}, "packs: unknown field 'width'"),
    ],
)
def test_a_wrong_rule_is_one_sentence(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message.replace(".", r"\.")):
        packs_of({"layout": "tiles", "source": "documentation", **change}, "mine.toml")


def rows() -> dict[tuple[str, str], float]:
    with MEASURED.open() as file:
        found = list(csv.DictReader(file))
    return {(r["platform"].partition("/")[2], r["network"]): float(r["seconds"]) for r in found}


def _conv(sizes: str) -> str:
    return f"conv2d?{sizes}"


STACKS = [(31, 189), (28, 188), (29, 171), (30, 180), (36, 180), (40, 200)]
ODD = [(63, 63), (62, 62), (64, 61), (61, 64)]
WIDE = (80, 84, 97, 98, 100, 112)
GROUPS = [(66, 2), (68, 4), (72, 4), (99, 3), (93, 3), (72, 8), (120, 30)]
GROUPED = {
    g: _conv(f"cin={c}&cout={c}&groups={g}&size=28&k=3")
    for c, g in ((64, 2), (64, 4), (64, 8), (96, 3))
} | {30: _conv("cin=128&cout=128&groups=32&size=28&k=3")}
WIDTHS = (0.98, 0.97, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.66, 0.5)
PAIRS = [
    *[(f"g1_stack?c1={a}&c2={b}", "g1_stack?c1=32&c2=192") for a, b in STACKS],
    ("g1_stack?c1=127&c2=254", "g1_stack?c1=128&c2=256"),
    *[
        (_conv(f"cin={i}&cout={o}&size=56&k=3"), _conv("cin=64&cout=64&size=56&k=3"))
        for i, o in ODD
    ],
    *[(_conv(f"cin={c}&cout={c}&size=28&k=3"), _conv("cin=96&cout=96&size=28&k=3")) for c in WIDE],
    *[(_conv(f"cin={a}&cout={a}&groups={g}&size=28&k=3"), GROUPED[g]) for a, g in GROUPS],
    *[(f"depthwise?c={c}&size=28&k=3", "depthwise?c=96&size=28&k=3") for c in (60, 100)],
    *[(f"mobilenet_v1?width={w}", "mobilenet_v1") for w in WIDTHS],
    *[(f"mobilenet_v2?width={w}", "mobilenet_v2") for w in (0.9, 0.75)],
]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnxruntime", "ncnn"])
def test_ratios_of_widths_are_those_measured(engine: str) -> None:
    """On the processor of the table, calibrated on its operators and other networks alone."""
    known = {name: value for (runtime, name), value in rows().items() if runtime == engine}
    pruned = {name for name, _ in PAIRS if name.startswith("mobilenet")}
    fitted = [cm.Measurement(n, s) for n, s in known.items() if n not in pruned]
    where = cm.calibrate(fitted, f"{MEASURED.with_name('zen5-vm.toml')}/{engine}").platform
    off = {}
    for name, other in PAIRS:
        predicted = (
            cm.latency(network(name), where).seconds / cm.latency(network(other), where).seconds
        )
        off[name] = float(predicted) / (known[name] / known[other]) - 1
    assert max(map(abs, off.values())) < 0.15, off


def test_rows_of_a_linear_layer_are_products_of_two_activations_under_ncnn() -> None:
    def compute(spec: str, runtime: str) -> float:
        where = cm.load_platform(f"raspberry-pi-4/{runtime}", calibrated=False)
        (w,) = workloads(lower(network(spec), where.runtime))
        theta = {**where.fitted.theta, "matmul": 0.25}
        slow = cpu.terms(w, machine_for(where, w.dtype), theta).compute
        fast = cpu.terms(w, machine_for(where, w.dtype), {**theta, "matmul": 1.0}).compute
        return float(slow / fast)

    many, one = "linear?cin=768&cout=3072&length=145", "linear?cin=768&cout=3072"
    assert compute(many, "ncnn") == pytest.approx(4, rel=0.01)  # but the bias
    assert compute(one, "ncnn") == 1
    assert compute(many, "tflite") == 1
