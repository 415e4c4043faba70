"""Engines' benchmark programs, and phones: stubs that answer rightly, and wrongly on purpose."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from costmodel import zoo
from costmodel.kernels.lowering import lower
from costmodel.runtimes import load_runtime
from costmodel.specs import network
from costmodel_validation.arm.bench.targets import find_qemu
from costmodel_validation.arm.errors import BackendError, BoardMemoryError
from costmodel_validation.backends import Settings
from costmodel_validation.backends.engine import EngineBackend, kernels_inside
from costmodel_validation.backends.engine_models import convert
from costmodel_validation.backends.engine_program import ProgramRunning
from costmodel_validation.measuring.backend import LayerTiming
from costmodel_validation.measuring.clock import Plan, Timing

FAST = Plan(budget=0.2, warm_up=0.05, turn=0.02, min_samples=3, rounds=2)
PROFILE = """
Operator-wise Profiling Info for Regular Benchmark Runs:
============================== Run Order ==============================
|[node type]|[first]|[avg ms]|[%]|[cdf%]|[mem KB]|[times called]|[Name]
|CONV_2D|1.100|1.000|62.500%|62.500%|0.000|1|[conv]:0
|Convolution (NHWC, F32) IGEMM|0.200|0.100|37.500%|100.000%|0.000|3|Delegate/Convolution (NHWC):0

============================== Top by Computation Time ==============================
|CONV_2D|9.000|9.000|62.500%|62.500%|0.000|1|[conv]:0
""".replace("|", "\t   ")
BENCHNCNN = "echo '   net.param  min =    1.90  max =    2.20  avg =    2.00' >&2"
BENCHMARK = (
    "echo 'INFO: Inference timings in us: Init: 9, First inference: 9, Warmup (avg): 9, "
    "Inference (avg): 2000.5'"
)


@dataclass
class Here:
    """A board whose shell is this machine's."""

    name: str = "board"

    def command(self, there: str) -> list[str]:
        return ["sh", "-c", there]

    def shell(self, command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["sh", "-c", command], input=stdin, capture_output=True, check=False)


def stub(folder: Path, body: str, name: str = "engine") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def running(folder: Path, body: str, engine: str = "ncnn") -> ProgramRunning:
    here: Any = Here()
    return ProgramRunning(here, engine, str(stub(folder, body)), 2)


def test_benchncnn_is_given_the_network_its_shape_and_threads(tmp_path: Path) -> None:
    said = tmp_path / "said"
    found = running(tmp_path, f'echo "$@" >> {said}; {BENCHNCNN}')
    found.load("/x/net.param", {"b0": (3, 224, 160), "b1": (10,)})
    (sample, *_) = found.samples(0, 7, 2, 0.0)
    assert sample.seconds == 2.00e-3
    assert (
        said.read_text().splitlines()[1:]
        == ["7 2 0 -1 0 param=/x/net.param shape=[160,224,3],[10]"] * 2
    )


def test_benchmark_model_tells_its_mean_and_its_layers(tmp_path: Path) -> None:
    said = tmp_path / "said"
    body = f'echo "$@" >> {said}; {BENCHMARK}; cat <<"END"\n{PROFILE}\nEND'
    found = running(tmp_path, body, "tflite")
    found.load("/x/net.tflite", {"x0": (1, 7, 7, 8)})
    assert found.samples(0, 5, 1, 0.0)[0].seconds == pytest.approx(2000.5e-6)
    assert "--graph=/x/net.tflite --num_threads=2 --num_runs=5" in said.read_text()
    first, second = found.layers(0, 3)
    assert (first.kind, first.name, first.seconds) == ("CONV_2D", "[conv]:0", 1.0e-3)
    assert (second.kind, second.seconds) == (
        "Convolution (NHWC, F32) IGEMM",
        pytest.approx(0.3e-3),  # three calls
    )


