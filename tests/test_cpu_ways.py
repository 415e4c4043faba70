"""Ways of carrying out a product on a CPU, each alone: numbers by hand, a made-up machine."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import pytest

from costmodel.ops.product import Product
from costmodel.timing import cpu, cpu_eager, cpu_products
from costmodel.timing.cpu_ways import Way, peak
from costmodel.timing.machine import Machine
from costmodel.timing.tiles import NO_GENERATION
from costmodel.timing.workload import Moved, Workload

MACHINE = Machine(
    kind="cpu",
    units=3,
    multiply_adds=1e3,
    tensor=False,
    ceiling=1e3,
    vector=100.0,
    clock=1.0,
    lanes=4,
    cache=1e12,
    shared_memory=0,
    private_cache=0,
    bandwidth=1e30,
    stream=1.0,
    link=0.0,
    asynchronous=False,
    algorithms=frozenset(),
    grouped_serially=False,
    transposes=False,
    operands=1.0,
    generated=False,
    own_depthwise=False,
    cublas_lt=False,
    bias_apart=False,
    paged_attention=False,
    generation=NO_GENERATION,
    sustained=0.0,
    cache_bandwidth=0.0,
    interfaces=(),
)
NOTHING = Moved(0, 1)


def theta(**values: float) -> dict[str, float]:
    """Return parameters that are 1 unless named; cores do not get into each other's way."""
    alone = {"contention": 0.0, "contention_own": 0.0, "barrier": 0.0}
    return defaultdict(lambda: 1.0, alone | values)


def workload(kind: str, *products: Product, **fields) -> Workload:
    sizes = {
        "dtype": "float32",
        "passes": 0,
        "multiply_adds": sum(p.batch * p.m * p.n * p.k for p in products),
        "elementwise": 0,
        "special": 0,
        "pieces": 0,
        "reads": (),
        "writes": NOTHING,
        "weights": NOTHING,
        "since": 0,
    }
    return Workload(kind=kind, products=products, **{**sizes, **fields})


def test_a_product_fills_vectors_tiles_and_cores_up() -> None:
    # Ten rows are three vectors of four, one a core; nine columns are two tiles of eight.
    w = workload("pointwise", Product(2, 10, 9, 5))
    q = theta(pack=2.0, fill=1.0, gemm=0.5)
    assert cpu_products.products(w, MACHINE, q) == 2 * (12 + 2) * 16 * 6 / (1e3 * 0.5)
    # One row more than three vectors hold starts a second round of the three cores.
    w = workload("pointwise", Product(1, 13, 8, 5))
    assert cpu_products.products(w, MACHINE, q) == (24 + 2) * 8 * 6 / 500


def test_a_linear_layer_does_not_fill_tiles_along_its_rows() -> None:
    q = theta(pack=2.0, fill=1.0)
    w = workload("linear", Product(1, 12, 9, 5, times=3))
    assert cpu_products.products(w, MACHINE, q) == 3 * (12 + 2) * 9 * 6 / 1e3


@pytest.mark.parametrize(("lanes", "held"), [(2, 6), (4, 12), (8, 12)])
def test_four_channels_of_a_group_share_a_vector(lanes: int, held: int) -> None:
    machine = replace(MACHINE, lanes=lanes)
    q = theta(pack=0.0, fill=0.0, grouped=0.25)
    w = workload("grouped", Product(5, 5, 8, 7))
    assert cpu_products.grouped(w, machine, q) == 5 * held * 8 * 7 / (1e3 * 0.25)


def test_integers_have_instructions_of_their_own() -> None:
    q = theta(pack=0.0, fill=0.0, integer=4.0)
    w = workload("depthwise", Product(12, 1, 8, 9), dtype="int8")
    assert cpu_products.depthwise(w, MACHINE, q) == 12 * 8 * 9 / 4e3
    assert cpu_products.depthwise(replace(w, dtype="float32"), MACHINE, q) == 12 * 8 * 9 / 1e3


