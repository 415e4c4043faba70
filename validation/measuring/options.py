"""Options of the commands that measure, checked before anything is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx
import typer
from rich.console import Console

from costmodel.errors import CostModelError, DataError
from costmodel.platforms import load_platform

from ..errors import MeasuringError
from .backend import Backend, Settings
from .clock import Plan
from .networks import network_for
from .platforms import platform_for
from .running import say

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


def chosen_cores(text: str | None, backend: Backend, threads: int) -> tuple[int, ...]:
    """Return the cores that ``--cores`` names: by numbers, or by the name of a board's cluster.

    Of a cluster the last ones are taken, as many as there are threads.

    Raises
    ------
    CostModelError
        If it names none.
    """
    named: Any = getattr(backend, "named_cores", None)
    if text is None or named is None or not text[:1].isalpha():
        return parse_cores(text)
    found: tuple[int, ...] = named(text)
    return found[-threads:] if len(found) >= threads else found


def refuse_unhonoured(backend: Backend, settings: Settings, options: Iterable[str]) -> None:
    """Refuse options that a backend would not honour.

    Parameters
    ----------
    backend : Backend
        What runs the networks.
    settings : Settings
        How.
    options : iterable of str
        Options about the exactness of measuring that are not at their defaults.

    Raises
    ------
    MeasuringError
        With the name of the option.
    """
    if backend.label == "emulated":
        raise MeasuringError(
            f"{backend.name} has no latency to measure: costmodel validate checks its results and "
            "counts instructions"
        )
    if settings.cores and not getattr(backend, "takes_cores", False):
        raise MeasuringError(
            f"{backend.name} cannot honour --cores: it chooses its cores itself, among those that "
            "taskset leaves it"
        )
    if backend.label == "simulated" and (named := list(options)):
        raise MeasuringError(
            f"{backend.name} cannot honour {', '.join(named)}: it calculates, and measures nothing"
        )


def confirmed_platform(name: str, backend: Backend, settings: Settings) -> str:
    """Return the platform with the threads, dtype and layout of the settings, if it is the device.

    Raises
    ------
    MeasuringError
        If it contradicts where the networks are run, or the backend does not honour a setting.
    DataError
        If there is no such platform, or it states other threads, another dtype or layout.
    """
    found = platform_for(name, settings)
    backend.confirm_platform(found, settings)
    backend.check_settings(settings)
    return found


def refuse_unpredicted(where: str, settings: Settings) -> None:
    """Refuse to compare channels-last images with a runtime that predicts for contiguous ones.

    Raises
    ------
    MeasuringError
    """
    contiguous = settings.layout == "contiguous" or settings.device != "cpu"
    if not contiguous and not load_platform(where).runtime.layouts_apply("cpu"):
        raise MeasuringError(
            f"{where} is predicted for contiguous images only: leave out --layout "
            f"{settings.layout}, or measure without a comparison by costmodel measure"
        )


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


def runnable(
    networks: list[str], runner: Backend, settings: Settings, console: Console, built: bool = False
) -> dict[str, nx.DiGraph]:
    """Return the networks that the backend can run; the others are named before the first is run.

    Those that can fail at nothing but running are built by whoever runs them, unless ``built``.
    """
    names = dict.fromkeys(networks)
    if not built and not hasattr(runner, "check_graph"):
        return {name: nx.DiGraph() for name in names}
    graphs = {}
    for name in names:
        try:
            graphs[name] = network_for(name, settings)
        except CostModelError:
            if built:  # bad input; the others are measured where nothing is to be compared
                raise
            graphs[name] = nx.DiGraph()
    refused = refusals(runner, {n: g for n, g in graphs.items() if len(g)}, settings)
    if refused:
        say(console, f"{len(refused)} of {len(names)} networks cannot be run there:", "red")
    for name, reason in refused.items():
        say(console, f"{name}: {reason}", "red")
    if len(refused) == len(names):
        raise typer.Exit(1)
    return {name: graph for name, graph in graphs.items() if name not in refused}


def changed(plan: Plan) -> list[str]:
    """Return the options about exactness that are not at their defaults."""
    usual = Plan()
    differ = {"--precision": plan.precision != usual.precision}
    differ["--budget"] = plan.budget != usual.budget
    return [option for option, differs in differ.items() if differs]
