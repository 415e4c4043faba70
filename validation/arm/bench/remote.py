"""Boards: by ssh, and by adb. The program is sent once, into a private folder (:mod:`.private`)."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import BackendError
from .board import Board
from .build import build_armbench
from .private import (
    FROM_INPUT,
    PREFIX,
    Found,
    Program,
    prepare_command,
    read_found,
    receive_command,
)
from .process import DEFAULT_TIMEOUT_S, communicate
from .program import Spec
from .result import RunResult
from .session import Session
from .texts import harmless, last_line

CONNECT_TIMEOUT_S = 10
UPLOAD_TIMEOUT_S = 120.0
_SSH_FAILED = 255  # ssh's own exit code: no connection, or no login
_KEPT_S = 60  # a connection stays open that long after its last use
_Done = subprocess.CompletedProcess[bytes]

# ssh's words for what went wrong, and ours; what says more comes first
_SSH_REASONS = {
    "REMOTE HOST IDENTIFICATION HAS CHANGED": "the board's host key has changed: if it was "
    "installed anew, remove the old key with ssh-keygen -R and log in once by hand; if not, "
    "something else answers in its place",
    "Host key verification failed": "the board's host key is not the known one; "
    "check it by hand once with ssh",
    "Permission denied": "the login was refused: is your key in the board's authorized_keys?",
    "Too many authentication failures": "the login was refused: too many keys were tried; name one "
    "in ~/.ssh/config",
    "Connection refused": "the board refuses the connection: does its ssh server run on that port?",
    "Could not resolve hostname": "no such host name",
    "timed out": "the board cannot be reached: no answer",
    "No route to host": "the board cannot be reached: no route to it",
    "Network is unreachable": "the board cannot be reached: no network",
}
_HOME = ('"${XDG_CACHE_HOME:-$HOME/.cache}/costmodel"', '"/tmp/costmodel-$(id -u)"')
_ANDROID = ('"/data/local/tmp/costmodel"',)


class _Remote:
    """What boards have in common: a shell that runs commands, a folder, the program in it."""

    name: str
    binary: Path | None

    def run(self, spec: Spec, timeout: float = DEFAULT_TIMEOUT_S) -> RunResult:
        """Run a network; ``timeout`` in seconds."""
        with self.session() as session:
            return Board(session).run(spec, timeout)

    def session(self) -> Session:
        """Start the program on the board, whose copy has just been checked."""
        program = Program((self.binary or build_armbench()).read_bytes())
        folder = self.install(program)
        return Session(self.program_command(f"{folder}/{program.name}"), self.name, self)

    def install(self, program: Program) -> str:
        """Return the private folder, where the board has the program, byte for byte.

        Raises
        ------
        BackendError
            If there is no folder, no space, or what arrives is not what was sent.
        """
        found = self.look(program)
        for _ in range(2):
            if not found.folder:
                reasons = "; ".join(found.skipped) or "the login names no folder of its own"
                raise BackendError(f"{self.name}: the board has no folder for armbench: {reasons}")
            if self._is_right(found, program):
                return found.folder
            self._send(program, found)
            found = self.look(program)
        raise BackendError(
            f"{self.name}: armbench was copied to {harmless(found.folder)} on the board and is not "
            "there as it was sent; is its disk full?"
        )

    def look(self, program: Program) -> Found:
        """Make the private folder, and say what is in it.

        Raises
        ------
        BackendError
            If the board cannot be reached, or its login does not run commands.
        """
        done = self.shell(prepare_command(program, self.folders()))
        found = read_found(done.stdout)
        if found is None:
            said = last_line(done.stdout + b"\n" + done.stderr)
            raise BackendError(f"{self.name}: the login does not run commands: it says {said!r}")
        return found

    def clean(self) -> str:
        """Remove the private folders with what is in them; say which there were."""
        names = " ".join(self.folders())
        command = (
            f'for d in {names}; do [ -d "$d" ] && [ ! -L "$d" ] && [ -O "$d" ] && '
            f'rm -rf "$d"/{PREFIX}* "$d"/probe-* && rmdir "$d" && echo "$d"; done; true'
        )
        return ", ".join(map(harmless, self.shell(command).stdout.splitlines()))

    def _is_right(self, found: Found, program: Program) -> bool:
        if found.sha256 != "unknown":
            return found.sha256 == program.sha256
        there = self.shell(f"cat < {shlex.quote(f'{found.folder}/{program.name}')}")
        return there.stdout == program.content  # a board without any tool for hashes

    def shell(self, command: str, stdin: bytes = b"") -> _Done:
        """Run a command in the board's shell."""
        raise NotImplementedError

    def program_command(self, path: str) -> list[str]:
        """Return the command here that runs the program there."""
        raise NotImplementedError

    def folders(self) -> Sequence[str]:
        """Private folders to try, as words of a shell."""
        raise NotImplementedError

    def _send(self, program: Program, found: Found) -> None:
        raise NotImplementedError


class _Connection:
    """The socket of the connection that all commands of a target share; empty before the first."""

    socket = ""