def test_cores_take_whole_packs_of_channels_of_a_depthwise_convolution() -> None:
    # Four packs of four channels: the third of three cores has one of two rounds to itself.
    w = workload("depthwise", Product(16, 1, 8, 9))
    q = theta(pack=0.0, fill=0.0)
    assert cpu_products.depthwise(w, MACHINE, q) == pytest.approx(16 * 8 * 9 * 6 / 4 / 1e3)
    assert cpu_products.depthwise(w, replace(MACHINE, units=1), q) == 16 * 8 * 9 / 1e3


def test_winograd_transforms_blocks_of_four_by_four() -> None:
    # Two images of 7x7: two blocks along each side; 36 products of 3 channels each.
    p = Product(1, 8, 2 * 49, 27, height=7, width=7, taps=9, winograd=True)
    machine = replace(MACHINE, algorithms=frozenset({"winograd"}))
    q = theta(fill=1.0, gemm=0.5, direct=0.1, winograd=0.8, near_bandwidth=30.0)
    products = 36 * 8 * 8 * (3 + 1) / (1e3 * 0.5 * 0.8)
    # Whole blocks are transformed: 8 of 36 elements of 4 bytes, written and read. The three cores
    # share one cache, so that together they get as many bytes as one alone.
    transforms = 2 * 8 * 36 * 4 * (3 + 8) / (100 / 3 * 30.0)
    w = workload("convolution", p)
    assert cpu_products.convolution(w, machine, q) == pytest.approx(products + transforms)
    integers = cpu_products.convolution(replace(w, dtype="int8"), machine, q)
    # Transformed inputs of 16 bits, results of 32.
    narrower = 2 * 8 * 36 * (2 * 3 + 4 * 8) / (100 / 3 * 30.0)
    assert integers == pytest.approx(2 * products + narrower)
    direct = (12 + 1) * 104 * 28 / (1e3 * 0.5 * 0.1)
    assert cpu_products.convolution(w, MACHINE, q) == pytest.approx(direct)


@pytest.mark.parametrize(
    ("across", "vectors"), [(4, 3), (5, 3), (8, 3), (9, 3), (12, 3), (13, 6), (16, 6), (17, 6)]
)
def test_cores_take_whole_vectors_across(across: int, vectors: int) -> None:
    q = theta(pack=0.0, fill=1.0)
    found = cpu_products._packed_product(Product(1, across, 7, 5), across, 7, MACHINE, q)
    assert found == vectors * 4 * 7 * 6


@pytest.mark.parametrize(
    ("across", "vectors"), [(3, 1), (4, 1), (5, 3), (8, 2), (9, 3), (12, 3), (13, 4), (17, 6)]
)
def test_a_second_vector_that_is_not_full_is_a_whole_tile(across: int, vectors: int) -> None:
    q = theta(pack=0.0, fill=0.0)
    machine = replace(MACHINE, units=1)
    assert (
        cpu_products._packed_product(Product(1, across, 7, 5), across, 7, machine, q)
        == vectors * 140
    )


def test_an_operand_that_is_used_once_is_not_packed() -> None:
    machine, p = replace(MACHINE, units=1), Product(2, 4, 1, 5)
    q = theta(pack=10.0, fill=0.0)
    # Along one column each element across is used once; the column itself three times packed.
    assert cpu_products._packed_product(p, 4, 1, machine, q) == 2 * (
        4 * 1 * 5 + (0 * 4 + 3 * 1) * 5
    )
    assert cpu_products._packed_product(p, 4, 30, machine, q) == 2 * (
        4 * 30 * 5 + (10 * 4 + 3 * 30) * 5
    )


