"""A process with the heavy libraries loaded that forks one child per mutant.

It imports nothing of ``costmodel``, so that every child can import the mutant in its place. It
reads one JSON line per mutant and writes one JSON line per result.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import time
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SURVIVED, KILLED, TIMED_OUT = "survived", "killed", "timed out"
_POLL = 0.02
_HEAVY = (
    "hypothesis",
    "matplotlib.pyplot",
    "networkx",
    "onnx",
    "pydantic",
    "pytest",
    "scipy.optimize",
    "sympy",
    "torch",
    "typer",
)


class Replaced(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from other source.

    Parameters
    ----------
    module, path, source : str
        Dotted name, file that it replaces, source.
    """

    def __init__(self, module: str, path: str, source: str) -> None:
        self._module, self._path, self._source = module, path, source

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec of the one module."""
        if fullname != self._module:
            return None
        package = [os.path.dirname(self._path)] if self._path.endswith("__init__.py") else None
        return importlib.util.spec_from_file_location(
            fullname, self._path, loader=self, submodule_search_locations=package
        )

    def create_module(self, spec: ModuleSpec) -> None:
        """Take the usual module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the other source."""
        exec(compile(self._source, self._path, "exec"), module.__dict__)


class _Chosen:
    """A plugin of pytest that keeps the chosen tests, in their order, and loads the mutant."""

    def __init__(self, tests: list[str], mutant: Replaced) -> None:
        self._order = {test: number for number, test in enumerate(tests)}
        self._mutant = mutant

    def pytest_sessionstart(self) -> None:
        # Before the hook of pytest, which loads the files that it is given itself.
        sys.meta_path.insert(0, self._mutant)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        kept = [item for item in items if item.nodeid in self._order]
        items[:] = sorted(kept, key=lambda item: self._order[item.nodeid])


def _child(job: dict[str, Any]) -> int:
    import pytest

    mutant = Replaced(job["module"], os.path.abspath(job["path"]), job["source"])
    files = list(dict.fromkeys(test.split("::")[0] for test in job["tests"]))
    # Modules loaded here cannot have their assertions rewritten, and need not.
    options = [
        "-x",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    return int(pytest.main([*options, *files], plugins=[_Chosen(job["tests"], mutant)]))


def _judge(job: dict[str, Any]) -> str:
    """Run the tests of one mutant in a child and return the result."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        void = os.open(os.devnull, os.O_WRONLY)
        os.dup2(void, 1)
        os.dup2(void, 2)
        code = 1
        try:
            code = _child(job)
        finally:
            os._exit(code)
    until = time.monotonic() + job["limit"]
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return SURVIVED if status == 0 else KILLED
        time.sleep(_POLL)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return TIMED_OUT


def main() -> None:
    """Judge one mutant after the other, until the input ends."""
    for library in _HEAVY:
        importlib.import_module(library)
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps({"number": job["number"], "result": _judge(job)}), flush=True)


if __name__ == "__main__":
    main()
