"""The terms of the GPU formulas on a machine of round numbers, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costmodel.kernels import Product
from costmodel.timing import gpu
from costmodel.timing.machine import Machine
from costmodel.timing.parameters import priors
from costmodel.timing.terms import Terms
from costmodel.timing.tiles import Generation
from costmodel.timing.workload import Moved, Workload

TILE = ((4, 4),)
GENERATION = Generation(
    product=TILE,
    linear=TILE,
    batched=TILE,
    convolution=TILE,
    winograd=TILE,
    tensor=TILE,
    tensor_convolution=TILE,
    flops_per_watt=1.0,
    feed=1.0,
    linear_feed=1.0,
    tensor_feed=1.0,
    stream=1.0,
    tile_stream=1.0,
    refetch=1.0,
    misaligned=0.5,
    exponentials=16.0,
    short_head_queries=128,
    cache_bytes_per_cycle=1.0,
    channel_bytes=1.0,
    threads=256.0,
    softmax_once=1024.0,
    packs_queries=False,
    float32_winograd=True,
    writes_either_layout=False,
)
MACHINE = Machine(
    kind="gpu",
    units=2,
    multiply_adds=200.0,  # 100 a second and multiprocessor
    tensor=False,
    ceiling=200.0,
    vector=50.0,
    clock=1.0,
    lanes=32,
    cache=1000.0,
    shared_memory=0.0,
    private_cache=0.0,
    bandwidth=10.0,
    stream=1.0,
    link=0.0,
    asynchronous=True,
    algorithms=frozenset({"implicit_gemm", "winograd"}),
    grouped_serially=False,
    transposes=False,
    operands=1.0,
    generated=False,
    own_depthwise=False,
    cublas_lt=False,
    bias_apart=False,
    paged_attention=False,
    generation=GENERATION,
    sustained=1e9,
    cache_bandwidth=100.0,
    interfaces=((0.0, 10.0),),
)
# Tiles that feed themselves, nothing that fills or drains, no fixed cost: every other factor is 1.
Q = dict.fromkeys((p.name for p in priors("gpu")), 1.0) | dict.fromkeys(
    (
        "half_tile",
        "tensor_half_tile",
        "fill",
        "tensor_fill",
        "tensor_ramp",
        "split_call",
        "ramp",
        "serial",
        "launch",
        "pass_launch",
        "host",
        "lead",
        "power_tile",
        "burst",
        "odd_rows",
    ),
    0.0,
)
NEVER = 1e-9
"""A speed at which an algorithm is never the fastest."""
NEAR = Moved(0, 0)


def work(kind: str, *products: Product, **changes: object) -> Workload:
    """Return a kernel that does nothing but ``products`` and ``changes``."""
    nothing = Workload(kind, "float32", 0, 0, 0, 0, products, 0, (), NEAR, NEAR, 0)
    return replace(nothing, **changes)  # type: ignore[arg-type]


def time(w: Workload, machine: Machine = MACHINE, **changes: float) -> Terms:
    return gpu.terms(w, machine, {**Q, **changes})


def window(size: int, channels: int = 4, outputs: int = 8) -> Workload:
    """Return a 3x3 convolution of one square image, its tensors touched just before."""
    product = Product(1, outputs, size**2, 9 * channels, size, size, 9, winograd=True)
    return work("convolution", product, reads=(Moved(400, 0),), writes=Moved(600, 0))


# Winograd.


def test_winograd_in_one_kernel_takes_16_products_for_four_outputs() -> None:
    # 4 x 4 outputs are 4 blocks: 32 x 16 results of 4 channels, in 8 x 4 tiles on 2 units.
    seconds = 16 * (16 * 4) / 100
    found = time(window(4), winograd=2.0, direct=NEVER, winograd_batched=NEVER)
    assert found.compute == pytest.approx(seconds / 2)
    # Blocks that stick out over the image cost as much as whole ones.
    assert time(window(3), winograd=2.0, direct=NEVER, winograd_batched=NEVER).compute == (
        pytest.approx(seconds / 2)
    )
    plain = time(window(4), winograd=NEVER, winograd_batched=NEVER)
    assert plain.compute == pytest.approx((2 * 4 / 2) * (16 * 36) / 100)
    assert time(window(4), direct=2.0).compute < plain.compute


def test_winograd_through_memory_takes_36_products_for_sixteen_outputs() -> None:
    # 8 x 8 outputs are 4 blocks: 36 products of 8 x 4 results in 2 tiles each.
    compute = 36 * (16 * 4 / 2) / 100
    # The transformed inputs, outputs and weights are written and read; half of them miss.
    moved = 36 * 4 * (4 * 4 + 4 * 8 + 4 * 8)
    memory = (moved / 2) / 10 + (moved / 2 + 1000) / 100
    near = replace(MACHINE, cache=float(moved))
    slow = {"winograd": NEVER, "direct": NEVER, "winograd_batched": 2.0}
    found = time(window(8), near, **slow)
    assert found.compute == pytest.approx(compute)
    assert found.memory == pytest.approx(1000 / 100)  # the least of all ways
    assert found.model == pytest.approx(compute + memory)  # transforms hide behind nothing
    # The share of the bandwidth that tiles draw is not that of the transforms.
    far = replace(window(8), reads=(Moved(1000, 10**6),), writes=NEAR)
    assert time(far, near, tile_dram=NEVER, **slow).memory == pytest.approx(
        (moved / 2 + 1000) / 10 + moved / 2 / 100
    )


def test_the_fastest_way_of_a_convolution_is_taken_whole() -> None:
    direct = time(window(8), winograd=NEVER, winograd_batched=NEVER)
    assert direct.compute == pytest.approx((2 * 16 / 2) * (16 * 36) / 100)
    assert direct.model == pytest.approx(max(direct.compute, direct.memory))


def test_a_generation_without_kernels_takes_no_winograd() -> None:
    none = replace(MACHINE, generation=replace(GENERATION, float32_winograd=False))
    slow = time(window(8), none, winograd=100.0, winograd_batched=100.0)
    assert slow.compute == pytest.approx((2 * 16 / 2) * (16 * 36) / 100)


def test_tensor_cores_take_no_winograd() -> None:
    fast = {"winograd": 100.0, "winograd_batched": 100.0}
    lanes, tensor = (time(window(8), m, **fast) for m in (MACHINE, replace(MACHINE, tensor=True)))
    assert lanes.compute < 0.1 * tensor.compute
    assert tensor.compute == pytest.approx(
        time(window(8), winograd=NEVER, winograd_batched=NEVER).compute
    )


# Products.


def test_partial_results_of_a_split_are_words_that_go_through_the_cache_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    layer = work("linear", Product(1, 4, 4, 8))
    monkeypatch.setattr(gpu, "SPLITS", (1,))
    assert time(layer).compute == pytest.approx(16 * 8 / 100)
    monkeypatch.setattr(gpu, "SPLITS", (4,))
    partial = 2 * 4 * (4 * 4) * 4 / 100
    assert time(layer).compute == pytest.approx(2 * (16 * 8 / 4) / 100 + partial)
    # Adding up the parts takes a call, however small they are.
    assert time(layer, split_call=7.0).compute == pytest.approx(time(layer).compute + 7)
    assert time(layer, cache=0.5).compute - time(layer).compute == pytest.approx(partial)


def test_a_tile_takes_its_fill_and_waits_for_shared_memory() -> None:
    layer = work("matmul", Product(1, 4, 4, 8))
    assert time(layer, fill=2.0).compute == pytest.approx(16 * 10 / 100)
    # 4 x 4 results have an intensity of 2: as much as the feed halves the rate.
    assert time(layer, half_tile=2.0).compute == pytest.approx(2 * 16 * 8 / 100)
    wide = replace(MACHINE, generation=replace(MACHINE.generation, feed=3.0))
    assert time(layer, wide, half_tile=2.0).compute == pytest.approx(4 * 16 * 8 / 100)
    assert time(layer, ramp=16.0).compute == pytest.approx(2 * 16 * 8 / 100)
    assert time(layer, gemm=0.5).compute == pytest.approx(2 * 16 * 8 / 100)
    # The board sustains less than one multiprocessor does.
    weak = replace(MACHINE, sustained=50.0)
    assert time(layer, weak, power=0.5).compute == pytest.approx(16 * 8 / 25)


def test_tensor_cores_have_tiles_and_a_start_of_their_own() -> None:
    layer = work("matmul", Product(1, 8, 4, 8))
    machine = replace(MACHINE, tensor=True, generation=replace(GENERATION, tensor=((8, 4),)))
    q = {"fill": 100.0, "tensor_fill": 2.0}
    # One tile of 8 x 4, of which the other multiprocessor has nothing.
    assert time(layer, machine, **q).compute == pytest.approx(32 * 10 / 100)
    fed = replace(machine.generation, feed=9.0, tensor_feed=3.0)
    slow = time(layer, replace(machine, generation=fed), tensor_half_tile=8 / 9, **q)
    assert slow.compute == pytest.approx(2 * 32 * 10 / 100)


def test_products_of_a_kernel_follow_each_other() -> None:
    two = work("recurrent", Product(1, 4, 4, 8, times=3), Product(1, 4, 4, 2))
    assert time(two).compute == pytest.approx((3 * 16 * 8 + 16 * 2) / 100)


def test_further_steps_of_a_recurrence_read_their_matrix_again() -> None:
    layer = work("recurrent", Product(2, 4, 4, 8, times=3))
    matrix = 2 * 4 * 8 * 4
    fits = time(layer, replace(MACHINE, cache=2.0 * matrix))
    assert fits.memory == pytest.approx(2 * matrix / 100)
    # A matrix as large as the cache misses half of its bytes.
    assert time(layer, replace(MACHINE, cache=float(matrix))).memory == pytest.approx(
        matrix / 10 + matrix / 100
    )
    assert time(replace(layer, kind="matmul")).memory == 0
    started = time(layer, launch=5.0, host=7.0, linear_call=2.0)
    assert (started.launch, started.host) == (3 * 2 * 5, 3 * 2 * 7)


# Operations, traffic, passes.


@pytest.mark.parametrize("kind", ["elementwise", "batch_norm", "norm", "softmax", "gather", "copy"])
def test_an_operation_takes_a_lane_half_the_time_of_a_multiply_add(kind: str) -> None:
    assert time(work(kind, elementwise=300)).compute == pytest.approx(300 / 100)


@pytest.mark.parametrize("kind", ["pool", "max_pool", "resample"])
def test_operations_over_windows_run_at_a_rate_of_their_own(kind: str) -> None:
    assert time(work(kind, elementwise=300), window=0.5).compute == pytest.approx(300 / 25)


def test_other_operations_come_on_top_of_the_products() -> None:
    layer, image = Product(1, 4, 4, 8), Product(1, 4, 4, 8, 2, 2)
    for kind in ("linear", "matmul", "pointwise"):
        product = image if kind == "pointwise" else layer
        with_, without = (time(work(kind, product, elementwise=n)).compute for n in (300, 0))
        assert with_ - without == pytest.approx(300 / 100)
    each = work("depthwise", image, multiply_adds=100, elementwise=300)
    assert time(each, window=0.5).compute == pytest.approx(100 / 25 + 300 / 100)


def test_tiles_draw_a_share_of_the_bandwidth() -> None:
    far = (Moved(100, 10**9),)
    assert time(work("copy", reads=far), tile_dram=0.5).memory == 10
    assert time(work("linear", reads=far), tile_dram=0.5).memory == 20
    assert time(work("norm", reads=far)).memory == 10
    assert time(work("copy", weights=far[0]), dram=0.5).memory == 20


def test_tensors_that_the_cache_holds_come_from_the_cache() -> None:
    copy = work("copy", reads=(Moved(100, 1500),), writes=Moved(100, 1500))
    assert time(copy).memory == pytest.approx(200 / 10)
    # A cache that reaches one and a half times as far holds half of them.
    assert time(copy, reach=1.5).memory == pytest.approx(100 / 10 + 100 / 100)
    assert time(copy, reach=3.0, cache=0.5).memory == pytest.approx(200 / 50)


def test_no_cache_is_slower_than_the_memory_behind_it() -> None:
    near = work("copy", reads=(Moved(100, 0),))
    assert time(near, cache=0.5).memory == pytest.approx(100 / 50)
    assert time(near, cache=0.01).memory == pytest.approx(100 / 10)
    assert time(near, cache=0.01, dram=0.5).memory == pytest.approx(100 / 5)


def test_a_pass_is_a_launch_and_moves_what_missed_twice() -> None:
    one = Product(1, 1, 1, 1)
    # A pass finds in the cache what its kernel has just written, wherever that memory was before.
    small = work("linear", one, passes=3, writes=Moved(100, 10**9))
    assert time(small, pass_launch=7.0).passes == pytest.approx(3 * 7)
    large = work("linear", one, passes=3, writes=Moved(2000, 0))
    assert time(large, pass_launch=7.0, dram=0.5).passes == pytest.approx(3 * (7 + 2 * 2000 / 5))
    assert time(large, pass_launch=7.0, reach=4.0).passes == pytest.approx(3 * 7)


def test_in_a_kernel_that_is_no_product_passes_stay_in_registers() -> None:
    alone, chain = (work("elementwise", passes=p, writes=Moved(2000, 10**9)) for p in (0, 3))
    assert time(chain, pass_launch=7.0).model == time(alone, pass_launch=7.0).model