def test_blocks_divide_the_channels_of_a_group_and_take_whole_vectors() -> None:
    machine = replace(MACHINE, lanes=16, units=1)
    q = theta(gemm=0.1, blocked=0.25, grouped=0.5)
    one = cpu_eager._blocked(workload("convolution", Product(2, 9, 8, 18, taps=9)), machine, q)
    assert one.compute == 2 * 16 * 8 * 18 / (1e3 * 0.25)
    # 16, 8 and 4 channels of a group: measured, 204 us for 32 groups of 4, 175 us for 8 of 16.
    for channels, blocks in ((16, 1), (32, 2), (8, 1), (24, 3), (4, 1), (12, 3)):
        p = Product(2, channels, 8, 9 * channels, taps=9)
        some = cpu_eager._blocked(workload("grouped", p), machine, q)
        assert some.compute == 2 * blocks * 16 * 8 * 9 * channels / (1e3 * 0.125)
    # AVX2 has blocks of 8 alone. Channels without a block are unrolled, in one call.
    for lanes, channels in ((16, 6), (8, 4), (8, 12)):
        few = replace(machine, lanes=lanes)
        w = workload("grouped", Product(2, channels, 8, 9 * channels, taps=9))
        plain = replace(cpu_eager.plain(w, few, q), repeats=0)
        elements = 2 * 8 * 9 * channels
        assert cpu_eager._blocked(w, few, q) == replace(plain, compute=plain.compute + elements)
        one_tap = workload("grouped", Product(2, channels, 8, channels))
        same = replace(cpu_eager.plain(one_tap, few, q), repeats=0)
        assert cpu_eager._blocked(one_tap, few, q) == same


def test_copies_of_groups_fill_their_blocks() -> None:
    q = theta(tail=3.0, reorder=2.0)
    machine = replace(MACHINE, lanes=16, units=1)
    w = workload("grouped", Product(30, 4, 8, 36, taps=9), reads=(Moved(96, 1),))
    assert cpu_eager._blocked(w, machine, q).copied == 2 * 96


def test_copies_into_blocks_and_out_of_them() -> None:
    q = theta(tail=3.0, reorder=2.0)
    tensors = {
        "weights": Moved(1000, 1),
        "reads": (Moved(100, 1), Moved(20, 1)),
        "writes": Moved(50, 1),
    }
    w = workload("convolution", Product(1, 8, 4, 8), **tensors)
    # Up to four channels stay in the caller's layout; channels that fill no block take longer.
    assert cpu_eager._reordered(w, 4, 8, MACHINE, q) == (2 * (1000 + 50), 0)
    assert cpu_eager._reordered(w, 8, 4, MACHINE, q) == (2 * (1000 + 120), 0)
    assert cpu_eager._reordered(w, 9, 8, MACHINE, q) == (2 * (1000 + 120 * 4 + 50), 0)
    # A copy is read after twice its size: 240 bytes in a cache of 160 are all gone.
    small = replace(MACHINE, cache=160)
    assert cpu_eager._reordered(w, 8, 4, small, q) == (2240, 120)
    assert cpu_eager._reordered(w, 8, 4, replace(MACHINE, cache=320), q)[1] == 120 * 0.25


@pytest.mark.parametrize(
    ("images", "taps", "units", "elements", "stays"),
    [
        (1, 1, 1, 800, 1),
        (15, 1, 1, 800, 1),
        (16, 1, 1, 800, 0),
        (15, 1, 2, 10**9, 0),
        (1, 9, 3, 20, 1),
        (2, 9, 1, 20, 0),
        (1, 10, 1, 20, 0),
        (1, 9, 1, 21, 0),
    ],
)
def test_which_convolutions_stay_in_the_callers_layout(
    images: int, taps: int, units: int, elements: int, stays: int
) -> None:
    p = Product(1, 8, images * 100, 8 * taps, height=10, width=10, taps=taps)
    w = workload("convolution", p, reads=(Moved(4 * elements, 1),))
    assert cpu_eager.stays(w, replace(MACHINE, units=units), theta(unrolled=20)) == stays


def test_a_stride_takes_a_1x1_convolution_out_of_the_callers_layout() -> None:
    p = Product(1, 8, 100, 8, height=10, width=10)
    machine = replace(MACHINE, units=1)
    dense, strided = (workload("pointwise", p, reads=(Moved(4 * 800 * n, 1),)) for n in (1, 4))
    q = theta(unrolled=20)
    assert (cpu_eager.stays(dense, machine, q), cpu_eager.stays(strided, machine, q)) == (1, 0)


