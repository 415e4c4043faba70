"""Analytical cost models of neural networks: FLOPs, memory access cost, bounds, latency."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as in typing, which takes its time to import
if TYPE_CHECKING:
    from typing import Any

    from costmodel.public import *  # noqa: F403


def __getattr__(name: str) -> Any:
    """Return a public name or a module of the package, imported when it is asked for.

    Programs thereby start at once, and an interruption of the imports finds them ready for it.
    """
    from importlib import import_module

    if name.startswith("__"):
        raise AttributeError(f"module 'costmodel' has no attribute {name!r}")
    try:
        return import_module(f"costmodel.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"costmodel.{name}":
            raise
    public = vars(import_module("costmodel.public"))
    if name not in public:
        raise AttributeError(f"module 'costmodel' has no attribute {name!r}")
    globals()[name] = public[name]
    return public[name]


def __dir__() -> list[str]:
    """Return the public names."""
    from costmodel import public

    return sorted({*globals(), *(name for name in vars(public) if not name.startswith("_"))})


if "IPython" in sys.modules:  # notebooks show graphs and predictions as tables from the beginning
    from costmodel.report import notebook as _notebook  # noqa: F401
