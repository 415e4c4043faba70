"""What can go wrong with a board or a run: one clear sentence each."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from costmodel import zoo
from costmodel.errors import CostModelError, DataError
from costmodel.specs import network
from costmodel_validation.arm.bench.board import Board
from costmodel_validation.arm.bench.private import Program
from costmodel_validation.arm.bench.program import Buffer, Spec, SpecBuilder
from costmodel_validation.arm.bench.remote import AdbTarget, SshTarget
from costmodel_validation.arm.bench.result import parse_output
from costmodel_validation.arm.bench.session import Session
from costmodel_validation.arm.bench.targets import (
    LocalTarget,
    emulated_target,
    find_qemu,
    native_target,
    parse_target,
)
from costmodel_validation.arm.errors import BackendError, BoardMemoryError, KernelError
from costmodel_validation.arm.simulator.count import CacheShape, count
from costmodel_validation.arm.translate.lower import lower
from costmodel_validation.backends import Settings, load_backend
from costmodel_validation.backends.arm_board import BoardCampaign
from costmodel_validation.measuring.clock import Plan, Timing
from costmodel_validation.measuring.journal import NO_JOURNAL


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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": "guessed"}, "label 'guessed'"),
        ({"seconds": {"median": 1e-6, "min": 1.0, "max": 2.0, "repeats": 3}}, "times"),
        ({"seconds": {"median": float("nan"), "min": 0, "max": 1, "repeats": 3}}, "times"),
        ({"seconds": {"median": 1}}, "TypeError"),
        ({"operators": None}, "TypeError"),
        ({"host": []}, "AttributeError"),
        ({"tensors": {"x": {}}}, "ValueError"),
    ],
)
def test_a_document_that_is_incomplete_or_absurd_is_one_sentence(
    change: dict[str, Any], words: str
) -> None:
    sample = {"median": 1e-3, "min": 1e-3, "max": 2e-3, "repeats": 3}
    good = {"label": "measured", "host": {}, "seconds": sample, "operators": [], "tensors": {}}
    assert parse_output(json.dumps(good), "board").label == "measured"
    with pytest.raises(KernelError, match=r"board: armbench's answer is incomplete or absurd") as e:
        parse_output(json.dumps({**good, **change}), "board")
    assert words in str(e.value)
    for key in good:
        with pytest.raises(KernelError):
            parse_output(json.dumps({k: v for k, v in good.items() if k != key}), "board")
    for text in ("[]", "3", "{", "[" * 100_000):
        with pytest.raises(KernelError):
            parse_output(text, "board")


def answers(tmp_path: Path, *lines: str, end: str = "cat > /dev/null") -> Session:
    """A program that answers so, one line a command, whatever it is asked."""
    said = "\n".join(f"read -r line; printf '%s\\n' '{line}'" for line in lines)
    return Session([str(script(tmp_path / "liar", f"read -r line\n{said}\n{end}"))], "board")


GOOD_STATE = '{"hertz": 2e9, "core": 0, "khz": -1, "millicelsius": -1}'


@pytest.mark.parametrize(
    "answer",
    [
        "{",
        "[1]",
        "{}",
        '{"before": 1, "after": 2, "samples": [[1, 1, 0]]}',
        f'{{"before": {GOOD_STATE}, "after": {GOOD_STATE}, "samples": []}}',
        f'{{"before": {GOOD_STATE}, "after": {GOOD_STATE}, "samples": [[1e99, 1, 0]]}}',
        f'{{"before": {GOOD_STATE}, "after": {GOOD_STATE}, "samples": [["fast", 1, 0]]}}',
        f'{{"before": {GOOD_STATE}, "after": {GOOD_STATE}, "samples": [[true, 1, 0]]}}',
        f'{{"before": {GOOD_STATE}, "samples": [[1, 1, 0]]}}',
        '{"error": "\\u001b[31m[/x]", "code": 3}',
    ],
)
def test_a_program_that_answers_wrongly_is_one_sentence(tmp_path: Path, answer: str) -> None:
    with answers(tmp_path, f"@costmodel {answer}") as session:
        with pytest.raises(KernelError, match=r"^board: ") as caught:
            Board(session).turn(0, 1, 1, 0.0, cold=False)
        assert str(caught.value).isprintable()


def test_lines_of_a_login_are_passed_over(tmp_path: Path) -> None:
    with answers(tmp_path, 'Welcome!\n@costmodel {"cores": [1]}') as session:
        Board(session).pin([1])
    said = r"bound to core 1, and is on \[2\]"
    with (
        answers(tmp_path, '@costmodel {"cores": [2]}') as session,
        pytest.raises(BackendError, match=said),
    ):
        Board(session).pin([1])


@pytest.mark.parametrize(
    ("end", "kind", "words"),
    [
        ("echo not available; exit 1", BackendError, "exit code 1: not available"),
        ("echo hello; exit 0", KernelError, "the login runs something else than armbench"),
        ("kill -KILL $$", BoardMemoryError, "most likely as memory ran out"),
        ("kill -ILL $$", KernelError, "the processor lacks an instruction"),
        ("echo Exec format error >&2; exit 126", BackendError, "a program for 64-bit ARM Linux"),
        ("echo Permission denied >&2; exit 126", BackendError, "is it mounted noexec?"),
        ("echo not found >&2; exit 127", BackendError, "the board's shell does not find armbench"),
        ("exec yes", KernelError, "what runs there is not armbench: it says 'y"),
    ],
)
def test_a_program_that_ends_says_why(
    tmp_path: Path, end: str, kind: type[BackendError], words: str
) -> None:
    with answers(tmp_path, end=end) as session, pytest.raises(kind) as caught:
        session.ask("host", 20)
    assert words in str(caught.value)


def test_the_program_ends_when_its_input_closes() -> None:
    """In the middle of a turn that would take minutes."""
    target = emulated_target()
    with target.session() as session:
        board = Board(session)
        number = board.load(small_spec())
        session._send(f"turn {number} repeat=1000000 min=4096 us=600000000")
        time.sleep(0.5)
        assert session._process.poll() is None
        begin = time.monotonic()
        session.close()
    assert session._process.returncode == 0  # it ended by itself
    assert time.monotonic() - begin < 4


def test_the_program_ends_with_a_campaign_that_is_interrupted() -> None:
    """By Ctrl-C, in the middle of a turn that would take minutes."""
    sessions = []

    def campaign() -> None:
        with emulated_target().session() as session:
            sessions.append(session)
            session._send(f"turn {Board(session).load(small_spec())} repeat=1000000 us=600000000")
            raise KeyboardInterrupt

    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        campaign()
    assert sessions[0]._process.returncode == 0
    assert time.monotonic() - begin < 8


def test_a_bad_network_costs_itself_alone() -> None:
    good, bad = small_spec(), small_spec()
    bad = replace(bad, calls=(replace(bad.calls[0], kernel="abacus"),))
    large = replace(good, buffers=(*good.buffers, Buffer((1, 1 << 13, 1 << 13, 1))))
    with emulated_target().session() as session:
        board = Board(session)
        with pytest.raises(BackendError, match="no kernel is called 'abacus'"):
            board.load(bad)
        for _ in range(8):  # what is dropped gives its memory back
            board.drop(board.load(large))
        turn = board.turn(board.load(good), 2, 5, 0.0, cold=True)
        assert len(turn.samples) == 5


def test_a_campaign_of_the_real_program_goes_on_without_a_network_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its times are the emulator's; that they are refused is tested elsewhere."""
    monkeypatch.setattr("costmodel_validation.backends.arm_board.refuse_emulator", lambda *_: None)
    plan = Plan(budget=0.5, warm_up=0.2, turn=0.02)
    graphs = {
        "one": zoo.pointwise(14, 14, 16, 16),
        "odd": network("elementwise?kind=log&shape=1x4x4x4"),
        "two": zoo.pointwise(14, 14, 32, 32),
    }
    campaign = BoardCampaign(emulated_target(), Settings(), plan)
    monkeypatch.setattr(
        "costmodel_validation.backends.arm_timing.THROTTLED", 0.0
    )  # the emulator's clock
    found = dict(campaign.networks(graphs, NO_JOURNAL))
    assert "no kernel for Elementwise (log)" in str(found.pop("odd"))
    for timing in found.values():
        assert isinstance(timing, Timing)
        assert timing.rounds >= 3
        assert timing.samples >= 9
        assert timing.minimum <= timing.low <= timing.median <= timing.high
        assert timing.minimum < timing.p90
    assert found["two"].median > found["one"].median  # type: ignore[union-attr]
    assert campaign.watch.turns > 6
    spec = lower(graphs["one"])
    (inside,) = campaign.operators(spec)
    assert inside.rounds == plan.rounds
    assert inside.median == pytest.approx(found["one"].median, rel=1.0)  # type: ignore[union-attr]


