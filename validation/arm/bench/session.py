"""A session with a running ``armbench`` on a board, which ends when either side ends."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from typing import IO, Any

from ..errors import BackendError, BoardMemoryError, KernelError
from .private import MARK
from .process import cannot_start, ended
from .texts import harmless

_LONGEST_LINE = 1 << 28
_MOST_NOISE = 1 << 16
_GRACE_S = 5.0
_BAD_SPEC, _NO_MEMORY = 2, 5  # enum exit_code of bench.h


class Session:
    """The started program, which takes one command at a time; use it in a ``with`` block.

    Parameters
    ----------
    command : sequence of str
        Starts the program, which is used through its standard input and output.
    where : str
        The target, for messages.
    owner : object
        Lives as long as the session: the connection that it goes over.
    what : str
        The program, for messages.

    Raises
    ------
    BackendError
        If the command cannot be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        where: str,
        owner: object = None,
        what: str = "armbench",
    ) -> None:
        self.where, self.what = where, what
        self._owner = owner
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,  # Ctrl-C is for the campaign, which closes the session itself
            )
        except OSError as error:
            raise cannot_start(command, error, where) from error
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._errors: deque[bytes] = deque(maxlen=20)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._heard = _start(_read_lines, self._process.stdout, self._lines)
        self._said = _start(_keep_lines, self._process.stderr, self._errors)
        self._send("serve")

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the program: it ends by itself when its standard input closes."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in (self._heard, self._said):
            thread.join(_GRACE_S)

    def ask(self, command: str, timeout: float) -> dict[str, Any]:
        """Send a command and return the answer.

        Parameters
        ----------
        command : str
            One line, or the lines of a network.
        timeout : float
            Maximum time of the answer. [s]

        Raises
        ------
        BackendError
            If the program ends, is silent, or answers that it failed.
        """
        self._send(command)
        return self._answer(timeout)

    def _send(self, text: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # where it has ended, the answer is missing
            self._process.stdin.write(f"{text}\n".encode())
            self._process.stdin.flush()

    def _answer(self, timeout: float) -> dict[str, Any]:
        noise = bytearray()
        while True:
            try:
                line = self._lines.get(timeout=timeout)
            except queue.Empty:
                self.close()
                raise BackendError(
                    f"{self.where}: no answer within {timeout:g} s, stopped"
                ) from None
            if line is None:
                self._lines.put(None)  # whoever asks again hears the same
                raise self._ended(bytes(noise))
            if line.startswith(MARK.encode()):
                return self._parsed(line[len(MARK) :])
            noise += line
            if len(noise) > _MOST_NOISE:
                self.close()
                raise KernelError(
                    f"{self.where}: what runs there is not {self.what}: it says {harmless(line)!r}"
                )

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise KernelError(f"{self.where}: an answer is not JSON but {harmless(line)!r}")
        if "error" in found:
            raise _told(found, self.where)
        return found

    def _ended(self, noise: bytes) -> BackendError:
        try:
            code = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return KernelError(f"{self.where}: {self.what} closed its output")
        self._said.join(_GRACE_S)
        said = b"".join(self._errors)
        if code == 0:
            return KernelError(
                f"{self.where}: the login runs something else than {self.what}, which ends without "
                f"an answer: {harmless(noise.strip() or said.strip() or b'it says nothing')!r}"
            )
        return ended(code, said if said.strip() else noise, self.where, self.what)


def _told(answer: dict[str, Any], where: str) -> BackendError:
    text = f"{where}: {harmless(str(answer['error']))}"
    if answer.get("code") == _NO_MEMORY:
        return BoardMemoryError(text)
    if answer.get("code") == _BAD_SPEC:
        return BackendError(text)
    return KernelError(text)


def _start(target: Any, stream: IO[bytes], where: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=(stream, where), daemon=True)
    thread.start()
    return thread


def _read_lines(stream: IO[bytes], lines: queue.Queue[bytes | None]) -> None:
    with contextlib.suppress(OSError, ValueError), stream:
        while line := stream.readline(_LONGEST_LINE):
            lines.put(line)
    lines.put(None)


def _keep_lines(stream: IO[bytes], lines: deque[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError), stream:
        while line := stream.readline(1 << 16):
            lines.append(line)