@dataclass(frozen=True)
class SshTarget(_Remote):
    """A board reached by ssh with keys (no password is ever asked for).

    All commands go over one connection, which ends with this object.

    Parameters
    ----------
    options
        Further options of ``ssh``, such as ``("-F", "my_config")``.
    folder
        Where on the board the private folder is made; by default in the login's own cache folder,
        or else the temporary one.
    """

    name: str
    host: str
    port: int | None = None
    user: str | None = None
    options: tuple[str, ...] = ()
    folder: str = ""
    binary: Path | None = field(default=None, repr=False)
    _shared: _Connection = field(default_factory=_Connection, init=False, compare=False, repr=False)

    def shell(self, command: str, stdin: bytes = b"") -> _Done:
        """Run a command in the board's shell."""
        done = communicate(self._ssh(command), stdin, UPLOAD_TIMEOUT_S, self.name)
        self._check_connection(done.returncode, done.stderr)
        return done

    def program_command(self, path: str) -> list[str]:
        """Return the command here that runs the program there."""
        # a shell that stays tells of a signal; ssh alone would end with 255 and say nothing
        return self._ssh(f"{shlex.quote(path)}; exit $?")

    def folders(self) -> Sequence[str]:
        """Private folders to try, as words of a shell."""
        return (shlex.quote(f"{self.folder}/costmodel"),) if self.folder else _HOME

    def _words(self) -> list[str]:
        words = [*self.options, "-o", "BatchMode=yes", "-T"]
        words += ["-o", f"ConnectTimeout={CONNECT_TIMEOUT_S}", "-o", "ServerAliveInterval=15"]
        words += ["-p", str(self.port)] if self.port is not None else []
        return words + (["-l", self.user] if self.user is not None else [])

    def _ssh(self, command: str) -> list[str]:
        if not self._shared.socket:
            self._shared.socket = self._connect()
        # where the connection has gone, ssh makes one of its own
        shared = ["-o", "ControlMaster=no", "-S", self._shared.socket]
        return ["ssh", *shared, *self._words(), "--", self.host, command]

    def _connect(self) -> str:
        """Open the connection that all commands share; return its socket."""
        folder = tempfile.mkdtemp(prefix="costmodel-ssh-")
        weakref.finalize(self._shared, _disconnect, folder, self.host)
        socket, log = f"{folder}/s", Path(folder) / "log"
        words = ["-M", "-S", socket, "-o", f"ControlPersist={_KEPT_S}", "-f", "-N", *self._words()]
        with log.open("wb") as errors:  # the process stays, and would hold a pipe open
            try:
                done = subprocess.run(
                    ["ssh", *words, "--", self.host],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    check=False,
                    timeout=UPLOAD_TIMEOUT_S,
                )
            except subprocess.TimeoutExpired:
                raise BackendError(f"{self.name}: the board cannot be reached: no answer") from None
            except OSError as error:
                raise BackendError(f"{self.name}: cannot start ssh: {error.strerror}") from error
        self._check_connection(done.returncode, log.read_bytes())
        return socket

    def _check_connection(self, code: int, stderr: bytes) -> None:
        if code != _SSH_FAILED:
            return
        text = stderr.decode(errors="replace")
        for sign, reason in _SSH_REASONS.items():
            if sign in text:
                raise BackendError(f"{self.name}: {reason}")
        said = last_line(stderr) if text.strip() else "the connection broke off"
        raise BackendError(f"{self.name}: ssh failed: {said}")

    def _send(self, program: Program, found: Found) -> None:
        command = receive_command(program, found.folder, FROM_INPUT)
        sent = self.shell(command, program.content)
        if sent.returncode != 0:
            raise _upload_error(self.name, sent.stderr)


@dataclass(frozen=True)
class AdbTarget(_Remote):
    """An Android device reached by ``adb``."""

    name: str
    serial: str | None = None
    folder: str = ""
    binary: Path | None = field(default=None, repr=False)

    def shell(self, command: str, stdin: bytes = b"") -> _Done:
        """Run a command in the device's shell."""
        done = communicate(self._adb("shell", command), stdin, UPLOAD_TIMEOUT_S, self.name)
        self._check_device(done.returncode, done.stderr)
        return done

    def program_command(self, path: str) -> list[str]:
        """Return the command here that runs the program there."""
        return self._adb("shell", "-T", shlex.quote(path))

    def folders(self) -> Sequence[str]:
        """Private folders to try, as words of a shell."""
        return (shlex.quote(f"{self.folder}/costmodel"),) if self.folder else _ANDROID

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
        if "device" in text and ("not found" in text or "no devices" in text or "offline" in text):
            raise BackendError(f"{self.name}: no such device is attached ({last_line(stderr)})")
        if "more than one device" in text:
            raise BackendError(
                f"{self.name}: several devices are attached; name one as arm:adb://serial"
            )

    def _send(self, program: Program, found: Found) -> None:
        part = f"{found.folder}/{program.name}.part"
        self.shell(f"rm -rf {shlex.quote(part)}")
        with tempfile.NamedTemporaryFile(prefix=PREFIX) as copy:
            copy.write(program.content)
            copy.flush()
            sent = communicate(self._adb("push", copy.name, part), b"", UPLOAD_TIMEOUT_S, self.name)
        self._check_device(sent.returncode, sent.stderr)
        if sent.returncode == 0:
            sent = self.shell(receive_command(program, found.folder, ":"))
        if sent.returncode != 0:
            raise _upload_error(self.name, sent.stderr)


def _disconnect(folder: str, host: str) -> None:
    """End the connection whose socket lies in ``folder``."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            ["ssh", "-S", f"{folder}/s", "-O", "exit", "--", host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=10,
        )
    for name in ("s", "log"):
        Path(folder, name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        Path(folder).rmdir()


def _upload_error(where: str, stderr: bytes) -> BackendError:
    if b"No space left" in stderr:
        return BackendError(f"{where}: the board's disk is full, armbench cannot be copied to it")
    return BackendError(f"{where}: armbench cannot be copied to the board: {last_line(stderr)}")
