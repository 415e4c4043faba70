"""How programs end: interrupted at any moment, with output that cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# A child of a shell that runs in the background ignores the signal, and so do its children.
RUN = (
    "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "sys.argv[1:] = {words!r}; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
)
COSTMODEL, VALIDATION = "costmodel.cli", "validation"


def start(module: str, *words: str, **kwargs) -> subprocess.Popen[str]:
    code = RUN.format(module=module, words=list(words))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    kwargs = {"stdout": subprocess.PIPE, **kwargs}
    return subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=environment, **kwargs
    )


@pytest.mark.parametrize(
    ("module", "name", "words"),
    [(COSTMODEL, "costmodel", ["report", "resnet18"]), (VALIDATION, "validation", ["--help"])],
)
def test_an_interruption_of_the_imports_is_one_sentence(
    module: str, name: str, words: list[str]
) -> None:
    """The signal comes while a module that both import is executed: it waits for it."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'networkx':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"sys.argv[1:] = {words!r}\n"
        f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert done.returncode == 130
    assert done.stderr == f"{name}: interrupted\n"


@pytest.mark.slow
@pytest.mark.parametrize("after", [0.3, 0.8, 1.5, 3.0, 5.0])
def test_ctrl_c_at_any_moment_of_a_campaign(tmp_path: Path, after: float) -> None:
    pytest.importorskip("torch")
    words = ("measure", *(f"linear?cin={i}" for i in range(8, 28)), "-o", str(tmp_path / "s.jsonl"))
    process = start(VALIDATION, *words)
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    assert error.count("\n") == 1
    assert "interrupted" in error


@pytest.mark.parametrize("module", [COSTMODEL, VALIDATION])
def test_errors_of_the_library_are_one_sentence_in_both(module: str, tmp_path: Path) -> None:
    command = "report" if module == COSTMODEL else "measure"
    words = (command, "linear", "--platform", "nowhere/x")
    if module == VALIDATION:
        words = (command, "linear", "-o", str(tmp_path / "no" / "s.jsonl"), "--backend", "abacus")
    process = start(module, *words)
    out, error = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert error.count("\n") == 1
    assert "Traceback" not in error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
def test_output_that_cannot_be_written_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        process = start(COSTMODEL, "zoo", stdout=full)
        _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert error.count("\n") == 1
    assert "No space left on device" in error


def test_a_reader_that_has_enough_ends_the_program_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = start(COSTMODEL, "report", "shufflenet_v2", "--csv", stdout=writer)
    os.close(writer)
    _, error = process.communicate(timeout=120)
    assert error == ""
    assert process.returncode in (0, 1)


def test_a_second_writer_is_refused_in_a_sentence(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from costmodel_validation.measuring.store import Store

    with Store(tmp_path / "s.jsonl"):
        process = start(VALIDATION, "measure", "linear", "-o", str(tmp_path / "s.jsonl"))
        _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    assert error == (
        f"python -m validation: {tmp_path / 's.jsonl'}: another measurement writes to it; wait for "
        "it, or take another file\n"
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", ">&- 2>&-"])
def test_streams_that_are_closed_from_the_start(closed: str) -> None:
    command = f"exec {sys.executable} -m costmodel.cli formula shufflenet_v2 {closed}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=120, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert bool(done.stdout) == (">&-" not in closed)
