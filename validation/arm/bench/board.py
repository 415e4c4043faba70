"""The program on a board, command by command: networks, turns, the state of the processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from ..errors import BackendError, KernelError
from . import answers
from .answers import BoardTurn, Host
from .process import DEFAULT_TIMEOUT_S
from .program import Spec
from .result import OperatorTime, RunResult, Sample, array_of

_T = TypeVar("_T")
_SHORT_S = 30.0


class Asked(Protocol):
    """Something that answers commands (:class:`~validation.arm.bench.session.Session`)."""

    where: str

    def ask(self, command: str, timeout: float) -> dict[str, Any]:
        """Send a command and return the answer."""


class Board:
    """Commands of the program.

    Parameters
    ----------
    session : Asked
        The conversation with it.
    """

    def __init__(self, session: Asked) -> None:
        self._session = session
        self.where = session.where
        self.what = getattr(session, "what", "armbench")

    def host(self) -> Host:
        """Ask what machine it is."""
        return self.read("host", _SHORT_S, answers.host)

    def pin(self, cores: Sequence[int]) -> None:
        """Bind the program to cores.

        Raises
        ------
        BackendError
            If there are no such cores, or it is bound to others afterwards.
        """
        words = " ".join(map(str, cores))
        found = self.read(f"pin {words}", _SHORT_S, answers.cores)
        if sorted(found) != sorted(cores):
            raise BackendError(
                f"{self.where}: the program was to be bound to core {words}, and is on {found}"
            )

    def threads(self, count: int) -> None:
        """Let the program run every operator with threads, one per core that it is bound to.

        Raises
        ------
        BackendError
            If it has fewer cores, or another number of threads afterwards.
        """
        found = self.read(f"threads {count}", _SHORT_S, answers.threads)
        cores = {core for one in found for core in one}
        if len(found) != count or len(cores) != count or any(len(one) != 1 for one in found):
            raise BackendError(
                f"{self.where}: the program was to have {count} threads on cores of their own, "
                f"and has {len(found)} on {found}"
            )

    def load(self, spec: Spec, timeout: float = DEFAULT_TIMEOUT_S) -> int:
        """Prepare a network and run it once; return its number."""
        return self.read(f"network\n{spec.body()}end", timeout, answers.network)

    def turn(self, network: int, repeat: int, least: int, seconds: float, cold: bool) -> BoardTurn:
        """Take samples of a network, with a minimum number and a minimum time."""
        command = (
            f"turn {network} repeat={repeat} min={least} us={max(0, int(seconds * 1e6))} "
            f"cold={int(cold)}"
        )
        return self.read(command, seconds + DEFAULT_TIMEOUT_S, answers.turn)

    def detail(self, network: int, operators: int, least: int, seconds: float) -> list[list[float]]:
        """Take the seconds of every operator in as many passes."""
        return self.read(
            f"detail {network} min={least} us={max(0, int(seconds * 1e6))}",
            seconds + DEFAULT_TIMEOUT_S,
            lambda answer: answers.detail(answer, operators),
        )

    def drop(self, network: int) -> None:
        """Free the memory of a network."""
        self._session.ask(f"drop {network}", _SHORT_S)

    def run(self, spec: Spec, timeout: float = DEFAULT_TIMEOUT_S) -> RunResult:
        """Run a network as its ``run`` line says and return times, and the tensors to be dumped."""
        host = self.host()
        network = self.load(spec, timeout)
        if spec.warmup:
            self.detail(network, len(spec.calls), spec.warmup, 0.0)
        times = self.detail(network, len(spec.calls), spec.repeats, 0.0)
        dump = f"dump {network} {' '.join(map(str, spec.dumps))}"
        tensors = self.read(dump, timeout, _tensors) if spec.dumps else {}
        self.drop(network)
        try:
            totals = _sample([sum(row) for row in zip(*times, strict=True)])
            operators = tuple(
                OperatorTime(call.kernel, 0, _sample(row))
                for call, row in zip(spec.calls, times, strict=True)
            )
        except ValueError as error:
            raise KernelError(f"{self.where}: armbench's times cannot be right: {error}") from None
        known: Mapping[str, Any] = {**host.texts, "emulator": host.emulator}
        label = "emulated" if host.emulator else "measured"
        return RunResult(label, known, totals, operators, tensors)  # type: ignore[arg-type]

    def read(self, command: str, timeout: float, reader: Callable[[Any], _T]) -> _T:
        """Ask a command, and read its answer.

        Raises
        ------
        BackendError
            If there is none, or it cannot be right.
        """
        return answers.read(self._session.ask(command, timeout), reader, self.where, self.what)


def _tensors(answer: Mapping[str, Any]) -> dict[int, Any]:
    return {int(number): array_of(value) for number, value in answer["tensors"].items()}


def _sample(seconds: Sequence[float]) -> Sample:
    if min(seconds) < 0:
        raise ValueError(f"the monotonic clock went back by {-min(seconds):g} s")
    return Sample(float(np.median(seconds)), min(seconds), max(seconds), len(seconds))
