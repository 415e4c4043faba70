"""Clocks of devices, and the probe that notices a core that is shared."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

_TIMES = 3  # the fastest of as many runs of a probe counts
_PROBE_SLACK = 1.06  # times the fastest probe: the core is ours


class Timer(Protocol):
    """Times calls on one kind of device."""

    def time(self, call: Callable[[], object], repeat: int) -> tuple[float, bool]:
        """Return the seconds of ``repeat`` calls, and whether the run was disturbed."""


class Probe:
    """Notices a core that is shared: a short piece of arithmetic takes longer than it did before.

    Parameters
    ----------
    call : callable
        Some ten microseconds of arithmetic on data that stay in the first cache.
    clock : callable
        Seconds of a monotonic clock. [s]
    """

    def __init__(
        self, call: Callable[[], object], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._call = call
        self._clock = clock
        self._fastest = math.inf

    def slow(self) -> bool:
        """Return whether it takes notably longer now than the fastest time so far."""
        self._call()  # its code and data come back into the caches
        seconds = min(self._once() for _ in range(_TIMES))
        self._fastest = min(self._fastest, seconds)
        return seconds > _PROBE_SLACK * self._fastest

    def _once(self) -> float:
        start = self._clock()
        self._call()
        return self._clock() - start


@dataclass(frozen=True)
class CpuTimer:
    """Times calls that return when they are done.

    Parameters
    ----------
    clock : callable
        Seconds of a monotonic clock. [s]
    own : callable, optional
        Seconds that the calling thread had a processor; for calls that run in this thread alone.
        [s]
    probe : Probe, optional
        Tells whether others share the core.
    """

    clock: Callable[[], float] = time.perf_counter
    own: Callable[[], float] | None = None
    probe: Probe | None = None

    def time(self, call: Callable[[], object], repeat: int) -> tuple[float, bool]:
        """Return the seconds of ``repeat`` calls, and whether others had the processor.

        Where it was taken away, and ``own`` is known, the seconds are those that the thread had it.
        """
        shared = self.probe is not None and self.probe.slow()
        seconds, disturbed = self._time(call, repeat)
        shared = (self.probe is not None and self.probe.slow()) or shared
        return seconds, disturbed or shared

    def _time(self, call: Callable[[], object], repeat: int) -> tuple[float, bool]:
        own = self.own() if self.own is not None else 0.0
        switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
        start = self.clock()
        for _ in range(repeat):
            call()
        seconds = self.clock() - start
        disturbed = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw != switches
        if disturbed and self.own is not None:
            seconds = self.own() - own
        return seconds, disturbed
