"""``costmodel validate``: what is measured is what is predicted, network and platform alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.calibration import calibrate
from costmodel.calibration.measurement import Measurement
from costmodel.cli.app import app
from costmodel.errors import DataError
from costmodel.graph import converted
from costmodel.kernels.lowering import lower
from costmodel_validation.backends import KernelTiming, Label, Settings
from costmodel_validation.errors import MeasuringError
from costmodel_validation.measuring.backend import PLAIN
from costmodel_validation.measuring.clock import Plan, Timing, summary
from costmodel_validation.measuring.confirming import confirm_here
from costmodel_validation.measuring.networks import network_for
from costmodel_validation.measuring.platforms import platform_for, platform_name

PI = "raspberry-pi-4/torch-eager"
GROWING = """
from pathlib import Path
import costmodel as cm

def net():
    calls = Path("calls")
    count = len(calls.read_text()) + 1 if calls.exists() else 1
    calls.write_text("x" * count)
    return cm.zoo.pointwise(7, 7, 8, 8 * count)
"""


class Recorder:
    """Takes as many microseconds as a network has multiply-adds, and keeps what it was given."""

    name = "recorder"
    label: Label = "measured"
    among_others = False

    def __init__(self) -> None:
        self.networks: list[nx.DiGraph] = []
        self.cut: list[nx.DiGraph] = []
        self.settings: set[Settings] = set()

    def describe(self, settings: Settings) -> dict[str, str]:
        return {"cpu": "none", "load": "0"}

    def platform(self, settings: Settings) -> str:
        return platform_name("raspberry-pi-4", "torch-eager", settings)

    def confirm_platform(self, name: str, settings: Settings = PLAIN) -> None:
        confirm_here(name, self, settings)

    def check_settings(self, settings: Settings) -> None:
        pass

    def measure_networks(
        self, graphs: Mapping[str, nx.DiGraph], settings: Settings, plan: Plan
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        self.settings.add(settings)
        for name, graph in graphs.items():
            self.networks.append(graph)
            yield name, summary([1e-6 * cm.multiply_adds(graph)])

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        self.settings.add(settings)
        self.cut.append(graph)
        kernels = lower(graph, cm.load_platform(PI).runtime)
        return tuple(KernelTiming(k.name, k.kind, summary([1e-6])) for k in kernels)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    made = Recorder()
    monkeypatch.setattr("costmodel_validation.cli.load_backend", lambda name: made)
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "growing.py").write_text(GROWING)
    return made


def validate(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["validate", *words], env={"COLUMNS": "1000"})
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if "--json" in words else result.output


def calls() -> int:
    return len(Path("calls").read_text())


@pytest.mark.parametrize("options", [(), ("--repeat",), ("--no-kernels",)], ids=" ".join)
def test_a_network_is_built_once_and_predicted_as_it_is_measured(
    recorder: Recorder, options: tuple[str, ...]
) -> None:
    spec = "python:growing.py:net"
    (found,) = validate(spec, spec, "--json", *options)["networks"]
    assert calls() == 1
    measured = [*recorder.networks, *recorder.cut]
    assert len(measured) == 1 + ("--repeat" in options) + ("--no-kernels" not in options)
    assert all(graph is measured[0] for graph in measured)
    assert found["predicted"] == pytest.approx(float(cm.latency(measured[0], PI).seconds))
    assert found["measured"]["median"] == pytest.approx(1e-6 * cm.multiply_adds(measured[0]))


def test_a_machine_that_is_not_calibrated_is_told_the_command(
    recorder: Recorder,
) -> None:
    spec, command = "pointwise?h=7&w=7&c1=8&c2=8", f"costmodel calibrate --backend {recorder.name}"
    assert command not in validate(spec, "--no-kernels")  # of a board: not this machine
    words = (spec, "--no-kernels", "--platform")
    assert validate(*words, "host/torch-eager").endswith(f"in ten minutes: {command}\n")
    out = validate(*words, "host/torch-eager", "--threads", "1", "--dtype", "float16")
    assert out.endswith(f'{command} -p "host/torch-eager?dtype=float16"\n')
    validate(*words, "host/torch-eager", "--json")  # is a document, and nothing else
    rows = [Measurement(f"pointwise?h=56&w=56&c1={c}&c2={c}", 1e-4 * c) for c in (16, 32, 64)]
    calibrate(rows, "host/torch-eager").save()
    assert command not in validate(*words, "host/torch-eager")


def test_a_stored_result_of_another_graph_is_not_taken_for_this_one(recorder: Recorder) -> None:
    words = ("python:growing.py:net", "-o", "s.jsonl", "--json", "--no-kernels")
    for run in (1, 2):
        (found,) = validate(*words)["networks"]
        assert calls() == len(recorder.networks) == run
        assert found["measured"]["median"] == pytest.approx(1e-6 * 7 * 7 * 8 * 8 * run)


def test_a_stored_result_of_the_same_graph_is_used_again(recorder: Recorder) -> None:
    for _ in range(2):
        validate("pointwise?h=7&w=7&c1=8&c2=8", "-o", "s.jsonl", "--no-kernels")
    assert len(recorder.networks) == 1


def test_rows_of_a_guideline_are_built_once_and_predicted_with_the_threads_they_run_on(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def network(spec: str) -> nx.DiGraph:
        built.append(spec)
        return cm.network(spec)

    monkeypatch.setattr("costmodel_validation.measuring.networks.network", network)
    (tried,) = validate("g1", "--json", "--threads", "2")["guidelines"]
    assert [row["network"] for row in tried["rows"]] == built
    assert tried["platform"] == f"{PI}?threads=2"
    for row, graph in zip(tried["rows"], recorder.networks, strict=True):
        predicted = float(cm.latency(graph, f"{PI}?threads=2").seconds)
        assert row["predicted"] == pytest.approx(predicted)


@pytest.mark.parametrize("platform", [(), ("--platform", PI)], ids=["its own", "named"])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_batch_dtype_and_threads_reach_both_alike(
    recorder: Recorder, platform: tuple[str, ...], threads: int, dtype: str
) -> None:
    options = ("--threads", str(threads), "--dtype", dtype, *platform)
    (found,) = validate("resnet18?size=64&batch=2", "--json", *options)["networks"]
    (graph,) = recorder.networks
    assert recorder.settings == {Settings(threads=threads, dtype=dtype)}  # type: ignore[arg-type]
    where = cm.load_platform(found["platform"])
    assert (where.threads, where.dtype or "float32") == (threads, dtype)
    same = cm.zoo.resnet18(size=64, batch=2, dtype=dtype)
    assert cm.mac(graph, unit="bytes") == cm.mac(same, unit="bytes")
    assert found["predicted"] == pytest.approx(float(cm.latency(same, where).seconds))


@pytest.mark.parametrize(
    ("platform", "settings", "sentence"),
    [
        (f"{PI}?threads=4", Settings(), "has threads 4, but .* with threads 1: give --threads 4"),
        (f"{PI}?threads=1", Settings(threads=2), "has threads 1, but"),
        (f"{PI}?dtype=float16", Settings(), "has dtype float16, but .*: give --dtype float16"),
        (PI, Settings(threads=99), "has 4 cores, not 99"),
        ("cuda/torch-eager", Settings(), "no hardware 'cuda'"),
        ("host", Settings(), "must be HARDWARE/RUNTIME"),
    ],
)
def test_a_platform_that_is_not_what_runs_is_refused_before_anything_is_measured(
    recorder: Recorder, platform: str, settings: Settings, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        platform_for(platform, settings)
    options = ("--threads", str(settings.threads), "--dtype", settings.dtype)
    for words in ("linear", "g1"):
        validate(words, "--platform", platform, *options, code=2)
    assert recorder.networks == []


def test_a_calibration_file_keeps_its_threads(recorder: Recorder, tmp_path: Path) -> None:
    file = str(tmp_path / "own.toml")
    rows = [cm.Measurement(f"pointwise?h=56&w=56&c1={c}&c2={c}", 1e-5 * c) for c in (16, 32, 64)]
    cm.calibrate(rows, f"{PI}?threads=2").save(Path(file))
    assert platform_for(file, Settings(threads=2)) == file
    with pytest.raises(DataError, match="has threads 2, but"):
        platform_for(file, Settings())
    (found,) = validate("linear", "--platform", file, "--threads", "2", "--json")["networks"]
    assert found["predicted"] == float(cm.latency(recorder.networks[0], file).seconds)


def test_a_gpu_has_no_threads() -> None:
    settings = Settings(device="cuda", threads=4, dtype="tf32")
    assert platform_for("rtx-3090/torch-eager", settings) == "rtx-3090/torch-eager?dtype=tf32"
    assert platform_name("rtx-3090", "torch-eager", settings) == "rtx-3090/torch-eager?dtype=tf32"


@pytest.mark.parametrize("name", ["shufflenet_v2", "vit?size=64", "bert?layers=1"])
def test_another_dtype_takes_the_place_of_float32_everywhere(name: str) -> None:
    graph = cm.network(name)
    half = converted(graph, "float16")
    spec = f"{name}{'&' if '?' in name else '?'}dtype=float16"
    assert cm.cost(half) == cm.cost(cm.network(spec)) != cm.cost(graph)
    assert not any(t.dtype == "float32" for _, d in half.nodes(data=True) for t in d["outputs"])
    unchanged = network_for(name, Settings(dtype="tf32"))
    assert cm.cost(unchanged) == cm.cost(graph)


def test_an_emulator_takes_no_settings() -> None:
    out = validate("linear", "--backend", "arm:emulated", "--threads", "2", code=2)
    assert "leave out --device, --mode, --layout, --dtype, --threads, --cache and --cores" in out
