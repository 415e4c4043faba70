"""Interface of a backend, which runs op graphs and returns their times."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import networkx as nx

from ..errors import MeasuringError
from .clock import Plan, Timing
from .journal import NO_JOURNAL, Journal

Label = Literal["measured", "simulated", "emulated"]
"""Kinds of times of a backend; only measured ones validate predictions."""
Mode = Literal["eager", "compile", "graphs"]
"""Modes of running: operator by operator, compiled, or replayed as a CUDA graph."""


@dataclass(frozen=True)
class Settings:
    """Settings of a run. A backend rejects settings that it does not support.

    Parameters
    ----------
    device : {"cpu", "cuda"}
        Where it runs.
    mode : {"eager", "compile", "graphs"}
        Operator by operator, compiled, or replayed as a CUDA graph.
    layout : {"contiguous", "channels_last"}
        Order of the elements of images.
    dtype : {"float32", "tf32", "float16", "bfloat16", "int8"}
        Dtype that takes the place of float32; ``tf32`` and ``int8`` keep float32 outside the
        products.
    threads : int
        Threads of the processor, each with a core of its own.
    cache : {"warm", "cold"}
        Whether inputs and weights are in the caches before a run, or flushed out of them.
    between : int
        Bytes that other operators touch before every run, after which the inputs are made anew: as
        inside a network. 0: it runs again and again. [byte]
    cores : tuple of int
        Cores that the threads are bound to; empty: the backend chooses.
    """

    device: Literal["cpu", "cuda"] = "cpu"
    mode: Mode = "eager"
    layout: Literal["contiguous", "channels_last"] = "contiguous"
    dtype: Literal["float32", "tf32", "float16", "bfloat16", "int8"] = "float32"
    threads: int = 1
    cache: Literal["warm", "cold"] = "warm"
    between: int = 0
    cores: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the settings by name, for the store; cores only where they were chosen."""
        found = asdict(self)
        if not self.cores:
            del found["cores"]
        return found

    def unlike(self, other: Settings) -> list[str]:
        """Return the options that differ from those of ``other``, as they are written.

        Examples
        --------
        >>> Settings(dtype="float16", threads=2).unlike(Settings(threads=2))
        ['--dtype float16']
        """
        theirs = asdict(other)
        return [
            f"--{name} {value}" for name, value in asdict(self).items() if value != theirs[name]
        ]


@dataclass(frozen=True)
class KernelTiming:
    """The time of one kernel, run alone unless it says so.

    Parameters
    ----------
    name, kind : str
        As in :class:`costmodel.kernels.Kernel`.
    timing : Timing
        Shared by all kernels of the same operators and shapes.
    inside : bool
        Whether it was timed inside the network, not alone.
    """

    name: str
    kind: str
    timing: Timing
    inside: bool = False


@dataclass(frozen=True)
class LayerTiming:
    """The time of one layer inside its network, as an engine counts its layers.

    Parameters
    ----------
    name, kind : str
        As the engine calls it: ``"conv1_nchwc"``, ``"CONV_2D"``.
    samples : tuple of float
        Of every pass; one where the engine tells the mean alone. [s]
    node : str
        The node of the graph that it begins with; empty where that is not known.
    """

    name: str
    kind: str
    samples: tuple[float, ...]
    node: str = ""

    @property
    def seconds(self) -> float:
        """Seconds of one pass: the median."""
        return statistics.median(self.samples)


PLAIN = Settings()
"""One thread of the processor, in float32, with warm caches."""


class Backend(Protocol):
    """Runs op graphs on one kind of device."""

    name: str
    among_others: bool
    """Whether it can time an operator among others (:attr:`Settings.between`)."""
    own_process: bool
    """Whether it is run in a process of its own, to which it is pickled: a crash, an endless loop
    or want of memory then costs the network that is at fault, and no other."""

    @property
    def label(self) -> Label:
        """The kind of its times."""

    def describe(self, settings: Settings) -> dict[str, str]:
        """Return the machine and the versions of the software, for the store."""

    def platform(self, settings: Settings) -> str:
        """Return the platform that a result is to be compared with.

        Raises
        ------
        MeasuringError
            If it is not known: the message asks for one.
        """

    def confirm_platform(self, name: str, settings: Settings = PLAIN) -> None:
        """Refuse a platform that contradicts where the networks are run.

        Raises
        ------
        MeasuringError
        """

    def check_settings(self, settings: Settings) -> None:
        """Refuse settings that are not honoured, each by its name.

        Raises
        ------
        MeasuringError
        """

    def measure_networks(
        self,
        graphs: Mapping[str, nx.DiGraph],
        settings: Settings,
        plan: Plan,
        journal: Journal = NO_JOURNAL,
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        """Time whole networks in turns; yield each by name as soon as it is done or has failed.

        The journal is told which network is worked on, and of every round; networks go on from the
        turns that it knows.
        """

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        """Time every kernel of a network alone, those that are alike only once."""
