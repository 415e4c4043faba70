"""``costmodel calibrate --backend``: measured, kept, resumed, fitted; with a fake backend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import networkx as nx
import numpy as np
import pytest
from typer.testing import CliRunner

from costmodel import latency, load_platform
from costmodel.cli.app import app
from costmodel.prediction.table import tabulate
from costmodel.specs import network
from costmodel_validation.backends import BACKENDS, KernelTiming, Settings
from costmodel_validation.designed import BETWEEN, MOST, PLAN, measure_design, settings_of
from costmodel_validation.errors import MeasuringError
from costmodel_validation.measuring.backend import PLAIN
from costmodel_validation.measuring.clock import Plan, Timing, summary
from costmodel_validation.measuring.confirming import confirm_here
from costmodel_validation.measuring.store import Store

PLATFORM = "raspberry-pi-4/torch-eager"
SLOWER = 3.0


class Fake:
    """A machine that is slower than the priors of a platform say, with a percent of noise."""

    name = "fake"
    label: Literal["measured"] = "measured"
    among_others = True
    stop_after = 10**9
    ran = 0

    def describe(self, settings: Settings) -> dict[str, str]:
        return {"cpu": "a fake", "load": "0"}

    def platform(self, settings: Settings) -> str:
        return PLATFORM

    def confirm_platform(self, name: str, settings: Settings = PLAIN) -> None:
        confirm_here(name, self, settings)

    def check_settings(self, settings: Settings) -> None:
        pass

    def measure_networks(
        self, graphs: Mapping[str, nx.DiGraph], settings: Settings, plan: Plan
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        bare = load_platform(PLATFORM, calibrated=False)
        for name, graph in graphs.items():
            if type(self).ran == self.stop_after:
                raise KeyboardInterrupt
            type(self).ran += 1
            if name.startswith("softmax"):
                yield name, MeasuringError(f"{name}: no such kernel")
                continue
            noise = 1 + 0.01 * np.random.default_rng(len(name)).standard_normal()
            table = tabulate([graph], bare, [settings.between])
            (seconds,) = table.seconds(bare, bare.fitted.theta)
            yield name, summary([SLOWER * float(seconds) * noise])

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        raise AssertionError("only whole operators are measured")


class Emulator(Fake):
    label: Literal["emulated"] = "emulated"  # type: ignore[assignment]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COSTMODEL_HOME", str(tmp_path))
    monkeypatch.setattr(Fake, "ran", 0)
    monkeypatch.setattr(Fake, "stop_after", 10**9)
    monkeypatch.setitem(BACKENDS, "fake", f"{__name__}:Fake")
    monkeypatch.setattr("costmodel_validation.designed.load_backend", lambda name: Fake())
    return tmp_path


def run(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "1000"})
    assert result.exit_code == code, result.output
    return result


def test_two_commands_predict_a_network_on_a_machine_that_was_measured(home: Path) -> None:
    graph = network("shufflenet_v2")
    truth = SLOWER * float(latency(graph, load_platform(PLATFORM, calibrated=False)).seconds)
    before = float(latency(graph, PLATFORM).seconds)
    out = run("calibrate", "--backend", "fake").output
    assert f"{PLATFORM}: " in out
    assert "that it cannot run" in out
    assert (home / "calibrations" / "raspberry-pi-4--torch-eager.toml").is_file()
    after = float(latency(graph, PLATFORM).seconds)
    assert abs(after / truth - 1) < 0.15 < abs(before / truth - 1)
    assert "raspberry-pi-4/torch-eager" in run("report", "shufflenet_v2", "-p", PLATFORM).output


def test_the_calibration_says_what_it_rests_on(home: Path) -> None:
    file = home / "mine.toml"
    run("calibrate", "--backend", "fake", "-o", str(file))
    text = file.read_text()
    assert 'backend = "fake"' in text
    assert 'cpu = "a fake"' in text
    assert "single operators, measured by costmodel calibrate" in text
    assert str(home) not in text


def test_an_interrupted_campaign_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fake, "stop_after", 20)
    assert "the same command goes on" in run("calibrate", "--backend", "fake", code=130).output
    store = Store(home / "measurements" / "raspberry-pi-4--torch-eager.jsonl")
    assert len(store.results()) == 20
    monkeypatch.setattr(Fake, "stop_after", 10**9)
    run("calibrate", "--backend", "fake")
    done = Fake.ran
    assert done <= 2 * MOST + sum(bool(result.failure) for result in store.results())


def test_the_plan_ends_within_ten_minutes() -> None:
    assert 2 * MOST * (PLAN.budget + PLAN.warm_up) <= 600


def test_operators_are_timed_alone_and_among_others(home: Path) -> None:
    _, rows, _ = measure_design("fake")
    alone = {row.network: row.seconds for row in rows if not row.between}
    among = {row.network: row.seconds for row in rows if row.between}
    assert {row.between for row in rows} == {0, BETWEEN}
    assert alone.keys() == among.keys()
    assert all(among[name] > alone[name] for name in alone)


def test_where_a_backend_cannot_they_are_timed_alone_only(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fake, "among_others", False)
    _, rows, _ = measure_design("fake")
    assert {row.between for row in rows} == {0}


def test_an_emulator_calibrates_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("costmodel_validation.designed.load_backend", lambda name: Emulator())
    with pytest.raises(MeasuringError, match="has no latency"):
        measure_design("fake")


def test_a_platform_says_how_its_operators_are_run() -> None:
    assert settings_of(load_platform("raspberry-pi-4/torch-eager")) == Settings()
    assert settings_of(load_platform("raspberry-pi-4/torch-eager?threads=2")).threads == 2
    gpu = settings_of(load_platform("gtx-1080-ti/torch-compile?dtype=float16"))
    assert (gpu.device, gpu.mode, gpu.dtype) == ("cuda", "compile", "float16")
    assert settings_of(load_platform("h100-sxm/cuda-graphs")).mode == "graphs"
    with pytest.raises(MeasuringError, match="nothing here runs operators in mode library"):
        settings_of(load_platform("h100-sxm/cuda-library"))
    with pytest.raises(MeasuringError, match="not in int8"):
        settings_of(load_platform("raspberry-pi-4/torch-eager?dtype=int8"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--backend", "fake", "--design", "3"), "--backend measures by itself"),
        (("--backend", "fake", "table.csv"), "--backend measures by itself"),
        (("--design", "3"), "name what was measured: --platform"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    words: tuple[str, ...], sentence: str
) -> None:
    assert sentence in run("calibrate", *words, code=2).output


def test_without_a_package_that_measures_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("costmodel.cli.calibrate.entry_points", lambda **_: ())
    out = run("calibrate", "--backend", "torch", code=2).output
    assert "no package that measures is installed" in out


def test_a_folder_that_cannot_be_made_is_one_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "file").write_text("")
    monkeypatch.setenv("COSTMODEL_HOME", str(home / "file"))
    out = run("calibrate", "--backend", "fake", code=2).output
    assert "measurements: cannot be made: Not a directory" in out
