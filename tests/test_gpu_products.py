"""Products on tensor cores: alignment, tiles, splits, and time that grows with the batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import costmodel as cm
from costmodel.kernels import lower
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.timing.gpu_products import alignment
from costmodel.timing.network import kernel_terms
from costmodel.timing.reuse import workloads

V100, A100, H100 = (
    load_platform(f"{name}/torch-eager", calibrated=False)
    for name in ("v100-sxm2-16gb", "a100-sxm-80gb", "h100-sxm")
)


OTHERS = [
    load_platform(name, calibrated=False)
    for name in (
        "t4/torch-eager",
        "rtx-4090/torch-compile",
        "h200/cuda-graphs?layout=nhwc",
        "rtx-pro-6000/cuda-graphs",
    )
]


def device_seconds(platform: cm.Platform, spec: str) -> float:
    """Return the time of one operator on the device, which does not wait for its host."""
    (w,) = workloads(lower(cm.network(spec), platform.runtime))
    theta = {**platform.fitted.theta, "lead": 0.0}
    found = kernel_terms(w, machine_for(platform, w.dtype), theta)
    return float(found.seconds)


def linear(platform: cm.Platform, n: int, k: int, m: int, dtype: str) -> float:
    return device_seconds(platform, f"linear?n={n}&cin={k}&cout={m}&bias=false&dtype={dtype}")


@pytest.mark.parametrize("platform", [V100, A100, H100], ids=["V100", "A100", "H100"])
def test_1023_is_not_1024_on_tensor_cores(platform: cm.Platform) -> None:
    of = {k: linear(platform, 4096, k, 4096, "float16") for k in (1016, 1020, 1022, 1023, 1024)}
    assert of[1016] <= of[1024] < of[1020] <= of[1022] < of[1023]
    # Measured: 3.2 and 6 times on an H200, whose copy engine needs 16 bytes.
    low, high = (4, 6.5) if platform is H100 else (1.5, 3)
    assert low * of[1024] < of[1023] < high * of[1024]
    # Rows of the result are aligned or not, too; the number of rows does not matter.
    assert linear(platform, 4096, 1024, 4097, "float16") > 1.3 * of[1024]
    assert linear(platform, 4095, 1024, 4096, "float16") == pytest.approx(of[1024], rel=1e-3)


def test_rows_of_bytes_are_aligned_at_16_elements() -> None:
    machine = machine_for(H100, "int8")
    speeds = [alignment("int8", machine, {"unaligned": 0.5}, (k,)) for k in (16, 8, 4, 2, 1)]
    assert speeds == pytest.approx([1, 0.33, 0.33, 0.165, 0.165])


def test_all_rows_of_a_product_count_once() -> None:
    machine = machine_for(H100, "float16")
    for rows in ((1023, 511), (1023, 512)):
        assert alignment("float16", machine, {"unaligned": 0.5}, rows) == pytest.approx(0.165)


@pytest.mark.parametrize(
    ("name", "dtype", "tensor"),
    [
        ("gtx-1080", "float16", False),
        ("gtx-1080", "int8", False),
        ("titan-v", "float16", True),
        ("titan-v", "int8", False),
        ("rtx-3080", "float16", True),
        ("rtx-3080", "float32", False),
        ("a40", "tf32", True),
        ("b200", "float8", True),
        ("b300", "int8", False),
    ],
)
def test_which_dtypes_run_on_tensor_cores(name: str, dtype: str, tensor: bool) -> None:
    platform = load_platform(f"{name}/torch-eager", calibrated=False)
    assert machine_for(platform, dtype).tensor is tensor


def test_power_limits_large_products_of_a_measured_board_alone() -> None:
    h200 = load_platform("h200/torch-eager", calibrated=False)
    machine = machine_for(h200, "bfloat16")
    assert 2 * machine.sustained == 735e12 < 2 * machine.multiply_adds
    endless = replace(machine, sustained=1e30)
    theta = {**h200.fitted.theta, "power": 1.0}

    def slower(n: int, size: int) -> float:
        spec = f"linear?n={n}&cin={size}&cout={size}&bias=false&dtype=bfloat16"
        (w,) = workloads(lower(cm.network(spec), h200.runtime))
        real, free = (float(kernel_terms(w, m, theta).compute) for m in (machine, endless))
        return real / free

    assert slower(8192, 8192) > 1.15
    assert slower(256, 1024) == 1.0
    # No measurement of float32: its lanes draw less than the board has.
    single = machine_for(h200, "float32")
    assert single.sustained > single.multiply_adds


def test_streaming_has_a_floor_a_rate_of_the_cache_and_a_rate_of_memory() -> None:
    """On a chip with a large cache: RTX PRO 6000, 128 MiB, measured 8.3 and 1.5 TB/s."""
    platform = load_platform("rtx-pro-6000/torch-eager", calibrated=False)
    theta = platform.fitted.theta

    def seconds(mib: int) -> float:
        spec = f"elementwise?kind=relu&shape={mib * 2**18}&dtype=float16"  # read and written
        return device_seconds(platform, spec) - theta["launch"]

    assert device_seconds(platform, "elementwise?kind=relu&shape=8") == pytest.approx(
        theta["launch"], rel=1e-3
    )
    near, far = (mib * 2**20 / seconds(mib) for mib in (48, 1024))
    assert near == pytest.approx(32 * 188 * 2.430e9 * theta["cache"], rel=0.01)
    assert far == pytest.approx(1597e9 * theta["dram"] * 1.05, rel=0.01)
    assert 4 < near / far < 8


@pytest.mark.parametrize(
    ("name", "dtype", "operands"),
    [
        ("a100-sxm-80gb", "bfloat16", 1.0),
        ("a100-sxm-80gb", "tf32", 1.0),
        ("h100-sxm", "float16", 1.85),
        ("rtx-pro-6000", "float16", 0.5),
        ("rtx-3090", "float16", 0.25),
        ("rtx-4090", "float16", 0.25),
    ],
)
def test_slow_tensor_cores_wait_less_for_operands(name: str, dtype: str, operands: float) -> None:
    machine = machine_for(load_platform(f"{name}/torch-eager", calibrated=False), dtype)
    assert machine.operands == pytest.approx(operands, rel=0.03)


def test_a_tile_of_slow_tensor_cores_starts_and_ends_in_fewer_steps() -> None:
    """With cores of a quarter of the rate, a product takes less than four times as long."""
    machine = machine_for(A100, "float16")
    slow = replace(machine, multiply_adds=machine.multiply_adds / 4, operands=0.25, sustained=1e30)
    (w,) = workloads(lower(cm.network("linear?n=8192&cin=256&cout=8192&bias=false"), A100.runtime))
    fast, slower = (
        float(kernel_terms(w, m, A100.fitted.theta).compute)
        for m in (replace(machine, sustained=1e30), slow)
    )
    assert 2.5 * fast < slower < 3.6 * fast


def test_operands_of_products_stream_from_ampere_on() -> None:
    for name, share in (("v100-sxm2-16gb", 0.66), ("a100-sxm-80gb", 0.66 * 1.4)):
        platform = load_platform(f"{name}/torch-eager", calibrated=False)
        wide = "linear?n=8&cin=16384&cout=16384&bias=false&dtype=float16"
        size, stream = 2 * 16384**2, "elementwise?kind=relu&shape=268435456&dtype=float16"
        rate = size / device_seconds(platform, wide)
        assert rate == pytest.approx(share * 2**30 / device_seconds(platform, stream), rel=0.08)


def test_boards_with_gpu_boost_run_above_the_clock_of_their_sheet() -> None:
    rtx = machine_for(load_platform("rtx-4090/torch-eager", calibrated=False), "float16")
    assert 2 * rtx.multiply_adds == pytest.approx(165.2e12 * 2730 / 2520, rel=1e-3)
    assert rtx.clock == 2730e6
    assert rtx.ceiling >= rtx.multiply_adds
    assert cm.peak("rtx-4090", "float16").value == pytest.approx(165.2e12)


def test_long_rows_outrun_a_small_cache_on_pascal_alone() -> None:
    p100, v100 = (
        load_platform(f"{name}/torch-eager", calibrated=False)
        for name in ("p100-pcie-16gb", "v100-pcie-16gb")
    )

    def rate(platform: cm.Platform, k: int) -> float:
        return k / linear(platform, 8192, k, 4096, "float32")

    # As measured (NeuSight): 6.3 TFLOP/s up to k = 8,000, 2.3 from 30,000 on.
    assert rate(p100, 6000) == pytest.approx(rate(p100, 3000), rel=0.05)
    assert rate(p100, 30000) < 0.8 * rate(p100, 6000)
    assert rate(p100, 60000) < 0.5 * rate(p100, 6000)
    assert rate(v100, 60000) == pytest.approx(rate(v100, 6000), rel=0.05)


def test_a_long_reduction_of_few_outputs_pays_for_its_split() -> None:
    theta = A100.fitted.theta
    few, many = (
        linear(A100, n, 8192, 64, "bfloat16") - theta["launch"] * theta["linear_call"]
        for n in (64, 64 * 108)
    )
    # One tile would take 8192 steps on one multiprocessor: it is split, and that costs a call.
    assert theta["split_call"] < few < 2.5 * theta["split_call"]
    assert many > few


@settings(max_examples=150)
@given(
    platform=st.sampled_from([V100, A100, H100]),
    dtype=st.sampled_from(["float32", "float16"]),
    rows=st.integers(1, 5000),
    more=st.integers(1, 3000),
    k=st.integers(1, 9000),
    m=st.integers(1, 9000),
)
def test_more_tokens_never_take_less_time(
    platform: cm.Platform, dtype: str, rows: int, more: int, k: int, m: int
) -> None:
    few, many = (linear(platform, n, k, m, dtype) for n in (rows, rows + more))
    assert many >= few * (1 - 1e-9)


@settings(max_examples=200)
@given(
    platform=st.sampled_from([V100, A100, H100, *OTHERS]),
    dtype=st.sampled_from(["float32", "float16", "tf32"]),
    spec=st.sampled_from(
        [
            "conv2d?n={}&cin=64&size=28&cout=96&k=3",
            "conv2d?n={}&cin=256&size=7&cout=512&k=1",
            "conv2d?n={}&cin=256&size=14&cout=256&k=3&groups=32",
            "depthwise?n={}&c=72&size=14",
            "bmm?b={}&m=200&k=64&n=136",
            "elementwise?kind=relu&shape={}x4097",
            "softmax?shape={}x1000",
            "layer_norm?shape={}x768",
            "attention?n={}&heads=12&length=197&depth=64",
        ]
    ),
    batch=st.integers(1, 700),
    more=st.integers(1, 300),
)
def test_a_larger_batch_never_takes_less_time(
    platform: cm.Platform, dtype: str, spec: str, batch: int, more: int
) -> None:
    few, many = (
        device_seconds(platform, f"{spec.format(n)}&dtype={dtype}") for n in (batch, batch + more)
    )
    assert many >= few * (1 - 1e-9)


@pytest.mark.parametrize("device", ["rtx-3090", "rtx-4090", "h100-sxm", "t4"])
def test_convolutions_of_few_channels_have_tiles_of_their_own(device: str) -> None:
    """Groups of 8 channels fill a quarter of 32 rows, an eighth of 64; products have no such."""
    platform = load_platform(f"{device}/torch-compile", calibrated=False)
    generation = machine_for(platform, "float16").generation
    assert (32, 128) in generation.tensor_convolution
    assert (32, 128) not in generation.tensor
    few, more = (
        device_seconds(platform, f"conv2d?n=64&cin=256&size=28&cout={c}&k=3&groups=8&dtype=float16")
        for c in (8 * 32, 8 * 64)
    )
    assert few < 0.75 * more


def test_volta_has_no_narrow_tiles() -> None:
    volta = machine_for(load_platform("v100-sxm2-16gb/torch-eager"), "float16").generation
    assert volta.tensor_convolution == volta.tensor
