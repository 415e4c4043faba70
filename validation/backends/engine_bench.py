"""An engine on a board with its networks, and the program that reports the board's state."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import networkx as nx

from ..arm.bench import answers
from ..arm.bench.answers import BoardSample, BoardTurn
from ..arm.bench.board import Board
from ..arm.bench.private import Program
from ..arm.bench.process import DEFAULT_TIMEOUT_S
from ..arm.bench.program import Spec, SpecBuilder
from ..arm.bench.remote import AdbTarget, SshTarget
from ..arm.bench.session import Session
from ..arm.bench.texts import harmless
from ..arm.errors import BackendError
from ..errors import MeasuringError
from ..measuring.backend import LayerTiming, Settings
from ..measuring.clock import Plan, Subject, Timing
from ..measuring.journal import Journal
from .arm_board import BoardCampaign
from .arm_timing import COOLING, Watch, subject
from .board_sessions import in_sessions
from .engine_models import TITLES, EngineModel, check_outputs, convert
from .engine_program import SAMPLE, ProgramRunning
from .engine_there import EngineThere

_MACHINES = ("aarch64", "arm64")
_SHORT_S = 30.0


class _Running(Protocol):
    """An engine that runs networks."""

    def pin(self, cores: tuple[int, ...]) -> None: ...

    def samples(
        self, network: int, repeat: int, least: int, seconds: float
    ) -> tuple[BoardSample, ...]: ...

    def layers(self, network: int, runs: int) -> tuple[LayerTiming, ...]: ...


class PackageRunning(Board):
    """An engine's Python package on a board: the server of :mod:`.board_runner`."""

    def told(self) -> dict[str, str]:
        """Ask what engine it is, on what machine."""
        return self.read("host", _SHORT_S, _texts)

    def load_files(self, files: Mapping[str, Any]) -> tuple[int, Any]:
        """Load a network and run it once; return its number and its outputs."""
        command = f"network {json.dumps(files)}"
        return self.read(
            command, DEFAULT_TIMEOUT_S, lambda a: (answers.network(a), answers.outputs(a))
        )

    def samples(
        self, network: int, repeat: int, least: int, seconds: float
    ) -> tuple[BoardSample, ...]:
        """Take samples: at least as many, and for as long as asked."""
        command = f"turn {network} repeat={repeat} min={least} us={max(0, int(seconds * 1e6))}"
        return self.read(command, seconds + DEFAULT_TIMEOUT_S, answers.samples)

    def layers(self, network: int, runs: int) -> tuple[LayerTiming, ...]:
        """Return the time of every layer; none where the engine does not tell."""
        found = self.read(f"layers {network} runs={runs}", DEFAULT_TIMEOUT_S, answers.layers)
        return tuple(LayerTiming(*layer) for layer in found)


def _texts(answer: Mapping[str, Any]) -> dict[str, str]:
    return {key: harmless(str(answer[key])) for key in ("version", "machine", "bits")}


@dataclass
class EngineBench:
    """An engine with networks (see :class:`.board_sessions.Bench`).

    Parameters
    ----------
    target : SshTarget or AdbTarget
        The board.
    engine : str
        Its name.
    there : EngineThere
        Where it lies.
    probe : Board
        The project's own program, which is asked for clock and temperature before and after turns.
    state : int
        The network of the probe that is run for that.
    running : _Running
        The engine.
    watch, settings
        Who judges the clock, and how networks are run.
    """

    target: SshTarget | AdbTarget
    engine: str
    there: EngineThere
    probe: Board
    state: int
    running: PackageRunning | ProgramRunning
    watch: Watch
    settings: Settings
    sent: list[str] = field(default_factory=list)
    last: int = 0
    model: EngineModel | None = None

    def subject(self, name: str, graph: nx.DiGraph) -> Subject:
        """Send a network, run it once, check its outputs, and return it ready to be timed."""
        model = convert(self.engine, graph)
        stem = "network"
        files = {"model": self._send(Program(model.model, stem, model.ending)), "weights": ""}
        if isinstance(self.running, ProgramRunning):
            if model.wanted is not None:
                raise BackendError(f"{name}: {TITLES[self.engine]} has no program to run it with")
            shapes = {key: values.shape for key, values in model.inputs.items()}
            number = self.running.load(files["model"], shapes)
        else:
            if model.weights:
                files["weights"] = self._send(Program(model.weights, stem, ".bin"))
            files["inputs"] = self._send(Program(model.packed_inputs(), stem, ".npz"))
            asked = {**files, "threads": self.settings.threads, "outputs": model.outputs}
            number, outputs = self.running.load_files(asked)
            check_outputs(name, self.engine, model, outputs)
        self.last, self.model = number, model
        return subject(name, self, number, self.watch, cold=False)

    def turn(self, network: int, repeat: int, least: int, seconds: float, cold: bool) -> BoardTurn:
        """Take samples, and the state of the core before and after them."""
        before = self._look()
        samples = self.running.samples(network, repeat, least, seconds)
        return BoardTurn(before.after, self._look().before, samples)

    def lives(self) -> bool:
        """Return whether the board's program and the engine still answer."""
        try:
            self.probe.host()
            if isinstance(self.running, PackageRunning):
                self.running.told()
        except MeasuringError:
            return False
        return True

    def _look(self) -> BoardTurn:
        return self.probe.turn(self.state, 1, 1, 0.0, cold=False)

    def _send(self, program: Program) -> str:
        path = f"{self.target.install(program)}/{program.name}"
        self.sent.append(path)
        return path


