"""The protocol of measuring, with clocks that misbehave and machines that drift."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from costmodel_validation.errors import ClockError
from costmodel_validation.measuring.clock import (
    CpuTimer,
    Plan,
    Probe,
    Subject,
    measure,
    median_interval,
    summary,
)

FAST = Plan(budget=2.0, warm_up=0.02, turn=0.005, min_samples=15)


class FakeTimer:
    """Returns scripted seconds a call; disturbed where the script says so."""

    def __init__(self, seconds: Callable[[int], tuple[float, bool]]) -> None:
        self.seconds = seconds
        self.taken = 0

    def time(self, call: Callable[[], object], repeat: int) -> tuple[float, bool]:
        for _ in range(min(repeat, 3)):
            call()
        value, disturbed = self.seconds(self.taken)
        self.taken += 1
        return value * repeat, disturbed


def test_the_interval_covers_the_true_median_as_often_as_it_says() -> None:
    rng = random.Random(1)
    for n in (8, 15, 40, 600):
        covered = 0
        for _ in range(1500):
            low, high = median_interval(sorted(rng.lognormvariate(0, 1) for _ in range(n)))
            covered += low <= 1.0 <= high
        assert 0.94 <= covered / 1500 <= 0.995, n


def test_few_samples_give_their_whole_range() -> None:
    assert median_interval([1.0, 2.0, 9.0]) == (1.0, 9.0)


def test_a_known_time_is_found() -> None:
    rng = random.Random(2)
    timer = FakeTimer(lambda i: (0.002 * rng.uniform(0.99, 1.01), False))
    ((name, timing),) = measure([Subject("a", lambda: None)], FAST, timer)
    assert name == "a"
    assert timing.median == pytest.approx(0.002, rel=0.005)
    assert timing.precise
    assert timing.rounds >= FAST.rounds
    assert timing.samples >= FAST.min_samples


def test_more_precision_takes_more_samples() -> None:
    def noisy(seed: int) -> FakeTimer:
        rng = random.Random(seed)
        return FakeTimer(lambda i: (0.002 * rng.uniform(0.8, 1.2), False))

    coarse, fine = (
        next(
            measure(
                [Subject("a", lambda: None)],
                Plan(precision=p, budget=30.0, warm_up=0.01, turn=1e-4),
                noisy(3),
            )
        )[1]
        for p in (0.1, 0.02)
    )
    # 25 times as many are needed; a busy machine takes more than it must for the coarse one.
    assert fine.samples > 2 * coarse.samples
    assert (fine.high - fine.low) / 2 <= 0.02 * fine.median


def test_the_budget_ends_what_never_becomes_precise() -> None:
    rng = random.Random(4)
    timer = FakeTimer(lambda i: (rng.choice([0.001, 0.003]), False))
    plan = Plan(precision=1e-4, budget=0.05, warm_up=0.01, turn=0.005)
    ((_, timing),) = measure([Subject("a", lambda: None)], plan, timer)
    assert not timing.precise


def test_samples_that_were_preempted_are_left_out() -> None:
    timer = FakeTimer(lambda i: (0.010, True) if i % 2 else (0.002, False))
    ((_, timing),) = measure([Subject("a", lambda: None)], FAST, timer)
    assert timing.median == pytest.approx(0.002)
    assert timing.disturbed > 0


def test_where_all_were_preempted_they_are_used_and_counted() -> None:
    timer = FakeTimer(lambda i: (0.010, True))
    ((_, timing),) = measure([Subject("a", lambda: None)], FAST, timer)
    assert timing.disturbed == timing.samples > 0


def test_a_preempted_sample_counts_the_time_that_the_thread_had() -> None:
    """A child of this process takes the core away for most of the sample."""
    core = max(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])  # on the same core
    try:
        timer = CpuTimer(own=time.thread_time)
        samples = [timer.time(lambda: sum(range(3_000_000)), 1) for _ in range(8)]
        alone = CpuTimer().time(lambda: sum(range(3_000_000)), 1)[0]
    finally:
        busy.kill()
        busy.wait()
        os.sched_setaffinity(0, before)
    taken = [seconds for seconds, disturbed in samples if disturbed]
    assert taken
    # The wall clock shows about twice the time, and says so without `own`.
    assert min(taken) < 1.05 * alone


class Clock:
    """A clock that goes on by what each call is said to take."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def take(self, seconds: float) -> None:
        self.now += seconds


def test_a_probe_notices_that_the_core_is_shared() -> None:
    clock, takes = Clock(), [1e-5]
    probe = Probe(lambda: clock.take(takes[0]), clock)
    assert not probe.slow()
    takes[0] = 1.04e-5  # the scatter of a core of one's own
    assert not probe.slow()
    takes[0] = 1.5e-5
    assert probe.slow()
    takes[0] = 0.9e-5  # it was shared from the beginning, and now it is not
    assert not probe.slow()
    takes[0] = 1e-5
    assert probe.slow()