@pytest.mark.parametrize(
    ("engine", "body", "words"),
    [
        ("ncnn", "echo fopen net.param failed", "benchncnn gave no time for the network: it says"),
        ("ncnn", "echo 'min = nan  max = nan  avg = nan'", "gave no time for the network"),
        ("ncnn", "echo 'min = 3.0  max = 1.0  avg = 2.0'", "gave no time for the network"),
        ("ncnn", "echo 'min = x  max = 1.0  avg = 2.0'", "gave no time for the network"),
        ("ncnn", "echo 'min = -5.0  max = 1.0  avg = -2.0'", "says that it took -0.002 s"),
        ("ncnn", "echo 'min = 0.01  max = 0.03  avg = 0.02'", "too coarse for a network of 0.02"),
        ("tflite", "echo 'Inference (avg): inf'", "says that it took inf s"),
        ("tflite", "echo 'Inference (avg): 9e99'", "says that it took 9e+93 s"),
        ("tflite", "echo 'Inference (avg): 0'", "says that it took 0 s"),
        ("tflite", "echo '[/x]\033[31m'", "benchmark_model gave no time for the network"),
        ("tflite", "exit 1", "benchmark_model failed with exit code 1: it said nothing"),
        ("tflite", "kill -SEGV $$", "benchmark_model was stopped by SIGSEGV; it crashed"),
        ("tflite", "kill -KILL $$", "most likely as memory ran out"),
        ("tflite", "echo 'cannot execute: Exec format error' >&2; exit 126", "another processor"),
    ],
)
def test_a_program_that_answers_wrongly_is_one_sentence(
    tmp_path: Path, engine: str, body: str, words: str
) -> None:
    found = running(tmp_path, body, engine)
    with pytest.raises(BackendError) as caught:
        found.load("/x/net", {})
    assert words in str(caught.value)
    assert str(caught.value).isprintable()
    assert isinstance(caught.value, BoardMemoryError) == ("memory" in words)


def test_a_program_that_hangs_is_given_up_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("costmodel_validation.backends.engine_program.DEFAULT_TIMEOUT_S", 1.0)
    number = tmp_path / "number"
    found = running(tmp_path, f"echo $$ > {number}; exec sleep 60")
    with pytest.raises(BackendError, match="no answer within 1 s, stopped"):
        found.load("/x/net", {})
    for _ in range(100):
        if not Path(f"/proc/{number.read_text().strip()}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the program runs on")


def test_a_program_is_bound_to_its_cores_and_that_is_checked(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    said = tmp_path / "said"
    found = running(tmp_path, f"grep Cpus_allowed_list /proc/self/status >> {said}; {BENCHNCNN}")
    found.pin((core,))
    found.load("/x/net", {})
    assert said.read_text().split() == ["Cpus_allowed_list:", str(core)]
    with pytest.raises(BackendError, match="was to be bound to core 999: the board's taskset says"):
        found.pin((999,))


@pytest.mark.parametrize("takes", ["f0|c", "0x*|c"])
def test_a_taskset_that_takes_masks_alone_is_given_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: str
) -> None:
    """Android's toybox and busybox."""
    body = (
        f'case "$1" in {takes}) ;; *) exit 1;; esac; [ "$1" = -c ] && exit 1; shift; '
        'case "$1" in grep) echo "Cpus_allowed_list: 4-7"; exit;; esac; exec "$@"'
    )
    stub(tmp_path, body, "taskset")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    found = running(tmp_path, BENCHNCNN)
    found.pin((4, 5, 6, 7))
    assert found._prefix in ("taskset f0", "taskset 0xf0")
    assert found.load("/x/net", {}) == 0


def test_ncnn_s_program_is_kept_from_half_precision() -> None:
    lines = convert("ncnn", zoo.resnet18(size=64)).model.decode().splitlines()[2:]
    assert all(line.endswith(" 31=7") for line in lines)


def test_layers_make_the_kernels_that_a_runtime_predicts() -> None:
    graph = zoo.shufflenet_v2(width=0.5, size=32)
    kernels = lower(graph, load_runtime("onnxruntime"))
    layers = [
        LayerTiming(f"l{i}", "Conv", (1e-3, 2e-3), k.nodes[-1]) for i, k in enumerate(kernels)
    ]
    more = LayerTiming("reorder", "ReorderOutput", (1.0, 1.0))
    twice = LayerTiming("second", "Reshape", (1e-3, 1e-3), kernels[0].nodes[0])
    found = kernels_inside(kernels, [*layers, more, twice])
    assert [k.name for k in found] == [k.name for k in kernels]
    assert all(k.inside for k in found)
    assert found[0].timing.median == pytest.approx(2.5e-3)
    assert found[1].timing.median == pytest.approx(1.5e-3)
    assert kernels_inside(kernels, layers[1:]) == ()
    assert kernels_inside(kernels, []) == ()
    assert kernels_inside(kernels, [*layers, replace(more, samples=(1.0,))]) == ()


@pytest.fixture(autouse=True)
def a_clock_that_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator's clock falls whenever others have the processor: no throttling is seen in it."""
    monkeypatch.setattr("costmodel_validation.backends.arm_timing.THROTTLED", 0.0)


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ``adb`` whose phone is this machine; our own program is run by the emulator there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    stub(
        folder,
        'case "$1" in -s) shift 2;; esac\n'
        'case "$1" in\n'
        'push) exec cp "$2" "$3";;\n'
        'shell) shift; [ "$1" = -T ] && shift\n'
        f'  case "$1" in /*/armbench-*) exec {find_qemu()} "$1";; *) exec sh -c "$1";; esac;;\n'
        "esac",
        "adb",
    )
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(
        "costmodel_validation.arm.bench.remote._ANDROID", (f"'{tmp_path}/costmodel'",)
    )
    return tmp_path


