"""What the command ``speed`` times, and the calibrations that come with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.ops import Input, Output
from costmodel.platforms import calibration_file, find_calibration, load_platform
from costmodel.timing.fitted import from_toml
from costmodel.timing.parameters import priors
from validation.__main__ import app
from validation.scores.paper_tables import PLATFORMS, TABLES, cells
from validation.speed import VARIANTS, best_of, chain, measurements, tasks

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


def test_every_task_has_a_goal_and_the_fastest_run_counts() -> None:
    found = tasks()
    assert len(found) == 7
    assert all(task.goal > 0 for task in found)
    assert sum(f"{VARIANTS:,}" in task.name for task in found) == 2
    assert best_of(lambda: None, 3) < 0.01


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
        (p.name, p.meaning) for p in priors(kind)
    ], "the model has changed: run python -m validation calibrations"
    assert find_calibration(platform) is not None
