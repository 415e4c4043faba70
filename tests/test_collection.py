"""The suite itself: a file of tests that cannot be imported is an error, not fewer tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.mark.parametrize("line", ["from costmodel import nothing", "import nothing_of_this_name"])
def test_a_file_that_cannot_be_imported_is_an_error(line: str, tmp_path: Path) -> None:
    shutil.copy(TESTS / "conftest.py", tmp_path)
    shutil.copy(TESTS.parent / "pyproject.toml", tmp_path)
    broken = tmp_path / "test_broken.py"
    broken.write_text(f"def test_before():\n    pass\n\n\n{line}\n")
    words = ("-m", "pytest", "-p", "no:cacheprovider", str(broken))
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout
    assert "Error: " in done.stdout
    assert line in done.stdout
