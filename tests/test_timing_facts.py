"""Every number of the time model has a source: tiles of GPU generations, priors of parameters."""

from __future__ import annotations

from importlib import resources

import pytest

from costmodel.errors import DataError
from costmodel.hardware import hardware_names, load_hardware
from costmodel.hardware.model import ARCHITECTURES
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.timing.tiles import GENERATIONS, NO_GENERATION, generation, read_generations

TILES = (resources.files("costmodel.timing") / "tiles.toml").read_text(encoding="utf-8")


def test_hardware_and_tiles_know_the_same_generations() -> None:
    assert tuple(GENERATIONS) == ARCHITECTURES
    gpus = [h for h in map(load_hardware, hardware_names()) if h.kind == "gpu"]
    assert {gpu.architecture for gpu in gpus} == set(GENERATIONS)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[turing]", "[tesla]", "tiles.toml: turing is missing; costmodel.hardware.model"),
        ("[pascal]", "[maxwell]\n[pascal]", "tiles.toml: maxwell is unknown"),
        ("feed =", "fed =", "tiles.toml: pascal: feed is missing"),
        ("feed =", "food = 1\nfeed =", "tiles.toml: pascal: food is unknown"),
        ('source = "NeuSight', 'note = "NeuSight', "tiles.toml: pascal.product: must be { value"),
        ("{ value = 3.81e10", "3.81e10 #", "tiles.toml: pascal.flops_per_watt: must be { value"),
        ('source = "P100: 64 lanes', 'source = " "} # "', "tiles.toml: pascal.feed: has no source"),
        ("value = 32,", "value = 0,", "tiles.toml: pascal.cache_bytes_per_cycle: 0 must be"),
        ("value = 32,", "value = inf,", "cache_bytes_per_cycle: inf must be a number above zero"),
        ("value = 32,", 'value = "32 B",', "cache_bytes_per_cycle: '32 B' must be a number"),
        ("value = 1.0,", "value = true,", "tiles.toml: pascal.feed: True must be a number"),
        ("[[64, 128]]", "[[64]]", "tiles.toml: pascal.batched: [[64]] must be a list of tiles"),
        ("[[64, 128]]", "[64, 128]", "tiles.toml: pascal.batched: [64, 128] must be a list of"),
        ("[[64, 128]]", "[]", "tiles.toml: pascal.batched: [] must be a list of tiles"),
        ("[[64, 128]]", "[[64, 0]]", "tiles.toml: pascal.batched: [[64, 0]] must be a list of"),
        ("[[64, 128]]", "[[64, 1.5]]", "tiles.toml: pascal.batched: [[64, 1.5]] must be a list"),
        ("[[64, 128]]", "7", "tiles.toml: pascal.batched: 7 must be a list of tiles"),
    ],
)
def test_a_wrong_file_of_tiles_is_refused(old: str, new: str, said: str) -> None:
    assert old in TILES
    with pytest.raises(DataError) as caught:
        read_generations(TILES.replace(old, new, 1))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_generation_lists_the_known() -> None:
    with pytest.raises(DataError, match="architecture 'maxwell'; known are pascal, volta"):
        generation("maxwell")


@pytest.mark.parametrize(
    ("name", "flagship"),
    [
        ("volta", "v100-pcie-16gb"),
        ("ampere", "a100-pcie-40gb"),
        ("ampere-gaming", "rtx-3090"),
        ("ada", "rtx-4090"),
        ("hopper", "h100-pcie"),
    ],
)
def test_the_power_of_a_generation_is_that_of_its_flagship(name: str, flagship: str) -> None:
    board = load_hardware(flagship)
    assert board.architecture == name
    assert board.tdp is not None
    assert generation(name).flops_per_watt == pytest.approx(
        board.peak["float32"] / board.tdp, rel=5e-3
    )


def test_a_multiprocessor_draws_from_the_cache_what_its_generation_says() -> None:
    machine = machine_for(load_platform("t4/torch-eager", calibrated=False), "float32")
    assert machine.generation is generation("turing")
    assert machine.cache_bandwidth == 32 * 40 * 1.59e9


def test_a_cpu_has_no_generation_of_gpus() -> None:
    machine = machine_for(load_platform("raspberry-pi-4/ncnn", calibrated=False), "float32")
    assert machine.generation is NO_GENERATION
    assert (machine.sustained, machine.cache_bandwidth) == (0, 0)
