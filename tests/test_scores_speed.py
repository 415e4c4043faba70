"""What the command ``speed`` times, and the calibrations that come with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.ops import Input, Output
from costmodel.platforms import calibration_file, find_calibration, load_platform
from costmodel.timing.fitted import from_toml
from costmodel.timing.multipliers import multipliers
from costmodel.timing.parameters import priors
from costmodel_validation.__main__ import app
from costmodel_validation.scores.paper_tables import PLATFORMS, TABLES, cells
from costmodel_validation.space_speed import Figure
from costmodel_validation.speed import VARIANTS, Task, best_of, chain, measurements, tasks

SHIPPED = sorted(
    Path(str(file))
    for file in (resources.files("costmodel") / "calibrations").iterdir()
    if file.name.endswith(".toml")
)


def test_a_chain_has_the_operators_it_says() -> None:
    graph = chain(1000)
    ends = sum(isinstance(data["op"], Input | Output) for _, data in graph.nodes(data=True))
    assert len(graph) - ends == 1000
    assert len(cm.latency(chain(200), "gtx-1080-ti/paper").kernels) == 100


def test_measurements_scatter_around_the_prediction() -> None:
    rows = measurements(60)
    ratios = [
        row.seconds / float(cm.latency(cm.network(row.network), "gtx-1080-ti/paper").seconds)
        for row in rows
    ]
    assert 0.02 < np.std(np.log(ratios)) < 0.08


@pytest.mark.slow
def test_every_task_has_a_goal_and_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("costmodel_validation.speed.ROWS", 10)  # made, not timed
    found = tasks()
    assert len({task.name for task in found}) == len(found) == 13
    assert all(task.goal > 0 and task.repeats >= 1 for task in found)
    assert sum(f"{VARIANTS:,}" in task.name for task in found) == 2


def test_the_fastest_run_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[float] = []
    clock = iter([0.0, 3.0, 10.0, 11.0, 20.0, 22.0])
    monkeypatch.setattr(
        "costmodel_validation.speed.time", SimpleNamespace(perf_counter=lambda: next(clock))
    )
    assert best_of(lambda: ran.append(1), 3) == 1.0
    assert len(ran) == 3


def test_the_table_sets_times_beside_goals(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    found = [Task("quick", 5.0, lambda: ran.append("quick"), 2), Task("late", 0.05, lambda: None)]
    clock = iter([0.0, 2.0, 2.0, 3.0, 3.0, 3.06])
    others = [
        Figure("memory", 1.0, lambda: 1.5, lambda v: f"{v:.2f} GB"),
        Figure("workers", 1.5, lambda: 1.8, lambda v: f"{v:.2f} x", at_least=True),
    ]
    monkeypatch.setattr("costmodel_validation.speed.tasks", lambda: found)
    monkeypatch.setattr("costmodel_validation.speed.figures", lambda: others)
    monkeypatch.setattr(
        "costmodel_validation.speed.time", SimpleNamespace(perf_counter=lambda: next(clock))
    )
    rows = CliRunner().invoke(app, ["speed"]).output.splitlines()
    (quick,) = [row.split() for row in rows if "quick" in row]
    (late,) = [row.split() for row in rows if "late" in row]
    assert [word for word in quick if word.isascii()] == ["quick", "1.00", "s", "5.00", "s", "yes"]
    assert [word for word in late if word.isascii()] == ["late", "60.0", "ms", "50.0", "ms", "no"]
    assert ran == ["quick"] * 2
    told = [[w for w in row.split() if w.isascii()] for row in rows]
    assert ["memory", "1.50", "GB", "1.00", "GB", "no"] in told
    assert ["workers", "1.80", "x", "1.50", "x", "yes"] in told


@pytest.mark.slow
def test_calibrations_are_written_from_tables_1_to_4(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["calibrations", "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    for kind, name in PLATFORMS.items():
        file = tmp_path / calibration_file(name)
        platform = load_platform(str(file))
        assert platform.name == name
        assert platform.fitted.rows == len(cells(kind, TABLES))
        assert "Tables 1-4" in platform.fitted.provenance["data"]


def test_the_paper_platforms_come_calibrated() -> None:
    assert {file.name for file in SHIPPED} == {calibration_file(n) for n in PLATFORMS.values()}


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.name)
def test_shipped_calibrations_have_the_parameters_of_the_model(file: Path) -> None:
    platform, fitted = from_toml(file.read_text("utf-8"), file.name)
    kind = load_platform(platform, calibrated=False).hardware.kind
    assert [(p.name, p.meaning) for p in fitted.parameters] == [
        (p.name, p.meaning) for p in (*priors(kind), *multipliers())
    ], "the model has changed: run python -m validation calibrations"
    assert find_calibration(platform) is not None