def test_an_engine_is_sent_to_a_phone_and_timed(phone: Path) -> None:
    program = stub(phone, f"{BENCHMARK}; cat <<'END'\n{PROFILE}\nEND", "benchmark_model")
    backend = EngineBackend("tflite", f"adb://x?program={program}", stand_in=True)
    graphs = {"net": zoo.pointwise(14, 14, 8, 8), "log": network("elementwise?kind=log&shape=1x4")}
    found = dict(backend.measure_networks(graphs, Settings(), FAST))
    timing = found["net"]
    assert isinstance(timing, Timing), timing
    assert timing.median == pytest.approx(2000.5e-6)
    assert not isinstance(found["log"], Timing)
    sent = list((phone / "costmodel").iterdir())
    assert {path.name.split("-")[0] for path in sent} == {"armbench", "engine"}
    assert (phone / "costmodel").stat().st_mode & 0o777 == 0o700
    layers = backend.measure_layers("net", graphs["net"], Settings(), FAST)
    assert [layer.kind for layer in layers] == ["CONV_2D", "Convolution (NHWC, F32) IGEMM"]
    (inside,) = backend.measure_kernels(graphs["net"], Settings(), FAST)
    assert (inside.inside, inside.timing.median) == (True, 1e-3)  # "[conv]" is its node
    other = zoo.shufflenet_v2(width=0.5, size=32)
    assert backend.measure_kernels(other, Settings(), FAST) == ()  # kernels without a layer
    assert backend._board.clean() == str(phone / "costmodel")


def test_an_engine_on_the_phone_s_path_or_in_the_private_folder_is_found(
    phone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (phone / "costmodel").mkdir(mode=0o700)
    there = stub(phone / "costmodel", BENCHNCNN, "benchncnn")
    monkeypatch.setattr("costmodel_validation.backends.engine_there._PYTHONS", ("no-such-python",))
    assert EngineBackend("ncnn", "adb://x", True)._there.path == str(there)
    on_path = stub(phone / "bin", BENCHNCNN, "benchncnn")
    assert EngineBackend("ncnn", "adb://x", True)._there.path == str(on_path)


def test_a_planted_engine_is_never_run(phone: Path) -> None:
    """What is sent is checked before it is used, as the project's own program is."""
    program = stub(phone, BENCHNCNN, "benchncnn")
    target = f"adb://x?program={program}"
    path = Path(EngineBackend("ncnn", target, True)._there.path)
    again = EngineBackend("ncnn", target, True)
    assert again._there.path == str(path)
    path.write_text(f"#!/bin/sh\ntouch {phone}/ran\n")  # also after it was found
    dict(again.measure_networks({"net": zoo.pointwise(14, 14, 8, 8)}, Settings(), FAST))
    assert path.read_text() == program.read_text()
    assert not (phone / "ran").exists()


FAKE_TFLITE = """
import numpy
class Interpreter:
    def __init__(self, model_path, num_threads):
        with open(model_path, "rb") as file:
            assert file.read(8)[4:] == b"TFL3"
        self.threads = num_threads
    def allocate_tensors(self):
        pass
    def get_input_details(self):
        return [{"index": 0}]
    def get_output_details(self):
        return [{"index": 1}]
    def set_tensor(self, index, value):
        assert value.shape == (1, 14, 14, 8), value.shape
    def invoke(self):
        sum(range(20000))
    def get_tensor(self, index):
        return numpy.full((1, 14, 14, 8), FILL, dtype=numpy.float32)
"""


@pytest.mark.parametrize(("fill", "words"), [("1.0", ""), ("float('nan')", "holds NaN")])
def test_an_interpreter_on_the_phone_is_fed_and_its_outputs_are_checked(
    phone: Path, fill: str, words: str
) -> None:
    package = phone / "packages" / "tflite_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("__version__ = '2.14'")
    (package / "interpreter.py").write_text(FAKE_TFLITE.replace("FILL", fill))
    python = stub(phone, f'PYTHONPATH={package.parent} exec {sys.executable} "$@"', "python")
    backend = EngineBackend("tflite", f"adb://x?python={python}", stand_in=True)
    graphs = {"net": zoo.pointwise(14, 14, 8, 8)}
    found = dict(backend.measure_networks(graphs, Settings(threads=2), FAST))["net"]
    if words:
        assert words in str(found)
    else:
        assert isinstance(found, Timing), found
        assert backend.describe(Settings())["engine"] == f"TensorFlow Lite 2.14, by {python}"
