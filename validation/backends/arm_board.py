"""Campaigns on boards: networks in turns, in one process of the board, over one connection."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import networkx as nx

from ..arm.bench.answers import Host
from ..arm.bench.board import Board
from ..arm.bench.program import Spec
from ..arm.bench.targets import ArmTarget
from ..arm.translate.lower import lower
from ..arm.translate.reuse import reuse_memory
from ..arm.translate.state import Products
from ..errors import MeasuringError
from ..measuring.backend import Settings
from ..measuring.clock import Plan, Subject, Timing
from ..measuring.journal import Journal
from .arm_timing import COOLING, Watch, choose_cores, operator_timings, subject
from .board_facts import refuse_emulator
from .board_sessions import in_sessions


@dataclass
class _KernelBench:
    """The project's own program with its networks (see :class:`.board_sessions.Bench`)."""

    board: Board
    watch: Watch
    settings: Settings

    def subject(self, name: str, graph: nx.DiGraph) -> Subject:
        spec = reuse_memory(lower(graph, products=products_of(self.settings)))
        number = self.board.load(spec)
        return subject(name, self.board, number, self.watch, self.settings.cache == "cold")

    def lives(self) -> bool:
        try:
            self.board.host()
        except MeasuringError:
            return False
        return True


@dataclass
class BoardCampaign:
    """What is measured on one board.

    Parameters
    ----------
    target : ArmTarget
        The board.
    settings, plan
        How networks are run and timed.
    stand_in : bool
        Whether an emulator is taken for a board: for tests alone.
    """

    target: ArmTarget
    settings: Settings
    plan: Plan
    stand_in: bool = False
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(COOLING * self.plan.budget)

    def networks(
        self, graphs: Mapping[str, nx.DiGraph], journal: Journal
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        """Yield the time of each network; one that ends the program costs itself alone."""
        yield from in_sessions(self._opened, graphs, self.plan, journal)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[_KernelBench]:
        with self.target.session() as session:
            board = Board(session)
            self.prepare(board)
            yield _KernelBench(board, self.watch, self.settings)

    def prepare(self, board: Board) -> Host:
        """Find out where the program runs, bind it to its cores and start its threads.

        Raises
        ------
        BackendError
            If it is an emulator, or the cores cannot be had.
        """
        host = board.host()
        if not self.stand_in:
            refuse_emulator(host, self.target.name)
        cores = choose_cores(host, self.settings.threads, self.settings.cores)
        if cores:
            board.pin(cores)
        if self.settings.threads > 1:
            board.threads(self.settings.threads)
        self.watch.cores = cores
        return host

    def operators(self, spec: Spec) -> list[Timing]:
        """Return the time of every operator inside the network."""
        with self.target.session() as session:
            board = Board(session)
            self.prepare(board)
            network = board.load(spec)
            return operator_timings(board, network, len(spec.calls), self.plan, self.watch)


def products_of(settings: Settings) -> Products:
    """Return in what products are made; a graph in float16 says it itself."""
    return "int8" if settings.dtype == "int8" else "float32"
