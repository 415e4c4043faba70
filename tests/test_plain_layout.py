"""Eager PyTorch on a CPU: images in the layout of the caller, or copied into blocks."""

from __future__ import annotations

import pytest

import costmodel as cm
from costmodel.kernels.lowering import lower
from costmodel.platforms import Platform
from costmodel.platforms.machine import machine_for
from costmodel.timing import cpu, cpu_eager, cpu_products
from costmodel.timing.cpu_eager import caller_layout
from costmodel.timing.cpu_ways import Way
from costmodel.timing.reuse import workloads
from costmodel.timing.terms import Terms
from costmodel.timing.workload import Moved, Workload

ONE = cm.load_platform("xeon-gold-6240/torch-eager", calibrated=False)
TWO = cm.load_platform("xeon-gold-6240/torch-eager?threads=2", calibrated=False)
Q = ONE.fitted.theta


def kernel(spec: str, between: int = 0) -> Workload:
    (found,) = workloads(lower(cm.network(spec), ONE.runtime), between)
    return found


def carried(spec: str, where: Platform = ONE) -> Way:
    found = caller_layout(kernel(spec), machine_for(where, "float32"), where.fitted.theta)
    assert found is not None
    return found


def time(w: Workload) -> Terms:
    return cpu.terms(w, machine_for(ONE, "float32"), Q)


# Batch, channels in and out, size, window, stride, groups.
CONVOLUTIONS = [
    (1, 64, 64, 56, 1, 1, 1),
    (1, 64, 64, 56, 1, 2, 1),  # leaves pixels out
    (1, 64, 64, 14, 1, 2, 1),  # small
    (15, 64, 64, 14, 1, 1, 1),
    (16, 64, 64, 14, 1, 1, 1),  # a large batch
    (2, 16, 16, 14, 1, 1, 1),
    (1, 20, 8, 32, 3, 1, 1),  # 20480 elements
    (1, 21, 8, 32, 3, 1, 1),
    (1, 8, 8, 14, 3, 2, 1),
    (2, 4, 8, 32, 3, 1, 1),  # two images
    (1, 20, 8, 32, 5, 1, 1),  # a large window
    (1, 16, 16, 14, 3, 1, 2),
    (1, 64, 64, 14, 1, 1, 4),
    (1, 64, 64, 14, 1, 2, 4),
    (1, 8, 8, 7, 3, 1, 8),  # depthwise
]


# By the operators that a trace shows.
LIBRARIES = {
    "aten::_slow_conv2d_forward": "product_call",
    "aten::mkldnn_convolution": "window_call",
}


