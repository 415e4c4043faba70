"""Boards: by ssh, and by adb. The binary is sent once, under a name that holds its hash."""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from validation.arm.bench.build import build_armbench
from validation.arm.bench.process import DEFAULT_TIMEOUT_S, communicate, interpret
from validation.arm.bench.program import Spec
from validation.arm.bench.result import RunResult
from validation.arm.errors import BackendError

CONNECT_TIMEOUT_S = 10
UPLOAD_TIMEOUT_S = 120.0
_SSH_FAILED = 255  # ssh's own exit code: no connection, or no login

# ssh's words for what went wrong, and ours
_SSH_REASONS = {
    "Permission denied": "the login was refused: is your key in the board's authorized_keys?",
    "Host key verification failed": "the board's host key is not the known one; "
    "check it by hand once with ssh",
    "REMOTE HOST IDENTIFICATION HAS CHANGED": "the board's host key has changed; check it by hand",
    "Connection refused": "the board refuses the connection: does its ssh server run on that port?",
    "Could not resolve hostname": "no such host name",
    "timed out": "the board cannot be reached: no answer",
    "No route to host": "the board cannot be reached: no route to it",
    "Network is unreachable": "the board cannot be reached: no network",
}


def _said(stderr: bytes) -> str:
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _upload_error(where: str, stderr: bytes) -> BackendError:
    if b"No space left" in stderr:
        return BackendError(f"{where}: the board's disk is full, armbench cannot be copied to it")
    return BackendError(f"{where}: armbench cannot be copied to the board: {_said(stderr)}")


def _remote_name(binary: bytes) -> str:
    return f"armbench-{hashlib.sha256(binary).hexdigest()[:16]}"


@dataclass(frozen=True)
class SshTarget:
    """A board reached by ssh with keys (no password is ever asked for).

    Parameters
    ----------
    options
        Further options of ``ssh``, such as ``("-F", "my_config")``.
    folder
        Where on the board the binary is kept.
    """

    name: str
    host: str
    port: int | None = None
    user: str | None = None
    options: tuple[str, ...] = ()
    folder: str = "/tmp"
    binary: Path | None = field(default=None, repr=False)

    def run(self, spec: Spec, timeout: float = DEFAULT_TIMEOUT_S) -> RunResult:
        """Run a network; ``timeout`` in seconds."""
        remote = self._upload()
        # a shell that stays tells of a signal; ssh alone would end with 255 and say nothing
        command = f"{shlex.quote(remote)}; exit $?"
        done = communicate(self._ssh(command), spec.text().encode(), timeout, self.name)
        self._check_connection(done.returncode, done.stderr)
        return interpret(done, self.name)

    def _ssh(self, command: str) -> list[str]:
        words = ["ssh", *self.options, "-o", "BatchMode=yes"]
        words += ["-o", f"ConnectTimeout={CONNECT_TIMEOUT_S}", "-o", "ServerAliveInterval=15", "-T"]
        words += ["-p", str(self.port)] if self.port is not None else []
        words += ["-l", self.user] if self.user is not None else []
        return [*words, "--", self.host, command]

    def _check_connection(self, code: int, stderr: bytes) -> None:
        if code != _SSH_FAILED:
            return
        text = stderr.decode(errors="replace")
        for sign, reason in _SSH_REASONS.items():
            if sign in text:
                raise BackendError(f"{self.name}: {reason}")
        said = _said(stderr) if text.strip() else "the connection broke off"
        raise BackendError(f"{self.name}: ssh failed: {said}")

    def _upload(self) -> str:
        """Copy the binary unless the board has it; returns its path there."""
        content = (self.binary or build_armbench()).read_bytes()
        remote = f"{self.folder}/{_remote_name(content)}"
        quoted, part = shlex.quote(remote), shlex.quote(f"{remote}.part")
        asked = communicate(self._ssh(f"test -x {quoted}"), b"", UPLOAD_TIMEOUT_S, self.name)
        self._check_connection(asked.returncode, asked.stderr)
        if asked.returncode != 0:
            # written under another name first: a copy cut off half way is never run
            command = (
                f"cat > {part} && test $(wc -c < {part}) -eq {len(content)} && chmod 755 {part} "
                f"&& mv {part} {quoted} || {{ rm -f {part}; exit 1; }}"
            )
            sent = communicate(self._ssh(command), content, UPLOAD_TIMEOUT_S, self.name)
            self._check_connection(sent.returncode, sent.stderr)
            if sent.returncode != 0:
                raise _upload_error(self.name, sent.stderr)
        return remote


@dataclass(frozen=True)
class AdbTarget:
    """An Android device reached by ``adb``."""

    name: str
    serial: str | None = None
    folder: str = "/data/local/tmp"
    binary: Path | None = field(default=None, repr=False)

    def run(self, spec: Spec, timeout: float = DEFAULT_TIMEOUT_S) -> RunResult:
        """Run a network; ``timeout`` in seconds."""
        remote = self._upload()
        command = self._adb("shell", "-T", shlex.quote(remote))
        done = communicate(command, spec.text().encode(), timeout, self.name)
        self._check_device(done.returncode, done.stderr)
        return interpret(done, self.name)

    def _adb(self, *words: str) -> list[str]:
        return ["adb", *(("-s", self.serial) if self.serial is not None else ()), *words]

    def _check_device(self, code: int, stderr: bytes) -> None:
        if code == 0:
            return
        text = stderr.decode(errors="replace")
        if "unauthorized" in text:
            raise BackendError(
                f"{self.name}: the device does not trust this machine; confirm on its screen"
            )
        if "not found" in text or "no devices" in text or "offline" in text:
            raise BackendError(f"{self.name}: no such device is attached ({_said(stderr)})")
        if "more than one device" in text:
            raise BackendError(
                f"{self.name}: several devices are attached; name one as arm:adb://serial"
            )

    def _upload(self) -> str:
        """Copy the binary unless the device has it; returns its path there."""
        path = self.binary or build_armbench()
        remote = f"{self.folder}/{_remote_name(path.read_bytes())}"
        asked = communicate(
            self._adb("shell", f"test -x {remote}"), b"", UPLOAD_TIMEOUT_S, self.name
        )
        self._check_device(asked.returncode, asked.stderr)
        if asked.returncode != 0:
            part = f"{remote}.part"
            sent = communicate(self._adb("push", str(path), part), b"", UPLOAD_TIMEOUT_S, self.name)
            self._check_device(sent.returncode, sent.stderr)
            if sent.returncode == 0:
                move = f"chmod 755 {part} && mv {part} {remote}"
                sent = communicate(self._adb("shell", move), b"", UPLOAD_TIMEOUT_S, self.name)
            if sent.returncode != 0:
                raise _upload_error(self.name, sent.stderr)
        return remote
