"""The tests that run each line, and their durations."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from costmodel.graph.writing import write_atomically

from ..errors import MeasuringError

_TOO_LONG = 20.0
"""Longer tests are skipped. [s]"""


@dataclass(frozen=True)
class Suite:
    """The quick tests that pass.

    Parameters
    ----------
    seconds : dict
        How long each test took, by its name for pytest. [s]
    lines : dict
        Names of the tests that run a line, by file and line.
    """

    seconds: dict[str, float]
    lines: dict[str, dict[int, list[str]]]

    def tests_of(self, path: str, first: int, last: int) -> list[str]:
        """Return the tests that run any of these lines, the quickest first.

        Lines that run when the module is imported belong to every test that runs the module.

        Examples
        --------
        >>> suite = Suite({"a": 2.0, "b": 1.0}, {"m.py": {3: ["a", "b"], 4: ["a"]}})
        >>> suite.tests_of("m.py", 3, 3), suite.tests_of("m.py", 1, 1)
        (['b', 'a'], ['b', 'a'])
        """
        lines = self.lines.get(path, {})
        found = {test for line in range(first, last + 1) for test in lines.get(line, ())}
        if not found:
            found = {test for tests in lines.values() for test in tests}
        return sorted((t for t in found if t in self.seconds), key=lambda t: (self.seconds[t], t))


def observe(root: Path) -> Suite:
    """Run the quick tests of the project once, and note which lines each of them runs.

    Raises
    ------
    MeasuringError
        If ``coverage`` is not installed, or no test passes.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "suite.json"
        command = [sys.executable, "-m", __name__, str(result)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if not result.exists():
            reason = (done.stderr or done.stdout).strip().splitlines()
            raise MeasuringError(f"the tests cannot be observed: {reason[-1] if reason else '?'}")
        return load(result)


def load(path: Path) -> Suite:
    """Read a file written by :func:`save`."""
    found = json.loads(path.read_text(encoding="utf-8"))
    lines = {file: {int(n): t for n, t in by.items()} for file, by in found["lines"].items()}
    return Suite(found["seconds"], lines)


def save(suite: Suite, path: Path) -> None:
    """Write which test runs which line."""
    write_atomically(path, json.dumps({"seconds": suite.seconds, "lines": suite.lines}))


class _Observer:
    """A plugin of pytest that tells coverage which test runs, and times it."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}
        self.failed: set[str] = set()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self.failed.add(report.nodeid)

    def pytest_runtest_logfinish(self) -> None:
        self.coverage.switch_context("")

    @property
    def quick(self) -> dict[str, float]:
        return {
            test: seconds
            for test, seconds in self.seconds.items()
            if test not in self.failed and seconds < _TOO_LONG
        }


def _main(result: Path) -> None:
    import coverage
    import pytest

    root = Path.cwd()
    cover = coverage.Coverage(data_file=None, include=[str(root / "costmodel" / "*")])
    observer = _Observer(cover)
    cover.start()
    pytest.main(["-q", "-m", "not slow", "-p", "no:cacheprovider"], plugins=[observer])
    cover.stop()
    data = cover.get_data()
    lines = {
        Path(file).relative_to(root).as_posix(): {
            line: [test for test in tests if test]
            for line, tests in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    save(Suite(observer.quick, lines), result)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
