"""An interrupted run of scores goes on; figures of other code are not believed."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costmodel.errors import DataError
from costmodel_validation.__main__ import app
from costmodel_validation.scores import command
from costmodel_validation.scores.bench import MODEL, Score
from costmodel_validation.scores.figures import Figures
from costmodel_validation.scores.kept import Kept, state
from costmodel_validation.scores.protocols import Job, Outcome

GPU, ARM = Job("paper", "gpu", 20), Job("paper", "arm", 20, ("teacher",))


def _outcome(job: Job) -> Outcome:
    figures = Figures(0.1, 0.1, 0.5, 0.9, 0.8, float("nan"))
    return Outcome([Score(job.data, job.device, "split", MODEL, 10, 20, figures)], {"rows": 3.0})


def _refused(job: Job) -> Outcome:
    raise DataError(f"{job.device} was run again")


def test_a_job_is_read_as_it_was_kept(tmp_path: Path) -> None:
    file = tmp_path / "scores.json.part"
    Kept(file, "a").keep(ARM, _outcome(ARM))
    again = Kept(file, "a")
    (score,) = again.outcomes[ARM].scores
    assert again.outcomes[ARM].facts == {"rows": 3.0}
    assert (score.device, score.figures.mape) == ("arm", 0.1)
    assert math.isnan(score.figures.coverage)
    again.keep(GPU, _outcome(GPU))
    assert set(Kept(file, "a").outcomes) == {ARM, GPU}


@pytest.mark.parametrize("text", ["", "[]", '{"state": "b"}\n{"job": 1}', "\x00", '{"state": "b"}'])
def test_another_state_starts_anew(tmp_path: Path, text: str) -> None:
    file = tmp_path / "scores.json.part"
    file.write_text(text)
    assert not Kept(file, "a").outcomes
    assert json.loads(file.read_text()) == {"state": "a"}


def test_a_line_that_was_cut_off_is_run_again(tmp_path: Path) -> None:
    file = tmp_path / "scores.json.part"
    kept = Kept(file, "a")
    kept.keep(GPU, _outcome(GPU))
    kept.keep(ARM, _outcome(ARM))
    file.write_text(file.read_text()[:-20])
    again = Kept(file, "a")
    assert set(again.outcomes) == {GPU}
    again.keep(ARM, _outcome(ARM))
    assert set(Kept(file, "a").outcomes) == {GPU, ARM}


def test_the_state_is_that_of_the_data_too(tmp_path: Path) -> None:
    before = state(tmp_path)
    assert before == state(tmp_path) != state(None)
    (tmp_path / "rows.csv").write_text("1")
    assert state(tmp_path) != before


def test_the_command_does_only_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COSTMODEL_DATA", str(tmp_path))
    file = tmp_path / "out" / "scores.json"
    file.parent.mkdir()
    kept = Kept(file.with_name("scores.json.part"), "a")
    monkeypatch.setattr(command, "state", lambda data: "a")
    monkeypatch.setattr(command, "verdicts", lambda scores, facts: [])
    for device in ("gpu", "arm"):
        job = Job("paper", device, 20)
        kept.keep(job, _outcome(job))
    monkeypatch.setattr(command, "run", _refused)
    result = CliRunner().invoke(app, ["score", "paper", "--json", str(file)])
    assert result.exit_code == 0, result.output
    assert [s["device"] for s in json.loads(file.read_text())["scores"]] == ["gpu", "arm"]
    assert not file.with_name("scores.json.part").exists()