def picked(sizes: tuple[int, ...]) -> str:
    """Run a convolution in torch and return the parameter of the library that carried it out."""
    torch = pytest.importorskip("torch")
    n, cin, cout, size, k, stride, groups = sizes
    x, weight = torch.ones(n, cin, size, size), torch.ones(cout, cin // groups, k, k)
    only = [torch.profiler.ProfilerActivity.CPU]
    with torch.inference_mode(), torch.profiler.profile(activities=only) as trace:
        torch.nn.functional.conv2d(x, weight, None, stride, k // 2, 1, groups)
    (found,) = LIBRARIES.keys() & {event.key for event in trace.key_averages()}
    return LIBRARIES[found]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("sizes", CONVOLUTIONS, ids=str)
def test_the_library_is_the_one_that_torch_picks(sizes: tuple[int, ...], threads: int) -> None:
    torch = pytest.importorskip("torch")
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this build of torch has no oneDNN to pick")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        wanted = picked(sizes)
    finally:
        torch.set_num_threads(before)
    n, cin, cout, size, k, stride, groups = sizes
    spec = f"n={n}&cin={cin}&cout={cout}&size={size}&k={k}&stride={stride}&groups={groups}"
    found = carried(f"conv2d?{spec}", ONE if threads == 1 else TWO)
    assert found.calls == Q[wanted]


def test_groups_of_1x1_are_products_one_after_the_other() -> None:
    grouped = carried("conv2d?cin=64&cout=64&size=14&k=1&groups=4")
    assert (grouped.calls, grouped.repeats) == (Q["product_call"], 3 * Q["product_call"])
    assert grouped.copied == 2 * 64 * 14**2 * 4  # joined by a copy


def test_pixels_fill_vectors() -> None:
    assert machine_for(ONE, "float32").lanes == 16
    seven, eight, nine = (
        carried(f"conv2d?cin=512&cout=4096&size={s}&k=1").compute for s in (7, 8, 9)
    )
    assert seven == pytest.approx(eight, rel=0.01)  # 49 pixels take the lanes of 64
    # 81 pixels take those of 96. Weights are packed once, however many pixels there are, so that
    # nine is less than 96 / 64 times eight by as much as packing costs.
    expected = [
        lanes * 4096 * (512 + Q["fill"]) + Q["pack"] * (pixels + 4096) * 512
        for lanes, pixels in ((64, 64), (96, 81))
    ]
    assert nine / eight == pytest.approx(expected[1] / expected[0])


def test_an_unrolled_window_is_written_and_read_once_more() -> None:
    found = carried("conv2d?cin=16&cout=16&size=32&k=3")
    assert found.copied == 2 * 16 * 9 * 32**2 * 4


def test_what_is_used_once_is_not_packed() -> None:
    vector = carried("linear?n=1&cin=1024&cout=1024").compute
    matrix = carried("linear?n=16&cin=1024&cout=1024").compute
    assert matrix > 9 * vector
    # Packing the weights costs less and less for each row.
    many = carried("linear?n=512&cin=1024&cout=1024").compute
    assert many < 512 / 16 * matrix


def test_channels_that_fill_no_blocks_are_moved_more_slowly() -> None:
    full, odd = (carried(f"depthwise?c={c}&size=28") for c in (64, 63))
    weights = 64 * 9 * 4
    assert full.copied == pytest.approx(Q["reorder"] * (2 * 64 * 28**2 * 4 + weights))
    image = 63 * 28**2 * 4
    slow = Q["reorder"] * (2 * (1 + Q["tail"]) * image + weights * 63 / 64)
    assert odd.copied == pytest.approx(slow)


def test_images_of_few_channels_are_read_as_they_lie() -> None:
    three, five = (carried(f"conv2d?cin={c}&cout=32&size=224&k=3") for c in (3, 5))
    assert five.copied - three.copied > 0.9 * Q["reorder"] * 5 * 224**2 * 4


def test_a_causal_mask_leaves_out_whole_blocks_only() -> None:
    def compute(length: int, causal: bool) -> float:
        spec = f"attention?heads=8&length={length}&depth=64&causal={causal}".lower()
        return float(cpu_products.attention(kernel(spec), machine_for(ONE, "float32"), Q))

    assert compute(512, True) == compute(512, False)
    assert 0.5 < compute(4096, True) / compute(4096, False) < 0.62


def test_an_operator_among_others() -> None:
    spec = "conv2d?cin=64&cout=64&size=56&k=1"
    alone, among = kernel(spec), kernel(spec, between=10**8)
    assert among.weights.distance == alone.weights.distance + 10**8
    # Its inputs were made just before, its outputs lie where memory was freed last.
    assert among.reads == (Moved(alone.reads[0].bytes, alone.bytes),)
    assert among.writes == alone.writes
    assert time(among).launch == pytest.approx(Q["cold_call"] * time(alone).launch)


def test_others_leave_a_share_of_the_shared_cache() -> None:
    w = kernel("linear?n=1&cin=1024&cout=1024", between=2 * 10**7)
    machine = machine_for(ONE, "float32")
    mine, shared = (cpu.terms(w, machine, {**Q, "cache_share": s}).memory for s in (1.0, 0.2))
    assert 10**7 < machine.cache < 4 * 10**7
    assert shared - mine == pytest.approx(
        (w.weights.bytes - w.weights.missed(machine.cache)) / Q["far_bandwidth"], rel=0.01
    )


def test_copies_in_blocks_that_the_cache_does_not_hold_come_from_memory() -> None:
    small, large = (carried(f"depthwise?c=256&size={s}") for s in (28, 224))
    assert small.spilled == 0
    assert large.spilled == pytest.approx(2 * 256 * 224**2 * 4)


@pytest.mark.parametrize(
    ("spec", "plain"),
    [
        ("conv2d?cin=64&cout=64&size=14&k=1&groups=4", True),  # joined by a copy, calls repeated
        ("conv2d?cin=16&cout=16&size=32&k=3", True),  # unrolled
        ("conv2d?cin=64&cout=64&size=448&k=1", True),
        ("conv2d?cin=64&cout=64&size=448&k=5", False),  # larger than the cache
        ("conv2d?cin=64&cout=64&size=448&k=3&groups=2", False),
    ],
)
def test_one_library_is_taken_whole(spec: str, plain: bool) -> None:
    w, machine = kernel(spec), machine_for(ONE, "float32")
    ways = [cpu_eager.plain(w, machine, Q), cpu_eager._blocked(w, machine, Q)]
    assert carried(spec) == ways[not plain]
    assert ways[0] != ways[1]
    assert (ways[0].spilled, ways[1].spilled > 0) == (0, "size=448" in spec)
