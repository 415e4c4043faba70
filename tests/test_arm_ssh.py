"""ssh against a real server on this machine whose login runs the binary in the emulator."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from local_board import EMULATE, MISSING, SSH, Board, free_port, set_login, ssh_board
from typer.testing import CliRunner

from costmodel_validation.__main__ import app
from costmodel_validation.arm.bench.private import Program
from costmodel_validation.arm.bench.program import Spec, SpecBuilder
from costmodel_validation.arm.bench.remote import SshTarget
from costmodel_validation.arm.bench.targets import emulated_target
from costmodel_validation.arm.checks.check import check
from costmodel_validation.arm.errors import BackendError, KernelError

pytestmark = pytest.mark.skipif(
    bool(MISSING),
    reason=f"{' and '.join(MISSING)} not found: install openssh-server, openssh-client",
)


def spec() -> Spec:
    builder = SpecBuilder()
    x, y = builder.tensor((1, 24, 7, 7), seed=1), builder.tensor((1, 24, 7, 7))
    builder.op("conv1x1", [x], [y], act="relu", bias=1, seed=2)
    return builder.build([y])


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with ssh_board(tmp_path_factory.mktemp("board")) as board:
        yield board


@pytest.fixture(autouse=True)
def normal_login(board: Board) -> None:
    set_login(board, EMULATE)


def test_a_board_gives_right_results_under_the_binary_s_own_label(board: Board) -> None:
    result = board.target.run(spec())
    assert result.label == "emulated"
    assert "qemu" in result.host["emulator"]
    assert all(deviation.ok for deviation in check(spec(), result.tensors))


def test_the_binary_is_sent_once(board: Board) -> None:
    board.target.run(spec())
    (sent,) = board.private.glob("armbench-*")
    before = sent.stat().st_mtime_ns
    board.target.run(spec())
    assert [path.stat().st_mtime_ns for path in board.private.iterdir()] == [before]
    assert board.private.stat().st_mode & 0o777 == 0o700


def fails(target: SshTarget, kind: type[BackendError], words: str) -> None:
    with pytest.raises(kind) as caught:
        target.run(spec())
    assert words in str(caught.value)
    assert target.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_key_is_told(board: Board) -> None:
    home = board.login.parent
    options = ("-F", "/dev/null", "-i", str(home / "stranger"), "-o", "IdentitiesOnly=yes")
    options += ("-o", f"UserKnownHostsFile={home / 'known'}")
    fails(replace(board.target, options=options), BackendError, "the login was refused")


def test_an_unknown_host_key_is_told(board: Board) -> None:
    options = (*board.target.options, "-o", "UserKnownHostsFile=/dev/null")
    fails(replace(board.target, options=options), BackendError, "host key is not the known one")


def test_a_board_that_does_not_answer_is_told(board: Board) -> None:
    fails(replace(board.target, port=free_port()), BackendError, "the board refuses the connection")


def test_an_unknown_board_is_told(board: Board) -> None:
    fails(replace(board.target, host="no-such-board.invalid"), BackendError, "no such host name")


def test_a_full_disk_on_the_board_is_told_and_leaves_nothing(board: Board) -> None:
    for path in board.private.glob("*"):
        path.unlink()
    set_login(board, "exit 1", upload="exec cat > /dev/full")
    fails(board.target, BackendError, "the board's disk is full")
    assert list(board.private.iterdir()) == []


def test_a_planted_program_is_never_run(board: Board) -> None:
    """Nor is one of length zero kept, nor is anything written through a link."""
    board.target.run(spec())
    (sent,) = board.private.glob("armbench-*")
    right = sent.read_bytes()
    ran = board.folder / "ran"
    victim = board.folder / "victim"
    for planted in (b"", f"#!/bin/sh\ntouch {ran}\n".encode().ljust(len(right), b"#")):
        sent.write_bytes(planted)
        assert board.target.run(spec()).label == "emulated"
        assert sent.read_bytes() == right
    victim.write_bytes(b"mine")
    sent.unlink()
    sent.symlink_to(victim)
    sent.with_name(f"{sent.name}.part").symlink_to(victim)
    assert board.target.run(spec()).label == "emulated"
    assert not sent.is_symlink()
    assert victim.read_bytes() == b"mine"
    assert not ran.exists()


def test_a_private_folder_that_is_a_link_is_refused(board: Board, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "costmodel").symlink_to(tmp_path / "elsewhere")
    fails(replace(board.target, folder=str(tmp_path)), BackendError, "it is no folder")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_folder_that_others_may_write_in_is_closed(board: Board) -> None:
    board.private.chmod(0o777)
    board.target.run(spec())
    assert board.private.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_runs_no_programs_is_told(board: Board, tmp_path: Path) -> None:
    """As one that is mounted noexec, which not every test may mount."""
    if os.getuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting needs root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", str(tmp_path)], check=False
    )
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        words = "programs in it are not run (mounted noexec)"
        fails(replace(board.target, folder=str(tmp_path)), BackendError, words)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_campaign_uses_one_connection(board: Board) -> None:
    target = replace(board.target)
    log = board.login.parent / "log"
    before = log.read_text().count("Accepted publickey")
    for _ in range(3):
        target.run(spec())
    assert log.read_text().count("Accepted publickey") == before + 1


def test_a_changed_host_key_is_told(board: Board, tmp_path: Path) -> None:
    other = (board.login.parent / "stranger.pub").read_text().split()
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{board.target.port} {other[0]} {other[1]}\n")
    options = ("-o", f"UserKnownHostsFile={known}", *board.target.options)
    fails(replace(board.target, options=options), BackendError, "the board's host key has changed")


@pytest.mark.parametrize("said", ["This account is currently not available.", "\x1b[1m[/x]"])
def test_a_login_that_refuses_is_told(board: Board, said: str) -> None:
    board.login.write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}'\nexit 1\n")
    with pytest.raises(BackendError, match="the login does not run commands: it says") as caught:
        board.target.run(spec())
    assert str(caught.value).isprintable()


def test_a_login_that_prints_text_does_no_harm(board: Board) -> None:
    set_login(board, EMULATE, greeting="echo Welcome; echo; echo '{\"label\": 1}'")
    result = board.target.run(spec())
    assert all(deviation.ok for deviation in check(spec(), result.tensors))


def test_a_program_of_another_processor_is_told(board: Board) -> None:
    set_login(board, "echo 'cannot execute binary file: Exec format error' >&2; exit 126")
    fails(board.target, BackendError, "armbench is a program for 64-bit ARM Linux")


def test_the_program_ends_with_the_harness(board: Board) -> None:
    """Whatever ends it, nothing runs on that would slow the next measurement."""
    marker = board.login.parent / "running"
    set_login(board, f"echo $$ > {marker}; {EMULATE}")
    session = board.target.session()
    session.ask("host", 20)
    number = int(marker.read_text())
    os.kill(session._process.pid, signal.SIGKILL)
    session.close()
    for _ in range(100):
        if not Path(f"/proc/{number}").exists():
            return
        time.sleep(0.1)
    pytest.fail("the program runs on")


def board_command(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> Any:
    from typer.testing import CliRunner

    from costmodel_validation.board import board as app

    wrapper = tmp_path / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {SSH} {" ".join(board.target.options)} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return CliRunner().invoke(app, [word, board.target.name])


def test_board_check_and_clean(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_login(board, EMULATE, home=tmp_path)
    checked = board_command(board, tmp_path, monkeypatch, "check")
    folder = tmp_path / ".cache" / "costmodel"
    assert checked.exit_code == 1, checked.output
    assert f"private folder: {folder} (the program: not there yet)" in checked.output
    assert (
        "trouble: the board's system is x86_64" in checked.output or os.uname().machine != "x86_64"
    )
    assert "runs the program: its times are no latency" in checked.output
    assert "engine ncnn: " in checked.output
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {"armbench", "engine"}
    cleaned = board_command(board, tmp_path, monkeypatch, "clean")
    assert cleaned.exit_code == 0
    assert f"removed {folder}" in cleaned.output
    assert not folder.exists()
    again = board_command(board, tmp_path, monkeypatch, "clean")
    assert "there was nothing" in again.output


SMALL_TOOLS = ("sh", "mkdir", "chmod", "rm", "rmdir", "wc", "cat", "mv", "id", "printf")


def test_a_board_with_few_tools_is_sent_the_program_and_checked(
    board: Board, tmp_path: Path
) -> None:
    """As one with an old busybox: no tool makes hashes."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in SMALL_TOOLS:
        (tools / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    uname = tools / "uname"
    uname.write_text("#!/bin/sh\necho aarch64\n")
    uname.chmod(0o755)
    path = f"export PATH={tools}"
    target = replace(board.target, folder=str(tmp_path))
    run = EMULATE.replace("exec sh", "exec /bin/sh")
    board.login.write_text(
        f'#!/bin/sh\n{path}\nset -- "$SSH_ORIGINAL_COMMAND"\n'
        f'case "$1" in\n/*/armbench-*) {run};;\n*) exec sh -c "$1";;\nesac\n'
    )
    program = Program(emulated_target().binary.read_bytes())
    assert target.look(program).sha256 == "absent"
    assert target.run(spec()).label == "emulated"
    assert target.look(program).sha256 == "unknown"
    (sent,) = (tmp_path / "costmodel").glob("armbench-*")
    sent.write_bytes(b"#" * len(program.content))  # of the right size, and wrong
    assert target.run(spec()).label == "emulated"
    assert sent.read_bytes() == program.content


def test_board_check_says_what_would_go_wrong(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system of 32 bits whose programs end with the words of a shell that runs none."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "uname").write_text("#!/bin/sh\necho armv7l\n")
    (tools / "uname").chmod(0o755)
    fails_to_start = "echo 'cannot execute binary file: Exec format error' >&2; exit 126"
    set_login(board, fails_to_start, home=tmp_path, greeting=f"export PATH={tools}:$PATH")
    out = board_command(board, tmp_path, monkeypatch, "check")
    assert out.exit_code == 1
    assert "the login runs commands, on armv7l" in out.output
    assert "trouble: the board's system is armv7l: the program needs one for 64-bit" in out.output
    assert "armbench is a program for 64-bit ARM Linux, and this board's" in out.output
    assert "engine tflite: " in out.output


def test_a_crash_on_the_board_names_the_signal(board: Board) -> None:
    crash = board.login.parent / "crash"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    set_login(board, f'exec sh -c "{crash}; ${{1#*; }}"')
    fails(board.target, KernelError, "the kernel crashed")


def test_a_board_that_hangs_is_given_up(board: Board) -> None:
    board.target.run(spec())
    set_login(board, "exec sleep 50")
    begin = time.monotonic()
    with board.target.session() as session, pytest.raises(BackendError, match="no answer within 1"):
        session.ask("host", 1)
    assert time.monotonic() - begin < 20


def test_validate_says_in_one_sentence_that_the_board_is_an_emulator(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from costmodel.cli.app import app

    wrapper = tmp_path / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {SSH} {" ".join(board.target.options)} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    set_login(board, EMULATE, home=tmp_path)
    words = ["validate", "shufflenet_v2", "--backend", board.target.name]
    result = CliRunner().invoke(app, [*words, "--platform", "raspberry-pi-4/neon"])
    assert result.exit_code == 2
    (line,) = result.output.strip().splitlines()
    assert line.startswith(f"costmodel: {board.target.name}: the binary found itself under")
    assert "qemu" in line


def test_the_guides_measurement_by_ssh_reaches_the_board_and_finds_the_emulator(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command of the guide "Your board in ten minutes", with two of its rows."""
    page = (Path(__file__).parents[1] / "docs/guide/your-board.md").read_text("utf-8")
    (block,) = re.findall(r"```sh\n(python -m validation measure .*?)```", page, re.DOTALL)
    words = shlex.split(block)[3:]
    options = words[words.index("--backend") :]
    assert options[1] == "arm:ssh://pi@board"
    options[1] = board.target.name
    shutil.copy(Path(__file__).parents[1] / "docs/data/my-board.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("costmodel_validation.backends.arm.parse_target", lambda name: board.target)
    done = CliRunner().invoke(app, [*words[:3], *options])
    print(done.output)
    assert done.exit_code == 2  # nothing was measured
    assert "its results are emulated, its wall time is no latency" in " ".join(done.output.split())
