"""Files that are written: over links, devices and pipes, with the mode they had."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

import costmodel as cm
from costmodel.graph.serialize import write_atomically


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
