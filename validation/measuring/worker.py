"""The process in which a backend measures, so that a crash affects only one network.

It gets a :class:`Job`, reports the current network, and waits after every round until the round is
stored.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import networkx as nx

from costmodel.errors import CostModelError

from ..errors import ClockError, MeasuringError, OutOfMemoryError, WorkerError
from .backend import Backend, Settings
from .clock import Plan
from .host import lacks_memory
from .journal import Turn
from .networks import network_for
from .summary import Timing

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    f"from {__name__} import serve; serve(int(sys.argv[2]), int(sys.argv[3]))"
)
_PR_SET_PDEATHSIG = 1  # of prctl.h
_LAST_WORDS = 30.0
"""Time in which a worker must have finished a message, or ended when it says no more. [s]"""
_FIRST_TO_GO = "900"  # of 1000: where memory is short the system ends the worker, not the campaign


@dataclass(frozen=True)
class Job:
    """What a worker measures.

    Parameters
    ----------
    backend, settings, plan
        As of a campaign.
    graphs : mapping
        Networks by spec; None where the worker has to build it.
    """

    backend: Backend
    settings: Settings
    plan: Plan
    graphs: Mapping[str, nx.DiGraph | None]


@dataclass(frozen=True)
class Begun:
    """The worker works on ``spec`` from now on: what goes wrong is its fault, or nobody's."""

    spec: str


@dataclass(frozen=True)
class Built:
    """The network of ``spec``; the answer is the turns that are known of it."""

    spec: str
    graph: nx.DiGraph


@dataclass(frozen=True)
class Round:
    """The turns of a round; the answer comes when they are kept."""

    turns: Mapping[str, Turn]


@dataclass(frozen=True)
class Done:
    """What came of a network."""

    spec: str
    outcome: Timing | MeasuringError


@dataclass(frozen=True)
class End:
    """The worker ends: by itself, with what ends every measurement, or at the network at work."""

    error: MeasuringError | None = None


Message = Begun | Built | Round | Done | End


class Worker:
    """A process that works on a job; use it in a ``with`` block, which ends it.

    Parameters
    ----------
    job : Job
        What it measures.

    Raises
    ------
    WorkerError
        If no process can be started.
    """

    def __init__(self, job: Job) -> None:
        ours, theirs = Pipe()
        self._connection = ours
        words = (_START, json.dumps(sys.path), str(theirs.fileno()), str(os.getpid()))
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # a network that prints must not print into a document
                pass_fds=(theirs.fileno(),),
                process_group=0,  # Ctrl-C is for the campaign, which ends the worker itself
            )
        except OSError as error:
            ours.close()
            raise WorkerError(f"no process can be started to measure in: {error}") from None
        finally:
            theirs.close()
        self.answer(job)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # with what it has started
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def hear(self, limit: float) -> Message | None:
        """Return the next message; None where the worker is silent for ``limit`` seconds.

        Raises
        ------
        EOFError
            If it has ended.
        """
        try:
            if not self._connection.poll(limit):
                return None
            with self._ended_after(_LAST_WORDS):  # half a message may never be finished
                message: Message = self._connection.recv()
            return message
        except Exception:  # it ended in the middle of a message, or its code wrote another
            raise EOFError from None

    @contextlib.contextmanager
    def _ended_after(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def answer(self, what: object) -> None:
        """Send the worker what it waits for; where it has ended, :meth:`hear` says so."""
        with contextlib.suppress(OSError):
            self._connection.send(what)

    def death(self) -> str:
        """Return how the worker ended, in a few words."""
        try:
            code = self._process.wait(_LAST_WORDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "its process no longer told what it did"
        if code >= 0:
            return f"its process ended with code {code}"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"its process crashed ({name})"

    @property
    def was_killed(self) -> bool:
        """Whether it was ended by the signal that the system sends where memory is short."""
        return self._process.poll() == -signal.SIGKILL


def serve(handle: int, parent: int) -> None:
    """Work on the job that comes over ``handle``, and end with the process ``parent``."""
    _end_with(parent)
    connection = Connection(handle)
    teller = _Teller(connection)
    try:
        job: Job = connection.recv()
        _measure(job, teller)
        connection.send(End())
    except (EOFError, BrokenPipeError, ConnectionResetError):  # nobody listens any more
        pass
    except BaseException as error:  # whatever a network does, it is told and ends this worker alone
        with contextlib.suppress(OSError):
            teller.send(End(_told(error, teller.at_work)))
    os._exit(0)  # nothing that a network left behind can fail now


def _measure(job: Job, teller: _Teller) -> None:
    graphs = {}
    folder = os.getcwd()
    for spec, graph in job.graphs.items():
        teller.begin(spec)
        os.chdir(folder)  # the code of a network may have left it
        try:
            graphs[spec] = network_for(spec, job.settings) if graph is None else graph
        except CostModelError as error:
            teller.send(Done(spec, MeasuringError(str(error))))
        else:
            teller.ask(spec, graphs[spec])
    teller.begin("")
    backend = job.backend
    for spec, outcome in backend.measure_networks(graphs, job.settings, job.plan, teller):
        teller.send(Done(spec, outcome))


def _told(error: BaseException, spec: str) -> MeasuringError:
    """Return what ended the worker as one sentence."""
    if isinstance(error, ClockError):
        return error
    if lacks_memory(error):
        return OutOfMemoryError(f"{spec or 'the worker'}: there is not enough memory to run it")
    if isinstance(error, MeasuringError):
        return error if not spec or str(error).startswith(spec) else type(error)(f"{spec}: {error}")
    if isinstance(error, SystemExit):
        return MeasuringError(f"{spec}: its code ended the program (exit {error.code})")
    try:
        text = (str(error).strip().splitlines() or [""])[0]
    except Exception:  # it is of the network's code
        text = ""
    return MeasuringError(f"{spec or 'measuring'}: {type(error).__name__}: {text}".rstrip(": "))


@dataclass
class _Teller:
    """The worker's side of the journal: tells, and waits until what it told is kept."""

    connection: Connection
    at_work: str = ""
    known: dict[str, Sequence[Turn]] = field(default_factory=dict)
    process: int = field(default_factory=os.getpid)

    def send(self, message: Message) -> None:
        if os.getpid() != self.process:  # the code of a network forked: one of both goes on
            os._exit(0)
        self.connection.send(message)

    def ask(self, spec: str, graph: nx.DiGraph) -> None:
        self.send(Built(spec, graph))
        self.known[spec] = self.connection.recv()

    def earlier(self, name: str) -> Sequence[Turn]:
        return self.known.get(name, ())

    def begin(self, name: str) -> None:
        self.at_work = name
        self.send(Begun(name))

    def finish(self, turns: Mapping[str, Turn]) -> None:
        self.send(Round(turns))
        self.connection.recv()


def _end_with(parent: int) -> None:
    """Let the system end this process with its parent, and before others where memory is short."""
    with contextlib.suppress(OSError, AttributeError):  # Linux has both; elsewhere the pipe tells
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    if os.getppid() != parent:
        os._exit(1)