def test_a_network_that_ends_the_program_costs_itself_alone(tmp_path: Path) -> None:
    """The third one loaded ends it; the others are measured by another process."""
    body = (
        'say() { printf "@costmodel %s\\n" "$1"; }\n'
        'state=\'{"hertz": 2e9, "core": 0, "khz": -1, "millicelsius": -1}\'\n'
        "loaded=0\n"
        "while read -r word rest; do case $word in\n"
        'host) say \'{"host": {"emulator": null, "cores": []}}\';;\n'
        "op) case $rest in *26*) kill -KILL $$;; esac;;\n"
        'end) say "{\\"network\\": $loaded}"; loaded=$((loaded + 1));;\n'
        'turn) say "{\\"before\\": $state, \\"after\\": $state, \\"samples\\": '
        '[[0.002, 0.002, 0], [0.002, 0.002, 0], [0.002, 0.002, 0]]}";;\n'
        "esac; done"
    )
    target = LocalTarget("board", script(tmp_path / "board", body))
    graphs = {name: zoo.pointwise(4, 4, 4, 4) for name in ("a", "b", "killer", "c")}
    graphs["killer"] = network("conv2d?cin=4&cout=4&size=30&k=26&padding=0")
    plan = Plan(budget=0.3, warm_up=0.05, turn=0.01)
    found = dict(BoardCampaign(target, Settings(), plan).networks(graphs, NO_JOURNAL))
    assert isinstance(found["killer"], BoardMemoryError)
    assert {name for name, t in found.items() if isinstance(t, Timing)} == {"a", "b", "c"}


