"""The fuzzer: a short run of every reader, what it finds kept, and that it finds faults at all."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costmodel.errors import DataError
from costmodel_validation.__main__ import app
from costmodel_validation.fuzz import child
from costmodel_validation.fuzz.child import check, run_batch, seeds_of
from costmodel_validation.fuzz.command import CORPUS
from costmodel_validation.fuzz.readers import READERS, Reader

CORPUS_FILES = sorted(path for path in (Path(__file__).parent / CORPUS.name).glob("*/*"))


@pytest.mark.parametrize("path", CORPUS_FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_once_a_fault_is_none(path: Path, tmp_path: Path) -> None:
    content = path.read_bytes()
    assert check(READERS[path.parent.name], content, tmp_path)[1] is None


@pytest.mark.parametrize("name", READERS)
def test_valid_contents_are_accepted(name: str, tmp_path: Path) -> None:
    for content in seeds_of(name):
        assert check(READERS[name], content, tmp_path) == (True, None)


@pytest.mark.parametrize("name", READERS)
def test_a_short_run_finds_no_fault(name: str) -> None:
    tally = run_batch(name, seed=12345, size=60)
    assert [fault.what for fault in tally.faults] == []
    assert tally.inputs == 60
    assert tally.accepted > 3


def _reader(read: object) -> dict[str, Reader]:
    return {"spec": Reader("", lambda: [b"1", b"22", b"a=3"], read)}  # type: ignore[arg-type]


def _crash(text: str) -> None:
    raise KeyError(text)


def _crash_badly(text: str) -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def _long(text: str) -> None:
    while True:
        pass


def _large(text: str) -> None:
    bytearray(3 * child.MEMORY)


def _refuse(text: str) -> None:
    raise DataError(text)


@pytest.mark.parametrize(
    ("read", "kind", "words"),
    [
        (_crash, "crash", "KeyError at "),
        (_crash_badly, "crash", "died"),
        (_long, "hang", "TooLongError"),
        (_large, "memory", "MemoryError"),
    ],
)
def test_faults_are_found(
    monkeypatch: pytest.MonkeyPatch, read: object, kind: str, words: str
) -> None:
    monkeypatch.setattr(child, "READERS", _reader(read))
    monkeypatch.setattr(child, "_SEEDS", {})
    monkeypatch.setattr(child, "SECONDS", 0.2)
    tally = run_batch("spec", seed=1, size=2)
    assert {fault.kind for fault in tally.faults} == {kind}
    assert words in tally.faults[0].what


def test_a_hang_outside_of_python_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(text: str) -> None:
        import signal

        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPROF})
        time.sleep(60)

    monkeypatch.setattr(child, "READERS", _reader(stuck))
    monkeypatch.setattr(child, "_SEEDS", {})
    monkeypatch.setattr(child, "_STUCK", 0.5)
    tally = run_batch("spec", seed=1, size=2)
    assert [(fault.kind, fault.what) for fault in tally.faults] == [
        ("hang", "no answer within 0.5 s")
    ]


def test_an_input_can_be_made_again() -> None:
    assert child._input("graph", 3, 4) == child._input("graph", 3, 4)


def test_the_command_prints_figures_and_keeps_what_it_finds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ["fuzz", "expression", "--seconds", "0.1", "--corpus", str(tmp_path)]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0
    found = json.loads(done.output)["expression"]
    assert found["inputs"] >= 250
    assert found["accepted"] > 25
    assert found["crashes"] == found["hangs"] == found["over_memory"] == 0
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(child, "READERS", {**READERS, "expression": Reader("", list, _crash)})
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "KeyError" in done.output
    assert len(list((tmp_path / "expression").iterdir())) == 1


def test_an_interrupted_run_ends_with_its_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("costmodel_validation.fuzz.command.run_batch", interrupted)
    done = CliRunner().invoke(app, ["fuzz", "spec", "--corpus", str(tmp_path)])
    assert done.exit_code == 130
    assert "over memory" in done.output


def test_an_unknown_reader_is_refused() -> None:
    done = CliRunner().invoke(app, ["fuzz", "nothing"])
    assert done.exit_code == 2
    assert "known are graph, hardware" in done.stderr
