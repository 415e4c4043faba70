"""What can go wrong with a board or a run: one clear sentence each."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from costmodel.errors import CostModelError, DataError
from validation.arm.bench.program import Spec, SpecBuilder
from validation.arm.bench.remote import AdbTarget, SshTarget
from validation.arm.bench.result import parse_output
from validation.arm.bench.targets import (
    LocalTarget,
    emulated_target,
    find_qemu,
    native_target,
    parse_target,
)
from validation.arm.errors import BackendError, KernelError
from validation.arm.simulator.count import CacheShape, count


def small_spec() -> Spec:
    builder = SpecBuilder()
    x, y = builder.tensor((1, 4, 6, 6), seed=1), builder.tensor((1, 4, 6, 6))
    builder.op("relu", [x], [y])
    return builder.build([y])


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def fails(tmp_path: Path, body: str, words: str, timeout: float = 20) -> None:
    target = LocalTarget("arm:native", script(tmp_path / "armbench", body))
    with pytest.raises(BackendError) as caught:
        target.run(small_spec(), timeout)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_crash_names_the_signal(tmp_path: Path) -> None:
    fails(tmp_path, "kill -SEGV $$", "armbench was stopped by SIGSEGV; the kernel crashed")
    fails(tmp_path, "exit 132", "armbench was stopped by SIGILL")


def test_a_run_that_hangs_is_stopped(tmp_path: Path) -> None:
    fails(tmp_path, "exec sleep 30", "no answer within 0.2 s, stopped", timeout=0.2)


def test_output_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    fails(tmp_path, 'echo \'{"label": "measured", "ho\'', "output is not JSON")


def test_silence_is_refused(tmp_path: Path) -> None:
    fails(tmp_path, "exit 1", "armbench failed with exit code 1: it said nothing")


def test_a_full_disk_under_the_output_is_found_by_the_binary() -> None:
    target = emulated_target()
    with open("/dev/full", "wb") as full:
        command = [*target.launcher, str(target.binary)]
        done = subprocess.run(
            command,
            input=small_spec().text().encode(),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 6
    assert b"cannot be written" in done.stderr


def test_values_that_are_not_finite_are_refused() -> None:
    builder = SpecBuilder()
    x = builder.tensor((1, 1, 1, 4), seed=1)
    for _ in range(150):  # doubling overflows float32
        y = builder.tensor((1, 1, 1, 4))
        builder.op("add", [x, builder.view(x, (1, 1, 1, 4))], [y])
        x = y
    with pytest.raises(KernelError, match="add wrote a value that is not finite"):
        emulated_target().run(builder.build())


def test_a_clock_that_jumps_back_is_refused() -> None:
    times = iter([5_000_000_000, 5_000_001_000, 4_000_000_000])

    def clock() -> int:
        return next(times)

    with pytest.raises(KernelError, match=r"the monotonic clock went back by 1\.000001000 s"):
        count(small_spec(), CacheShape(32768, 2), CacheShape(1 << 20, 16), clock=clock)


def test_a_measured_label_is_never_given_under_an_emulator() -> None:
    result = emulated_target().run(small_spec())
    assert result.label == "emulated"
    assert result.host["emulator"]


def test_native_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    with pytest.raises(
        BackendError, match="arm:native needs an aarch64 Linux machine, this is x86_64"
    ):
        native_target()


@pytest.mark.parametrize(
    "text",
    [
        "arm",
        "arm:",
        "arm:telnet://x",
        "arm:ssh://",
        "arm:ssh://host:port",
        "arm:ssh://h/x",
        "torch",
    ],
)
def test_a_wrong_target_is_one_sentence(text: str) -> None:
    with pytest.raises(DataError):
        parse_target(text)


def test_targets_are_read() -> None:
    target = parse_target("arm:ssh://me@board.local:2222")
    assert isinstance(target, SshTarget)
    assert (target.host, target.port, target.user) == ("board.local", 2222, "me")
    assert parse_target("arm:adb://123ABC") == AdbTarget("arm:adb://123ABC", "123ABC")
    assert parse_target("arm:adb://") == AdbTarget("arm:adb://", None)


def test_results_that_say_error_become_errors() -> None:
    with pytest.raises(DataError, match="board: line 3 of the specification: no kernel"):
        parse_output('{"error": "no kernel", "code": 2, "line": 3}', "board")
    with pytest.raises(KernelError, match="board: the monotonic clock went back"):
        parse_output('{"error": "the monotonic clock went back by 1 s", "code": 4}', "board")


@pytest.fixture
def fake_adb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ``adb`` whose device is this machine, the binary run by the emulator."""
    folder = tmp_path / "bin"
    folder.mkdir()
    qemu = find_qemu()
    script(
        folder / "adb",
        'case "$1" in -s) shift 2;; esac\n'
        'case "$1" in\n'
        'push) exec cp "$2" "$3";;\n'
        'shell) shift; [ "$1" = -T ] && shift\n'
        f'  case "$1" in /*/armbench-*) exec {qemu} "$1";; *) exec sh -c "$1";; esac;;\n'
        "esac",
    )
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder / "adb"


def test_adb_sends_the_binary_once_and_runs_it(fake_adb: Path, tmp_path: Path) -> None:
    target = AdbTarget("arm:adb://x", "x", folder=str(tmp_path))
    assert target.run(small_spec()).label == "emulated"
    (sent,) = tmp_path.glob("armbench-*")
    before = sent.stat().st_mtime_ns
    assert target.run(small_spec()).label == "emulated"
    assert sent.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("adb: device 'x' not found", "no such device is attached"),
        ("adb: device unauthorized.", "does not trust this machine"),
        ("adb: more than one device/emulator", "several devices are attached"),
    ],
)
def test_adb_failures_are_told(fake_adb: Path, said: str, words: str) -> None:
    script(fake_adb, f'echo "{said}" >&2; exit 1')
    with pytest.raises(CostModelError, match=words):
        AdbTarget("arm:adb://x", "x").run(small_spec())


def test_adb_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    binary = script(tmp_path / "armbench", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError, match="cannot start adb: No such file"):
        AdbTarget("arm:adb://x", "x", binary=binary).run(small_spec())
