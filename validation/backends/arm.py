"""The project's own NEON kernels: on ARM hosts and boards, emulated, and simulated.

``arm:native``, ``arm:ssh://user@board`` and ``arm:adb://serial`` measure. ``arm:emulated`` gives
right results and exact counts but no times. ``arm:simulated`` and ``arm:simulated=CORE`` make times
of exact counts and static cycle tables: a calculation, never a measurement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import networkx as nx

from costmodel.errors import CostModelError
from costmodel.kernels.lowering import lower as lower_kernels
from costmodel.platforms import load_platform
from costmodel.runtimes import load_runtime

from ..arm.bench.answers import Host
from ..arm.bench.board import Board
from ..arm.bench.build import arm_compiler
from ..arm.bench.targets import EMULATED_CPU, ArmTarget, parse_board, parse_target
from ..arm.errors import BackendError
from ..arm.identity import confirm, named_cores
from ..arm.simulator.core import load_core
from ..arm.simulator.distinct import simulate_distinct
from ..arm.simulator.simulate import DEFAULT_CORE, Simulated
from ..arm.translate.lower import lower
from ..arm.translate.reuse import reuse_memory
from ..errors import MeasuringError
from ..measuring.backend import PLAIN, KernelTiming, Label, Settings
from ..measuring.clock import Plan, Timing
from ..measuring.host import describe_host, load
from ..measuring.journal import NO_JOURNAL, Journal
from ..measuring.platforms import platform_name
from .arm_board import BoardCampaign, products_of
from .board_facts import board_platform, facts, refuse_emulator
from .board_sessions import Outcomes, failing_each

RUNTIME = "neon"
_DTYPES = ("float16", "int8")  # of the operands of products
_SAME_CLOCK = 0.05


class ArmBackend:
    """Runs op graphs with NEON kernels (see :class:`~validation.measuring.backend.Backend`).

    Parameters
    ----------
    target : str
        ``"native"``, ``"emulated"``, ``"simulated"``, ``"simulated=CORE"``,
        ``"ssh://user@host:port"`` or ``"adb://serial"``.

    Raises
    ------
    DataError
        If it names nothing that can be run on.
    """

    among_others = False
    kernels_inside = True
    keeps_rounds = True
    own_process = False  # what is timed is a program of its own already, here or on a board

    def __init__(self, target: str = "native") -> None:
        self.name = f"arm:{target}"
        kind, equals, core = target.partition("=")
        self._core = core if equals and kind == "simulated" else DEFAULT_CORE
        self._target = "simulated" if kind == "simulated" else target
        if self._target == "simulated":
            load_core(self._core)
        elif target not in ("native", "emulated"):
            parse_board(self.name)
        self.takes_cores = self._measures
        self.verdict = ""

    @property
    def _measures(self) -> bool:
        return self._target not in ("simulated", "emulated")

    @property
    def label(self) -> Label:
        """What its times are; a board's own binary still refuses to measure under an emulator."""
        if not self._measures:
            return "simulated" if self._target == "simulated" else "emulated"
        return "measured"

    def describe(self, settings: Settings) -> dict[str, str]:
        """Return the machine, or the core that is simulated and its parameters.

        Raises
        ------
        MeasuringError
            If a board cannot be reached, or is an emulator.
        """
        if self._target == "simulated":
            core = load_core(self._core)
            parameters = f"{core.parameters()}; kernels compiled by {arm_compiler()}"
            return {"cpu": core.title, "clock": f"{core.clock:g}", "parameters": parameters}
        if self._target == "emulated":
            return {"cpu": f"qemu as {EMULATED_CPU}", "load": load()}
        if self._target == "native":
            return {**describe_host("numpy"), **facts(self._host)}
        return {"cpu": self.name, **facts(self._host)}

    @cached_property
    def _board(self) -> ArmTarget:
        """The way to it: one, so that all that is asked goes over one connection."""
        return parse_target(self.name)

    @cached_property
    def _host(self) -> Host:
        """Ask the board what it is, once."""
        with self._board.session() as session:
            host = Board(session).host()
        refuse_emulator(host, self.name)
        return host

    def platform(self, settings: Settings) -> str:
        """Return the platform of the simulated core, of this host, or of the board's cores.

        Raises
        ------
        MeasuringError
            For a board whose hardware is not known.
        """
        if not self._measures:
            return platform_name(load_core(self._core).device, RUNTIME, settings)
        if self._target == "native":
            return platform_name("host", RUNTIME, settings)
        try:
            return board_platform(self._host, RUNTIME, settings, self.name)
        except BackendError as error:
            raise type(error)(f"{error} (it could not be asked for its --platform)") from None

    def confirm_platform(self, name: str, settings: Settings = PLAIN) -> None:
        """Refuse a platform that is not the device.

        Raises
        ------
        MeasuringError
            If it contradicts what the board says of itself, or the core that is simulated.
        """
        hardware = load_platform(name).hardware
        if self._target == "native" and hardware.name == "host":
            return  # probed on this very machine, whatever its cores are called
        if self._measures:
            confirm(self._host, hardware, self.name)
            return
        core = load_core(self._core)
        alike = abs(hardware.clock / core.clock - 1) <= _SAME_CLOCK
        if hardware.kind != "cpu" or hardware.core != core.name or not alike:
            raise MeasuringError(
                f"{self.name} is {core.name} at {core.clock / 1e9:.3g} GHz, and platform {name!r} "
                f"is not: leave --platform out, or give {core.device}/{RUNTIME}"
            )

    def named_cores(self, name: str) -> tuple[int, ...]:
        """Return the cores of the board that ``--cores`` means by a name.

        Raises
        ------
        DataError, MeasuringError
            If it has none of that name; if nothing is measured.
        """
        if not self._measures:
            raise MeasuringError(f"{self.name} cannot honour --cores {name}")
        return named_cores(self._host, name)

    def check_settings(self, settings: Settings) -> None:
        """Refuse settings that are not honoured, each by its name.

        Raises
        ------
        MeasuringError
        """
        plain = Settings(cache=settings.cache, cores=settings.cores)
        if self._measures:
            plain = replace(plain, threads=settings.threads)
        if self._measures and settings.dtype in _DTYPES:
            plain = replace(plain, dtype=settings.dtype)
        refused = settings.unlike(plain)
        if settings.cores and not self._measures:
            refused.append("--cores")
        if refused:
            raise MeasuringError(
                f"{self.name} cannot honour {', '.join(refused)}: its kernels run on the "
                "processor, operator by operator, contiguous, again and again"
                + ("" if self._measures else ", in float32 and on one thread")
            )

    def check_graph(self, graph: nx.DiGraph, settings: Settings) -> None:
        """Refuse a network before anything is measured.

        Raises
        ------
        CostModelError
            If an operator has no kernel, or a setting is not honoured.
        """
        self.check_settings(settings)
        lower(graph, products=products_of(settings))

    def measure_networks(
        self,
        graphs: Mapping[str, nx.DiGraph],
        settings: Settings,
        plan: Plan,
        journal: Journal = NO_JOURNAL,
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        """Yield the time of each network: simulated one after the other, measured in turns."""
        if self._target not in ("simulated", "emulated"):
            yield from self._measured(graphs, settings, plan, journal)
            return
        for name, graph in graphs.items():
            journal.begin(name)
            try:
                yield name, self._simulated(graph, settings)
            except MeasuringError as error:
                yield name, error
            except CostModelError as error:
                yield name, MeasuringError(f"{name}: {error}")
            except Exception as error:  # a fault in one network must not cost the others
                yield name, MeasuringError(f"{name}: {type(error).__name__}: {error}")

    def _measured(
        self,
        graphs: Mapping[str, nx.DiGraph],
        settings: Settings,
        plan: Plan,
        journal: Journal,
    ) -> Outcomes:
        def outcomes() -> Outcomes:
            self.check_settings(settings)
            campaign = BoardCampaign(self._board, settings, plan)
            yield from campaign.networks(graphs, journal)
            self.verdict = campaign.watch.verdict()

        yield from failing_each(graphs, outcomes())

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        """Return the time of every kernel inside the network; none where the two do not match."""
        self.check_settings(settings)
        spec = reuse_memory(lower(graph, products=products_of(settings)))
        if self._target == "simulated":
            simulated = simulate_distinct(spec, self._core, warm=settings.cache == "warm")
            alone = [replace(simulated, operators=(operator,)) for operator in simulated.operators]
            timed = [_simulated_timing(operator) for operator in alone]
        else:
            timed = BoardCampaign(self._board, settings, plan).operators(spec)
        kernels = lower_kernels(graph, load_runtime(RUNTIME))
        by_node = {call.name: t for call, t in zip(spec.calls, timed, strict=True)}
        found = [(k, [by_node[n] for n in k.nodes if n in by_node]) for k in kernels]
        repeated = len(by_node) != len(spec.calls)  # an operator in several parts
        if repeated or any(len(times) != 1 for _, times in found):
            return ()
        return tuple(KernelTiming(k.name, k.kind, times[0]) for k, times in found)

    def _simulated(self, graph: nx.DiGraph, settings: Settings) -> Timing:
        if self._target == "emulated":
            raise BackendError(
                "arm:emulated has no latency: it checks results and counts (`costmodel validate`)"
            )
        self.check_settings(settings)
        spec = reuse_memory(lower(graph))
        warm = settings.cache == "warm"
        return _simulated_timing(simulate_distinct(spec, self._core, warm=warm))


def _simulated_timing(simulated: Simulated) -> Timing:
    """Return the nominal time, and as its interval that of more and fewer misses in flight.

    It is one calculated number: there is no percentile, no drift, no round of it.
    """
    median, (low, high) = simulated.seconds, simulated.interval
    return Timing(
        median=median,
        low=low,
        high=high,
        minimum=low,
        p90=high,
        quiet=median,
        spread=(high - low) / median,
        drift=0.0,
        samples=1,
        repeat=1,
        rounds=1,
        disturbed=0,
        rejected=0,
        steady=True,
        precise=True,
    )
