"""ssh against a real server on this machine whose login runs the binary in the emulator."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from validation.arm.bench.program import Spec, SpecBuilder
from validation.arm.bench.remote import SshTarget
from validation.arm.bench.targets import find_qemu
from validation.arm.checks.check import check
from validation.arm.errors import BackendError, KernelError

_SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
_MISSING = [name for name, path in (("sshd", _SSHD), ("ssh", shutil.which("ssh"))) if path is None]
pytestmark = pytest.mark.skipif(
    bool(_MISSING),
    reason=f"{' and '.join(_MISSING)} not found: install openssh-server, openssh-client",
)


def spec() -> Spec:
    builder = SpecBuilder()
    x, y = builder.tensor((1, 24, 7, 7), seed=1), builder.tensor((1, 24, 7, 7))
    builder.op("conv1x1", [x], [y], act="relu", bias=1, seed=2)
    return builder.build([y])


@dataclass(frozen=True)
class Board:
    """The server, the script that every login runs, and where the binary goes."""

    target: SshTarget
    login: Path
    folder: Path


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None:
            pytest.fail(f"sshd ended: {log.read_text()}")
        time.sleep(0.05)
    pytest.fail("sshd does not listen")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    home = tmp_path_factory.mktemp("board")
    folder, login, log = home / "files", home / "login", home / "log"
    folder.mkdir()
    for name in ("host", "mine", "stranger"):
        make_key(home / name)
    port, user = free_port(), pwd.getpwuid(os.getuid()).pw_name
    shutil.copy(home / "mine.pub", home / "authorized")
    (home / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nPidFile {home}/pid\n"
        f"AuthorizedKeysFile {home}/authorized\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
        f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nForceCommand {login}\n"
    )
    public = (home / "host.pub").read_text().split()
    (home / "known").write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n")
    (home / "ssh_config").write_text(
        f"IdentityFile {home}/mine\nIdentitiesOnly yes\nUserKnownHostsFile {home}/known\n"
        "GlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n"
    )
    if os.getuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # sshd wants it when started by root
    with log.open("wb") as output:
        command = [str(_SSHD), "-D", "-e", "-f", str(home / "sshd_config")]
        server = subprocess.Popen(command, stderr=output)
    try:
        wait_for(port, server, log)
        name = f"arm:ssh://{user}@127.0.0.1:{port}"
        target = SshTarget(
            name, "127.0.0.1", port, user, ("-F", str(home / "ssh_config")), str(folder)
        )
        yield Board(target, login, folder)
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(autouse=True)
def normal_login(board: Board) -> None:
    set_login(board, f'exec sh -c "{find_qemu()} -cpu cortex-a57 $1"')


def set_login(board: Board, run: str, upload: str = 'exec sh -c "$1"') -> None:
    """What a login does with the binary, and with any other command."""
    board.login.write_text(
        '#!/bin/sh\nset -- "$SSH_ORIGINAL_COMMAND"\n'
        f'case "$1" in\n/*/armbench-*) {run};;\ncat*) {upload};;\n*) exec sh -c "$1";;\nesac\n'
    )
    board.login.chmod(0o755)


def test_a_board_gives_right_results_under_the_binary_s_own_label(board: Board) -> None:
    result = board.target.run(spec())
    assert result.label == "emulated"
    assert "qemu" in result.host["emulator"]
    assert all(deviation.ok for deviation in check(spec(), result.tensors))


def test_the_binary_is_sent_once(board: Board) -> None:
    board.target.run(spec())
    (sent,) = board.folder.glob("armbench-*")
    before = sent.stat().st_mtime_ns
    board.target.run(spec())
    assert [path.stat().st_mtime_ns for path in board.folder.iterdir()] == [before]


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
    for path in board.folder.iterdir():
        path.unlink()
    set_login(board, "exit 1", upload="exec cat > /dev/full")
    fails(board.target, BackendError, "the board's disk is full")
    assert list(board.folder.iterdir()) == []


def test_a_crash_on_the_board_names_the_signal(board: Board) -> None:
    crash = board.login.parent / "crash"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    set_login(board, f'exec sh -c "{crash}; ${{1#*; }}"')
    fails(board.target, KernelError, "the kernel crashed")


def test_a_board_that_hangs_is_given_up(board: Board) -> None:
    board.target.run(spec())
    set_login(board, "exec sleep 5")
    with pytest.raises(BackendError, match="no answer within 1 s"):
        board.target.run(spec(), timeout=1)


def test_validate_says_in_one_sentence_that_the_board_is_an_emulator(
    board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from costmodel.cli.app import app
    from validation.arm.bench.build import build_armbench

    wrapper = tmp_path / "ssh"
    wrapper.write_text(
        f'#!/bin/sh\nexec {shutil.which("ssh")} {" ".join(board.target.options)} "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    words = ["validate", "shufflenet_v2", "--backend", board.target.name]
    result = CliRunner().invoke(app, [*words, "--platform", "raspberry-pi-4/neon"])
    content = build_armbench().read_bytes()
    Path(f"/tmp/armbench-{hashlib.sha256(content).hexdigest()[:16]}").unlink()
    assert result.exit_code == 2
    (line,) = result.output.strip().splitlines()
    assert line.startswith(f"costmodel: {board.target.name}: the binary found itself under")
    assert "qemu" in line
