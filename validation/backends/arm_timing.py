"""Boards as subjects of the measuring procedure, and their state during it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..arm.bench.answers import BoardCore, BoardTurn, Host, State
from ..arm.bench.board import Board
from ..arm.errors import BackendError
from ..measuring.clock import Plan, Subject, Timing, summary

THROTTLED = 0.95
"""A core whose clock is below this share of the fastest seen has been slowed down. [1]"""
COOLING = 6.0
"""Pauses after a turn that was throttled may take as many times the budget of a network. [1]"""
_COOLING_S = 3.0  # the first pause; each one after it is twice as long
_STEADY = 0.03  # two windows of the warm-up agree within this share
_WINDOW = 3


def choose_cores(host: Host, threads: int, wanted: Sequence[int]) -> tuple[int, ...]:
    """Return the cores to bind to: those asked for, or else the last of the fastest.

    The first cores serve most interrupts, so that the last are the quietest.

    Raises
    ------
    BackendError
        If there are fewer cores, or not these.
    """
    known = {core.number: core for core in host.cores}
    if wanted:
        missing = [number for number in wanted if known and number not in known]
        if missing:
            raise BackendError(f"the board has no core {missing[0]}; it has {_listed(known)}")
        if len(set(wanted)) != threads:
            raise BackendError(
                f"{len(set(wanted))} cores are given for {threads} threads: one core a thread"
            )
        return tuple(wanted)
    if known and threads > len(known):
        raise BackendError(f"{threads} threads are asked for, but the board has {len(known)} cores")
    order = sorted(known.values(), key=lambda core: (core.clock or 0.0, core.number))
    return tuple(sorted(core.number for core in order[-threads:]))


def _listed(cores: dict[int, BoardCore]) -> str:
    return ", ".join(map(str, sorted(cores)))


@dataclass
class Watch:
    """The clock of the core, turn by turn: which turns were throttled, and pauses after them.

    Parameters
    ----------
    budget : float
        Time that may be spent on letting it cool down after one turn. [s]
    cores : tuple of int
        Cores that the program was bound to; empty: any.
    pause : callable
        Waits.
    """

    budget: float
    cores: tuple[int, ...] = ()
    pause: Callable[[float], object] = time.sleep
    fastest: float = 0.0
    slowest: float = math.inf
    throttled: int = 0
    left_out: int = 0
    turns: int = 0
    hottest: float | None = None

    def kept(self, take: Callable[[], BoardTurn]) -> BoardTurn:
        """Take turns, with pauses between them, until one was not throttled.

        The samples of the others are left out and counted.

        Raises
        ------
        BackendError
            If the board is throttled whatever the pauses, or ran on other cores.
        """
        spent, length = 0.0, _COOLING_S
        while self.judge(turn := take()):
            self.left_out += len(turn.samples)
            if spent >= self.budget:
                raise BackendError(
                    f"the board is throttled ({self._clocks()}{self._heat()}) even after "
                    f"{spent:.0f} s of pauses: cool it, or let it run at a clock that it can hold"
                )
            length = min(length, self.budget - spent)
            self.pause(length)
            spent, length = spent + length, 2 * length
        return turn

    def judge(self, turn: BoardTurn) -> bool:
        """Return whether the clock dropped before or during a turn.

        Raises
        ------
        BackendError
            If the program ran on a core that it was not bound to.
        """
        for state in (turn.before, turn.after):
            self._see(state)
        self.turns += 1
        clock = min(turn.before.hertz, turn.after.hertz)
        hot = clock < THROTTLED * self.fastest
        self.throttled += hot
        self.slowest = min(self.slowest, clock)
        return hot

    def _see(self, state: State) -> None:
        if self.cores and state.core not in self.cores:
            raise BackendError(
                f"the program was bound to core {self.cores[0]} and ran on core {state.core}"
            )
        self.fastest = max(self.fastest, state.hertz)
        if state.celsius is not None:
            self.hottest = max(state.celsius, self.hottest or state.celsius)

    def verdict(self) -> str:
        """Return one sentence on the clock during a measurement."""
        if not self.throttled:
            return f"no throttling in {self.turns} turns{self._heat()}"
        return (
            f"throttled in {self.throttled} of {self.turns} turns ({self._clocks()}), whose "
            f"{self.left_out} samples are left out{self._heat()}: cool the board"
        )

    def _clocks(self) -> str:
        return f"{self.slowest / 1e9:.2f} instead of {self.fastest / 1e9:.2f} GHz"

    def _heat(self) -> str:
        return "" if self.hottest is None else f", at most {self.hottest:.0f} degrees"


class TakesTurns(Protocol):
    """An object that takes samples of networks and reports the state of the core meanwhile."""

    def turn(self, network: int, repeat: int, least: int, seconds: float, cold: bool) -> BoardTurn:
        """Take samples: at least as many, and for as long as asked."""


def subject(name: str, board: TakesTurns, network: int, watch: Watch, cold: bool) -> Subject:
    """Return a network on a board as a subject of timing."""

    def samples(repeat: int, least: int, seconds: float) -> list[tuple[float, bool]]:
        turn = watch.kept(lambda: board.turn(network, repeat, least, seconds, cold))
        # where others had the core, the time that the thread had it counts, as on this machine
        return [
            (row.own if row.disturbed and row.own > 0 else row.seconds, row.disturbed)
            for row in turn.samples
        ]

    return Subject(name, lambda: None, (lambda: None) if cold else None, samples)


def operator_timings(
    board: Board, network: int, operators: int, plan: Plan, watch: Watch
) -> list[Timing]:
    """Time every operator inside its network, in rounds; steady once two windows agree."""

    def detail(seconds: float) -> list[list[float]]:
        rows: list[list[float]] = []

        def take() -> BoardTurn:
            first = board.turn(network, 1, 1, 0.0, cold=False)
            rows[:] = board.detail(network, operators, _WINDOW, seconds)
            last = board.turn(network, 1, 1, 0.0, cold=False)
            return BoardTurn(first.before, last.after, first.samples + last.samples)

        watch.kept(take)
        return rows

    begin, last, steady = time.monotonic(), 0.0, False
    while not steady and time.monotonic() - begin < plan.warm_up:
        now = sum(min(row) for row in detail(0.0))
        steady = abs(now - last) <= _STEADY * now
        last = now
    rounds = [detail(plan.budget / max(1, plan.rounds)) for _ in range(max(1, plan.rounds))]
    return [
        _timing([taken[index] for taken in rounds], plan, steady, board.where)
        for index in range(operators)
    ]


def _timing(rounds: Sequence[Sequence[float]], plan: Plan, steady: bool, where: str) -> Timing:
    samples = [seconds for taken in rounds for seconds in taken if seconds > 0]
    if not samples:
        raise BackendError(f"{where}: the clock stands still: an operator took no time by it")
    medians = [sorted(taken)[len(taken) // 2] for taken in rounds]
    found = summary(samples, medians=medians, steady=steady)
    precise = found.high - found.low <= 2 * plan.precision * found.median
    return summary(
        samples,
        medians=medians,
        rejected=sum(map(len, rounds)) - len(samples),
        steady=steady,
        precise=precise and len(samples) >= plan.min_samples,
    )
