"""The project's own NEON kernels: on ARM hosts and boards, emulated, and simulated.

``arm:native``, ``arm:ssh://user@board`` and ``arm:adb://serial`` measure. ``arm:emulated`` gives
right results and exact counts but no times. ``arm:simulated`` makes times of exact counts and
static cycle tables: a calculation, never a measurement.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import networkx as nx

from costmodel.errors import CostModelError
from costmodel.kernels.lowering import lower as lower_kernels
from costmodel.runtimes import load_runtime
from validation.arm.bench.program import Spec, SpecBuilder
from validation.arm.bench.result import RunResult, Sample
from validation.arm.bench.targets import EMULATED_CPU, parse_target
from validation.arm.errors import BackendError
from validation.arm.simulator.core import load_core
from validation.arm.simulator.distinct import simulate_distinct
from validation.arm.simulator.simulate import DEFAULT_CORE, Simulated
from validation.arm.translate.lower import lower
from validation.arm.translate.reuse import reuse_memory
from validation.errors import MeasuringError
from validation.measuring.backend import KernelTiming, Label, Settings
from validation.measuring.clock import Plan, Timing
from validation.measuring.host import describe_host, load
from validation.measuring.journal import NO_JOURNAL, Journal
from validation.measuring.platforms import platform_name

RUNTIME = "neon"
_SIMULATED_HARDWARE = {"cortex-a57": "snapdragon-810"}
_SLACK_S = 60.0  # beyond the budget: start, warm-up, transfer


class ArmBackend:
    """Runs op graphs with NEON kernels (see :class:`~validation.measuring.backend.Backend`).

    Parameters
    ----------
    target : str
        ``"native"``, ``"emulated"``, ``"simulated"``, ``"ssh://user@host:port"`` or
        ``"adb://serial"``.
    """

    among_others = False
    own_process = False  # what is timed is a program of its own already, here or on a board

    def __init__(self, target: str = "native") -> None:
        self.name = f"arm:{target}"
        self._target = target

    @property
    def label(self) -> Label:
        """What its times are; a board's own binary still refuses to measure under an emulator."""
        if self._target in ("simulated", "emulated"):
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
            core = load_core(DEFAULT_CORE)
            return {"cpu": core.title, "clock": f"{core.clock:g}", "parameters": core.parameters()}
        if self._target == "native":
            return describe_host("numpy")
        if self._target == "emulated":
            return {"cpu": f"qemu as {EMULATED_CPU}", "load": load()}
        return self._board

    @cached_property
    def _board(self) -> dict[str, str]:
        """Ask the board what it is: one run of one small operator."""
        host = self._run(_PROBE, Plan(budget=0.01, min_samples=1)).host
        return {"cpu": self.name, **{key: str(value) for key, value in host.items()}}

    def platform(self, settings: Settings) -> str:
        """Return the platform of the simulated core or of this host; a board's must be named.

        Raises
        ------
        MeasuringError
            For a board reached from here: its hardware is not known.
        """
        if self._target in ("simulated", "emulated"):
            return platform_name(_SIMULATED_HARDWARE[DEFAULT_CORE], RUNTIME, settings)
        if self._target == "native":
            return platform_name("host", RUNTIME, settings)
        raise MeasuringError(
            f"{self.name}: which hardware is it? Give --platform, such as raspberry-pi-4/{RUNTIME}"
        )

    def measure_networks(
        self,
        graphs: Mapping[str, nx.DiGraph],
        settings: Settings,
        plan: Plan,
        journal: Journal = NO_JOURNAL,
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        """Yield the time of each network: measured or simulated, one after the other."""
        for name, graph in graphs.items():
            journal.begin(name)
            try:
                yield name, self._network(graph, settings, plan)
            except MeasuringError as error:
                yield name, error
            except CostModelError as error:
                yield name, MeasuringError(f"{name}: {error}")
            except Exception as error:  # a fault in one network must not cost the others
                yield name, MeasuringError(f"{name}: {type(error).__name__}: {error}")

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        """Return the time of every kernel inside the network; none where the two do not match."""
        spec = _spec(graph, settings)
        if self._target == "simulated":
            simulated = simulate_distinct(spec)
            alone = [replace(simulated, operators=(operator,)) for operator in simulated.operators]
            timed = [_simulated_timing(operator) for operator in alone]
        else:
            result = self._run(spec, plan)
            timed = [_measured_timing(operator.sample) for operator in result.operators]
        kernels = lower_kernels(graph, load_runtime(RUNTIME))
        by_node = {call.name: t for call, t in zip(spec.calls, timed, strict=True)}
        found = [(k, [by_node[n] for n in k.nodes if n in by_node]) for k in kernels]
        if any(len(times) != 1 for _, times in found):
            return ()
        return tuple(KernelTiming(k.name, k.kind, times[0]) for k, times in found)

    def _network(self, graph: nx.DiGraph, settings: Settings, plan: Plan) -> Timing:
        if self._target == "emulated":
            raise BackendError(
                "arm:emulated has no latency: it checks results and counts (`costmodel validate`)"
            )
        spec = _spec(graph, settings)
        if self._target == "simulated":
            return _simulated_timing(simulate_distinct(spec))
        return _measured_timing(self._run(spec, plan).total)

    def _run(self, spec: Spec, plan: Plan) -> RunResult:
        timed = spec.timed(
            warmup=3, repeats=max(plan.min_samples, 1000), budget_ms=int(plan.budget * 1000)
        )
        result = parse_target(self.name).run(timed, plan.budget + _SLACK_S)
        if result.label != "measured":
            raise BackendError(
                f"{self.name}: the binary found itself under the emulator "
                f"{result.host['emulator']}: its results are emulated, its wall time is no latency"
            )
        return result


def _probe() -> Spec:
    builder = SpecBuilder()
    x, y = builder.tensor((1, 4, 4, 4), seed=1), builder.tensor((1, 4, 4, 4))
    builder.op("relu", [x], [y])
    return builder.build()


_PROBE = _probe()


def _spec(graph: nx.DiGraph, settings: Settings) -> Spec:
    if settings != Settings():
        raise MeasuringError(
            "the ARM kernels run on the processor, as they are written, in float32, on one thread, "
            "again and again"
        )
    return reuse_memory(lower(graph))


def _measured_timing(sample: Sample) -> Timing:
    # The binary reports order statistics, not an interval of the median: the range bounds it.
    return _timing(sample.median, sample.min, sample.max, sample.repeats)


def _simulated_timing(simulated: Simulated) -> Timing:
    """Return the nominal time, and as its interval that of more and fewer misses in flight."""
    return _timing(simulated.seconds, *simulated.interval, 1)


def _timing(median: float, low: float, high: float, samples: int) -> Timing:
    return Timing(
        median=median,
        low=low,
        high=high,
        minimum=low,
        p90=high,
        quiet=median,
        spread=(high - low) / median,
        drift=0.0,
        samples=samples,
        repeat=1,
        rounds=1,
        disturbed=0,
        rejected=0,
        steady=True,
        precise=True,
    )
