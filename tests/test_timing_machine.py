"""What a calibration file holds, and the facts that the time formulas take from a platform."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costmodel.errors import DataError
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.timing.fitted import Fitted, from_toml, to_toml, with_values
from costmodel.timing.parameters import Parameter

GPU = load_platform("t4/torch-eager", calibrated=False)

# Calibrations as text.


def parameter(name: str, spread: float, value: float = 0.5) -> Parameter:
    return Parameter(name, value, spread, 0.1, 1.0, "1", "a share")


def test_a_file_holds_correlations_and_gives_back_the_covariance() -> None:
    errors = (parameter("a", 0.1, 0.123456), parameter("sure", 0.0), parameter("b", 0.2))
    covariance = np.array([[0.01, -0.00468], [-0.00468, 0.04]])
    text = to_toml("host/ncnn", Fitted(errors, covariance, 0.125, 0.0625, rows=7))
    assert "correlation = [[1.0, -0.234], [-0.234, 1.0]]" in text
    platform, found = from_toml(text, "mine.toml")
    assert platform == "host/ncnn"
    assert found.covariance == pytest.approx(covariance, rel=1e-9)
    assert (found.operator_spread, found.network_spread, found.rows) == (0.125, 0.0625, 7)
    assert found.parameters[:3] == errors
    assert found.free == ("a", "b")


def test_errors_of_nothing_are_written_as_no_correlation() -> None:
    text = to_toml("host/ncnn", Fitted((parameter("a", 0.1),), np.zeros((1, 1)), 0.1, 0.1))
    assert "correlation = [[0.0]]" in text


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[[1.0]]", "[[1.5]]", "correlation must be a 1 x 1 matrix in [-1, 1]"),
        ("[[1.0]]", "[[nan]]", "correlation must be a 1 x 1 matrix in [-1, 1]"),
        ("operator_spread = 0.25", "operator_spread = -0.5", "must not be negative"),
        ("network_spread = 0.2", "network_spread = inf", "must not be negative"),
        ("rows = 0", "rows = -1", "must not be negative"),
    ],
)
def test_a_calibration_of_impossible_errors_is_refused(old: str, new: str, said: str) -> None:
    text = to_toml("host/ncnn", Fitted.prior((parameter("a", 0.1),)))
    assert from_toml(text, "mine.toml")[1].rows == 0
    with pytest.raises(DataError) as caught:
        from_toml(text.replace(old, new), "mine.toml")
    assert said in str(caught.value)


def test_values_are_clipped_to_their_range() -> None:
    fitted = Fitted.prior((parameter("a", 0.1), parameter("b", 0.1), parameter("c", 0.1)))
    assert with_values(fitted, {"a": 9.0, "b": 0.0}).theta == {"a": 1.0, "b": 0.1, "c": 0.5}


# Facts of a platform.


def test_only_what_is_moved_over_a_link_has_one() -> None:
    board = "gtx-1080-ti/paper?transfers="
    moved, kept = (machine_for(load_platform(board + x), "float32") for x in ("yes", "no"))
    assert (moved.link, kept.link) == (15.75e9, 0)
    # A CPU shares the memory of its host.
    assert machine_for(load_platform("raspberry-pi-4/ncnn?transfers=yes"), "float32").link == 0


def test_the_levels_of_memory_of_four_cores_by_hand() -> None:
    platform = load_platform("xeon-gold-6240/torch-eager?threads=4", calibrated=False)
    machine = machine_for(platform, "float32")
    boost = 3.9 / 2.6
    assert machine.ceiling == pytest.approx(4 * 32 * boost * 2.6e9)
    assert machine.units == 4
    assert (machine.cache, machine.private_cache) == (24.75 * 2**20, 4 * 2**20)
    # One level of four of the 18 cores each; what is nearer is the level before.
    inner, rates = zip(*machine.interfaces, strict=True)
    assert inner == (0, 4 * 32 * 2**10, 24.75 * 2**20)
    core = boost * 2.6e9
    assert rates == pytest.approx((4 * 128 * core, 4 * 64 * core, machine.bandwidth))
    assert machine.bandwidth == 140.8e9


def test_a_first_level_before_a_shared_one_is_no_private_cache() -> None:
    for threads in (1, 4):
        name = f"raspberry-pi-4/ncnn?threads={threads}"
        machine = machine_for(load_platform(name, calibrated=False), "float32")
        assert (machine.cache, machine.private_cache) == (2**20, 0)


def test_a_cache_of_each_core_grows_with_the_cores_and_a_clock_never_falls() -> None:
    platform = load_platform("xeon-gold-6240/torch-eager?threads=4", calibrated=False)
    chip = platform.hardware
    alone = replace(
        chip,
        levels=tuple(level for level in chip.levels if level.name != "l3"),
        facts={**chip.facts, "max_clock": replace(chip.facts["max_clock"], value=1e9)},
    )
    machine = machine_for(replace(platform, hardware=alone), "float32")
    assert (machine.cache, machine.private_cache) == (4 * 2**20, 0)
    assert machine.interfaces[-1] == (4 * 2**20, 140.8e9)
    assert machine.ceiling == machine.multiply_adds


@pytest.mark.parametrize(
    ("threads", "clock"), [(1, 3.9e9), (18, 2.6e9), (9, 2.6e9 + 1.3e9 * 9 / 17)]
)
def test_one_busy_core_has_the_highest_clock_and_all_have_the_stated_one(
    threads: int, clock: float
) -> None:
    name = f"xeon-gold-6240/torch-eager?threads={threads}"
    machine = machine_for(load_platform(name, calibrated=False), "float32")
    assert machine.clock == pytest.approx(clock)
    assert machine.multiply_adds == pytest.approx(threads * 32 * clock)
    assert machine.vector == machine.multiply_adds <= machine.ceiling


@pytest.mark.parametrize("name", ["raspberry-pi-4/ncnn", "rk3588/ncnn?threads=4"])
def test_a_clock_without_boost_is_the_stated_one(name: str) -> None:
    platform = load_platform(name, calibrated=False)
    assert machine_for(platform, "float32").clock == platform.hardware.clock


@pytest.mark.parametrize(
    ("name", "stalls"),
    [
        ("raspberry-pi-3/ncnn", True),
        ("rk3399/ncnn?cores=cortex-a53", True),
        ("snapdragon-845/ncnn?cores=cortex-a55", True),
        ("snapdragon-8-gen-2/ncnn?cores=cortex-a510", False),  # loads whole vectors
        ("raspberry-pi-4/ncnn", False),
        ("rk3399/ncnn", False),
        ("ryzen-9-7950x/ncnn", False),
        ("gtx-1080-ti/torch-eager", False),
    ],
)
def test_loads_stall_cores_in_order_with_half_a_path(name: str, stalls: bool) -> None:
    assert machine_for(load_platform(name, calibrated=False), "float32").loads_stall is stalls


def test_a_small_shared_cache_hides_no_more_than_the_private_ones() -> None:
    platform = load_platform("xeon-gold-6240/torch-eager?threads=4", calibrated=False)
    chip = platform.hardware
    levels = tuple(
        replace(level, size=2.0**20) if level.name == "l3" else level for level in chip.levels
    )
    machine = machine_for(replace(platform, hardware=replace(chip, levels=levels)), "float32")
    assert machine.interfaces[-1] == (4 * 2**20, 140.8e9)


def test_a_board_sustains_the_same_share_of_every_peak() -> None:
    full, half = (machine_for(GPU, dtype) for dtype in ("float32", "float16"))
    assert full.sustained == pytest.approx((70 - 10) * 5.84e10 / 2)
    assert half.multiply_adds == pytest.approx(8 * full.multiply_adds, rel=0.01)
    assert half.sustained / half.multiply_adds == pytest.approx(full.sustained / full.multiply_adds)
    # The widest path from the cache: 64 bytes a cycle and multiprocessor.
    assert full.interfaces == ((0, 64 * 40 * 1.59e9), (4 * 2**20, 320e9))