def test_windows_are_unrolled_and_groups_joined() -> None:
    q = theta(product_call=3.0, pack=0.0, fill=0.0, row=7.0, gemm=0.5)
    machine = replace(MACHINE, units=1)
    tensors = {"reads": (Moved(100, 1),), "writes": Moved(60, 1)}
    p = Product(2, 4, 20, 18, height=4, width=5, taps=9)
    found = cpu_eager.plain(workload("grouped", p, **tensors), machine, q)
    unrolled = 2 * 20 * 18
    assert found.calls == 3.0
    assert found.repeats == 3.0
    assert found.copied == 2 * unrolled * 4 + 160
    # Twenty pixels are five vectors, the second tile of which is whole: six.
    work = 2 * 20 * 4 * 18
    assert found.compute == pytest.approx(work / 500 + unrolled / 5 * 7.0)
    plain = cpu_eager.plain(
        workload("pointwise", replace(p, batch=1, taps=1), **tensors), machine, q
    )
    assert (plain.copied, plain.repeats) == (0, 0)


def test_a_batch_of_products_is_one_call() -> None:
    q = theta(product_call=3.0, pack=0.0, fill=0.0, gemm=0.5, matmul=0.25)
    found = cpu_eager.plain(workload("matmul", Product(6, 4, 8, 10)), replace(MACHINE, units=1), q)
    assert (found.calls, found.repeats, found.copied) == (1, 0, 0)
    assert found.compute == 6 * 4 * 8 * 10 / (1e3 * 0.5 * 0.25)


def test_a_single_column_is_computed_by_outputs_row_by_row() -> None:
    q = theta(pack=0.0, fill=0.0, row=1.0)
    machine = replace(MACHINE, units=1)
    found = cpu_eager.plain(workload("matmul", Product(1, 12, 1, 10)), machine, q)
    assert found.compute == 120 / 1e3 + 12
    found = cpu_eager.plain(workload("linear", Product(1, 12, 4, 10)), machine, q)
    assert found.compute == 480 / 1e3


def test_a_causal_mask_spares_whole_blocks_of_keys() -> None:
    q = theta(fill=0.0)

    def seconds(length: int) -> float:
        pair = length * (length + 1) / 2
        scores = Product(2, length, length, 64, needed=2 * pair * 64)
        mix = Product(2, length, 64, length, needed=2 * pair * 64)
        w = workload("attention", scores, mix, multiply_adds=4 * pair * 64)
        return float(cpu_products.attention(w, MACHINE, q)) * 1e3

    assert seconds(512) == 2 * 2 * 512 * 512 * 64
    assert seconds(4096) == 4 * 64 * 4096 * 4097 / 2 + 2 * 4096 * 128 * 512 / 2


def test_further_steps_of_a_recurrent_layer_read_its_weights_again() -> None:
    w = workload("recurrent", Product(1, 4, 1, 10, times=6), Product(2, 4, 1, 5, times=3))
    read, spilled = cpu._read_again(w, MACHINE, theta())
    assert (read, spilled) == (5 * 160 + 2 * 160, 0)
    read, spilled = cpu._read_again(w, replace(MACHINE, cache=160), theta())
    assert (read, spilled) == (1120, 560)
    int8 = replace(w, dtype="int8")
    assert cpu._read_again(int8, MACHINE, theta())[0] == 280
    assert cpu._read_again(replace(w, kind="linear"), MACHINE, theta()) == (0, 0)


def test_steps_that_follow_at_once_cost_a_warm_call() -> None:
    w = workload("recurrent", Product(1, 4, 1, 10, times=6), Product(1, 4, 1, 5, times=3))
    found = cpu._own_layout(w, 2.0, cpu.FORMS["recurrent"], MACHINE, theta())
    assert (found.calls, found.repeats) == (2.0, 2.0 * 8)


