"""Files that are written: over links, devices and pipes, with the mode they had."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

import costmodel as cm
from costmodel.cli.app import app
from costmodel.graph.writing import replacing, write_atomically


def test_a_link_is_followed(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    (tmp_path / "dangling").symlink_to(tmp_path / "new")
    real.write_text("old")
    link.symlink_to(real)
    write_atomically(link, "text")
    write_atomically(tmp_path / "dangling", "more")
    assert link.is_symlink()
    assert real.read_text() == "text"
    assert (tmp_path / "new").read_text() == "more"


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "private"
    file.write_text("old")
    file.chmod(0o600)
    write_atomically(file, "text")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("text", 0o600)


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="root may write to any file")
def test_a_file_that_must_not_be_written_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    file.chmod(0o400)
    with pytest.raises(cm.CostModelError, match="cannot be written: Permission denied"):
        write_atomically(file, "text")
    assert file.read_text() == "old"


def test_a_pipe_stays_a_pipe(tmp_path: Path) -> None:
    """As a device does: as root a rename would put a file in the place of /dev/null."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    write_atomically(pipe, "text")
    reader.join(20)
    assert read == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [*tmp_path.iterdir()] == [pipe]


def test_places_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for place, reason in ((tmp_path, "it is a folder"), (loop, "Too many levels")):
        with pytest.raises(cm.CostModelError, match=f"cannot be written: {reason}"):
            write_atomically(place, "text")


SPACE = ("sweep", "mobilenet_v1", "-p", "rk3399/tflite", "--choose", "width=0.5,1.0")
SOLVED = ("solve", "pointwise?h=56&w=56", "--at-least", "multiply_adds=5e6", "--range", "c1=8:64")
REPORT = ("report", "pointwise?h=7&w=7&c1=8&c2=8")
COMPARE = ("compare", "squeezenet", "resnet18", "-p", "rk3399/tflite")
WRITES = [
    ((*SPACE, "-o"), "x.csv"),
    ((*SPACE, "-o"), "x.parquet"),
    ((*SPACE, "--plot"), "x.png"),
    ((*SOLVED, "-o"), "x.json"),
    ((*REPORT, "--html"), "x.html"),
    ((*COMPARE, "--html"), "x.html"),
    ((*COMPARE, "--plot"), "x.svg"),
]


@pytest.mark.parametrize(("words", "name"), WRITES, ids=lambda v: v if isinstance(v, str) else v[0])
@pytest.mark.parametrize("fault", ["no folder", "a folder", "no folder but a file"])
def test_commands_name_the_file_that_they_cannot_write(
    words: tuple[str, ...], name: str, fault: str, tmp_path: Path
) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    if "--plot" in words:
        pytest.importorskip("matplotlib")
    place, file = tmp_path / "place", tmp_path / "place" / name
    if fault == "a folder":
        file.mkdir(parents=True)
    elif fault == "no folder but a file":
        place.touch()
    result = CliRunner().invoke(app, [*words, str(file)], prog_name="costmodel")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"costmodel: {file}: cannot be written: ")
    assert result.stderr.count("\n") == 1
    assert [*tmp_path.rglob("x*")] == ([file] if fault == "a folder" else [])


def test_nothing_is_left_of_a_file_that_was_not_finished(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    file.write_text("old")

    def broken() -> None:
        with replacing(file) as half:
            half.write_text("ne")
            raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        broken()
    assert (file.read_text(), [*tmp_path.iterdir()]) == ("old", [file])


def test_a_full_disk_is_said_of_the_file(tmp_path: Path) -> None:
    with (
        pytest.raises(cm.CostModelError, match=r"rows: cannot be written: No space left"),
        replacing(tmp_path / "rows"),
    ):
        raise OSError(28, "No space left on device")
