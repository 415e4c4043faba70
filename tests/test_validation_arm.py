"""The ARM backend in ``costmodel validate``: every number says whether it was measured."""

from __future__ import annotations

import importlib.util
import json
import platform as python_platform
from pathlib import Path
from typing import Any

import pytest
from fake_board import validate
from typer.testing import CliRunner

from costmodel.cli.app import app
from costmodel.specs import network
from costmodel_validation.arm.bench.build import arm_compiler
from costmodel_validation.arm.checks.emulate import TOTAL, emulate
from costmodel_validation.arm.errors import BackendError
from costmodel_validation.arm.simulator.core import load_core
from costmodel_validation.backends import BACKENDS, Settings, load_backend
from costmodel_validation.backends.arm import ArmBackend
from costmodel_validation.comparing.tables import NOTES
from costmodel_validation.measuring.campaign import Campaign, run_campaign
from costmodel_validation.measuring.clock import Plan, Timing
from costmodel_validation.measuring.store import Store

_NEEDED = [name for name in ("unicorn", "capstone") if importlib.util.find_spec(name) is None]
needs_simulation = pytest.mark.skipif(
    bool(_NEEDED), reason=f"{' and '.join(_NEEDED)} not found: pip install 'nn-costmodel[arm]'"
)
SMALL = "shufflenet_v2?width=0.5&size=64"
ODD = "elementwise?kind=log&shape=1x4x4x4"


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
    assert "Latency in ms, simulated on" in out
    assert "Simulated, not measured: this validates nothing" in out
    assert load_core("cortex-a57").parameters()[:40] in " ".join(out.split())
    before = out.replace("not measured", "")
    assert "measured" not in before
    assert "range" in out
    assert "noise" not in out


@needs_simulation
def test_simulated_json_keeps_times_under_their_label() -> None:
    document = json.loads(validate(SMALL, "--backend", "arm:simulated", "--json").stdout)
    assert document["label"] == "simulated"
    assert "misses at once (range: 8 to 1)" in document["note"]
    assert f"kernels compiled by {arm_compiler()}" in document["note"]
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
    from costmodel_validation.arm.checks import emulate as module

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


@pytest.mark.parametrize("platform", ["rtx-3090/torch-eager", "raspberry-pi-4/neon"])
def test_a_simulated_core_is_compared_with_its_own_device_alone(platform: str) -> None:
    command = (SMALL, "--backend", "arm:simulated", "--platform", platform)
    out = validate(*command, code=2).output
    assert "arm:simulated is cortex-a57 at 1.96 GHz" in out
    assert "give snapdragon-810/neon" in out


def test_a_gpu_does_not_predict_what_runs_on_the_processor() -> None:
    pytest.importorskip("torch")
    out = validate(SMALL, "--backend", "torch", "--platform", "rtx-3090/torch-eager", code=2).output
    assert "is a GPU, and torch runs on the processor: give --device cuda" in out


def test_int8_is_refused_where_nothing_is_quantized() -> None:
    pytest.importorskip("torch")
    result = CliRunner().invoke(app, ["validate", SMALL, "--backend", "torch", "--dtype", "int8"])
    assert result.exit_code in (1, 2)
    assert "dtype int8 needs a backend that quantizes" in result.output


def test_exactness_is_refused_where_nothing_is_measured() -> None:
    out = validate(SMALL, "--backend", "arm:simulated", "--precision", "0.1", code=2).output
    assert "arm:simulated cannot honour --precision: it calculates, and measures nothing" in out


@needs_simulation
def test_a_figure_of_simulated_times_says_that_none_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "net.svg"
    words = ("--backend", "arm:simulated", "--no-kernels", "--plot", str(path))
    out = validate("conv2d?cin=8&size=14&cout=8", *words).output
    assert "predicted against simulated times of 1 networks" in out
    assert "simulated, not measured" in path.read_text().replace("<!-- ", "")


@pytest.mark.skipif(
    python_platform.machine() in {"aarch64", "arm64"}, reason="this machine runs arm:native"
)
def test_native_on_another_machine_is_one_sentence() -> None:
    out = validate(SMALL, "--backend", "arm:native", code=2).output
    assert "arm:native needs an aarch64 Linux machine" in out


def test_an_operator_without_a_kernel_is_one_sentence() -> None:
    graphs = {"ln": network(ODD)}
    found = dict(ArmBackend("simulated").measure_networks(graphs, Settings(), Plan()))
    assert not isinstance(found["ln"], Timing)
    assert "no kernel for Elementwise (log)" in str(found["ln"])


def test_an_absent_compiler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: Any) -> Path:
        raise BackendError("no C compiler was found (cc): install the Python package ziglang")

    monkeypatch.setattr("costmodel_validation.arm.bench.targets.build_armbench", absent)
    monkeypatch.setattr("costmodel_validation.arm.simulator.count.build_armbench", absent)
    for target, code in (("emulated", 2), ("simulated", 1)):
        out = validate(SMALL, "--backend", f"arm:{target}", code=code).output
        assert "no C compiler was found" in out


def test_this_host_is_its_own_platform_whatever_its_cores_are_called() -> None:
    ArmBackend("native").confirm_platform("host/neon")