@dataclass
class EngineCampaign:
    """What is measured with one engine on one board.

    Parameters
    ----------
    target : SshTarget or AdbTarget
        The board.
    engine : str
        Its name.
    there : EngineThere
        Where it lies.
    settings, plan
        How networks are run and timed.
    name : str
        What the user called it, for messages.
    stand_in : bool
        Whether the board is a declared stand-in, of another processor: for tests alone.
    """

    target: SshTarget | AdbTarget
    engine: str
    there: EngineThere
    settings: Settings
    plan: Plan
    name: str
    stand_in: bool = False
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(COOLING * self.plan.budget)
        if self.there.kind == "program":
            self.plan = replace(self.plan, sample=max(SAMPLE, self.plan.sample))

    def networks(
        self, graphs: Mapping[str, nx.DiGraph], journal: Journal
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        """Yield the time of each network; one that ends the engine costs itself alone."""
        yield from in_sessions(self._opened, graphs, self.plan, journal)

    def layers(self, name: str, graph: nx.DiGraph, runs: int = 20) -> tuple[LayerTiming, ...]:
        """Return the time of every layer of a network, as the engine counts them."""
        with self._opened() as bench:
            bench.subject(name, graph)
            assert bench.model is not None, "a network was just loaded"
            node_of = bench.model.node_of
            found = bench.running.layers(bench.last, runs)
            return tuple(replace(layer, node=node_of(layer.name)) for layer in found)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[EngineBench]:
        with self.target.session() as session, self._running() as running:
            probe = Board(session)
            kernels = BoardCampaign(self.target, self.settings, self.plan, self.stand_in)
            kernels.watch = self.watch
            kernels.prepare(probe)
            if self.watch.cores:
                running.pin(self.watch.cores)
            state = probe.load(_smallest())
            bench = EngineBench(
                self.target,
                self.engine,
                self.there,
                probe,
                state,
                running,
                self.watch,
                self.settings,
            )
            try:
                yield bench
            finally:
                with contextlib.suppress(BackendError):  # `board clean` removes what is left
                    self.target.remove(bench.sent)

    @contextlib.contextmanager
    def _running(self) -> Iterator[PackageRunning | ProgramRunning]:
        self.target.install(self.there.sent)
        if self.there.kind == "program":
            self._check_machine(self.there.machine)
            threads = self.settings.threads
            yield ProgramRunning(self.target, self.engine, self.there.path, threads)
            return
        words = map(shlex.quote, (self.there.path, self.there.runner, "serve", self.engine))
        command = self.target.command(" ".join(words))
        with Session(command, self.name, self.target, TITLES[self.engine]) as session:
            running = PackageRunning(session)
            told = running.told()
            self._check_machine(told["machine"], told["bits"])
            yield running

    def _check_machine(self, machine: str, bits: str = "64") -> None:
        """Refuse an engine for another processor: its kernels are others."""
        if self.stand_in or (machine in _MACHINES and bits == "64"):
            return
        kind = machine if machine not in _MACHINES else f"{machine} of {bits} bits"
        raise BackendError(
            f"{self.name}: {TITLES[self.engine]} runs there on {kind}, not on a 64-bit ARM "
            "processor: its kernels are others"
        )


def _smallest() -> Spec:
    builder = SpecBuilder()
    x, y = builder.tensor((1, 1, 1, 4), seed=1), builder.tensor((1, 1, 1, 4))
    builder.op("relu", [x], [y])
    return builder.build()
