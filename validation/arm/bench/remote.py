"""Boards: by ssh, and by adb. The program is sent once, into a private folder (:mod:`.private`)."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import BackendError
from .board import Board
from .build import build_armbench
from .connection import CONNECT_TIMEOUT_S, Connection, check_connection
from .private import (
    FROM_INPUT,
    PREFIXES,
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

UPLOAD_TIMEOUT_S = 120.0
_SLOWEST_LINK = 1e6  # what is sent may take as long as at this rate, beyond that. [byte/s]
_Done = subprocess.CompletedProcess[bytes]

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
        """Return the private folder, where the board has the file, byte for byte.

        Raises
        ------
        BackendError
            If there is no folder, no space, or what arrives is not what was sent.
        """
        found = self.look(program)
        for _ in range(2):
            if not found.folder:
                reasons = "; ".join(found.skipped) or "the login names no folder of its own"
                raise BackendError(
                    f"{self.name}: the board has no folder for {program.stem}: {reasons}"
                )
            if self._is_right(found, program):
                return found.folder
            self._send(program, found)
            found = self.look(program)
        raise BackendError(
            f"{self.name}: {program.stem} was copied to {harmless(found.folder)} on the board and "
            "is not there as it was sent; is its disk full?"
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
        files = " ".join(f'"$d"/{prefix}*' for prefix in PREFIXES)
        command = (
            f'for d in {names}; do [ -d "$d" ] && [ ! -L "$d" ] && [ -O "$d" ] && '
            f'rm -rf {files} && rmdir "$d" && echo "$d"; done; true'
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
        return self.command(shlex.quote(path))

    def command(self, there: str) -> list[str]:
        """Return the command here that runs a command of the board's shell, input and all."""
        raise NotImplementedError

    def remove(self, paths: Sequence[str]) -> None:
        """Remove files of the private folder."""
        self.shell(f"rm -f {' '.join(map(shlex.quote, paths))}")

    def folders(self) -> Sequence[str]:
        """Private folders to try, as words of a shell."""
        raise NotImplementedError

    def _send(self, program: Program, found: Found) -> None:
        raise NotImplementedError


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
    _shared: Connection = field(default_factory=Connection, init=False, compare=False, repr=False)

    def shell(self, command: str, stdin: bytes = b"") -> _Done:
        """Run a command in the board's shell."""
        done = communicate(self._ssh(command), stdin, _limit(stdin), self.name)
        check_connection(done.returncode, done.stderr, self.name)
        return done

    def command(self, there: str) -> list[str]:
        """Return the command here that runs a command of the board's shell, input and all."""
        # a shell that stays tells of a signal; ssh alone would end with 255 and say nothing
        return self._ssh(f"{there}; exit $?")

    def folders(self) -> Sequence[str]:
        """Private folders to try, as words of a shell."""
        return (shlex.quote(f"{self.folder}/costmodel"),) if self.folder else _HOME

    def _words(self) -> list[str]:
        words = [*self.options, "-o", "BatchMode=yes", "-T"]
        words += ["-o", f"ConnectTimeout={CONNECT_TIMEOUT_S}", "-o", "ServerAliveInterval=15"]
        words += ["-p", str(self.port)] if self.port is not None else []
        return words + (["-l", self.user] if self.user is not None else [])

    def _ssh(self, command: str) -> list[str]:
        socket = self._shared.opened(self.host, self._words(), self.name)
        # where the connection has gone, ssh makes one of its own
        shared = ["-o", "ControlMaster=no", "-S", socket]
        return ["ssh", *shared, *self._words(), "--", self.host, command]

    def _send(self, program: Program, found: Found) -> None:
        command = receive_command(program, found.folder, FROM_INPUT)
        sent = self.shell(command, program.content)
        if sent.returncode != 0:
            raise _upload_error(self.name, program.stem, sent.stderr)


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

    def command(self, there: str) -> list[str]:
        """Return the command here that runs a command of the device's shell, input and all."""
        return self._adb("shell", "-T", there)

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
        with tempfile.NamedTemporaryFile(prefix=PREFIXES[0]) as copy:
            copy.write(program.content)
            copy.flush()
            push = self._adb("push", copy.name, part)
            sent = communicate(push, b"", _limit(program.content), self.name)
        self._check_device(sent.returncode, sent.stderr)
        if sent.returncode == 0:
            sent = self.shell(receive_command(program, found.folder, ":"))
        if sent.returncode != 0:
            raise _upload_error(self.name, program.stem, sent.stderr)


def _upload_error(where: str, what: str, stderr: bytes) -> BackendError:
    if b"No space left" in stderr:
        return BackendError(f"{where}: the board's disk is full, {what} cannot be copied to it")
    return BackendError(f"{where}: {what} cannot be copied to the board: {last_line(stderr)}")


def _limit(content: bytes) -> float:
    return UPLOAD_TIMEOUT_S + len(content) / _SLOWEST_LINK
