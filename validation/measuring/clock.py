"""The measuring protocol of all backends.

Each subject is warmed up until its time is steady; then all subjects are timed in turns, in an
order shuffled anew every round, so that a drift of the machine falls on all of them alike; a
subject is done when the confidence interval of its median is as narrow as asked, or its time is
used up. Samples during which others had the processor are left out where enough others remain:
the system took it away (where a thread runs alone, the time that it had it is taken), or a probe
before or after the sample was slow, as it is when a hyper-thread shares the core. Samples that only
a jumping clock explains are rejected.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import ClockError
from .journal import NO_JOURNAL, Journal, Turn
from .summary import Timing as Timing
from .summary import median_interval as median_interval
from .summary import summary as summary
from .timers import CpuTimer as CpuTimer
from .timers import Probe as Probe
from .timers import Timer as Timer

_STEADY = 0.03  # two windows of the warm-up agree within this share
_WINDOW = 3  # samples in a window of the warm-up
_TOO_LONG = 100.0  # times the median so far, undisturbed: only a clock that jumps does that
_ENOUGH = 7  # undisturbed samples that are better than all samples
_REJECTED = 5  # samples that may be rejected, whatever their share
_MAX_REPEAT = 2**20


@dataclass(frozen=True)
class Plan:
    """How exactly to measure, and how long at most.

    Parameters
    ----------
    precision : float
        Half the width of the interval of the median that is enough, as a share of the median. [1]
    budget : float
        Time spent on samples of one subject at most. [s]
    warm_up : float
        Time spent on warming one subject up at most. [s]
    min_samples : int
        Samples of one subject at least, whatever the interval.
    rounds : int
        Turns of one subject at least: drift shows only between turns.
    turn : float
        Length of one turn. [s]
    sample : float
        A sample repeats short calls until it takes this long. [s]
    seed : int
        Decides the order of the turns.
    """

    precision: float = 0.01
    budget: float = 10.0
    warm_up: float = 2.0
    min_samples: int = 15
    rounds: int = 3
    turn: float = 0.25
    sample: float = 0.001
    seed: int = 0


@dataclass(frozen=True)
class Subject:
    """Something that can be timed.

    Parameters
    ----------
    name : str
        For messages and results.
    call : callable
        Runs it once.
    before : callable, optional
        Runs before every sample, untimed (empties the caches); samples are then single calls.
    samples : callable, optional
        Takes samples of it elsewhere, on a board, in the place of the timer: so many calls in each,
        so many of them at least, for so many seconds; returns pairs as :meth:`Timer.time` does, of
        which the seconds are those of one call. It warms the caches and empties them itself.
    """

    name: str
    call: Callable[[], object]
    before: Callable[[], object] | None = None
    samples: Callable[[int, int, float], Sequence[tuple[float, bool]]] | None = None


def measure(
    subjects: Sequence[Subject], plan: Plan, timer: Timer, journal: Journal = NO_JOURNAL
) -> Iterator[tuple[str, Timing]]:
    """Time ``subjects`` in turns; yield each name with its timing as soon as it is done.

    Parameters
    ----------
    subjects : sequence of Subject
        What is timed, in one interleaved experiment.
    plan : Plan
        How exactly and how long.
    timer : Timer
        The clock of the device.
    journal : Journal
        Is told of every round before the next begins; subjects go on from the turns that it knows.

    Raises
    ------
    ClockError
        If the clock stands still, or jumps in more than a tenth of the samples.

    Examples
    --------
    >>> plan = Plan(budget=0.05, warm_up=0.02, turn=0.01)
    >>> (name, timing), = measure([Subject("sum", lambda: sum(range(1000)))], plan, CpuTimer())
    >>> timing.minimum <= timing.low <= timing.median <= timing.high
    True
    """
    order = random.Random(plan.seed)
    running = [_Run(subject, plan, timer) for subject in subjects]
    for run in running:
        for turn in journal.earlier(run.subject.name):
            run.add(turn)
    for run in running:
        if not run.done():
            journal.begin(run.subject.name)
            run.warm_up()
    while True:
        for run in [run for run in running if run.done()]:
            running.remove(run)
            yield run.subject.name, run.timing()
        if not running:
            return
        order.shuffle(running)
        turns = {}
        for run in running:
            journal.begin(run.subject.name)
            turns[run.subject.name] = run.turn()
        journal.finish(turns)


@dataclass
class _Run:
    """The samples of one subject so far."""

    subject: Subject
    plan: Plan
    timer: Timer
    repeat: int = 1
    steady: bool = False
    spent: float = 0.0
    rejected: int = 0
    clean: list[float] = field(default_factory=list)
    disturbed: list[float] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)

    def add(self, turn: Turn) -> None:
        """Go on from a turn that another process took."""
        self.clean += turn.clean
        self.disturbed += turn.disturbed
        self.medians.append(turn.median)
        self.spent += turn.spent
        self.repeat, self.steady = turn.repeat, turn.steady
        self.rejected += turn.rejected

    def warm_up(self) -> None:
        """Call until two windows of samples agree, and find how often a sample must call."""
        begin = time.monotonic()
        self.repeat, self.steady = 1, False
        self._once()
        while self.subject.before is None and (taken := self._once()) < self.plan.sample:
            if self.repeat >= _MAX_REPEAT:
                raise ClockError(
                    f"{self.subject.name}: the clock stands still: {self.repeat} calls took "
                    f"{taken:g} s by it"
                )
            growth = self.plan.sample / taken if taken > 0 else 2.0
            self.repeat = min(_MAX_REPEAT, self.repeat * max(2, math.ceil(growth)))
        last = math.inf
        while not self.steady and time.monotonic() - begin < self.plan.warm_up:
            now = statistics.median(self._window())
            self.steady = abs(now - last) <= _STEADY * now
            last = now

    def turn(self) -> Turn:
        """Take samples for the length of a turn, after one call that warms the caches again."""
        if self.subject.before is None and self.subject.samples is None:
            self.subject.call()
        begin = time.monotonic()
        kept = 0
        before = len(self.clean), len(self.disturbed), self.rejected
        while kept < _WINDOW or time.monotonic() - begin < self.plan.turn:
            left = max(0.0, begin + self.plan.turn - time.monotonic())
            for seconds, disturbed in self._take(_WINDOW - kept, left):
                if not self._plausible(seconds, disturbed):
                    self._reject(seconds)
                    continue
                kept += 1
                (self.disturbed if disturbed else self.clean).append(seconds)
        clean, others = self.clean[before[0] :], self.disturbed[before[1] :]
        taken = Turn(
            tuple(clean),
            tuple(others),
            statistics.median(clean or others),
            time.monotonic() - begin,
            self.repeat,
            self.rejected - before[2],
            self.steady,
        )
        self.medians.append(taken.median)
        self.spent += taken.spent
        return taken

    def done(self) -> bool:
        """Return whether the interval is narrow enough, or the time used up."""
        if self.spent >= self.plan.budget:
            return True
        return len(self.medians) >= max(1, self.plan.rounds) and self._precise(sorted(self._kept()))

    def timing(self) -> Timing:
        """Return what the samples say."""
        kept = sorted(self._kept())
        return summary(
            kept,
            medians=self.medians,
            repeat=self.repeat,
            disturbed=len(self.disturbed),
            rejected=self.rejected,
            steady=self.steady,
            precise=self._precise(kept),
        )

    def _take(self, least: int, length: float) -> Sequence[tuple[float, bool]]:
        """Take samples: here one, elsewhere all of a turn at once. Seconds are those of a call."""
        if self.subject.samples is not None:
            return self.subject.samples(self.repeat, max(1, least), length)
        if self.subject.before is not None:
            self.subject.before()
        seconds, disturbed = self.timer.time(self.subject.call, self.repeat)
        return [(seconds / self.repeat, disturbed)]

    def _once(self) -> float:
        return self._take(1, 0.0)[0][0] * self.repeat

    def _window(self) -> list[float]:
        """Return some samples of the warm-up."""
        found: list[float] = []
        while len(found) < _WINDOW:
            found += [seconds for seconds, _ in self._take(_WINDOW - len(found), 0.0)]
        return found

    def _kept(self) -> list[float]:
        """Undisturbed samples, or all where those are too few."""
        enough = len(self.clean) >= min(_ENOUGH, self.plan.min_samples)
        return self.clean if enough else self.clean + self.disturbed

    def _precise(self, kept: list[float]) -> bool:
        low, high = median_interval(kept)
        middle = statistics.median(kept)
        return len(kept) >= self.plan.min_samples and high - low <= 2 * self.plan.precision * middle

    def _plausible(self, seconds: float, disturbed: bool) -> bool:
        if not (math.isfinite(seconds) and seconds > 0):
            return False
        known = self.clean + self.disturbed
        # While others had the processor any time is possible; and a first few slow samples must
        # not make the right ones impossible, so that nothing is too short.
        if disturbed or len(known) < _WINDOW:
            return True
        return seconds < _TOO_LONG * statistics.median(known)

    def _reject(self, seconds: float) -> None:
        self.rejected += 1
        taken = self.rejected + len(self.clean) + len(self.disturbed)
        if self.rejected > max(_REJECTED, taken // 10):
            raise ClockError(
                f"{self.subject.name}: the clock jumps: {self.rejected} of {taken} samples are "
                f"impossible (the last: {seconds:g} s); measure where nothing sets the clock"
            )
