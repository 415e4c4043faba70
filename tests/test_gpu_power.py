"""Products on the lanes of a GPU: odd rows, the power limit of a board, waiting for a host."""

from __future__ import annotations

from dataclasses import replace

import pytest

import costmodel as cm
from costmodel.kernels import Product, lower
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.timing.gpu_products import tiled
from costmodel.timing.machine import Machine
from costmodel.timing.network import kernel_terms
from costmodel.timing.reuse import workloads
from costmodel.timing.terms import Terms
from costmodel.timing.tiles import Tile
from costmodel.timing.workload import Workload

T4, V100 = (
    load_platform(f"{name}/torch-eager", calibrated=False) for name in ("t4", "v100-pcie-32gb")
)
Q = dict(T4.fitted.theta)


def work(spec: str) -> Workload:
    (found,) = workloads(lower(cm.network(spec), T4.runtime))
    return found


def terms(w: Workload, platform: cm.Platform = T4, **changes: float) -> Terms:
    theta = {**platform.fitted.theta, **changes}
    return kernel_terms(w, machine_for(platform, w.dtype), theta)


def linear(k: int, n: int = 4096, m: int = 4096) -> Workload:
    return work(f"linear?n={n}&cin={k}&cout={m}&bias=false")


# Rows that do not begin at sectors of a cache.


def test_rows_off_the_sectors_of_a_cache_are_slower_on_lanes() -> None:
    time = {k: float(terms(linear(k)).compute) for k in (1016, 1018, 1020, 1023, 1024)}
    assert time[1016] < time[1024] < time[1018] < time[1020] < time[1023]
    fill = Q["fill"]
    # A T4 has half of the path of a V100 for as many lanes, so that odd rows cost it twice as much.
    for platform, feed in ((V100, 1), (T4, 2)):
        more = 1 + platform.fitted.theta["odd_rows"] * feed
        free = {"power": 3.0, "burst": 1e-9, "ramp": 10.0}
        odd, even = (float(terms(linear(k), platform, **free).compute) for k in (1023, 1024))
        assert odd / even == pytest.approx((1023 * more + fill) / (1024 + fill), rel=1e-3)


def test_rows_of_the_result_and_their_number_do_not_matter() -> None:
    even = float(terms(linear(1024)).compute)
    assert float(terms(linear(1024, n=4095)).compute) == pytest.approx(even, rel=1e-3)
    assert float(terms(linear(1024, m=4095)).compute) == pytest.approx(even, rel=1e-3)


def test_convolutions_have_no_odd_rows() -> None:
    w = work("conv2d?n=16&cin=63&size=28&cout=64&k=3")
    assert terms(w, odd_rows=0.9).compute == terms(w).compute


# The power limit.


def machine(sustained: float) -> Machine:
    return replace(machine_for(T4, "float32"), sustained=sustained)


def spent(p: Product, tile: Tile, where: Machine, **changes: float) -> float:
    return float(tiled(p, where, {**Q, **changes}, 1, (tile,), (1,)))


@pytest.mark.parametrize(("side", "intensity"), [(64, 32), (32, 16)])
def test_small_tiles_need_more_energy(side: int, intensity: float) -> None:
    """A product of few rows takes the small tile, at its energy; one of many the large tile."""
    weak, q = machine(1e9), {**Q, "power": 1.0, "burst": 1e-9, "power_tile": 30.0}
    tiles = ((128, 128), (side, side))
    for rows, energy in ((8192, 1), (side, (1 + 30 / intensity) / (1 + 30 / 64))):
        found = tiled(Product(1, rows, 8192, 4096), weak, q, 1, tiles, (1,))
        assert found == pytest.approx(rows * 8192 * (4096 + Q["fill"]) * energy / 1e9, rel=1e-5)


def test_without_a_limit_power_plays_no_part() -> None:
    p, strong = Product(1, 8192, 8192, 4096), machine(1e15)
    for change in ({"power_tile": 100.0}, {"burst": 1e-2}, {"power": 2.0}):
        assert spent(p, (128, 128), strong, **change) == spent(p, (128, 128), strong)


def test_a_board_exceeds_its_limit_for_a_moment() -> None:
    """Short products run at the clock of the device, long ones save the same time at any length."""
    where = machine_for(T4, "float32")
    limit = where.sustained * Q["power"]
    saved = 3e-4 * (where.multiply_adds / limit - 1)
    late = {
        size: [
            spent(Product(1, size, size, size), (128, 128), where, burst=b) for b in (1e-9, 3e-4)
        ]
        for size in (512, 4096, 16384)
    }
    short, long, longest = late[512], late[4096], late[16384]
    unlimited = spent(Product(1, 512, 512, 512), (128, 128), machine(1e15))
    assert short[1] == pytest.approx(unlimited)
    for slow, fast in (long, longest):
        assert slow - fast == pytest.approx(saved, rel=1e-3)


def test_kernels_of_a_network_share_the_moment() -> None:
    w = linear(4096)
    ten = replace(w, among=10)
    gained = [float(terms(x, burst=1e-9).compute - terms(x).compute) for x in (w, ten)]
    assert gained[0] == pytest.approx(10 * gained[1], rel=1e-3)


# The host.


def test_a_device_waits_for_the_first_dispatch() -> None:
    w = work("elementwise?kind=relu&shape=4096x4096")
    host = float(terms(w).host)
    for lead in (0.25, 0.75):
        late, early = (float(terms(w, lead=x).launch) for x in (lead, 0.0))
        assert late - early == pytest.approx(lead * host)
        late, early = (float(terms(replace(w, among=20), lead=x).launch) for x in (lead, 0.0))
        assert late - early == pytest.approx(lead * host / 20)


