"""The end of every program of the project: one sentence and an exit code, never a traceback.

Imports here must be light, so that interruptions of later imports are handled, too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

BAD_INPUT = 2
INTERRUPTED = 130
_IMPORT = "<frozen importlib._bootstrap>"


def end_when_interrupted(name: str) -> None:
    """Make Ctrl-C end the program ``name`` cleanly from now on, also during imports.

    A library may replace or swallow the exception of an interruption while it is imported. Because
    no work has begun at that time, the program then ends at once. A program that was started with
    interruptions ignored keeps ignoring them.
    """

    def interrupt(_number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename == _IMPORT:
                _end_at_once(name)
            frame = frame.f_back
        raise KeyboardInterrupt

    def unraisable(args: UnraisableHookArgs) -> None:
        if issubclass(args.exc_type, KeyboardInterrupt):  # raised in a destructor
            _end_at_once(name)
        sys.__unraisablehook__(args)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = unraisable


def run_program(load: Callable[[], Callable[[], object]], name: str) -> NoReturn:
    """Load and run a program; exit with its code, 130 if interrupted, 2 if output fails.

    Parameters
    ----------
    load : callable
        Imports the program and returns the function that runs it.
    name : str
        Prefix of its error messages.
    """
    end_when_interrupted(name)
    _open_closed()
    code: object = 0
    try:
        load()()
    except SystemExit as exit_:
        code = exit_.code
    except KeyboardInterrupt:
        code = _say(name, "interrupted", INTERRUPTED)
    except (OSError, MemoryError) as error:
        code = _say(name, sentence_of(error), BAD_INPUT)
    _ignore_interruptions()
    sys.exit(_flushed(name, code))  # type: ignore[arg-type]


def sentence_of(error: OSError | MemoryError) -> str:
    """Return an error of the operating system as a sentence.

    Examples
    --------
    >>> sentence_of(PermissionError(13, "Permission denied", "/root/x"))
    '/root/x: Permission denied'
    """
    if isinstance(error, MemoryError):
        return "there is not enough memory"
    reason = error.strerror or str(error) or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason


def _open_closed() -> None:
    """Open closed standard streams on the null device, so that no file takes their numbers."""
    for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, mode))  # noqa: SIM115


def _flushed(name: str, code: object) -> object:
    """Flush the standard streams; return ``code``, or the code of failed output."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader closed the pipe
        drop_output()
    except OSError as error:
        drop_output()
        return _say(name, f"the output cannot be written: {error.strerror}", BAD_INPUT)
    return code


def drop_output() -> None:
    """Redirect the final flush of the interpreter to the null device, to avoid its warning."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())


def _ignore_interruptions() -> None:
    if signal.getsignal(signal.SIGINT) is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _say(name: str, sentence: str, code: int) -> int:
    _ignore_interruptions()
    with contextlib.suppress(OSError):  # if standard error fails too, only the code remains
        print(f"{name}: {sentence}", file=sys.stderr, flush=True)
    return code


def _end_at_once(name: str) -> NoReturn:
    os.write(2, f"{name}: interrupted\n".encode())
    os._exit(INTERRUPTED)
