"""Options of the commands that measure, checked before anything is measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx
import typer
from rich.console import Console

from costmodel.errors import CostModelError, DataError
from costmodel.hardware import core_names, hardware_names
from costmodel.platforms import Platform, load_platform
from costmodel.platforms.settings import yes
from costmodel.runtimes import runtime_names

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
    elif settings.device == "cpu":
        confirm_host(load_platform(found), backend, settings)
    else:
        confirm_gpu(load_platform(found), backend, settings)
    check: Any = getattr(backend, "check_settings", None)
    if check is not None:
        check(settings)
    return found


def confirm_host(where: Platform, backend: Backend, settings: Settings) -> None:
    """Refuse a platform that is not this machine with the runtime of a backend.

    Parameters
    ----------
    where : Platform
        What predicts.
    backend : Backend
        What runs the networks on this machine.
    settings : Settings
        How.

    Raises
    ------
    MeasuringError
        If the runtime, mixed precision, transfers or the cores are others.
    """
    own = load_platform(backend.platform(settings), calibrated=False)
    _confirm_runtime(where, own, backend)
    if where.hardware.name == "host":
        return  # probed on this very machine, whatever its cores are called
    here, cores = own.hardware, [cluster.core for cluster in own.hardware.clusters]
    # A core that no pattern recognizes may be this one, described by its user.
    known = where.hardware.isa and (here.isa != where.hardware.isa or here.core in core_names())
    if known and where.hardware.core not in cores:
        raise MeasuringError(
            f"platform {where.name!r} has cores {where.hardware.core}, and {backend.name} runs on "
            f"those of this machine, {' and '.join(cores)}: give {own.name}, or measure on a board "
            "by ssh"
        )


def confirm_gpu(where: Platform, backend: Backend, settings: Settings) -> None:
    """Refuse a platform that is not the GPU at hand with the runtime of a backend.

    Hardware that its user described may be any GPU, and so may a GPU that no file describes.

    Raises
    ------
    MeasuringError
        If the runtime, mixed precision, transfers or the GPU are others.
    """
    try:
        own = load_platform(backend.platform(settings), calibrated=False)
    except MeasuringError:
        return
    _confirm_runtime(where, own, backend)
    if where.hardware.name in hardware_names() and where.hardware.name != own.hardware.name:
        raise MeasuringError(
            f"platform {where.name!r} predicts another GPU, and {backend.name} runs on "
            f"{own.hardware.name}: give {own.name}"
        )


def _confirm_runtime(where: Platform, own: Platform, backend: Backend) -> None:
    """Refuse what is not ``own``, which runs here: runtime, mixed precision, transfers."""
    if where.runtime.name in runtime_names() and where.runtime.name != own.runtime.name:
        raise MeasuringError(
            f"platform {where.name!r} predicts {where.runtime.name}, and {backend.name} runs "
            f"{own.runtime.name}: give {own.name}, or another backend"
        )
    if where.amp:
        raise MeasuringError(
            f"platform {where.name!r} has automatic mixed precision, with which {backend.name} "
            "measures nothing: leave amp out"
        )
    if where.transfers != own.transfers:
        raise MeasuringError(
            f"platform {where.name!r} has transfers={yes(where.transfers)}, and {backend.name} "
            f"measures with transfers={yes(own.transfers)}: leave transfers out"
        )


def refuse_unpredicted(where: str, settings: Settings) -> None:
    """Refuse to compare channels-last images on a CPU with what is predicted for contiguous ones.

    Raises
    ------
    MeasuringError
    """
    if settings.layout != "contiguous" and settings.device == "cpu":
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
