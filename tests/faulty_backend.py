"""A backend whose networks misbehave as they are told to, in whatever process it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import networkx as nx

from costmodel_validation.backends import KernelTiming, Settings
from costmodel_validation.errors import MeasuringError
from costmodel_validation.measuring.backend import PLAIN
from costmodel_validation.measuring.clock import Plan, Subject, Timing, measure
from costmodel_validation.measuring.journal import NO_JOURNAL, Journal


class Steady:
    """A device on which every call takes a thousandth of a second."""

    def time(self, call, repeat: int) -> tuple[float, bool]:
        call()
        return 0.001 * repeat, False


MESSAGES = {
    "no message": struct.pack("!i", 5) + b"hello",
    "half a message": struct.pack("!i", 500_000) + b"hello",
    "endless message": struct.pack("!iQ", -1, 2**64 - 1),
}
"""Bytes for whatever is open, as the pipe between worker and campaign carries them."""


def fail(how: str) -> None:
    if how == "raise":
        raise ValueError("it went wrong\nwith details")
    if how == "exit":
        sys.exit(0)
    if how == "os exit":
        os._exit(3)
    if how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "abort":
        os.abort()
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "memory":
        raise MemoryError
    if how == "interrupt":
        raise KeyboardInterrupt
    if how == "recursion":
        fail(how)
    if how == "hang":
        time.sleep(3600)
    if how == "fork":
        os.fork()
    if how in MESSAGES:
        for handle in map(int, os.listdir("/dev/fd")):
            with contextlib.suppress(OSError):
                if handle > 2:
                    os.write(handle, MESSAGES[how])


class Faulty:
    """Measures on a made-up device; specs of ``faults`` fail so, when prepared or in round 3.

    It runs in another process, so each step is a line of ``log``.
    """

    name = "faulty"
    among_others = False
    own_process = True
    label: Literal["measured"] = "measured"

    def __init__(
        self,
        log: Path,
        faults: Mapping[str, str] | None = None,
        at: Literal["first", "later"] = "first",
    ) -> None:
        self.log, self.faults, self.at = log, dict(faults or {}), at

    def describe(self, settings: Settings) -> dict[str, str]:
        return {"cpu": "none", "load": str(time.monotonic())}

    def platform(self, settings: Settings) -> str:
        return "host/torch-eager"

    def confirm_platform(self, name: str, settings: Settings = PLAIN) -> None:
        pass

    def check_settings(self, settings: Settings) -> None:
        pass

    def measure_networks(
        self,
        graphs: Mapping[str, nx.DiGraph],
        settings: Settings,
        plan: Plan,
        journal: Journal = NO_JOURNAL,
    ) -> Iterator[tuple[str, Timing | MeasuringError]]:
        subjects = []
        for name in graphs:
            journal.begin(name)
            self.note(f"begin {name}")
            how = self.faults.get(name, "")
            if self.at == "first":
                fail(how if how != "crowded" or len(graphs) == 1 else "killed")
            subjects.append(self.subject(name, how if self.at == "later" else ""))
        yield from measure(subjects, plan, Steady(), journal)

    def subject(self, name: str, how: str) -> Subject:
        calls = [0]

        def call() -> None:
            calls[0] += 1
            self.note(f"call {name}")
            if calls[0] > 12:
                fail(how)

        return Subject(name, call)

    def note(self, line: str) -> None:
        with self.log.open("a") as stream:
            stream.write(f"{line}\n")

    def measure_kernels(
        self, graph: nx.DiGraph, settings: Settings, plan: Plan
    ) -> tuple[KernelTiming, ...]:
        return ()
