"""Names as people write them, and the answer to an unknown one: near ones of its kind."""

from __future__ import annotations

from pathlib import Path

import pytest

import costmodel.hardware
from costmodel.errors import DataError
from costmodel.hardware import find_device, hardware_names, lint_device, load_hardware
from costmodel.hardware.names import key, near_devices
from costmodel.hardware.schema import DeviceFile
from costmodel.platforms import load_platform
from costmodel.reading import parse_toml

SHIPPED = Path(costmodel.hardware.__file__).parent / "devices"
FILES = {
    name: DeviceFile.model_validate(parse_toml((SHIPPED / f"{name}.toml").read_text()))
    for name in hardware_names()
}


@pytest.mark.parametrize("name", hardware_names())
def test_every_other_name_finds_its_device_alone(name: str) -> None:
    file = FILES[name]
    title = file.title.partition(" (")[0].partition(", ")[0]
    for spelling in (name, name.upper(), name.replace("-", " "), *file.aliases, *file.probe, title):
        assert find_device(spelling) == name, spelling


def test_no_two_devices_share_a_spelling() -> None:
    seen: dict[str, str] = {}
    for name, file in FILES.items():
        for spelling in {key(other) for other in (name, *file.aliases, *file.probe)}:
            assert seen.setdefault(spelling, name) == name, spelling


@pytest.mark.parametrize(
    ("written", "device"),
    [
        ("rpi4", "raspberry-pi-4"),
        ("RPi 4", "raspberry-pi-4"),
        ("pi 4", "raspberry-pi-4"),
        ("Raspberry Pi 4B", "raspberry-pi-4"),
        ("Raspberry Pi 4 Model B", "raspberry-pi-4"),
        ("Raspberry Pi 3B+", "raspberry-pi-3-plus"),
        ("Raspberry Pi 3B", "raspberry-pi-3"),
        ("raspberry_pi_zero_2_w", "raspberry-pi-zero-2"),
        ("GTX 1080 Ti", "gtx-1080-ti"),
        ("gtx1080ti", "gtx-1080-ti"),
        ("NVIDIA GeForce GTX 1080 Ti", "gtx-1080-ti"),
        ("Intel(R) Xeon(R) Gold 6240", "xeon-gold-6240"),
        ("RK3588S", "rk3588"),
        ("NVIDIA Jetson AGX Xavier", "jetson-xavier"),
        ("Snapdragon 8 Gen 3", "snapdragon-8-gen-3"),
        ("graviton 4", "graviton4"),
    ],
)
def test_names_as_people_write_them(written: str, device: str) -> None:
    assert load_hardware(written).name == device
    runtime = "torch-eager"
    assert load_platform(f"{written}/{runtime}", calibrated=False).base == f"{device}/{runtime}"


@pytest.mark.parametrize(
    ("unknown", "near"),
    [
        ("jetson-tx2", "jetson-"),
        ("Jetson AGX Orin 32GB", "jetson-"),
        ("exynos-2200", "exynos-"),
        ("snapdragon-750g", "snapdragon-"),
        ("xeon-gold-6248", "xeon-"),
        ("rtx-3070", "rtx-"),
        ("raspberry pi 6", "raspberry-pi-"),
        ("graviton9", "graviton"),
        ("rk3328", "rk3"),
        ("a100", "a100-"),
        ("kirin 960", "kirin-"),
        ("coral-edgetpu", "accelerator"),
        ("zynq-7020 fpga", "accelerator"),
    ],
)
def test_an_unknown_name_is_answered_with_its_kin(unknown: str, near: str) -> None:
    found = near_devices(unknown)
    assert found
    assert found[0].startswith(near)
    with pytest.raises(DataError) as refused:
        load_hardware(unknown)
    sentence = str(refused.value)
    assert f"did you mean {found[0]}" in sentence
    assert "Your board in ten minutes" in sentence
    assert ". " not in sentence


@pytest.mark.parametrize(
    ("unknown", "never"),
    [
        ("jetson-tx2", ("xeon", "rtx", "snapdragon")),
        ("dimensity-9300", ("xeon", "rtx", "raspberry", "jetson")),
        ("epyc-7763", ("snapdragon", "rtx", "raspberry")),
        ("radeon-rx-7900", ("xeon", "snapdragon", "raspberry")),
        ("orangepi-zero3", ("xeon", "rtx", "snapdragon")),
        ("mali-g78", ("xeon", "rtx", "h100", "a100")),
    ],
)
def test_never_one_of_another_kind(unknown: str, never: tuple[str, ...]) -> None:
    assert not [name for name in near_devices(unknown) if name.startswith(never)]


def test_a_name_like_none_gets_the_way_to_ones_own() -> None:
    with pytest.raises(DataError, match=r"no hardware 'abacus' nor a similar one; describe it"):
        load_hardware("abacus")


def test_a_very_long_name_is_cut() -> None:
    with pytest.raises(DataError) as refused:
        load_hardware("x" * 10_000)
    assert len(str(refused.value)) < 400


def test_bandwidth_alone_suffices(tmp_path: Path) -> None:
    """Neither bus width nor data rate: many datasheets print the product only."""
    text = (SHIPPED / "raspberry-pi-4.toml").read_text().splitlines()
    kept = [line for line in text if not line.startswith(("bus_width", "data_rate", "aliases"))]
    board = tmp_path / "my-board.toml"
    board.write_text("\n".join(kept).replace('"raspberry-pi-4"', '"my-board"'))
    assert lint_device(board) == []
    assert load_hardware(board).dram.bandwidth == 12.8e9


def test_threads_beyond_the_cores_are_refused_with_what_is_there() -> None:
    with pytest.raises(DataError, match=r"rk3588 has 8 cores, not 9 \(4 cortex-a76 and 4 cortex-a"):
        load_platform("rk3588/ncnn?threads=9")
    assert load_platform("rk3588/ncnn?threads=8").threads == 8
