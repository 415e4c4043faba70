"""Runs of commands, and results of finished ``armbench`` runs, on this machine and on boards."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

from ..errors import BackendError, BoardMemoryError, KernelError
from .result import RunResult, parse_output
from .texts import last_line

DEFAULT_TIMEOUT_S = 600.0
"""Maximum time of a network, including its preparation. [s]"""

_NOT_STARTED = {126, 127}  # a shell's own codes: found but not run, and not found
_ANSWERED = {0, 2, 3, 4, 5}  # enum exit_code of bench.h, where the document says what happened


def communicate(
    command: Sequence[str], stdin: bytes, timeout: float, where: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command; a missing program or one that takes too long is a ``BackendError``."""
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{where}: no answer within {timeout:g} s, stopped") from error
    except OSError as error:
        raise cannot_start(command, error, where) from error


def cannot_start(command: Sequence[str], error: OSError, where: str) -> BackendError:
    """Return the error for a command that this machine does not start."""
    return BackendError(f"{where}: cannot start {command[0]}: {error.strerror}")


def interpret_output(code: int, stdout: bytes, stderr: bytes, where: str) -> RunResult:
    """Make a result, or the right error, of what a finished ``armbench`` left."""
    text = stdout.decode(errors="replace")
    if text.lstrip().startswith("{") and code in _ANSWERED:
        return parse_output(text, where)
    raise ended(code, stderr or stdout, where)


def attended(
    command: Sequence[str], timeout: float, where: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command whose standard input stays open as long as this process lives.

    This lets the program on a board end itself as soon as nobody waits for it.

    Raises
    ------
    BackendError
        If the command cannot be started, or takes longer than ``timeout`` seconds.
    """
    ours, theirs = os.pipe()
    try:
        return subprocess.run(
            command, stdin=ours, capture_output=True, check=False, timeout=timeout
        )
    except subprocess.TimeoutExpired as error:
        raise BackendError(f"{where}: no answer within {timeout:g} s, stopped") from error
    except OSError as error:
        raise cannot_start(command, error, where) from error
    finally:
        os.close(ours)
        os.close(theirs)


def ended(code: int, said: bytes, where: str, what: str = "armbench") -> BackendError:
    """Return what it means that a program ended with an exit code and gave no answer."""
    text = last_line(said)
    number = -code if code < 0 else code - 128  # a shell adds 128 to the signal
    if number == signal.SIGKILL:
        return BoardMemoryError(f"{where}: {what} was killed, most likely as memory ran out")
    if number == signal.SIGILL:
        return KernelError(
            f"{where}: {what} was stopped by SIGILL; the processor lacks an instruction of it"
        )
    if 0 < number < signal.NSIG:
        return KernelError(
            f"{where}: {what} was stopped by {_signal_name(number)}; "
            f"{'the kernel' if what == 'armbench' else 'it'} crashed"
        )
    if code in _NOT_STARTED:
        return BackendError(f"{where}: {_not_started(text, what)} ({text})")
    return BackendError(f"{where}: {what} failed with exit code {code}: {text}")


def _not_started(text: str, what: str) -> str:
    """Return the reason why a shell did not start the program."""
    if "Exec format" in text or "not executable" in text or "cannot execute" in text:
        if what == "armbench":
            return "armbench is a program for 64-bit ARM Linux, and this board's system runs none"
        return f"{what} is a program for another processor or system than the board's"
    if "ermission denied" in text:
        return "the board does not run programs from that folder: is it mounted noexec?"
    return f"the board's shell does not find {what}, or does not run programs of 64 bits"


def interpret(done: subprocess.CompletedProcess[bytes], where: str) -> RunResult:
    """Do the same for a finished process."""
    return interpret_output(done.returncode, done.stdout, done.stderr, where)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a signal of another system
        return f"signal {number}"
