"""An ssh server on 127.0.0.1 that stands for a board: a script is what every login runs."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from costmodel_validation.arm.bench.remote import SshTarget
from costmodel_validation.arm.bench.targets import find_qemu

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
SSH = shutil.which("ssh")
MISSING = [name for name, path in (("sshd", SSHD), ("ssh", SSH)) if path is None]


EMULATE = f'exec sh -c "{find_qemu()} -cpu cortex-a57 $1"' if not MISSING else ""


@dataclass(frozen=True)
class Board:
    """The server, the script that every login runs, and where the binary goes."""

    target: SshTarget
    login: Path
    folder: Path

    @property
    def private(self) -> Path:
        """The private folder that the board makes."""
        return self.folder / "costmodel"


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


@contextlib.contextmanager
def ssh_board(home: Path) -> Iterator[Board]:
    """Start the server in an empty folder; end it afterwards."""
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
        command = [str(SSHD), "-D", "-e", "-f", str(home / "sshd_config")]
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


def set_login(
    board: Board,
    run: str,
    upload: str = 'exec sh -c "$1"',
    home: Path | None = None,
    greeting: str = "",
) -> None:
    """What a login does with the binary, and with any other command."""
    place = f"export HOME={home}\n" if home else ""
    board.login.write_text(
        f'#!/bin/sh\n{greeting}\n{place}set -- "$SSH_ORIGINAL_COMMAND"\n'
        f'case "$1" in\n/*/armbench-*) {run};;\np=*) {upload};;\n*) exec sh -c "$1";;\nesac\n'
    )
    board.login.chmod(0o755)
