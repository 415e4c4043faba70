"""Campaigns on boards: networks in turns, in one process of the board, over one connection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import networkx as nx

from costmodel.errors import CostModelError

from ..arm.bench.answers import Host
from ..arm.bench.board import Board
from ..arm.bench.program import Spec
from ..arm.bench.targets import ArmTarget
from ..arm.errors import BackendError
from ..arm.translate.lower import lower
from ..arm.translate.reuse import reuse_memory
from ..errors import ClockError, MeasuringError, OutOfMemoryError
from ..measuring.backend import Settings
from ..measuring.clock import CpuTimer, Plan, Subject, Timing, measure
from ..measuring.journal import Journal, Turn
from .arm_timing import Watch, choose_cores, operator_timings, subject

Outcome = tuple[str, Timing | MeasuringError]


@dataclass
class _Heard:
    """A journal that remembers which network is worked on, and lets the board cool after rounds."""

    journal: Journal
    watch: Watch
    at_work: str = ""

    def earlier(self, name: str) -> Sequence[Turn]:
        return self.journal.earlier(name)

    def begin(self, name: str) -> None:
        self.at_work = name
        self.journal.begin(name)

    def finish(self, turns: Mapping[str, Turn]) -> None:
        self.journal.finish(turns)
        self.watch.cool()  # between rounds, so that no network's time is spent on it


@dataclass
class BoardCampaign:
    """What is measured on one board.

    Parameters
    ----------
    target : ArmTarget
        The board.
    settings, plan
        How networks are run and timed.
    """

    target: ArmTarget
    settings: Settings
    plan: Plan
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.plan.budget)

    def networks(
        self, graphs: Mapping[str, nx.DiGraph], journal: Journal
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        """Yield the time of each network; one that ends the program costs itself alone."""
        waiting = [dict(graphs)]
        while waiting:
            together = waiting.pop(0)
            while together:
                done = []
                for name, outcome in self._one_session(together, _Heard(journal, self.watch)):
                    done.append(name)
                    if isinstance(outcome, OutOfMemoryError) and len(together) > 1:
                        waiting.append({name: together[name]})  # alone it may fit
                    else:
                        yield name, outcome
                together = {name: graph for name, graph in together.items() if name not in done}

    def _one_session(self, graphs: Mapping[str, nx.DiGraph], heard: _Heard) -> Iterator[Outcome]:
        with self.target.session() as session:
            board = Board(session)
            self.prepare(board)
            subjects: list[Subject] = []
            for name, graph in graphs.items():
                heard.begin(name)
                try:
                    spec = reuse_memory(lower(graph))
                    number = board.load(spec)
                except BackendError as error:
                    yield name, error
                    if not self._lives(board):
                        return
                except CostModelError as error:
                    yield name, MeasuringError(f"{name}: {error}")
                else:
                    cold = self.settings.cache == "cold"
                    subjects.append(subject(name, board, number, self.watch, cold))
            try:
                yield from measure(subjects, self.plan, CpuTimer(), heard)
            except ClockError:
                raise
            except MeasuringError as error:
                yield heard.at_work, error

    @staticmethod
    def _lives(board: Board) -> bool:
        try:
            board.host()
        except MeasuringError:
            return False
        return True

    def prepare(self, board: Board) -> Host:
        """Find out where the program runs, and bind it to its cores.

        Raises
        ------
        BackendError
            If it is an emulator, or the cores cannot be had.
        """
        host = board.host()
        refuse_emulator(host, self.target.name)
        cores = choose_cores(host, self.settings.threads, self.settings.cores)
        if cores:
            board.pin(cores)
        self.watch.cores = cores
        return host

    def operators(self, spec: Spec) -> list[Timing]:
        """Return the time of every operator inside the network."""
        with self.target.session() as session:
            board = Board(session)
            self.prepare(board)
            return operator_timings(board, board.load(spec), len(spec.calls), self.plan)


def refuse_emulator(host: Host, where: str) -> None:
    """Refuse a machine whose times say nothing of a processor."""
    if host.emulator:
        raise BackendError(
            f"{where}: the binary found itself under the emulator {host.emulator}: its results are "
            "emulated, its wall time is no latency"
        )
