"""Settings of the process while modules are imported."""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def has_compiler() -> bool:
    """Return whether the compiler of torch is loaded."""
    return "torch._dynamo" in sys.modules


def eager() -> AbstractContextManager[Any]:
    """Return a context in which the compiler of torch, if it is loaded, compiles nothing."""
    if not has_compiler() or not hasattr(torch.compiler, "set_stance"):
        return nullcontext()
    context: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return context


class _Quiet:
    """Settings of the whole process that one of several importing threads puts and another back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                silence = warnings.catch_warnings()
                silence.__enter__()
                warnings.simplefilter("ignore")
                compiler = eager()
                compiler.__enter__()
                fast_path = torch.backends.mha.get_fastpath_enabled()
                self._before = silence, compiler, fast_path, gc.isenabled()
                gc.disable()  # with torch loaded, one full collection takes longer than an import
                torch.backends.mha.set_fastpath_enabled(False)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                silence, compiler, fast_path, collects = self._before
                if collects:
                    gc.enable()
                torch.backends.mha.set_fastpath_enabled(fast_path)
                compiler.__exit__(None, None, None)
                silence.__exit__(None, None, None)


_QUIET = _Quiet()


def quiet() -> _Quiet:
    """Return a context without warnings of torch and without fused paths that hide operators."""
    return _QUIET
