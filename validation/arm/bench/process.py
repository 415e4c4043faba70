"""Run a command, and read what a finished ``armbench`` left, here and on boards alike."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence

from validation.arm.bench.result import RunResult, parse_output
from validation.arm.errors import BackendError, KernelError

DEFAULT_TIMEOUT_S = 600.0
"""How long a network may run, its preparation included. [s]"""


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
        raise BackendError(f"{where}: cannot start {command[0]}: {error.strerror}") from error


def interpret_output(code: int, stdout: bytes, stderr: bytes, where: str) -> RunResult:
    """Make a result, or the right error, of what a finished ``armbench`` left."""
    text = stdout.decode(errors="replace")
    if text.lstrip().startswith("{") and code in {0, 2, 3, 4, 5}:
        return parse_output(text, where)
    number = -code if code < 0 else code - 128  # a shell adds 128 to the signal
    if 0 < number < signal.NSIG:
        raise KernelError(
            f"{where}: armbench was stopped by {_signal_name(number)}; the kernel crashed"
        )
    reason = stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    raise BackendError(f"{where}: armbench failed with exit code {code}: {reason[-1]}")


def interpret(done: subprocess.CompletedProcess[bytes], where: str) -> RunResult:
    """Do the same for a finished process."""
    return interpret_output(done.returncode, done.stdout, done.stderr, where)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
