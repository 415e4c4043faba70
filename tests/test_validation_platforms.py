"""The platform that a backend is compared with: it exists, or a message asks for it."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from fake_cuda import FakeCuda
from typer.testing import CliRunner

from costmodel.cli.app import app
from costmodel.hardware import hardware_names, load_hardware
from costmodel.hardware.gpus import find_gpu
from costmodel.platforms import load_platform
from costmodel_validation.backends import BACKENDS, Backend, Settings, load_backend
from costmodel_validation.designed import measure_design, settings_of
from costmodel_validation.errors import MeasuringError
from costmodel_validation.measuring.options import confirmed_platform

ASKS = "--platform"
TARGETS = ("arm:native", "arm:simulated", "arm:emulated", "arm:ssh://me@board", "arm:adb://1")
SETTINGS = [
    Settings(device=device, mode=mode)  # type: ignore[arg-type]
    for device, mode in product(("cpu", "cuda"), ("eager", "compile", "graphs"))
]


def put_in(monkeypatch: pytest.MonkeyPatch, cuda: FakeCuda) -> None:
    torch = pytest.importorskip("torch")
    for name in ("is_available", "get_device_name"):
        monkeypatch.setattr(torch.cuda, name, getattr(cuda, name))


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "1000"})


@pytest.mark.parametrize("reported", ["", "NVIDIA GeForce RTX 3090", "NVIDIA Abacus 2"], ids=str)
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s.device}-{s.mode}")
@pytest.mark.parametrize("name", sorted({*BACKENDS, *TARGETS}))
def test_the_platform_of_a_backend_exists_or_is_asked_for(
    name: str, settings: Settings, reported: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(monkeypatch, FakeCuda(reported))
    if "ncnn" in name:
        pytest.importorskip("ncnn")
    try:
        platform = load_backend(name).platform(settings)
    except MeasuringError as error:
        assert ASKS in str(error)
        assert "RTX" not in reported or name.startswith(("arm:ssh", "arm:adb", "arm:ncnn"))
    else:
        hardware = load_platform(platform).hardware
        assert hardware.kind == ("gpu" if settings.device == "cuda" and name == "torch" else "cpu")


@pytest.mark.parametrize(
    ("reported", "sentence"),
    [
        ("NVIDIA Abacus 2", "no platform is known for the GPU 'NVIDIA Abacus 2': say"),
        ("", "torch finds no NVIDIA GPU here"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "measure"])
def test_a_gpu_that_is_not_known_is_one_sentence_before_anything_is_measured(
    command: str,
    reported: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_in(monkeypatch, FakeCuda(reported))
    monkeypatch.setattr(
        "costmodel_validation.backends.torch.TorchBackend.measure_networks",
        lambda *_: pytest.fail("ran"),
    )
    store = str(tmp_path / "s.jsonl")
    for words in ("linear", "g1"):
        result = run(command, words, "--backend", "torch", "--device", "cuda", "-o", store)
        assert result.exit_code == 2
        assert sentence in result.output
        assert "such as --platform rtx-3090/torch-eager" in result.output
        assert result.output.count("\n") == 1


def test_a_gpu_is_known_by_exactly_the_name_that_its_driver_gives_it() -> None:
    assert find_gpu("NVIDIA A100-SXM4-40GB") == find_gpu("A100-SXM4-40GB") == "a100-sxm-40gb"
    for other in ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA A100", "RTX 3090", "", "NVIDIA "):
        assert find_gpu(other) is None


def test_every_gpu_has_a_name_of_its_own() -> None:
    gpus = [load_hardware(n) for n in hardware_names() if load_hardware(n).kind == "gpu"]
    names = [name for gpu in gpus for name in gpu.probe]
    assert len(names) == len(set(names)) >= len(gpus) > 15
    assert all(find_gpu(name) == gpu.name for gpu in gpus for name in gpu.probe)
    assert all(gpu.probe for gpu in gpus)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--backend", "torch", "-p", "raspberry-pi-4/torch-eager"], "has cores cortex-a72, and"),
        (["--backend", "torch", "-p", "host/ncnn"], "predicts ncnn, and torch runs torch-eager"),
        (["--backend", "torch", "-p", "host/torch-compile"], "give host/torch-eager, or another"),
        (["--backend", "torch", "-p", "host/torch-eager?amp=bfloat16"], "leave amp out"),
        (["--backend", "torch", "-p", "host/torch-eager?transfers=yes"], "leave transfers out"),
        (["--backend", "ncnn", "--dtype", "float16"], "ncnn cannot honour --dtype float16"),
        (["--backend", "ncnn", "--mode", "compile"], "ncnn cannot honour --mode compile"),
        (["--backend", "onnxruntime", "--cache", "cold"], "cannot honour --cache cold"),
        (["--backend", "onnxruntime", "--dtype", "bfloat16"], "cannot honour --dtype bfloat16"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "measure"])
def test_what_is_not_measured_here_is_one_sentence(
    command: str, options: list[str], sentence: str, tmp_path: Path
) -> None:
    pytest.importorskip(options[1], reason=f"the package {options[1]} is not installed")
    result = run(command, "linear", *options, "-o", str(tmp_path / "s.jsonl"))
    assert result.exit_code == 2
    assert sentence in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "s.jsonl").exists()


GPU = "NVIDIA GeForce RTX 3090"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["-p", "rtx-3090/cuda-graphs"], "predicts cuda-graphs, and torch runs torch-eager"),
        (["-p", "rtx-3090/torch-eager", "--mode", "compile"], "torch runs torch-compile: give"),
        (["-p", "rtx-3090/torch-eager?amp=float16"], "leave amp out"),
        (["-p", "rtx-3090/torch-eager?transfers=yes"], "leave transfers out"),
        (["-p", "rtx-4090/torch-eager"], "another GPU, and torch runs on rtx-3090: give rtx-3090/"),
        (["-p", "rtx-3090/torch-eager?layout=nhwc"], "has layout nhwc, but the networks are run"),
        (
            ["-p", "rtx-3090/torch-eager?layout=nchw", "--layout", "channels_last"],
            "has layout nchw, but the networks are run with layout nhwc: give --layout contiguous",
        ),
    ],
)
@pytest.mark.parametrize("command", ["validate", "measure"])
def test_what_is_not_measured_on_a_gpu_is_one_sentence(
    command: str,
    options: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put_in(monkeypatch, FakeCuda(GPU))
    store = str(tmp_path / "s.jsonl")
    result = run(command, "linear", "--device", "cuda", *options, "-o", store)
    assert result.exit_code == 2
    assert sentence in result.output
    assert result.output.count("\n") == 1


@pytest.mark.parametrize(
    ("mode", "layout", "name"),
    [
        ("eager", "channels_last", "rtx-3090/torch-eager?layout=nhwc"),
        ("graphs", "channels_last", "rtx-3090/cuda-graphs?layout=nhwc"),
        ("compile", "channels_last", "rtx-3090/torch-compile"),
        ("compile", "contiguous", "rtx-3090/torch-compile"),
        ("eager", "contiguous", "rtx-3090/torch-eager"),
    ],
)
def test_the_layout_of_a_run_on_a_gpu_is_that_of_the_prediction(
    mode: Any, layout: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in(monkeypatch, FakeCuda(GPU))
    backend = load_backend("torch")
    settings = Settings(device="cuda", mode=mode, layout=layout)
    for given in (backend.platform(settings), name, name.partition("?")[0]):
        assert load_platform(confirmed_platform(given, backend, settings)).name == name


def test_channels_last_images_on_a_cpu_are_compared_with_what_is_predicted_for_them(
    tmp_path: Path,
) -> None:
    pytest.importorskip("torch")
    short = ["--no-kernels", "--budget", "0.02", "-o", str(tmp_path / "s.jsonl")]
    words = ["validate", "depthwise?c=16&size=8", "--layout", "channels_last", "--json", *short]
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "host/torch-eager?layout=nhwc" in result.output


def test_channels_last_images_are_not_compared_with_a_layout_of_the_compiler(
    tmp_path: Path,
) -> None:
    pytest.importorskip("torch")
    store = tmp_path / "s.jsonl"
    words = ["linear", "--mode", "compile", "--layout", "channels_last"]
    result = run("validate", *words, "-o", str(store))
    assert result.exit_code == 2
    assert "is predicted for contiguous images only: leave out --layout" in result.output
    assert result.output.count("\n") == 1
    assert not store.exists()


def test_cold_caches_are_told_beside_a_prediction(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    short = ["--no-kernels", "--budget", "0.02", "-o", str(tmp_path / "s.jsonl")]
    for cache, told in (("cold", 1), ("warm", 0)):
        for form in ([], ["--json"]):
            result = run("validate", "linear", *short, "--cache", cache, *form)
            assert result.exit_code == 0
            assert result.output.count("Predictions are for warm caches, not for") == told


def test_an_emulator_measures_nothing(tmp_path: Path) -> None:
    result = run("measure", "linear", "--backend", "arm:emulated", "-o", str(tmp_path / "s.jsonl"))
    assert result.exit_code == 2
    assert "arm:emulated has no latency to measure: costmodel validate checks" in result.output


@pytest.mark.parametrize(
    ("platform", "sentence"),
    [
        ("host/ncnn", "predicts ncnn"),
        ("raspberry-pi-4/torch-eager", "has cores cortex-a72"),
        ("host/torch-eager?amp=bfloat16", "leave amp out"),
    ],
)
def test_a_design_is_measured_for_this_machine_only(
    platform: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("costmodel_validation.designed.design", lambda *_: pytest.fail("measured"))
    with pytest.raises(MeasuringError, match=sentence):
        measure_design("torch", platform)


def test_a_design_is_measured_in_the_layout_of_its_platform() -> None:
    assert settings_of(load_platform("rtx-3090/torch-eager?layout=nhwc")).layout == "channels_last"
    assert settings_of(load_platform("rtx-3090/torch-eager")).layout == "contiguous"


@pytest.mark.parametrize("text", ["torch", "ncnn", "onnxruntime", "arm:simulated", "arm:emulated"])
def test_every_backend_has_all_of_the_protocol(text: str) -> None:
    """What a backend cannot do is refused by the backend, not left out where it lacks a method."""
    if text in ("torch", "ncnn", "onnxruntime"):
        pytest.importorskip(text)
    backend = load_backend(text)
    wanted = [name for name in vars(Backend) if not name.startswith("_")]
    assert {"check_settings", "confirm_platform", "measure_networks"} <= {*wanted}
    assert not [name for name in wanted if not hasattr(backend, name)]
    with pytest.raises(MeasuringError):
        backend.confirm_platform("gtx-1080-ti/paper")
    with pytest.raises(MeasuringError):
        backend.check_settings(Settings(layout="channels_last", threads=3, mode="graphs"))
