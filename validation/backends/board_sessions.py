"""Networks measured in turns in a board's programs: one that ends its program costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import networkx as nx

from costmodel.errors import CostModelError

from ..arm.errors import BackendError
from ..errors import ClockError, MeasuringError, OutOfMemoryError
from ..measuring.clock import CpuTimer, Plan, Subject, Timing, measure
from ..measuring.journal import Journal, Turn

Outcome = tuple[str, Timing | MeasuringError]
Outcomes = Iterator[Outcome]


class Bench(Protocol):
    """A program on a board, ready to be given networks."""

    def subject(self, name: str, graph: nx.DiGraph) -> Subject:
        """Prepare a network there, run it once, and return it as something that can be timed.

        Raises
        ------
        CostModelError
            If it cannot be run.
        """

    def lives(self) -> bool:
        """Return whether it still answers."""


@dataclass
class _Heard:
    """A journal that remembers which network is worked on."""

    journal: Journal
    at_work: str = ""

    def earlier(self, name: str) -> Sequence[Turn]:
        return self.journal.earlier(name)

    def begin(self, name: str) -> None:
        self.at_work = name
        self.journal.begin(name)

    def finish(self, turns: Mapping[str, Turn]) -> None:
        self.journal.finish(turns)


def in_sessions(
    opened: Callable[[], AbstractContextManager[Bench]],
    graphs: Mapping[str, nx.DiGraph],
    plan: Plan,
    journal: Journal,
) -> Iterator[Outcome]:
    """Yield the time of each network; one that ends the program costs itself alone.

    Parameters
    ----------
    opened : callable
        Starts the program.
    graphs : mapping
        Networks by name.
    plan, journal
        How they are timed, and who hears of it.
    """
    waiting = [dict(graphs)]
    while waiting:
        together = waiting.pop(0)
        while together:
            done = []
            for name, outcome in _one_session(opened, together, plan, _Heard(journal)):
                done.append(name)
                if isinstance(outcome, OutOfMemoryError) and len(together) > 1:
                    waiting.append({name: together[name]})  # alone it may fit
                else:
                    yield name, outcome
            together = {name: graph for name, graph in together.items() if name not in done}


def failing_each(names: Iterable[str], outcomes: Outcomes) -> Outcomes:
    """Yield the outcomes of a campaign; an error that ends it is that of every network.

    Raises
    ------
    ClockError
        If the clock cannot be trusted: then nothing that was timed can be.
    """
    try:
        yield from outcomes
    except ClockError:
        raise
    except MeasuringError as error:
        for name in names:
            yield name, error


def _one_session(
    opened: Callable[[], AbstractContextManager[Bench]],
    graphs: Mapping[str, nx.DiGraph],
    plan: Plan,
    heard: _Heard,
) -> Iterator[Outcome]:
    with opened() as bench:
        subjects: list[Subject] = []
        for name, graph in graphs.items():
            heard.begin(name)
            try:
                subjects.append(bench.subject(name, graph))
            except BackendError as error:
                yield name, error
                if not bench.lives():
                    return
            except CostModelError as error:
                said = str(error)
                yield name, MeasuringError(said if said.startswith(name) else f"{name}: {said}")
        try:
            yield from measure(subjects, plan, CpuTimer(), heard)
        except ClockError:
            raise
        except MeasuringError as error:
            yield heard.at_work, error
