"""Every number of the time model has a source: tiles of GPU generations, priors of parameters."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources

import pytest

import costmodel as cm
from costmodel.errors import DataError
from costmodel.hardware import hardware_names, load_hardware
from costmodel.hardware.model import ARCHITECTURES, FACTS_ONLY
from costmodel.kernels.lowering import lower
from costmodel.platforms import Platform, load_platform
from costmodel.platforms.machine import machine_for
from costmodel.timing.fitted import Fitted, from_toml, to_toml
from costmodel.timing.network import kernel_terms
from costmodel.timing.parameters import Parameter, priors, read_priors
from costmodel.timing.reuse import workloads
from costmodel.timing.tiles import GENERATIONS, NO_GENERATION, generation, read_generations
from costmodel.timing.workload import Workload

CPU = load_platform("raspberry-pi-4/ncnn", calibrated=False)
GPU = load_platform("t4/torch-eager", calibrated=False)
TILES = (resources.files("costmodel.timing") / "tiles.toml").read_text(encoding="utf-8")


def test_hardware_and_tiles_know_the_same_generations() -> None:
    assert tuple(GENERATIONS) == ARCHITECTURES
    gpus = [h for h in map(load_hardware, hardware_names()) if h.kind == "gpu"]
    found = {gpu.architecture for gpu in gpus}
    assert found - set(GENERATIONS) == set(FACTS_ONLY)
    assert set(GENERATIONS) - found == {"maxwell"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[turing]", "[tesla]", "tiles.toml: turing is missing; costmodel.hardware.model"),
        ("[pascal]", "[kepler]\n[pascal]", "tiles.toml: kepler is unknown"),
        ("feed =", "fed =", "tiles.toml: maxwell: feed is missing"),
        ("feed =", "food = 1\nfeed =", "tiles.toml: maxwell: food is unknown"),
        ('source = "the list', 'note = "the list', "tiles.toml: maxwell.product: must be { value"),
        ("{ value = 2.75e10", "2.75e10 #", "tiles.toml: maxwell.flops_per_watt: must be { value"),
        (
            'source = "a scheduler',
            'source = " "} # "',
            "tiles.toml: pascal.feed: has no source",
        ),
        (
            "cycle = { value = 32,",
            "cycle = { value = 0,",
            "tiles.toml: maxwell.cache_bytes_per_cycle: 0 must be",
        ),
        (
            "cycle = { value = 32,",
            "cycle = { value = inf,",
            "cache_bytes_per_cycle: inf must be a number above zero",
        ),
        (
            "cycle = { value = 32,",
            'cycle = { value = "32 B",',
            "cache_bytes_per_cycle: '32 B' must be a number",
        ),
        ("value = 1.0,", "value = true,", "tiles.toml: maxwell.feed: True must be a number"),
        ("[[64, 128]]", "[[64]]", "tiles.toml: maxwell.batched: [[64]] must be a list of tiles"),
        ("[[64, 128]]", "[64, 128]", "tiles.toml: maxwell.batched: [64, 128] must be a list of"),
        ("[[64, 128]]", "[]", "tiles.toml: maxwell.batched: [] must be a list of tiles"),
        ("[[64, 128]]", "[[64, 0]]", "tiles.toml: maxwell.batched: [[64, 0]] must be a list of"),
        ("[[64, 128]]", "[[64, 1.5]]", "tiles.toml: maxwell.batched: [[64, 1.5]] must be a list"),
        ("{ value = false,", "{ value = 0,", "maxwell.packs_queries: 0 must be true or false"),
        ("[[64, 128]]", "7", "tiles.toml: maxwell.batched: 7 must be a list of tiles"),
        ('like = "pascal"', 'like = "kepler"', "pascal-gaming.like: 'kepler' must be the name of"),
        ('like = "pascal"', "like = 3", "pascal-gaming.like: 3 must be the name of a generation"),
        ('like = "pascal"', 'like = "pascal-gaming"', "must be the name of a generation with all"),
        ('like = "pascal"', "", "tiles.toml: pascal-gaming: product is missing"),
    ],
)
def test_a_wrong_file_of_tiles_is_refused(old: str, new: str, said: str) -> None:
    assert old in TILES
    with pytest.raises(DataError) as caught:
        read_generations(TILES.replace(old, new, 1))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_generation_lists_the_known() -> None:
    with pytest.raises(DataError, match="GPU architecture 'tesla'; known are maxwell, pascal"):
        generation("tesla")


def test_facts_alone_make_no_platform_that_times() -> None:
    with pytest.raises(DataError, match="no time model has GPU architecture 'cdna3'"):
        cm.latency(cm.zoo.shufflenet_v2(), "mi300x/torch-eager")


@pytest.mark.parametrize(
    ("name", "flagship"),
    [
        ("pascal-gaming", "gtx-1080"),
        ("volta", "v100-pcie-16gb"),
        ("ampere", "a100-pcie-40gb"),
        ("ampere-gaming", "rtx-3090"),
        ("ada", "rtx-4090"),
        ("hopper", "h100-pcie"),
        ("blackwell", "b200"),
        ("blackwell-gaming", "rtx-5090"),
    ],
)
def test_the_power_of_a_generation_is_that_of_its_flagship(name: str, flagship: str) -> None:
    board = load_hardware(flagship)
    assert board.architecture == name
    assert board.tdp is not None
    assert generation(name).flops_per_watt == pytest.approx(
        board.peak["float32"] / (board.tdp - 10), rel=5e-3
    )


def test_a_multiprocessor_draws_from_the_cache_what_its_generation_says() -> None:
    machine = machine_for(GPU, "float32")
    assert machine.generation is generation("turing")
    assert machine.cache_bandwidth == 32 * 40 * 1.59e9


def test_a_cpu_has_no_generation_of_gpus() -> None:
    machine = machine_for(CPU, "float32")
    assert machine.generation is NO_GENERATION
    assert (machine.sustained, machine.cache_bandwidth) == (0, 0)


def workload(spec: str, where: Platform) -> Workload:
    (found,) = workloads(lower(cm.network(spec), where.runtime))
    return found


@pytest.mark.parametrize("field", ["convolution", "winograd"])
def test_convolutions_run_on_the_tiles_of_their_generation(field: str) -> None:
    machine, theta = machine_for(GPU, "float32"), GPU.fitted.theta
    w = workload("conv2d?cin=256&size=14&cout=256&k=3", GPU)
    slow = replace(machine.generation, convolution=((1, 1),), winograd=((1, 1),))
    # Winograd through memory, which takes the tiles of products, is out of the way.
    slow = replace(slow, batched=((1, 1),))
    best = replace(slow, **{field: getattr(machine.generation, field)})
    times = [kernel_terms(w, replace(machine, generation=g), theta).compute for g in (slow, best)]
    assert times[1] < 0.7 * times[0]


# Priors.


@pytest.mark.parametrize("kind", ["cpu", "gpu", "accelerator"])
def test_every_prior_has_a_source(kind: str) -> None:
    assert [p.name for p in priors(kind) if len(p.source.split()) < 4] == []


GOOD = """[gemm]
value = 0.5
spread = 0.1
lower = 0.1
upper = 1
unit = "1"
meaning = "share of the peak"
source = "assumption: half"
"""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('source = "assumption: half"\n', "", "mine.toml: gemm: source is missing; a prior"),
        ('"assumption: half"', '" "', "mine.toml: gemm: source must be a text, not ' '"),
        ('"assumption: half"', "7", "mine.toml: gemm: source must be a text, not 7"),
        ('unit = "1"\n', "", "mine.toml: gemm: unit is missing"),
        ('meaning = "share of the peak"\n', "", "mine.toml: gemm: meaning is missing"),
        ("spread", "spreed", "mine.toml: gemm: spread is missing"),
        ("spread", "note = 1\nspread", "mine.toml: gemm: note is unknown"),
        ("value = 0.5", "value = 5.0", "parameter gemm: 5 must lie between 0.1 and 1"),
    ],
)
def test_a_wrong_file_of_priors_is_refused(old: str, new: str, said: str) -> None:
    assert read_priors(GOOD, "mine.toml")[0].value == 0.5
    with pytest.raises(DataError) as caught:
        read_priors(GOOD.replace(old, new), "mine.toml")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_calibration_needs_no_sources() -> None:
    parameter = Parameter("gemm", 0.5, 0.1, 0.1, 1.0, "1", "share of the peak")
    text = to_toml("host/ncnn", Fitted.prior((parameter,)))
    assert "source" not in text
    assert from_toml(text, "mine.toml")[1].parameters[0] == parameter


@pytest.mark.parametrize("where", [CPU, GPU], ids=["cpu", "gpu"])
@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ("batch_norm", "normalization"),
        ("layer_norm", "normalization"),
        ("softmax", "softmax"),
        ("pool?kind=avg", "pooling"),
        ("pool?kind=max", "pooling"),
        ("elementwise", "element-wise"),
    ],
)
def test_what_is_said_of_the_cost_of_calls_is_so(where: Platform, spec: str, word: str) -> None:
    w, machine, theta = workload(spec, where), machine_for(where, "float32"), where.fitted.theta
    changed = {**theta, "norm_call": 2 * theta["norm_call"]}
    launches = [kernel_terms(w, machine, q).launch for q in (theta, changed)]
    (meaning,) = [p.meaning for p in where.fitted.parameters if p.name == "norm_call"]
    said = word in meaning.partition(", relative")[0]
    assert (launches[0] != launches[1]) == said


def test_only_a_softmax_moves_its_tensors_again() -> None:
    machine, theta = machine_for(GPU, "float32"), GPU.fitted.theta
    changed = {**theta, "softmax_traffic": 2 * theta["softmax_traffic"]}
    times = {
        spec: [kernel_terms(workload(spec, GPU), machine, q).memory for q in (theta, changed)]
        for spec in ("softmax", "layer_norm", "batch_norm")
    }
    assert [name for name, (a, b) in times.items() if b != a] == ["softmax"]
    (meaning,) = [p.meaning for p in priors("gpu") if p.name == "softmax_traffic"]
    assert "a softmax moves" in meaning
