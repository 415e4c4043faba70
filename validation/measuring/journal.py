"""The turns of a measurement, recorded as they are taken so that another process can resume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Turn:
    """What one turn of a subject found: enough to go on from in another process.

    Parameters
    ----------
    clean, disturbed : tuple of float
        Its samples, apart by whether others had the processor. [s]
    median : float
        Of the samples that count. [s]
    spent : float
        How long the turn took. [s]
    repeat : int
        Calls in each sample.
    rejected : int
        Samples that only a clock that jumps explains.
    steady : bool
        Whether the warm-up before it ended with a steady time.
    """

    clean: tuple[float, ...]
    disturbed: tuple[float, ...]
    median: float
    spent: float
    repeat: int = 1
    rejected: int = 0
    steady: bool = False


class Journal(Protocol):
    """Hears of the progress of a measurement, and knows that of earlier ones."""

    def earlier(self, name: str) -> Sequence[Turn]:
        """Return the turns of a subject that other processes have finished."""

    def begin(self, name: str) -> None:
        """Hear that ``name`` is worked on from now on: what goes wrong is its fault."""

    def finish(self, turns: Mapping[str, Turn]) -> None:
        """Keep the turns of a round, by the name of the subject; return when they are safe."""


class NoJournal:
    """Knows of nothing and keeps nothing."""

    def earlier(self, name: str) -> Sequence[Turn]:
        """Return no turns."""
        return ()

    def begin(self, name: str) -> None:
        """Do nothing."""

    def finish(self, turns: Mapping[str, Turn]) -> None:
        """Do nothing."""


NO_JOURNAL = NoJournal()