def test_operators_fused_behind_go_over_the_output() -> None:
    q = theta(pass_traffic=0.5, near_bandwidth=30.0)
    w = workload("elementwise", writes=Moved(100, 1))
    once, three = (cpu.terms(replace(w, passes=n), MACHINE, q).passes for n in (1, 3))
    assert (once, three) == pytest.approx((0.5 * 100 / 1000, 1.5 * 100 / 1000))


def test_a_cold_call_costs_its_code_and_its_data() -> None:
    machine = replace(MACHINE, cache=100.0, private_cache=10.0)
    q = theta(cold_call=3.0)
    far, near = 1000.0, 0.0
    found = [cpu.cold(machine, q, d, s) for d in (near, far) for s in (near, far)]
    assert found == [1.0, 2.0, 2.0, 3.0]
    assert cpu.cold(replace(machine, private_cache=0), q, near, 100.0) == 1 + 2 * 0.5 / 2
    # Eager PyTorch runs more code at a call, and calls it cold in networks that fit a core's cache.
    eager = replace(machine, algorithms=frozenset(["plain"]))
    assert [cpu.cold(m, q, near, 2.5) for m in (machine, eager)] == [1.0, 1.5]


def test_lanes_take_operations_exponentials_and_pieces() -> None:
    q = theta(special=9.0, vector=0.5, row=6.0)
    w = workload("softmax", elementwise=100, special=10, pieces=4)
    assert cpu._lanes(w, MACHINE, q) == (100 + 90) / 50 + 4 * 6.0 / 3


def test_windows_have_a_start_and_an_end() -> None:
    q = theta(fill=3.0, pool=0.5, max_pool=0.25)
    w = workload("pool", elementwise=90, writes=Moved(40, 1))
    assert cpu._windows(w, MACHINE, q) == (90 + 30) / 50
    assert cpu._largest(w, MACHINE, q) == (90 + 30) / 25


def test_traffic_goes_through_every_level() -> None:
    q = theta(near_bandwidth=30.0, shared_bandwidth=20.0, far_bandwidth=5.0)
    w = workload("copy", reads=(Moved(600, 1000),), writes=Moved(400, 40), weights=Moved(10, 1000))
    machine = replace(MACHINE, cache=100.0)
    # From memory comes all that the cache misses: 610 of the reads; the write is near.
    none = Way(0)
    assert cpu._memory(w, machine, q, none) == 1010 / 1000 + 610 / 15
    assert cpu._memory(w, machine, q, Way(0, spilled=30)) == 1010 / 1000 + 640 / 15
    # A write that misses reads the line first.
    far = replace(w, writes=Moved(400, 1000))
    assert cpu._memory(far, machine, q, none) == 1010 / 1000 + 1410 / 15
    # The cache that cores share delivers at the same time as their own.
    shared = replace(machine, private_cache=20.0)
    assert cpu._memory(w, shared, q, none) == 1010 / 60 + 610 / 15
    streamed = Way(0, spilled=15, shared=60)
    assert cpu._memory(w, shared, q, streamed) == pytest.approx(1010 / 60 + 1 + 610 / 15 + 1)
    # It runs at the clock of the cores: bytes per cycle, not per second.
    q["near_bandwidth"] = 1e9
    slow, fast = (cpu._memory(w, replace(shared, clock=c), q, none) - 610 / 15 for c in (1.0, 2.0))
    assert fast == pytest.approx(slow / 2)
    q["near_bandwidth"] = 30.0
    # The interface of the chip is the limit.
    assert cpu._memory(w, replace(machine, bandwidth=3.0), q, none) == 1010 / 1000 + 610 / 3


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_multiply_adds_beside_stalled_loads_run_at_a_share(dtype: str) -> None:
    w = workload("pointwise", Product(1, 8, 8, 16), dtype=dtype)
    stalled = replace(MACHINE, loads_stall=True)
    q = theta(in_order=0.5, integer=0.3)
    free, slow = (peak(w, machine, q) for machine in (MACHINE, stalled))
    assert slow == 0.5 * free
    assert free == (1e3 if dtype == "float32" else pytest.approx(300))
