"""Networks and kernels timed in turns on this processor, for the backends of engines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import networkx as nx

from costmodel.errors import CostModelError
from costmodel.kernels.lowering import lower
from costmodel.runtimes import load_runtime

from ..errors import MeasuringError
from ..measuring.backend import KernelTiming, Settings
from ..measuring.clock import CpuTimer, Plan, Subject, Timing, measure
from ..measuring.host import pinned
from ..measuring.journal import Journal
from .alone import cut_out

Prepare = Callable[[str, nx.DiGraph, Settings], Subject]
"""Makes a network ready to be timed, by its name, its graph and how it is run."""


def networks_in_turns(
    graphs: Mapping[str, nx.DiGraph],
    settings: Settings,
    plan: Plan,
    journal: Journal,
    prepare: Prepare,
) -> Iterator[tuple[str, Timing | MeasuringError]]:
    """Time whole networks in turns; yield each as soon as it is done or has failed."""
    with pinned(settings.threads):
        subjects = []
        for name, graph in graphs.items():
            journal.begin(name)
            try:
                subjects.append(prepare(name, graph, settings))
            except MeasuringError as error:
                yield name, error
            except CostModelError as error:
                yield name, MeasuringError(f"{name}: {error}")
        yield from measure(subjects, plan, _timer(settings), journal)


def kernels_alone(
    graph: nx.DiGraph, settings: Settings, plan: Plan, runtime: str, prepare: Prepare
) -> tuple[KernelTiming, ...]:
    """Time every kernel of a runtime alone, those that are alike only once."""
    kernels = lower(graph, load_runtime(runtime))
    cuts = {kernel.name: cut_out(graph, kernel) for kernel in kernels}
    first = {cut.signature: name for name, cut in reversed(cuts.items())}
    with pinned(settings.threads):
        subjects = [prepare(name, cuts[name].body, settings) for name in first.values()]
        timings = dict(measure(subjects, plan, _timer(settings)))
    return tuple(
        KernelTiming(k.name, k.kind, timings[first[cuts[k.name].signature]]) for k in kernels
    )


def _timer(settings: Settings) -> CpuTimer:
    return CpuTimer(own=time.thread_time if settings.threads == 1 else None)