def test_an_engine_without_a_host_ahead_waits_for_none() -> None:
    paper = load_platform("gtx-1080-ti/paper", calibrated=False)
    (w,) = workloads(lower(cm.network("elementwise?kind=relu&shape=64x64"), paper.runtime))
    assert terms(w, paper, lead=0.9).model == terms(w, paper).model


def test_a_network_waits_once() -> None:
    """Ten kernels in a row wait as long as one does."""
    one, ten = (
        workloads(lower(cm.network(spec), T4.runtime))
        for spec in ("elementwise?kind=relu&shape=64x64", "resnet18")
    )
    waits = [
        sum(float(terms(w).launch - terms(w, lead=0.0).launch) for w in ws) for ws in (one, ten)
    ]
    hosts = [sum(float(terms(w).host) for w in ws) / len(ws) for ws in (one, ten)]
    for wait, host in zip(waits, hosts, strict=True):
        assert wait == pytest.approx(Q["lead"] * host)


def test_a_layer_normalization_returns_more_than_its_result() -> None:
    norm, softmax = (float(terms(work(f"{k}?shape=64x64")).host) for k in ("layer_norm", "softmax"))
    assert norm == pytest.approx(Q["norm_outputs"] * softmax)
    # Measured: 1.43 and 1.42 times as long on a V100 and a T4 (NeuSight), with what all take.
    assert 1.3 < norm / softmax < 1.6


# What is left for arithmetic, and what it moves.


def test_a_small_board_has_less_than_its_share_of_the_watts_for_arithmetic() -> None:
    small, large = (machine_for(where, "float32").sustained for where in (T4, V100))
    per_watt = {"t4": small / 70, "v100": large / 250}
    assert per_watt["t4"] / per_watt["v100"] == pytest.approx(60 / 70 * 250 / 240)


@pytest.mark.parametrize(("taps", "saved"), [(1, 1.0), (9, 1 / 64 / (1 / 128 + 1 / 1152))])
def test_a_window_moves_fewer_operands_at_the_power_limit(taps: int, saved: float) -> None:
    """Each tap reads its input from near, so that the intensity of its tile is higher."""
    weak = machine(machine_for(T4, "float32").multiply_adds / 10)
    free = {"burst": 1e-9, "ramp": 10.0}
    time = spent(Product(1, 4096, 4096, 1152, taps=taps), (128, 128), weak, **free)
    one = spent(Product(1, 4096, 4096, 1152), (128, 128), weak, **free)
    u, half = 64.0, Q["power_tile"]
    assert time / one == pytest.approx((1 + half / (u * saved)) / (1 + half / u))


# The memory of a board.


def test_streams_reach_what_was_seen_on_the_board() -> None:
    """A Volta has a better memory controller than a Pascal, and a T4 wastes a quarter."""
    w = work("elementwise?kind=add&shape=8192x8192")
    free = {"launch": 1e-9, "fixed": 1e-9, "host": 1e-9}
    share = {}
    for name in ("v100-pcie-32gb", "p100-pcie-16gb", "t4"):
        where = load_platform(f"{name}/torch-eager", calibrated=False)
        seconds = float(terms(w, where, **free).memory)
        share[name] = w.bytes / seconds / float(where.hardware.dram.bandwidth or 0)
    middle = T4.fitted.theta["dram"] / 0.83
    assert share["v100-pcie-32gb"] == pytest.approx(850 / 900 * middle)
    assert share["p100-pcie-16gb"] == pytest.approx(570 / 732 * middle)
    assert share["t4"] == pytest.approx(245 / 320 * middle)


def test_a_board_without_a_measured_stream_has_that_of_its_generation() -> None:
    where = machine_for(load_platform("a100-sxm-80gb/torch-eager", calibrated=False), "float32")
    assert where.stream == where.generation.stream


# cuBLAS and cuBLASLt.


def test_linear_layers_of_pytorch_are_slower_on_pascal_than_those_of_cublas() -> None:
    """NeuSight on a P100: 0.70 of the peak in linear layers, 0.91 in batched products."""
    q = {**Q, "power": 3.0}
    rate = {}
    for name in ("p100-pcie-16gb", "v100-pcie-32gb"):
        for runtime in ("torch-eager", "cuda-library"):
            where = load_platform(f"{name}/{runtime}", calibrated=False)
            seconds = float(kernel_terms(linear(2048), machine_for(where, "float32"), q).compute)
            rate[name, runtime] = 4096 * 4096 * 2048 / seconds
    ratio = rate["p100-pcie-16gb", "torch-eager"] / rate["p100-pcie-16gb", "cuda-library"]
    assert ratio == pytest.approx(0.70 / 0.91, abs=0.05)
    assert rate["v100-pcie-32gb", "torch-eager"] == rate["v100-pcie-32gb", "cuda-library"]


def test_what_belongs_to_a_library_is_the_same_under_every_runtime() -> None:
    names = ("gemm", "half_tile", "tensor_half_tile", "fill", "ramp", "direct", "winograd")
    names = (*names, "winograd_batched", "dram", "tile_dram", "serial")
    runtimes = ("torch-eager", "torch-compile", "cuda-graphs", "cuda-library")
    found = {
        tuple(load_platform(f"h100-sxm/{r}", calibrated=False).fitted.theta[n] for n in names)
        for r in runtimes
    }
    assert len(found) == 1
