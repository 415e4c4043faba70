"""Backends by name: the place where backends are registered."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import cast

from costmodel.errors import DataError

from ..errors import MeasuringError
from ..measuring.backend import Backend, KernelTiming, Label, Settings

BACKENDS: dict[str, str] = {
    "arm": f"{__name__}.arm:ArmBackend",
    "arm:ncnn": f"{__name__}.ncnn:ArmNcnnBackend",
    "ncnn": f"{__name__}.ncnn:NcnnBackend",
    "onnxruntime": f"{__name__}.onnxruntime:OnnxRuntimeBackend",
    "torch": f"{__name__}.torch:TorchBackend",
}
"""Module and class of each backend; imported when it is asked for."""

WITH_TARGET = ("arm",)
"""Those that take a target behind their name, as in ``arm:emulated``."""

ON_BOARDS = f"{__name__}.engine:EngineBackend"
"""What runs an engine on a board: ``ncnn:ssh://user@host``, ``tflite:adb://serial`` and so on."""

ENGINES = ("ncnn", "onnxruntime", "tflite")

__all__ = ["BACKENDS", "Backend", "KernelTiming", "Label", "Settings", "load_backend"]


def load_backend(text: str) -> Backend:
    """Return the backend named by ``text``: a key of :data:`BACKENDS`, or ``key:target``.

    An engine's name with a board behind it is the engine there: ``ncnn:ssh://user@host``.

    Raises
    ------
    DataError
        If there is none of that name.
    MeasuringError
        If a package that it needs is missing.

    Examples
    --------
    >>> load_backend("abacus")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: unknown backend 'abacus'; known are ...
    """
    name, _, target = text.partition(":")
    arguments: tuple[str, ...] = ()
    if name in ENGINES and (target or name not in BACKENDS):
        where, arguments = ON_BOARDS, (name, target)
    elif text in BACKENDS or name in BACKENDS:
        where = BACKENDS.get(text) or BACKENDS[name]
        arguments = (target,) if target and text not in BACKENDS else ()
    else:
        raise DataError(_unknown(text))
    if arguments and where == BACKENDS.get(name) and name not in WITH_TARGET:
        raise DataError(
            f"backend {text!r}: {name} runs on this machine and takes no target; write {name}"
        )
    module, _, attribute = where.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        extra = module.rpartition(".")[2]
        raise MeasuringError(
            f"backend {text!r} needs the package {error.name}: pip install 'nn-costmodel[{extra}]'"
        ) from None
    return cast("Backend", factory(*arguments))


def _unknown(text: str) -> str:
    """Say that there is no such backend: near ones, or all."""
    name, _, target = text.partition(":")
    close = get_close_matches(name[:100], {*BACKENDS, *ENGINES}, n=2)
    if close and "://" not in target:
        return f"unknown backend {text!r}; did you mean {' or '.join(close)}?"
    return (
        f"unknown backend {text!r}; known are {', '.join(BACKENDS)}, and on boards "
        f"{', '.join(f'{engine}:ssh://' for engine in ENGINES)}"
    )
