"""Engines on boards: ncnn, ONNX Runtime and TensorFlow Lite.

``ncnn:ssh://user@board``, ``onnxruntime:ssh://user@board`` and ``tflite:adb://serial`` measure the
engine that is found on the board: its Python package, else its benchmark program. Networks are
converted here and sent there. Clock, temperature and cores are those that the project's own
program sees, which is asked before and after every turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import networkx as nx

from costmodel.kernels import Kernel
from costmodel.kernels.lowering import lower as lower_kernels
from costmodel.platforms import load_platform
from costmodel.runtimes import load_runtime

from ..arm.bench.answers import Host
from ..arm.bench.board import Board
from ..arm.identity import confirm, named_cores
from ..errors import MeasuringError
from ..measuring.backend import PLAIN, KernelTiming, Label, LayerTiming, Settings
from ..measuring.clock import Plan, Timing, summary
from ..measuring.journal import NO_JOURNAL, Journal
from .alone import cut_out
from .board_facts import board_platform, facts, refuse_emulator
from .board_sessions import Outcomes, failing_each
from .engine_bench import EngineCampaign
from .engine_models import TITLES, check_convertible
from .engine_there import EngineThere, find_engine, parse_engine


def kernels_inside(
    kernels: Sequence[Kernel], layers: Sequence[LayerTiming]
) -> tuple[KernelTiming, ...]:
    """Return the time of every kernel as the sum of its layers; none where one has no layer.

    Layers that belong to no kernel (an engine changes the order of elements between two) are part
    of what the network takes beyond its kernels.

    Parameters
    ----------
    kernels : sequence of Kernel
        As the runtime's rules say.
    layers : sequence of LayerTiming
        As the engine says, each with the node that it begins with.
    """
    kernel_of = {node: kernel.name for kernel in kernels for node in kernel.nodes}
    passes = {len(layer.samples) for layer in layers}
    sums: dict[str, list[float]] = {}
    for layer in layers:
        if (name := kernel_of.get(layer.node, "")) and len(passes) == 1:
            known = sums.get(name, [0.0] * len(layer.samples))
            sums[name] = [a + b for a, b in zip(known, layer.samples, strict=True)]
    if any(min(sums.get(kernel.name, [0.0])) <= 0 for kernel in kernels):
        return ()
    return tuple(
        KernelTiming(
            k.name, k.kind, summary(sums[k.name], steady=False, precise=False), inside=True
        )
        for k in kernels
    )


class EngineBackend:
    """Runs op graphs in an engine on a board (see :class:`~validation.measuring.backend.Backend`).

    Parameters
    ----------
    engine : {"ncnn", "onnxruntime", "tflite"}
        Which.
    target : str
        ``"ssh://user@host:port"`` or ``"adb://serial"``; behind it ``?python=PATH`` names a Python
        on the board, ``?program=PATH`` a program here that is sent.
    stand_in : bool
        Whether the board is a declared stand-in of another processor: for tests alone.

    Raises
    ------
    DataError
        If it names no board.
    """

    among_others = False
    keeps_rounds = True
    own_process = False  # what is timed is a program on the board already
    takes_cores = True
    label: Label = "measured"

    def __init__(self, engine: str, target: str, stand_in: bool = False) -> None:
        self.name = f"{engine}:{target}"
        self.engine = engine
        self._board, self._wanted = parse_engine(engine, target)
        self._stand_in = stand_in
        self.verdict = ""

    @cached_property
    def _host(self) -> Host:
        with self._board.session() as session:
            host = Board(session).host()
        if not self._stand_in:
            refuse_emulator(host, self.name)
        return host

    @cached_property
    def _there(self) -> EngineThere:
        return find_engine(self._board, self._wanted, self.name)

    def describe(self, settings: Settings) -> dict[str, str]:
        """Return the board, and where on it the engine lies.

        Raises
        ------
        MeasuringError
            If the board cannot be reached, is an emulator, or has no such engine.
        """
        there = self._there
        found = {"cpu": self._board.name.removeprefix("arm:"), **facts(self._host)}
        found[self.name] = there.version
        found["engine"] = f"{TITLES[self.engine]} {there.version}, by {there.path}"
        if self._stand_in:
            found["unverified"] = f"a stand-in on {there.machine}, no board"
        return found

    def platform(self, settings: Settings) -> str:
        """Return the platform of the board's cores with this engine.

        Raises
        ------
        MeasuringError
            For a board whose hardware is not known.
        """
        return board_platform(self._host, self.engine, settings, self.name)

    def confirm_platform(self, name: str, settings: Settings = PLAIN) -> None:
        """Refuse a platform that is not the device.

        Raises
        ------
        MeasuringError
            If it contradicts what the board says of itself.
        """
        if not self._stand_in:
            confirm(self._host, load_platform(name).hardware, self.name)

    def named_cores(self, name: str) -> tuple[int, ...]:
        """Return the cores of the board that ``--cores`` means by a name.

        Raises
        ------
        DataError
            If it has none of that name.
        """
        return named_cores(self._host, name)

    def check_settings(self, settings: Settings) -> None:
        """Refuse settings that are not honoured, each by its name.

        Raises
        ------
        MeasuringError
        """
        refused = settings.unlike(Settings(threads=settings.threads, cores=settings.cores))
        if refused:
            raise MeasuringError(
                f"{self.name} cannot honour {', '.join(refused)}: {TITLES[self.engine]} runs "
                "there on the processor, in float32, with warm caches"
            )

    def check_graph(self, graph: nx.DiGraph, settings: Settings) -> None:
        """Refuse a network before anything is measured.

        Raises
        ------
        CostModelError
            If the engine has no operator for one of its, or a setting is not honoured.
        """
        self.check_settings(settings)
        check_convertible(self.engine, graph)

    def measure_networks(
        self,
        graphs: Mapping[str, nx.DiGraph],
        settings: Settings,
        plan: Plan,
        journal: Journal = NO_JOURNAL,
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        """Time whole networks in turns; yield each as soon as it is done or has failed."""

        def outcomes() -> Outcomes:
            self.check_settings(settings)
            campaign = self._campaign(settings, plan)
            yield from campaign.networks(graphs, journal)
            self.verdict = campaign.watch.verdict()

        yield from failing_each(graphs, outcomes())

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        """Time every kernel: inside the network by the engine's profile, or else alone.

        Kernels that are alike are timed alone once; not with a program, which is started anew for
        every sample and prints too few digits for a kernel.

        Raises
        ------
        MeasuringError
            If a kernel cannot be run.
        """
        self.check_settings(settings)
        kernels = lower_kernels(graph, load_runtime(self.engine))
        if inside := kernels_inside(kernels, self.measure_layers("network", graph, settings, plan)):
            return inside
        if self._there.kind == "program":
            return ()
        cuts = {kernel.name: cut_out(graph, kernel) for kernel in kernels}
        first = {cut.signature: name for name, cut in reversed(cuts.items())}
        bodies = {name: cuts[name].body for name in first.values()}
        timings: dict[str, Timing] = {}
        for name, outcome in self._campaign(settings, plan).networks(bodies, NO_JOURNAL):
            if isinstance(outcome, MeasuringError):
                raise outcome
            timings[name] = outcome
        return tuple(
            KernelTiming(k.name, k.kind, timings[first[cuts[k.name].signature]]) for k in kernels
        )

    def measure_layers(
        self, name: str, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[LayerTiming, ...]:
        """Return the time of every layer inside the network, where the engine tells it."""
        self.check_settings(settings)
        return self._campaign(settings, plan).layers(name, graph)

    def _campaign(self, settings: Settings, plan: Plan) -> EngineCampaign:
        return EngineCampaign(
            self._board, self.engine, self._there, settings, plan, self.name, self._stand_in
        )
