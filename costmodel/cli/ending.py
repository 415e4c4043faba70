"""How every program of the project ends: one sentence and a code, never a traceback.

Nothing heavy is imported here: what is imported later is interrupted in good order, too.
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
    """Let Ctrl-C end the program ``name`` in good order from now on, during imports, too.

    A library that is being imported may turn the exception of an interruption into another, or
    lose it: then nothing has been begun that could be lost, and the program ends at once. A program
    that was started with interruptions ignored goes on ignoring them.
    """

    def interrupt(_number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename == _IMPORT:
                _end_at_once(name)
            frame = frame.f_back
        raise KeyboardInterrupt

    def unraisable(args: UnraisableHookArgs) -> None:
        if issubclass(args.exc_type, KeyboardInterrupt):  # it came while an object was destroyed
            _end_at_once(name)
        sys.__unraisablehook__(args)

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
        sys.unraisablehook = unraisable


def run_program(load: Callable[[], Callable[[], object]], name: str) -> NoReturn:
    """Load a program and run it; exit as it says, 130 where interrupted, 2 where output fails.

    Parameters
    ----------
    load : callable
        Imports the program and returns what runs it.
    name : str
        What stands before its sentences.
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
    """Return what the system refused in a sentence.

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
    """Open streams that were closed at the start on nowhere, so that no file takes their place."""
    for stream, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, stream) is None:
            setattr(sys, stream, open(os.devnull, mode))  # noqa: SIM115


def _flushed(name: str, code: object) -> object:
    """Write what is still to be written; return ``code``, or that of output that fails."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it has enough
        drop_output()
    except OSError as error:
        drop_output()
        return _say(name, f"the output cannot be written: {error.strerror}", BAD_INPUT)
    return code


def drop_output() -> None:
    """Let the interpreter flush to nowhere when it ends: it would complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())


def _ignore_interruptions() -> None:
    if signal.getsignal(signal.SIGINT) is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _say(name: str, sentence: str, code: int) -> int:
    _ignore_interruptions()
    with contextlib.suppress(OSError):  # where standard error fails, too, the code has to do
        print(f"{name}: {sentence}", file=sys.stderr, flush=True)
    return code


def _end_at_once(name: str) -> NoReturn:
    os.write(2, f"{name}: interrupted\n".encode())
    os._exit(INTERRUPTED)
