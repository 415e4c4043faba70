"""Networks one after the other in a child process: a crash or a hang costs one network."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from typing import Any

from .result import Result

_LIMIT = 300.0
"""Time limit of one network. [s]"""
_PATIENCE = 10.0
"""Time for a process without work to end by itself. [s]"""


def measure_named(name: str, onnx: bool = False) -> Result:
    """Measure a network of the list, with ``onnx`` also through files."""
    from .measure import measure
    from .networks import networks

    return measure(networks()[name], onnx)


def measured(
    names: Iterable[str], limit: float = _LIMIT, task: Callable[[str], Result] = measure_named
) -> Iterator[Result]:
    """Yield the result of each network as it comes.

    Parameters
    ----------
    names : iterable of str
        Networks of the list.
    limit : float
        Time of one network after which its process is ended. [s]
    task : callable
        Measures the network of a name, in the child.
    """
    child: _Child | None = None
    try:
        for name in names:
            if child is None:
                child = _Child(task)
            result = child.measure(name, limit)
            if isinstance(result, str):
                child.end()
                child, result = None, Result(name, failure=result)
            yield result
    finally:
        if child is not None:
            child.end(patience=_PATIENCE)


class _Child:
    """A process that measures the requested networks, with libraries loaded and warm."""

    def __init__(self, task: Callable[[str], Result]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process: Any = context.Process(target=_serve, args=(theirs, task), daemon=True)
        self._process.start()
        theirs.close()
        self._loaded = False

    def measure(self, name: str, limit: float) -> Result | str:
        """Return the result of a network, or why the process has to be ended."""
        try:
            if not self._loaded:  # the first network pays for no library
                self._connection.recv()
                self._loaded = True
            self._connection.send(name)
            if not self._connection.poll(limit):
                return f"it takes more than {limit:.0f} s"
            result = self._connection.recv()
        except (EOFError, OSError):
            self._process.join(10)
            return f"the process ended with code {self._process.exitcode}"
        assert isinstance(result, Result)
        return result

    def end(self, patience: float = 0.0) -> None:
        """End the process, whatever it does, if it does not end by itself in ``patience`` [s]."""
        self._connection.close()
        self._process.join(patience)
        self._process.kill()
        self._process.join()


def _serve(connection: Connection, task: Callable[[str], Result]) -> None:
    _be_quiet()
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    import torch

    from .entry import Call
    from .ours import our_graph

    our_graph(Call(torch.nn.Linear(2, 2).eval(), (torch.zeros(1, 2),)))  # loads the libraries
    connection.send(None)
    while True:
        try:
            name = connection.recv()
        except EOFError:
            return
        connection.send(task(name))


def _be_quiet() -> None:
    """Discard output of libraries; results come through the connection."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
