"""Layouts around convolutions on tensor cores, and depthwise kernels, with round numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import pytest
import sympy

import costmodel as cm
from costmodel import zoo
from costmodel.errors import DataError
from costmodel.graph import Builder, converted
from costmodel.kernels import Product, lower
from costmodel.kernels.layouts import in_one_layout
from costmodel.ops import Conv
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.runtimes import load_runtime
from costmodel.runtimes.layouts import layout_costs_of
from costmodel.timing.gpu_layout import changes, in_steps
from costmodel.timing.reuse import workloads
from costmodel.timing.workload import Moved, Workload
from tests.test_gpu_time import GENERATION, MACHINE, NEAR, time, work

# 2 multiprocessors turn over 1 byte a cycle each: 2 bytes a second; memory has 10.
HOPPER = replace(MACHINE, tensor=True, transposes=True)
AMPERE = replace(HOPPER, generation=replace(GENERATION, writes_either_layout=True))
Q = {"dram": 1.0, "transpose": 1.0}


def image(kind: str, side: int, channels: int = 8, outputs: int = 16, taps: int = 1) -> Workload:
    """Return a 16-bit convolution of one square image."""
    product = Product(1, outputs, side**2, taps * channels, side, side, taps)
    read, written = (Moved(2 * side**2 * c, 0) for c in (channels, outputs))
    weights = Moved(2 * taps * channels * outputs, 0)
    return work(kind, product, dtype="float16", reads=(read,), writes=written, weights=weights)


def test_a_window_turns_over_images_weights_and_result_once_each() -> None:
    w = image("convolution", 4, taps=9)
    moved = 2 * (2 * 16 * 8 + 2 * 16 * 16 + 2 * 9 * 8 * 16)
    assert changes(w, HOPPER, Q) == (3, moved / 2)
    # An element-wise launch each, and nothing of it hides behind the product.
    with_, without = (time(w, m, launch=5.0, product_call=2.0) for m in (HOPPER, MACHINE))
    assert (with_.launch, without.launch) == (10 + 3 * 5, 10)
    still = time(w, replace(HOPPER, transposes=False), launch=5.0, product_call=2.0)
    assert with_.model - still.model == pytest.approx(15 + moved / 2)
    assert with_.memory - still.memory == pytest.approx(moved / 2)


def test_before_hopper_kernels_write_the_result_themselves() -> None:
    moved = 2 * (2 * 16 * 8 + 2 * 9 * 8 * 16)
    assert changes(image("convolution", 4, taps=9), AMPERE, Q) == (2, moved / 2)


def test_memory_is_the_limit_where_multiprocessors_are_fast() -> None:
    w = image("convolution", 4, taps=9)
    fast = changes(w, HOPPER, {"dram": 0.5, "transpose": 100.0})[1]
    assert fast == pytest.approx(changes(w, HOPPER, Q)[1] * 2 / 5)


@pytest.mark.parametrize(("side", "kernels"), [(56, 0), (4, 0), (14, 3), (7, 3)])
def test_a_product_of_matrices_is_turned_over_where_its_pixels_do_not_fill_16_bytes(
    side: int, kernels: int
) -> None:
    found = changes(image("pointwise", side), HOPPER, Q)
    assert (found[0], found[1] > 0) == (kernels, kernels > 0)
    assert changes(image("pointwise", side), AMPERE, Q) == (0, 0)


def test_a_stride_skips_pixels_so_that_images_are_no_matrices() -> None:
    whole = image("pointwise", 8)
    skipping = replace(whole, reads=(whole.reads[0]._replace(least=whole.reads[0].bytes // 4),))
    assert changes(whole, HOPPER, Q)[0] == changes(whole, AMPERE, Q)[0] == 0
    assert (changes(skipping, HOPPER, Q)[0], changes(skipping, AMPERE, Q)[0]) == (3, 2)


def test_few_channels_are_padded_to_16_bytes_behind_the_turn() -> None:
    three, eight = (changes(image("convolution", 4, c, taps=9), AMPERE, Q) for c in (3, 8))
    weights = 2 * 2 * 9 * 16
    assert (three[1] - weights * 3 / 2) * 2 == pytest.approx(2 * 16 * 3 + 2 * 16 * 8)
    assert (eight[1] - weights * 8 / 2) * 2 == pytest.approx(2 * (2 * 16 * 8))
    # The channels of a group are not padded one by one.
    grouped = image("grouped", 4, 3, taps=9)
    assert changes(grouped, AMPERE, Q)[1] == pytest.approx(2 * 16 * 3 + weights * 3 / 2)


def test_nothing_is_turned_over_on_lanes_nor_in_other_kernels() -> None:
    for kind in ("depthwise", "linear", "matmul", "elementwise"):
        assert changes(image(kind, 7, taps=9), HOPPER, Q) == (0, 0)
    assert changes(image("convolution", 7, taps=9), MACHINE, Q) == (0, 0)


def test_a_step_of_the_reduction_is_a_block_of_channels_of_one_position() -> None:
    wide = replace(HOPPER, generation=replace(GENERATION, channel_bytes=64.0))
    for channels, block in ((3, 32), (32, 32), (33, 64)):
        w = image("convolution", 4, channels, taps=49)
        assert in_steps(w, wide).k == 49 * block
        assert in_steps(w, MACHINE).k == 49 * channels
    assert in_steps(image("pointwise", 4, 3), wide).k == 3
    three, full = (time(image("convolution", 4, c, taps=49), wide).compute for c in (3, 32))
    assert three == pytest.approx(full)


def test_arrays_and_symbols_give_what_numbers_give() -> None:
    sides, side = np.array([56, 14, 7]), sympy.Symbol("s", integer=True, positive=True)
    for kind, taps in (("pointwise", 1), ("convolution", 9)):
        numbers = [changes(image(kind, s, 3, taps=taps), HOPPER, Q) for s in sides.tolist()]
        many = changes(image(kind, sides, 3, taps=taps), HOPPER, Q)  # type: ignore[arg-type]
        assert np.broadcast_to(many[1], 3) == pytest.approx([seconds for _, seconds in numbers])
        formula = changes(image(kind, side, 3, taps=taps), HOPPER, Q)
        found = [float(sympy.sympify(formula[1]).subs(side, s)) for s in sides.tolist()]
        assert found == pytest.approx([seconds for _, seconds in numbers])


def test_the_layout_is_a_fact_of_the_runtime_and_tensor_cores_alone_ask_for_another() -> None:
    for runtime, turns in (("torch-eager", True), ("cuda-graphs", True), ("torch-compile", False)):
        where = load_platform(f"a100-pcie-40gb/{runtime}")
        found = [machine_for(where, d).transposes for d in ("float16", "bfloat16", "tf32")]
        assert found == [turns] * 3
        assert not machine_for(where, "float32").transposes
    old = load_platform("gtx-1080-ti/torch-eager")
    assert not machine_for(old, "float16").transposes


# A compiler chooses the layout of a whole network by where its multiply-adds are.

COSTS = {"grouped": 1.5, "small": 0.8, "narrowing": 0.7, "other": 0.9}


def bottleneck(width: Any, groups: int, between: int = 128) -> nx.DiGraph:
    """Return two products of ``between`` to ``width`` channels around a convolution of groups."""
    b = Builder("bottleneck")
    x = b.input((1, between, 14, 14))
    for op in (
        Conv(width, (1, 1)),
        Conv(width, (3, 3), padding=1, groups=groups),
        Conv(between, (1, 1)),
    ):
        x = b.add(op, x)
    return b.finish(x)


@pytest.mark.parametrize(
    ("width", "groups", "between", "kept"),
    [
        (128, 1, 128, 0),  # no groups
        (128, 128, 128, 0),  # depthwise: one channel a group
        # Groups of 64 channels: 9 x 64 multiply-adds a channel and pixel, which are 0.5 slower,
        # against 2 x ``between`` that are 0.1 faster.
        (128, 2, 128, 1),
        (128, 2, 9 * 64 * 5 // 2 - 1, 1),
        (128, 2, 9 * 64 * 5 // 2 + 1, 0),
    ],
)
def test_a_network_stays_in_nchw_where_groups_have_most_of_its_work(
    width: int, groups: int, between: int, kept: int
) -> None:
    kernels = lower(bottleneck(width, groups, between), load_runtime("torch-compile"))
    assert {kernel.nchw for kernel in in_one_layout(kernels, COSTS)} == {kept}
    w = sympy.Symbol("w", integer=True, positive=True)
    wide = bottleneck(width * w, groups * w if groups == width else groups, between)
    symbolic = lower(wide, load_runtime("torch-compile"))
    formula = in_one_layout(symbolic, COSTS)[0].nchw
    assert sympy.sympify(formula).subs(w, 1) == kept


@pytest.mark.parametrize(
    ("inputs", "outputs", "k", "cost"),
    [
        (64, 64, 3, "small"),
        (65, 64, 3, "other"),
        (128, 64, 3, "narrowing"),
        (128, 65, 3, "other"),
        (128, 64, 1, "other"),
        (64, 32, 3, "small"),
    ],
)
def test_classes_of_convolutions_are_the_compilers(
    inputs: int, outputs: int, k: int, cost: str
) -> None:
    kernels = lower(zoo.conv2d(1, inputs, 14, outputs, k), load_runtime("torch-compile"))
    for name in COSTS:
        slow = {**dict.fromkeys(COSTS, 0.5), name: 2.0}
        assert {kernel.nchw for kernel in in_one_layout(kernels, slow)} == {int(name == cost)}


def test_images_in_nchw_are_turned_over_by_compiled_networks_too() -> None:
    compiled = load_platform("h100-sxm/torch-compile?dtype=float16")
    rule = replace(compiled.runtime, layout_costs={})
    always = replace(compiled, runtime=rule)
    grouped, depthwise_ = bottleneck(256, 2), bottleneck(256, 256)
    assert cm.latency(grouped, compiled).seconds > 1.2 * cm.latency(grouped, always).seconds
    assert cm.latency(depthwise_, compiled).seconds == cm.latency(depthwise_, always).seconds
    single = load_platform("h100-sxm/torch-compile")  # float32 runs without tensor cores
    plain = replace(single, runtime=rule)
    assert cm.latency(grouped, single).seconds == cm.latency(grouped, plain).seconds


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"grouped": 1.0}, "must have grouped, small, narrowing, other and a source"),
        ({**COSTS, "source": " "}, "and a source"),
        ({**COSTS, "source": 3}, "and a source"),
        ({**COSTS, "small": float("nan"), "source": "x"}, "layout_costs.small must be a positive"),
        ({**COSTS, "other": float("inf"), "source": "x"}, "layout_costs.other must be a positive"),
        ({**COSTS, "small": 0, "source": "x"}, "layout_costs.small must be a positive number"),
        ({**COSTS, "other": True, "source": "x"}, "layout_costs.other must be a positive number"),
    ],
)
def test_costs_of_layouts_are_checked(table: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        layout_costs_of(table, "a.toml")


# Depthwise convolutions.


def depthwise(taps: int) -> Workload:
    product = Product(8, 1, 100, taps, 10, 10, taps)
    return work("depthwise", product, multiply_adds=800 * taps, writes=NEAR)


def test_an_output_of_an_own_depthwise_kernel_takes_some_taps_before_its_own() -> None:
    own = replace(MACHINE, own_depthwise=True)
    for taps in (9, 49):
        found = time(depthwise(taps), own, depthwise=0.5, window_fill=7.0).compute
        assert found == pytest.approx(800 * (7 + taps) / (50 * 0.5))
        library = time(depthwise(taps), window=0.5, window_fill=7.0).compute
        assert library == pytest.approx(800 * taps / (50 * 0.5))


def test_an_own_depthwise_kernel_takes_as_long_in_16_bits() -> None:
    graph = zoo.depthwise(28, 28, 64)
    seconds = []
    for dtype in ("float32", "bfloat16"):
        where = load_platform("h200/cuda-graphs", calibrated=False)
        (w,) = workloads(lower(converted(graph, dtype), where.runtime))
        machine = machine_for(where, dtype)
        assert machine.own_depthwise
        seconds.append(time(w, machine, window_fill=7.0, depthwise=0.05).compute)
    assert seconds[0] == pytest.approx(seconds[1])
    assert not machine_for(load_platform("h200/cuda-graphs"), "float16").own_depthwise
    assert not machine_for(load_platform("h200/torch-compile"), "float32").own_depthwise


def test_channels_last_images_are_never_turned_over() -> None:
    """With NHWC images, tensor cores need no layout copies, in TF32 either."""
    w = image("convolution", 14, taps=9)
    for dtype in ("float16", "bfloat16", "tf32"):
        for runtime in ("torch-eager", "cuda-graphs"):
            plain, last = (
                machine_for(load_platform(f"h200/{runtime}{asked}"), dtype)
                for asked in ("", "?layout=nhwc")
            )
            assert (changes(w, plain, Q)[0], changes(w, last, Q)[0]) == (3, 0)


def test_with_channels_last_images_a_library_does_depthwise_convolutions() -> None:
    plain, last = (
        machine_for(load_platform(f"h200/torch-eager{asked}"), "bfloat16")
        for asked in ("", "?layout=nhwc")
    )
    assert plain.own_depthwise
    assert not last.own_depthwise


def test_the_setting_changes_convolutions_on_tensor_cores_alone() -> None:
    graph = zoo.conv2d(n=32, cin=64, size=14, cout=64)
    for dtype, factor in (("float16", 0.95), ("tf32", 0.95), ("float32", 1.0)):
        plain, last = (
            cm.latency(graph, f"h200/cuda-graphs?dtype={dtype}{asked}").seconds
            for asked in ("", "&layout=nhwc")
        )
        assert last < plain * factor if factor < 1 else last == plain
