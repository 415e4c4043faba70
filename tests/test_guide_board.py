"""The guide "Measure on your board": its commands run against stand-ins and print what it says."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from local_board import EMULATE, MISSING, Board, set_login, ssh_board
from typer.testing import CliRunner

from costmodel.cli.app import app
from costmodel_validation.backends.engine import EngineBackend
from costmodel_validation.measuring.options import parse_cores

pytestmark = pytest.mark.skipif(
    bool(MISSING),
    reason=f"{' and '.join(MISSING)} not found: install openssh-server, openssh-client",
)
GUIDE = (Path(__file__).parents[1] / "docs/guide/measure-on-your-board.md").read_text("utf-8")
ENGINES = re.findall(r"^\$ costmodel (validate .*(?:ncnn|onnxruntime|tflite):.*)$", GUIDE, re.M)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with ssh_board(tmp_path_factory.mktemp("board")) as board:
        set_login(board, EMULATE)
        yield board


@pytest.fixture(autouse=True)
def a_clock_that_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator's clock falls whenever others have the processor: no throttling is seen in it."""
    monkeypatch.setattr("costmodel_validation.backends.arm_timing.THROTTLED", 0.0)


def test_the_guide_has_a_command_for_each_engine() -> None:
    assert {re.search(r"(\w+):(?:ssh|adb)", line)[1] for line in ENGINES} == {  # type: ignore[index]
        "ncnn",
        "onnxruntime",
        "tflite",
    }
    assert re.search(r"\?python=", " ".join(ENGINES))
    assert re.search(r"\?program=", " ".join(ENGINES))


@pytest.mark.parametrize("line", ENGINES)
def test_the_guide_s_commands_of_engines_run(
    board: Board, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small networks in the place of the guide's; this machine's engines in that of the board's."""
    words = shlex.split(line)
    name, _, target = words[words.index("--backend") + 1].partition(":")
    if name == "tflite":
        program = tmp_path / "benchmark_model"
        program.write_text("#!/bin/sh\necho 'Inference (avg): 2000'\n")
        program.chmod(0o755)
        query = target.partition("?")[2].replace("program=benchmark_model", f"program={program}")
    else:
        pytest.importorskip(name)
        query = f"python={sys.executable}"
    place = f"{board.target.name.removeprefix('arm:')}?{query}"
    backend = EngineBackend(name, place, stand_in=True)
    backend._board = board.target
    monkeypatch.setattr("costmodel_validation.cli.load_backend", lambda text: backend)
    monkeypatch.setattr(backend, "named_cores", lambda name: parse_cores("0"))
    words[1] = "shufflenet_v2?width=0.5&size=32"
    words += ["--no-kernels", "--budget", "0.1", "--platform", f"raspberry-pi-4/{name}"]
    result: Any = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    output = " ".join(result.output.split())  # a title breaks where the path of Python is long
    assert f"{backend.name}: no throttling in" in output
    assert "Latency in ms, measured on" in output
    assert "unverified: a stand-in" in output


def test_the_guide_s_words_of_engines_are_those_that_are_printed() -> None:
    """Each failure in its table is one of the sources."""
    folder = Path(__file__).parents[1] / "validation" / "backends"
    sources = " ".join(path.read_text() for path in folder.glob("*.py"))
    said = " ".join(re.sub(r'"\s*\n\s*f?"', "", sources).split())
    for words, source in (
        ("there is no ncnn on the board", "there is no {title} on the board"),
        ("not on a 64-bit ARM processor", "not on a 64-bit ARM processor"),
        ("of 32 bits", "of {bits} bits"),
        ("there is no operator of TensorFlow Lite here", "there is no operator of TensorFlow Lite"),
        ("versions before 2023 take no param=", "versions before 2023 take no param="),
    ):
        assert words in GUIDE
        assert source in said


def test_the_guide_s_board_check_lists_engines() -> None:
    source = (Path(__file__).parents[1] / "validation/board.py").read_text()
    assert 'f"engine {engine}: {_engine(where, engine)}"' in source
    for line in ("engine ncnn: not there", "engine onnxruntime: 1.20.1, by python3"):
        assert line in GUIDE