def test_a_renamed_emulator_is_found_out(tmp_path: Path) -> None:
    renamed = tmp_path / "sh"
    shutil.copy(find_qemu(), renamed)
    target = LocalTarget("arm:native", emulated_target().binary, (str(renamed),))
    assert target.run(small_spec()).host["emulator"] == "sh"


def test_an_emulator_that_hides_all_else_is_given_away_by_its_arithmetic() -> None:
    """The limit is in emulator.c: cores take 4 to 10 times as long for a multiply-add."""
    with emulated_target().session() as session:
        ratio = float(Board(session).host().texts["multiply-add over addition"])
    assert ratio > 14


def test_the_guide_says_what_the_command_says() -> None:
    """Each trouble in the table of the guide is one that is printed."""
    root = Path(__file__).parent.parent
    guide = (root / "docs/guide/measure-on-your-board.md").read_text()
    sources = [root / "validation/board.py", root / "validation/arm/identity.py"]
    sources += [root / "validation/arm/bench/private.py"]
    sources += [root / "validation/backends/arm_timing.py"]
    said = " ".join(" ".join(path.read_text() for path in sources).replace('"', " ").split())
    for words in (
        "programs in it are not run (mounted noexec)",
        "it cannot be told whether this is a real board",
        "which hardware is it",
        "the board's system is",
        "not there yet",
        "the login runs commands, on",
        "no throttling in",
    ):
        assert words in guide
        assert words in said


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
        "arm:ssh://h:70000",
        "arm:ssh://@h",
        "arm:ssh://me@a b",
        "arm:ssh://me@\x1b[1m",
        "arm:adb://a/b",
        "arm:Native",
        "torch",
    ],
)
def test_a_wrong_target_is_one_sentence(text: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_target(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("arm:cortex-a53", "did you mean arm:simulated=cortex-a53?"),
        ("arm:natve", "did you mean arm:native?"),
        ("arm:simulatd=cortex-a57", "did you mean arm:simulated?"),
        ("arm:emulate", "did you mean arm:emulated?"),
        ("arm:ncnn:ssh://pi@board", "an engine on a board is named first: ncnn:ssh://user@host"),
        ("arm:ssh://pi@board?engine=ncnn", "an engine on a board is named first: ncnn:ssh://"),
        ("ncnnn:ssh://pi@board", "on boards ncnn:ssh://, onnxruntime:ssh://, tflite:ssh://"),
        (
            "arm:simulated=cortex-a5",
            "no ARM core 'cortex-a5' can be simulated, nor is it a",
        ),
    ],
)
def test_a_misspelt_target_says_what_is_near(text: str, words: str) -> None:
    with pytest.raises(DataError, match=re.escape(words)):
        load_backend(text)


def test_a_password_is_refused_and_not_repeated() -> None:
    for text in ("arm:ssh://root:secret@host", "arm:ssh://root:secret@host/x"):
        with pytest.raises(DataError) as caught:
            load_backend(text)
        assert "secret" not in str(caught.value)


def test_targets_are_read() -> None:
    target = parse_target("arm:ssh://me@board.local:2222")
    assert isinstance(target, SshTarget)
    assert (target.host, target.port, target.user) == ("board.local", 2222, "me")
    upper = parse_target("arm:ssh://MyPi")  # a Host of ~/.ssh/config, where case matters
    assert isinstance(upper, SshTarget)
    assert (upper.host, upper.port, upper.user) == ("MyPi", None, None)
    six = parse_target("arm:ssh://me@[::1]:22")
    assert isinstance(six, SshTarget)
    assert (six.host, six.port) == ("::1", 22)
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
    (sent,) = (tmp_path / "costmodel").glob("armbench-*")
    assert sent.parent.stat().st_mode & 0o777 == 0o700
    before = sent.stat().st_mtime_ns
    assert target.run(small_spec()).label == "emulated"
    assert sent.stat().st_mtime_ns == before


def test_adb_looks_and_cleans_up(fake_adb: Path, tmp_path: Path) -> None:
    target = AdbTarget("arm:adb://x", "x", folder=str(tmp_path))
    program = Program(target_binary())
    assert target.look(program).sha256 == "absent"
    target.run(small_spec())
    found = target.look(program)
    assert (found.folder, found.sha256) == (str(tmp_path / "costmodel"), program.sha256)
    assert target.clean() == str(tmp_path / "costmodel")
    assert not (tmp_path / "costmodel").exists()
    assert target.clean() == ""


def target_binary() -> bytes:
    return emulated_target().binary.read_bytes()


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
