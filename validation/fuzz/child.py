"""Reading one input under limits, and whole batches of them in a child process."""

from __future__ import annotations

import multiprocessing as mp
import os
import random
import resource
import signal
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from costmodel.errors import LONGEST, CostModelError

from .generated import texts
from .mutations import mutated
from .readers import READERS, WORDS, Reader

SECONDS = 2.0
"""Maximum processor time for one input. [s]"""
MEMORY = 500 * 2**20
"""Maximum memory of a batch beyond that of the process at its start. [byte]"""
_STUCK = 60.0
"""Time after which an unresponsive child is terminated. [s]"""


class TooLongError(BaseException):
    """An input took more than :data:`SECONDS`; no reader may catch it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """An input that a reader mishandles.

    Parameters
    ----------
    kind : {"crash", "hang", "memory"}
        The fault.
    what : str
        The exception and where it was raised.
    content : bytes
        The input.
    """

    kind: str
    what: str
    content: bytes


@dataclass
class Tally:
    """The results of the inputs of one reader.

    Parameters
    ----------
    inputs, accepted : int
        Inputs read, and those that were valid.
    faults : list of Fault
        Inputs that were neither accepted nor rejected in one sentence.
    """

    inputs: int = 0
    accepted: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add the results of further inputs."""
        self.inputs += other.inputs
        self.accepted += other.accepted
        self.faults += other.faults

    def count(self, kind: str) -> int:
        """Return the number of faults of a kind."""
        return sum(fault.kind == kind for fault in self.faults)


def check(reader: Reader, content: bytes, folder: Path) -> tuple[bool, Fault | None]:
    """Read one input: whether it was accepted, and the fault if there is one."""
    try:
        with _time_limit():
            reader.take(content, folder)
    except CostModelError as error:
        text = str(error)
        if len(text) > LONGEST or not text.isprintable():
            return False, Fault("crash", f"the message fills several lines: {text[:60]!r}", content)
        return False, None
    except TooLongError as error:
        return False, Fault("hang", _place(error), content)
    except MemoryError as error:
        return False, Fault("memory", _place(error), content)
    except Exception as error:
        return False, Fault("crash", _place(error), content)
    return True, None


def run_batch(name: str, seed: int, size: int) -> Tally:
    """Read ``size`` inputs in a child process, which is forked so that it starts at once.

    Raises
    ------
    KeyboardInterrupt
        When it is interrupted; the child is ended.
    """
    context = mp.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    place = context.Value("q", 0, lock=False)
    child = context.Process(target=_batch, args=(theirs, place, name, seed, size), daemon=True)
    child.start()
    theirs.close()
    try:
        last = -1
        while place.value != last:
            last = place.value
            if ours.poll(_STUCK):
                answer: Tally = ours.recv()
                return answer
    except EOFError:  # it was killed, or died of a signal
        return _lost(name, seed, place.value, "crash", "the process died")
    finally:
        if child.is_alive() and child.pid is not None:
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        ours.close()
    return _lost(name, seed, place.value, "hang", f"no answer within {_STUCK:g} s")


def _lost(name: str, seed: int, at: int, kind: str, what: str) -> Tally:
    """Return the result of a batch whose child died: the input that it was reading."""
    content = _input(name, seed, at)
    return Tally(at + 1, 0, [Fault(kind, what, content)])


def _batch(answer: Connection, place: Any, name: str, seed: int, size: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore")
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COSTMODEL_HOME"] = folder
        os.chdir(folder)
        _limit_memory()
        for at in range(size):
            place.value = at
            accepted, fault = check(READERS[name], _input(name, seed, at), Path(folder))
            tally.inputs += 1
            tally.accepted += accepted
            if fault is not None:
                tally.faults.append(fault)
                if fault.kind != "crash":
                    break  # the next input must not be blamed for its leftovers
    answer.send(tally)
    answer.close()


def _input(name: str, seed: int, at: int) -> bytes:
    return mutated(name, seeds_of(name), random.Random(f"{name} {seed} {at}"))


_SEEDS: dict[str, list[bytes]] = {}


def seeds_of(name: str) -> list[bytes]:
    """Return the valid contents of a reader, made once."""
    if name not in _SEEDS:
        _SEEDS[name] = READERS[name].seeds()
        texts(WORDS)  # before the fork, so that no child makes them again
    return _SEEDS[name]


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _place(error: BaseException) -> str:
    """Return an exception and the innermost line of our own where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "costmodel" in f.filename or "validation" in f.filename] or frames
    where = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    return f"{type(error).__name__} at {where}: {str(error)[:80]!r}"
