"""The ARM backend in ``costmodel validate``: every number says whether it was measured."""

from __future__ import annotations

import importlib.util
import json
import platform as python_platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from costmodel import zoo
from costmodel.cli.app import app
from costmodel.specs import network
from validation.arm.bench.program import Spec
from validation.arm.bench.result import OperatorTime, RunResult, Sample
from validation.arm.checks.emulate import TOTAL, emulate
from validation.arm.errors import BackendError
from validation.arm.simulator.core import load_core
from validation.backends import BACKENDS, Settings, load_backend
from validation.backends.arm import ArmBackend
from validation.comparing.tables import NOTES
from validation.errors import MeasuringError
from validation.measuring.campaign import Campaign, run_campaign
from validation.measuring.clock import Plan, Timing
from validation.measuring.store import Store

_NEEDED = [name for name in ("unicorn", "capstone") if importlib.util.find_spec(name) is None]
needs_simulation = pytest.mark.skipif(
    bool(_NEEDED), reason=f"{' and '.join(_NEEDED)} not found: pip install 'nn-costmodel[arm]'"
)
SMALL = "shufflenet_v2?width=0.5&size=64"
PI = "raspberry-pi-4/neon"


def validate(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, ["validate", *words], env={"COLUMNS": "1000"})
    assert result.exit_code == code, result.output
    return result


@dataclass
class Board:
    """A board whose operators take a millisecond each, or an emulator that says so."""

    label: str = "measured"
    runs: int = 0

    def run(self, spec: Spec, timeout: float = 600.0) -> RunResult:
        self.runs += 1
        one = Sample(1e-3, 0.9e-3, 1.2e-3, 7)
        operators = tuple(OperatorTime(call.kernel, 0, one) for call in spec.calls)
        n = len(operators)
        total = Sample(n * 1e-3, n * 0.9e-3, n * 1.2e-3, 7)
        host = {"machine": "aarch64", "emulator": "qemu" if self.label == "emulated" else ""}
        return RunResult(self.label, host, total, operators, {})  # type: ignore[arg-type]


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    board = Board()
    monkeypatch.setattr("validation.backends.arm.parse_target", lambda name: board)
    return board


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("arm:native", "measured"),
        ("arm:ssh://me@board:22", "measured"),
        ("arm:adb://123", "measured"),
        ("arm:emulated", "emulated"),
        ("arm:simulated", "simulated"),
        ("torch", "measured"),
    ],
)
def test_backends_are_found_by_name_and_say_what_their_times_are(name: str, label: str) -> None:
    if name == "torch":
        pytest.importorskip("torch")
    backend = load_backend(name)
    assert (backend.name, backend.label) == (name, label)


def test_every_label_that_is_not_measured_has_a_note() -> None:
    assert "arm" in BACKENDS
    assert NOTES["measured"] == ""
    assert "not measured" in NOTES["simulated"]
    assert "no latency" in NOTES["emulated"]


@needs_simulation
def test_simulated_times_are_never_called_measured() -> None:
    out = validate(SMALL, "--backend", "arm:simulated").output
    assert "predicted, and simulated on" in out
    assert "Simulated, not measured: this validates nothing" in out
    assert load_core("cortex-a57").parameters()[:40] in " ".join(out.split())
    before = out.replace("not measured", "")
    assert "measured" not in before
    assert "range" in out
    assert "95 %" not in out


@needs_simulation
def test_simulated_json_keeps_times_under_their_label() -> None:
    document = json.loads(validate(SMALL, "--backend", "arm:simulated", "--json").stdout)
    assert document["label"] == "simulated"
    assert "misses at once (range: 8 to 1)" in document["note"]
    (found,) = document["networks"]
    assert "measured" not in found
    times = found["simulated"]
    assert times["low"] < times["median"] < times["high"]
    assert found["kernels"]
    assert all("measured" not in kernel for kernel in found["kernels"])
    inside = sum(kernel["simulated"] for kernel in found["kernels"])
    assert inside == pytest.approx(times["median"], rel=0.02)


@needs_simulation
def test_an_emulator_checks_and_counts_and_has_no_latency() -> None:
    document = json.loads(validate(SMALL, "--backend", "arm:emulated", "--json").stdout)
    assert document["label"] == "emulated"
    text = json.dumps(document)
    assert "seconds" not in text
    assert "median" not in text
    (found,) = document["networks"]
    assert found["wrong"] == []
    *kernels, total = found["kernels"]
    assert total["kernel"] == TOTAL
    assert total["worst"] <= found["tolerance"] == 1e-5
    for name in ("operators", "instructions", "loads", "stores", "bytes_read", "bytes_written"):
        assert total[name] == sum(row[name] for row in kernels)
    assert total["instructions"] > total["loads"] > total["stores"] > 0
    assert {"conv1x1", "depthwise", "shuffle", "concat"} <= {row["kernel"] for row in kernels}


@needs_simulation
def test_counts_are_the_same_to_the_instruction() -> None:
    graph = network("depthwise?c=8&size=14&k=3")
    assert emulate("dw", graph) == emulate("dw", graph)


@needs_simulation
def test_counts_of_a_copy_are_those_of_its_bytes() -> None:
    row, _ = emulate("concat", network("concat?shape=1x16x28x28")).kernels
    moved = 2 * 16 * 28 * 28 * 4
    assert row.bytes_read >= moved
    assert row.bytes_written >= moved
    assert row.bytes_written < 1.1 * moved
    assert row.worst == 0


