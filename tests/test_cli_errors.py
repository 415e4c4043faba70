"""Wrong arguments on purpose: one sentence on standard error, exit 2, never a traceback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from costmodel.cli.app import app
from costmodel.graph import SCHEMA
from costmodel.hardware.files import device_path

GPU = "gtx-1080-ti/paper"
TWO_LINES = 160
"""Characters of two lines of a terminal of 80 columns, with the name of the program."""


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), prog_name="costmodel")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "garbage.json").write_bytes(bytes(range(128, 256)))
    (tmp_path / "garbage.onnx").write_bytes(bytes(range(128, 256)))
    (tmp_path / "other.json").write_text('{"format": "something"}')
    (tmp_path / "cut.json").write_text('{"format": ')
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "table.csv").write_text("network,seconds\nshufflenet_v2,-1\n")
    (tmp_path / "bad.csv").write_text("network,seconds\n" + "shufflenet_v2,-1\n" * 11)
    (tmp_path / "dtype.csv").write_text("network,seconds,dtype\nshufflenet_v2,1,half\n")
    (tmp_path / "runtime.toml").write_text('name = "runtime"\nfuse = 1\n')
    text = device_path("gtx-1080-ti").read_text()
    (tmp_path / "dtype.toml").write_text(text.replace("[peak]\nfloat32", "[peak]\nfloat31"))
    text = device_path("raspberry-pi-4").read_text()
    (tmp_path / "raspberry-pi-4.toml").write_text(text.replace("cortex-a72", "cortex-a54"))
    nodes = [{"name": f"a{i}", "op": f"Unknown{i}"} for i in range(50)]
    (tmp_path / "many.json").write_text(
        json.dumps({"format": "costmodel-graph", "schema": SCHEMA, "name": "n", "nodes": nodes})
    )
    (tmp_path / "quits.py").write_text("import sys\nsys.exit(0)\n")
    return tmp_path


BAD_INPUT = [
    (["report", "shufflenetv2"], "did you mean shufflenet_v2"),
    (["report", "shufflenet_v2?widht=2"], "no parameter 'widht'"),
    (["report", "shufflenet_v2?width=abc"], "must be a number"),
    (["report", ""], "cannot tell what network"),
    (["report", "pointwise"], "c1, c2, h, w of pointwise are free"),
    (["report", "missing.json"], "missing.json"),
    (["report", "missing.onnx"], "missing.onnx"),
    (["report", "garbage.json"], "garbage.json: cannot be read: not UTF-8 text"),
    (["report", "garbage.onnx"], "garbage.onnx"),
    (["report", "other.json"], "other.json: not a graph file"),
    (["report", "cut.json"], "cut.json: not JSON"),
    (["report", "folder.json"], "folder.json"),
    (["report", "python:no_such_module:f"], "No module named 'no_such_module'"),
    (["report", "python:quits.py:f"], "its code ended the program (exit 0)"),
    (["report", "resnet18", "--platform", "gtx-1080to/paper"], "did you mean gtx-1080-ti"),
    (["report", "resnet18", "--platform", "gtx-1080-ti"], "must be HARDWARE/RUNTIME"),
    (["report", "resnet18", "--platform", "gtx-1080-ti/papr"], "unknown runtime 'papr'"),
    (["report", "resnet18", "--platform", ""], "must be HARDWARE/RUNTIME"),
    (["report", "resnet18?batch=2", "--batch", "3"], "give it once"),
    (["report", "resnet18", "--html", "no/such/folder/x.html"], "cannot be written"),
    (["formula", "g3_stack?c=128"], "needs 'structure'"),
    (["advise", "pointwise", "--platform", GPU], "c1, c2, h, w of pointwise are free"),
    (["calibrate", "missing.csv", "-p", GPU, "-o", "x.toml"], "missing.csv"),
    (["calibrate", "table.csv", "-p", GPU, "-o", "x.txt"], "--output must end in .toml"),
    (["calibrate", "-p", GPU], "give a table of measurements"),
    (["calibrate", "folder.json", "-p", GPU, "-o", "x.toml"], "folder.json"),
    (["calibrate", "garbage.json", "-p", GPU, "-o", "x.toml"], "not UTF-8 text"),
    (["calibrate", "table.csv", "-p", GPU, "-o", "x.toml"], "row 2: seconds must be"),
    (["calibrate", "table.csv", "-p", GPU, "-o", "x.toml", "--keep-good"], "no measurements"),
    (["platforms", "show", "gtx-1080-to"], "did you mean gtx-1080-ti"),
    (["platforms", "show", "missing.toml"], "missing.toml"),
    (["platforms", "show", "other.json"], "is a .toml file"),
    (["platforms", "check", "nothing"], "there is no hardware 'nothing'"),
    (["platforms", "show", "raspberry-pi-4.toml"], "there is no core 'cortex-a54'"),
    (["platforms", "show", "dtype.toml"], "peak.float31: the data type 'float31' is unknown"),
    (["report", "x" * 200], "unknown network 'xxx"),
    (["report", "resnet18", "-p", f"{'x' * 200}/paper"], "there is no hardware 'xxx"),
    (["report", "resnet18", "-p", "jetson agx orin 32gb/tflite"], "did you mean jetson-orin"),
    (["report", "resnet18", "-p", "pi 4/ncnn?thread=2"], "did you mean threads?"),
    (["report", "resnet18", "-p", "pi 4"], "such as raspberry-pi-4/"),
    (["report", "model.tflite"], "cannot tell what network"),
    (["report", "resnet18?dtype=float31"], "did you mean float32"),
    (
        ["report", "many.json"],
        "'Unknown0' (node 'a0') and 49 more; known are",
    ),
    (["report", "python:quits.py"], "quits.py"),
    (["report", "resnet18", "-p", "runtime.toml"], "runtime.toml"),
    (["report", "resnet18", "-p", "gtx-1080-ti/runtime.toml"], "unknown field fuse; did you"),
    (["sweep", "mobilenet_v2", "-p", GPU, "--plot", "x.doc"], "must end in .png"),
    (["sweep", "x" * 200, "-p", GPU], "unknown space 'xxx"),
    (["sweep", "nasbench201", "-p", GPU, "--where", "flop<1"], "did you mean flops?"),
    (["sweep", "nasbench201", "-p", GPU, "--pareto", "time"], "there is no column 'time'"),
    (["calibrate", "bad.csv", "-p", GPU, "-o", "x.toml"], "rows 2, 3 and 9 more: "),
    (["calibrate", "dtype.csv", "-p", GPU, "-o", "x.toml"], "dtype 'half' is unknown"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD_INPUT, ids=str)
def test_bad_input_is_one_sentence_and_exit_2(files, monkeypatch, arguments, words):
    monkeypatch.chdir(files)
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    lines = [x for x in result.stderr.splitlines() if not x.startswith("left out row")]
    assert len(lines) == 1
    assert lines[0].startswith("costmodel: ")
    assert len(lines[0]) <= TWO_LINES
    assert result.stdout == ""


WRONG_OPTIONS = [
    (["nonsense"], "nonsense"),
    (["report"], "NETWORK"),
    (["report", "resnet18", "--batch", "0"], "--batch"),
    (["report", "resnet18", "--batch", "-3"], "--batch"),
    (["report", "resnet18", "--batch", "many"], "--batch"),
    (["report", "resnet18", "--depth", "0"], "--depth"),
    (["report", "resnet18", "--wrong"], "--wrong"),
    (["report", "resnet18", "--json", "--csv"], "give one of --json, --csv and --html"),
    (["report", "resnet18", "--explain"], "give --platform"),
    (["formula", "pointwise", "--of", "speed"], "'speed' is not one of"),
    (["formula", "pointwise", "--of", "latency"], "--platform goes with --of latency"),
    (["formula", "pointwise", "--platform", GPU], "--platform goes with --of latency"),
    (["advise", "resnet18"], "--platform"),
    (["calibrate", "table.csv"], "--platform"),
    (["platforms", "bogus"], "bogus"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG_OPTIONS, ids=str)
def test_wrong_options_exit_2_and_say_which(arguments, words):
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


MODULE = ("-m", "costmodel.cli")
# A child of a shell that runs in the background ignores the signal, and so do its children.
INTERRUPTIBLE = (
    "-c",
    "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "runpy.run_module('costmodel.cli', run_name='__main__')",
)


def start(*arguments: str, program: tuple[str, str] = MODULE, **kwargs) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def test_the_program_itself_exits_2_without_a_traceback():
    process = start("report", "shufflenetv2")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out == ""
    assert err.count("\n") == 1
    assert "did you mean shufflenet_v2" in err


def test_interrupt_exits_130_with_a_line(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import time\nfrom pathlib import Path\n"
        "def net():\n    Path('started').touch()\n    time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    words = ("report", "python:slow.py:net")
    process = start(*words, program=INTERRUPTIBLE, cwd=tmp_path, env=environment)
    started = tmp_path / "started"
    while not started.exists():
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "costmodel: interrupted\n"


USAGE = [
    (["report"], "the argument NETWORK is missing"),
    (["report", "--bogus", "x"], "--bogus"),
    (["bogus"], "there is no command bogus (see"),
    (["reprot"], "there is no command reprot; did you mean report? (see"),
    (["report", "resnet18", "--dept", "2"], "there is no option --dept; did you mean --depth"),
    (["sweep", "nasbench201"], "the option --platform is missing"),
    (["report", "resnet18", "--batch", "x"], "--batch"),
    (["report", "resnet18", "--json", "--csv"], "give one of"),
    (["platforms", "bogus"], "bogus"),
]


@pytest.mark.parametrize(("arguments", "words"), USAGE, ids=str)
@pytest.mark.parametrize("module", ["costmodel", "validation"])
def test_errors_of_use_are_one_line(module: str, arguments: list[str], words: str) -> None:
    if module == "validation":
        from costmodel_validation.__main__ import app as other

        arguments, words = ["fuzz", "--bogus"], "--bogus"
    result = CliRunner().invoke(
        app if module == "costmodel" else other, arguments, prog_name="costmodel"
    )
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert words in result.stderr
    assert "--help" in result.stderr


@pytest.mark.parametrize("arguments", [["score", "x"], ["reproduce", "x"], ["fuzz", "x"]], ids=str)
def test_validation_ends_alike(arguments: list[str]) -> None:
    from costmodel_validation.__main__ import app as other

    result = CliRunner().invoke(other, arguments, prog_name="python -m validation")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("python -m validation: unknown ")
    assert len(result.stderr.splitlines()) == 1


@pytest.fixture
def hostile(tmp_path: Path) -> str:
    """A graph whose names would run in a spreadsheet and move the cursor of a terminal."""
    import costmodel as cm

    b = cm.Builder("=net\x1b[2J")
    x = b.input((1, 8, 8, 8), name="@x")
    with b.module("-mod\x1b[31m"):
        x = b.add(cm.zoo.pointwise(8, 8, 8, 8).nodes["conv"]["op"], x, name="=cmd()\x1b]0;t\x07")
    file = tmp_path / "hostile.json"
    cm.save(b.finish(x), file)
    return str(file)


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "--csv"],
        ["report", "--csv", "-p", GPU],
        ["report"],
        ["report", "-p", GPU, "--explain"],
        ["advise", "-p", GPU],
        ["formula"],
    ],
    ids=str,
)
def test_output_obeys_nothing_in_names(hostile: str, arguments: list[str]) -> None:
    import csv

    command, *options = arguments
    result = run(command, hostile, *options)
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "\x07" not in result.output
    if "--csv" in options:
        cells = [cell for row in csv.reader(result.stdout.splitlines()) for cell in row]
        assert any(cell.startswith("'-mod") for cell in cells)
        texts = [cell for cell in cells if not re.fullmatch(r"-?[\d.]+(e[+-]\d+)?", cell)]
        assert not [cell for cell in texts if cell[:1] in ("=", "+", "-", "@")]