def test_samples_on_a_shared_core_are_left_out() -> None:
    clock = Clock()

    def shared() -> bool:
        return int(clock.now * 10) % 2 == 1  # every other tenth of a second

    probe = Probe(lambda: clock.take(2e-5 if shared() else 1e-5), clock)
    timer = CpuTimer(clock, probe=probe)
    samples = [timer.time(lambda: clock.take(0.01 if shared() else 0.005), 1) for _ in range(100)]
    clean = [seconds for seconds, disturbed in samples if not disturbed]
    assert 20 < len(clean) < 80
    assert all(seconds == pytest.approx(0.005) for seconds in clean)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0, 0.0, float("nan")])
def test_one_jump_of_the_clock_is_rejected(jump: float) -> None:
    timer = FakeTimer(lambda i: (jump if i == 30 else 0.002, False))
    ((_, timing),) = measure([Subject("a", lambda: None)], FAST, timer)
    assert timing.rejected == 1
    assert timing.median == timing.p90 == pytest.approx(0.002)


def test_a_clock_that_jumps_all_the_time_is_refused() -> None:
    timer = FakeTimer(lambda i: (-1.0 if i > 20 and i % 3 == 0 else 0.002, False))
    with pytest.raises(ClockError, match=r"^conv: the clock jumps: \d+ of \d+ samples"):
        list(measure([Subject("conv", lambda: None)], FAST, timer))


def test_a_clock_that_stands_still_is_refused() -> None:
    with pytest.raises(ClockError, match=r"^conv: the clock stands still"):
        list(measure([Subject("conv", lambda: None)], FAST, CpuTimer(clock=lambda: 1.0)))


def test_a_clock_set_back_in_the_middle_is_rejected() -> None:
    now, calls = [0.0], Counter()

    def clock() -> float:
        calls["clock"] += 1
        if calls["clock"] == 121:  # between the two readings of a sample
            now[0] -= 3600.0
        now[0] += 0.002
        return now[0]

    ((_, timing),) = measure([Subject("a", lambda: None)], FAST, CpuTimer(clock=clock))
    assert timing.rejected <= 1
    assert timing.minimum > 0


def test_a_slow_start_makes_no_later_sample_impossible() -> None:
    """Met on a busy machine: three starved samples, then a thousand times faster ones."""
    timer = FakeTimer(lambda i: (0.5 if i < 12 else 0.0005, False))
    plan = Plan(budget=0.05, warm_up=0.0, turn=0.005, min_samples=15)
    ((_, timing),) = measure([Subject("a", lambda: None)], plan, timer)
    assert timing.rejected == 0
    assert timing.median == pytest.approx(0.0005)


def test_a_sample_that_was_preempted_for_long_is_no_jump_of_the_clock() -> None:
    timer = FakeTimer(lambda i: (5.0, True) if i % 4 == 3 else (0.002, False))
    ((_, timing),) = measure([Subject("a", lambda: None)], FAST, timer)
    assert timing.rejected == 0
    assert timing.median == pytest.approx(0.002)


def test_short_calls_are_repeated_within_a_sample() -> None:
    ((_, timing),) = measure([Subject("pass", lambda: None)], FAST, CpuTimer())
    assert timing.repeat > 100
    assert timing.median < 1e-5


def test_cold_samples_are_single_calls_after_a_flush() -> None:
    events: list[str] = []
    subject = Subject("a", lambda: events.append("call"), before=lambda: events.append("flush"))
    ((_, timing),) = measure([subject], FAST, CpuTimer())
    assert timing.repeat == 1
    assert events[:2] == ["flush", "call"]
    assert events.count("flush") == events.count("call")
    assert all(a != b for a, b in pairwise(events))


def test_subjects_take_turns_so_that_drift_falls_on_all() -> None:
    """The machine slows down twofold while measuring; interleaved subjects still compare."""
    state = {"calls": 0}

    class Drifting:
        def time(self, call: Callable[[], object], repeat: int) -> tuple[float, bool]:
            state["calls"] += 1
            return call() * repeat * (1 + state["calls"] / 600), False  # type: ignore[operator]

    subjects = [Subject("one", lambda: 0.002), Subject("two", lambda: 0.004)]
    plan = Plan(precision=1e-6, budget=0.5, warm_up=0.0, turn=0.0, sample=1e-9)
    found = dict(measure(subjects, plan, Drifting()))
    assert found["two"].median / found["one"].median == pytest.approx(2.0, rel=0.15)
    assert found["one"].drift > 0.2


def test_the_quiet_time_is_that_of_the_best_round() -> None:
    timing = summary([2.0, 2.1, 3.0, 3.1], medians=[2.05, 3.05])
    assert timing.quiet == 2.05
    assert timing.drift == pytest.approx(1.0 / 2.55)
