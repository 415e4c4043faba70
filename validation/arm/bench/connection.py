"""The ssh connection shared by all commands of a target, and translations of ssh's messages."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path

from ..errors import BackendError
from .texts import last_line

CONNECT_TIMEOUT_S = 10
_OPEN_TIMEOUT_S = 120.0
_SSH_FAILED = 255  # ssh's own exit code: no connection, or no login
_KEPT_S = 60  # a connection stays open that long after its last use

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


class Connection:
    """The socket of the connection that all commands of a target share; made when first needed."""

    def __init__(self) -> None:
        self._socket = ""

    def opened(self, host: str, words: Sequence[str], where: str) -> str:
        """Return the socket, of a connection to ``host`` by ssh with the options ``words``.

        Raises
        ------
        BackendError
            If there is no connection; ``where`` is the target in the message.
        """
        if not self._socket:
            self._socket = self._connect(host, words, where)
        return self._socket

    def _connect(self, host: str, options: Sequence[str], where: str) -> str:
        folder = tempfile.mkdtemp(prefix="costmodel-ssh-")
        weakref.finalize(self, _disconnect, folder, host)
        socket, log = f"{folder}/s", Path(folder) / "log"
        words = ["-M", "-S", socket, "-o", f"ControlPersist={_KEPT_S}", "-f", "-N", *options]
        with log.open("wb") as errors:  # the process stays, and would hold a pipe open
            try:
                done = subprocess.run(
                    ["ssh", *words, "--", host],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    check=False,
                    timeout=_OPEN_TIMEOUT_S,
                )
            except subprocess.TimeoutExpired:
                raise BackendError(f"{where}: the board cannot be reached: no answer") from None
            except OSError as error:
                raise BackendError(f"{where}: cannot start ssh: {error.strerror}") from error
        check_connection(done.returncode, log.read_bytes(), where)
        return socket


def check_connection(code: int, stderr: bytes, where: str) -> None:
    """Raise where ssh itself failed.

    Raises
    ------
    BackendError
    """
    if code != _SSH_FAILED:
        return
    text = stderr.decode(errors="replace")
    for sign, reason in _SSH_REASONS.items():
        if sign in text:
            raise BackendError(f"{where}: {reason}")
    said = last_line(stderr) if text.strip() else "the connection broke off"
    raise BackendError(f"{where}: ssh failed: {said}")


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
