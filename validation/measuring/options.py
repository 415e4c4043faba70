"""Options of the commands that measure, checked before anything is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx

from costmodel.errors import CostModelError, DataError
from costmodel.platforms import load_platform
from validation.errors import MeasuringError
from validation.measuring.backend import Backend, Settings
from validation.measuring.platforms import platform_for

_MOST_CORES = 4096


def parse_cores(text: str | None) -> tuple[int, ...]:
    """Return the cores that a list such as ``"4-6,7"`` names.

    Raises
    ------
    DataError
        If it is no such list.

    Examples
    --------
    >>> parse_cores("4-6,0"), parse_cores(None)
    ((0, 4, 5, 6), ())
    """
    if text is None:
        return ()
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ends = (first, last if dash else first)
        if not all(end.isascii() and end.isdigit() and int(end) < _MOST_CORES for end in ends):
            raise DataError(f"--cores {text!r}: cores are numbers such as 4-7 or 0,2")
        found.update(range(int(ends[0]), int(ends[1]) + 1))
    if not found:
        raise DataError(f"--cores {text!r} names no core")
    return tuple(sorted(found))


def refuse_unhonoured(backend: Backend, settings: Settings, changed: Iterable[str]) -> None:
    """Refuse options that a backend would not honour.

    Parameters
    ----------
    backend : Backend
        What runs the networks.
    settings : Settings
        How.
    changed : iterable of str
        Options about the exactness of measuring that are not at their defaults.

    Raises
    ------
    MeasuringError
        With the name of the option.
    """
    if settings.cores and not getattr(backend, "takes_cores", False):
        raise MeasuringError(
            f"{backend.name} cannot honour --cores: it chooses its cores itself, among those that "
            "taskset leaves it"
        )
    if backend.label == "simulated" and (options := list(changed)):
        raise MeasuringError(
            f"{backend.name} cannot honour {', '.join(options)}: it calculates, and measures "
            "nothing"
        )


def confirmed_platform(name: str, backend: Backend, settings: Settings) -> str:
    """Return the platform with the threads and the dtype of the settings, if it is the device.

    Raises
    ------
    MeasuringError
        If it contradicts where the networks are run.
    DataError
        If there is no such platform, or it states other threads or another dtype.
    """
    found = platform_for(name, settings)
    kind = load_platform(found).hardware.kind
    confirm = getattr(backend, "confirm_platform", None)
    if confirm is not None:
        confirm(found)
    elif (kind == "gpu") != (settings.device == "cuda"):
        raise MeasuringError(
            f"platform {name!r} is a {kind.upper()}, and {backend.name} runs on the "
            f"{'GPU' if settings.device == 'cuda' else 'processor'}: give --device "
            f"{'cuda' if kind == 'gpu' else 'cpu'}, or another platform"
        )
    return found


def refusals(
    backend: Backend, graphs: Mapping[str, nx.DiGraph], settings: Settings
) -> dict[str, str]:
    """Return the networks that a backend cannot run, each with the reason.

    Backends that can tell have a method ``check_graph``, which raises it.
    """
    check: Any = getattr(backend, "check_graph", None)
    found: dict[str, str] = {}
    for name, graph in graphs.items() if check is not None else ():
        try:
            check(graph, settings)
        except CostModelError as error:
            found[name] = str(error)
    return found