@needs_simulation
def test_a_wrong_result_is_named_and_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    from validation.arm.checks import emulate as module

    real = module.check

    def worse(*args: Any) -> Any:
        first, *rest = real(*args)
        return [type(first)(first.index, first.kernel, 2e-5), *rest]

    monkeypatch.setattr(module, "check", worse)
    out = validate("pointwise?h=7&w=7&c1=8&c2=8", "--backend", "arm:emulated", code=1).output
    assert "0 of 1 operators agree" in out
    assert "wrong: " in out
    assert "(conv1x1, 2.0e-05)" in out


def test_an_emulator_is_refused_where_times_are_asked_for(tmp_path: Path) -> None:
    with Store(tmp_path / "s.jsonl") as store:
        campaign = Campaign((SMALL,), load_backend("arm:emulated"))
        (result,) = run_campaign(campaign, store)
    assert "arm:emulated has no latency" in result.failure
    out = validate("g1", "--backend", "arm:emulated", code=2).output
    assert "an emulator has none" in out


def test_a_board_is_measured_kernel_by_kernel(board: Board) -> None:
    arguments = (SMALL, "--backend", "arm:ssh://me@board", "--platform", PI, "--json")
    document = json.loads(validate(*arguments).stdout)
    assert (document["label"], document["note"]) == ("measured", "")
    assert document["host"]["machine"] == "aarch64"
    (found,) = document["networks"]
    assert found["platform"] == PI
    assert found["kernels"]
    assert found["measured"]["median"] == pytest.approx(1e-3 * len(found["kernels"]))
    assert sum(found["decomposition"].values()) == pytest.approx(found["error"])


def test_the_kernels_are_those_that_the_runtime_neon_predicts() -> None:
    graph = zoo.shufflenet_v2(width=0.5, size=64)
    backend = ArmBackend("ssh://me@board")
    board = Board()
    backend_run = "validation.backends.arm.parse_target"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend_run, lambda name: board)
        timings = backend.measure_kernels(graph, Settings(), Plan())
    assert len(timings) > 50
    assert {t.timing.median for t in timings} == {1e-3}


def test_a_board_that_is_an_emulator_ends_with_one_sentence(board: Board) -> None:
    board.label = "emulated"
    out = validate(SMALL, "--backend", "arm:ssh://me@board", "--platform", PI, code=2).output
    assert out.strip().startswith("costmodel: arm:ssh://me@board: the binary found itself under")
    assert "its wall time is no latency" in out
    assert board.runs == 1


def test_a_board_needs_the_name_of_its_platform(board: Board, tmp_path: Path) -> None:
    words = "which hardware is it? Give --platform, such as raspberry-pi-4/neon"
    assert words in validate(SMALL, "--backend", "arm:ssh://me@board", code=2).output
    measured = CliRunner().invoke(
        app, ["measure", SMALL, "--backend", "arm:adb://1", "-o", str(tmp_path / "s.jsonl")]
    )
    assert measured.exit_code == 2
    assert words in measured.output
    assert board.runs == 0


def test_results_of_a_board_are_kept_under_the_platform_that_was_named(
    board: Board, tmp_path: Path
) -> None:
    path = tmp_path / "s.jsonl"
    words = ["measure", SMALL, "--backend", "arm:adb://1", "--platform", PI, "-o", str(path)]
    assert CliRunner().invoke(app, words).exit_code == 0
    (result,) = Store(path).results()
    assert (result.platform, result.host["machine"]) == (PI, "aarch64")


@pytest.mark.skipif(
    python_platform.machine() in {"aarch64", "arm64"}, reason="this machine runs arm:native"
)
def test_native_on_another_machine_is_one_sentence() -> None:
    out = validate(SMALL, "--backend", "arm:native", code=1).output
    assert "arm:native needs an aarch64 Linux machine" in out


@pytest.mark.parametrize(
    "settings", [Settings(threads=2), Settings(dtype="float16"), Settings(device="cuda")]
)
def test_what_the_kernels_cannot_do_is_refused(settings: Settings) -> None:
    found = dict(
        ArmBackend("simulated").measure_networks({SMALL: network(SMALL)}, settings, Plan())
    )
    assert isinstance(found[SMALL], MeasuringError)
    assert "in float32, on one thread" in str(found[SMALL])


def test_an_operator_without_a_kernel_is_one_sentence() -> None:
    graphs = {"ln": network("layer_norm?shape=1x16x768")}
    found = dict(ArmBackend("simulated").measure_networks(graphs, Settings(), Plan()))
    assert not isinstance(found["ln"], Timing)
    assert "no kernel for LayerNorm" in str(found["ln"])


def test_an_absent_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any) -> Path:
        raise BackendError("no C compiler was found (cc): install the Python package ziglang")

    monkeypatch.setattr("validation.arm.bench.targets.build_armbench", absent)
    monkeypatch.setattr("validation.arm.simulator.count.build_armbench", absent)
    for target, code in (("emulated", 2), ("simulated", 1)):
        out = validate(SMALL, "--backend", f"arm:{target}", code=code).output
        assert "no C compiler was found" in out
