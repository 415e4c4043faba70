"""Measurement in a worker process, which is restarted without a network that crashed it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

import networkx as nx

from ..errors import ClockError, MeasuringError, OutOfMemoryError, WorkerError
from .journal import Journal
from .summary import Timing
from .worker import Begun, Built, Done, End, Job, Round, Worker

START_LIMIT = 600.0
"""Time that a worker may take to start: to import what its backend needs. [s]"""


class Keeper(Journal, Protocol):
    """A journal that is told of the graphs that a worker has built, before it is asked."""

    def built(self, name: str, graph: nx.DiGraph) -> None:
        """Hear which network ``name`` is."""


def measure_apart(
    job: Job, keeper: Keeper, limit: float
) -> Iterator[tuple[str, Timing | MeasuringError]]:
    """Measure the networks of a job in turns; yield each as soon as it is done or has failed.

    A network that ends the worker has failed, and the others go on from their last round in
    another worker. One that lacks memory while others have some is tried once more alone.

    Parameters
    ----------
    job : Job
        What is measured.
    keeper : Keeper
        Knows the turns of before, and keeps those of each round.
    limit : float
        Seconds that one step of one network may take: to be built, to be warmed up, one turn. [s]

    Raises
    ------
    MeasuringError
        What would befall every network: a clock that jumps, settings that cannot be had, a worker
        that ends before it works on any.
    """
    waiting = [dict(job.graphs)]
    while waiting:
        together = waiting.pop(0)
        while together:
            done = []
            for spec, outcome in _one_worker(replace(job, graphs=together), keeper, limit):
                done.append(spec)
                if isinstance(outcome, OutOfMemoryError) and len(together) > 1:
                    waiting.append({spec: together[spec]})
                else:
                    yield spec, outcome
            together = {spec: graph for spec, graph in together.items() if spec not in done}


def _one_worker(
    job: Job, keeper: Keeper, limit: float
) -> Iterator[tuple[str, Timing | MeasuringError]]:
    """Yield what came of the networks until the worker ends; the last one may have ended it."""
    left = dict(job.graphs)
    at_work, begun = "", False
    error: MeasuringError | None
    with Worker(job) as worker:
        while True:
            try:
                message = worker.hear(limit if begun else max(limit, START_LIMIT))
            except EOFError:
                error = _died(worker, at_work)
                break
            begun = True
            if isinstance(message, Begun):
                at_work = message.spec
            elif isinstance(message, Built):
                keeper.built(message.spec, message.graph)
                worker.answer(keeper.earlier(message.spec))
            elif isinstance(message, Round):
                keeper.finish(message.turns)
                worker.answer(None)
            elif isinstance(message, Done):
                left.pop(message.spec, None)
                yield message.spec, message.outcome
            else:
                error = _ended(message, at_work, limit)
                break
    if isinstance(error, ClockError) or (error is not None and not at_work and left):
        raise error
    if error is not None:
        if at_work in left:
            yield at_work, error
        return  # where the one at work was done, whatever ended the worker cost nothing
    for spec in left:
        yield spec, MeasuringError(f"{spec}: the backend gave no result")


def _ended(message: End | None, spec: str, limit: float) -> MeasuringError | None:
    if message is not None:
        return message.error
    return MeasuringError(
        f"{spec or 'the worker'}: no sign of life for {limit:g} s, so that it was ended (--limit "
        "allows more)"
    )


def _died(worker: Worker, spec: str) -> MeasuringError:
    death = worker.death()
    if not spec:
        return WorkerError(f"measuring ended before the first network: {death}")
    if worker.was_killed:
        return OutOfMemoryError(f"{spec}: its process was killed, most likely as memory ran out")
    return MeasuringError(f"{spec}: {death}")
