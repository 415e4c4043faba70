"""The time of every operator inside the run of its network: caches as they are there."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

import networkx as nx
from torch import fx

from validation.backends.graph_to_torch import random_inputs, to_torch
from validation.backends.torch import session
from validation.errors import MeasuringError
from validation.measuring.backend import Settings
from validation.measuring.clock import Plan, Timing, summary


def measure_inside(graph: nx.DiGraph, settings: Settings, plan: Plan) -> dict[str, Timing]:
    """Time every operator of ``graph`` inside whole runs of it, views too.

    The clock is read between operators, which adds up to half a microsecond to each.

    Parameters
    ----------
    graph : DiGraph
        A network without symbols.
    settings : Settings
        Eager, on the processor, float32, warm.
    plan : Plan
        Its budget, warm-up and smallest number of samples are used.

    Raises
    ------
    MeasuringError
        If another mode or device is asked for.
    """
    if settings != Settings(threads=settings.threads):
        raise MeasuringError(
            "operators inside a network are timed in eager float32 on the cpu only"
        )
    # Within one thread its own time says the same as the clock, and leaves out preemptions.
    clock = time.thread_time if settings.threads == 1 else time.perf_counter
    stamps: list[tuple[str, float]] = []
    module = _stamped(to_torch(graph), stamps, clock)
    inputs = random_inputs(graph)
    samples: dict[str, list[float]] = defaultdict(list)
    with session(settings):
        begin = time.monotonic()
        while time.monotonic() - begin < plan.warm_up:
            module(*inputs)
        begin, runs = time.monotonic(), 0
        while runs < plan.min_samples or time.monotonic() - begin < plan.budget:
            stamps.clear()
            last = clock()
            module(*inputs)
            for name, now in stamps:
                samples[name].append(now - last)
                last = now
            runs += 1
    return {name: summary(values) for name, values in samples.items()}


def _stamped(
    module: fx.GraphModule, stamps: list[tuple[str, float]], clock: Callable[[], float]
) -> fx.GraphModule:
    """Add a reading of the clock after the last statement of each operator."""

    def stamp(name: str) -> None:
        stamps.append((name, clock()))

    statements = [node for node in module.graph.nodes if "node" in node.meta]
    for node, following in zip(statements, [*statements[1:], None], strict=True):
        if following is not None and following.meta["node"] == node.meta["node"]:
            continue
        with module.graph.inserting_after(node):
            module.graph.call_function(stamp, (node.meta["node"],))
    module.recompile()
    return module
