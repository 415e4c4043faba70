"""The command ``mutants``: change single points of the library, and count failing tests."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from costmodel.graph.writing import write_atomically

from ..errors import MeasuringError
from .points import PACKAGES, Mutant, all_mutants
from .suite import Suite, load, observe, save
from .worker import KILLED as KILLED
from .worker import SURVIVED as SURVIVED

EQUIVALENT = Path(__file__).with_name("equivalent.toml")
"""Equivalent mutants, which no test can kill, each with the reason."""
_BUDGET = 120.0
"""Budget for the observed time of the tests of one mutant. [s]"""
_START = 40.0
_SLACK = 4.0


@dataclass(frozen=True)
class Verdict:
    """The verdict on a mutant.

    Parameters
    ----------
    mutant : Mutant
        The mutant.
    tests : int
        Tests that were chosen for it.
    result : str
        ``killed``, ``timed out`` or ``survived``.
    """

    mutant: Mutant
    tests: int
    result: str


def mutants(
    count: Annotated[int, typer.Option(min=1, help="Number of mutants, drawn at random.")] = 240,
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    only: Annotated[str, typer.Option(help="Use only files whose path contains this.")] = "",
    processes: Annotated[int, typer.Option(min=1, help="Processes that run tests.")] = 2,
    observed: Annotated[
        Path | None,
        typer.Option(help="File of which test runs which line: read, or written if missing."),
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Also write every verdict to this file.")
    ] = None,
) -> None:
    """Change single points of the code that counts, lowers, times and fits; run the tests on each.

    A mutant is killed if a test that runs the changed line fails. Survivors are listed.

    For example:

    python -m validation mutants --count 240 --json mutants.json
    """
    console = Console(highlight=False)
    root = Path(__file__).parents[2]
    chosen = _draw([m for m in all_mutants(root) if only in m.path], count, seed)
    console.print(f"observing the tests, then judging {len(chosen)} mutants")
    suite = load(observed) if observed and observed.exists() else observe(root)
    if observed is not None:
        save(suite, observed)
    _check_unchanged(chosen, suite, root)
    verdicts: list[Verdict] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    try:
        with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
            task = progress.add_task("mutants", total=len(chosen))
            for verdict in judge(chosen, suite, root, processes):
                verdicts.append(verdict)
                progress.advance(task)
                if verdict.result == SURVIVED:
                    label = f"survived {verdict.tests} tests: {verdict.mutant.label}"
                    progress.console.print(label, soft_wrap=True, markup=False)
    finally:  # verdicts before an interruption count
        if as_json is not None:
            write_atomically(as_json, json.dumps([_plain(v) for v in verdicts], indent=1))
        _summarize(console, verdicts)


def judge(chosen: Sequence[Mutant], suite: Suite, root: Path, processes: int) -> Iterator[Verdict]:
    """Yield a verdict for each mutant, as they come."""
    local = threading.local()
    workers: list[subprocess.Popen[str]] = []

    def one(number: int, mutant: Mutant) -> Verdict:
        if not hasattr(local, "worker"):
            local.worker = _start(root)
            workers.append(local.worker)
        tests = suite.tests_of(mutant.path, mutant.first, mutant.last)
        kept, seconds = _within(tests, suite.seconds)
        if not kept:
            return Verdict(mutant, 0, SURVIVED)
        job = {
            "number": number,
            "module": mutant.module,
            "path": str(root / mutant.path),
            "source": mutant.source,
            "tests": kept,
            "limit": _START + _SLACK * seconds,
        }
        return Verdict(mutant, len(kept), _ask(local.worker, job))

    pool = ThreadPoolExecutor(processes)
    try:
        futures = [pool.submit(one, n, mutant) for n, mutant in enumerate(chosen)]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.kill()
            worker.communicate()


def _check_unchanged(chosen: Sequence[Mutant], suite: Suite, root: Path) -> None:
    """Raise an error if an unchanged module seems to be killed, too."""
    plain = replace(chosen[0], source=(root / chosen[0].path).read_text(encoding="utf-8"))
    for verdict in judge([plain], suite, root, 1):
        if verdict.result != SURVIVED:
            raise MeasuringError(f"the tests of {plain.path} fail without any change: mend them")


def _start(root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", f"{__package__}.worker"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe, text=True)


def _ask(worker: subprocess.Popen[str], job: dict[str, Any]) -> str:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(json.dumps(job) + "\n")
    worker.stdin.flush()
    answer = json.loads(worker.stdout.readline())
    return str(answer["result"])


def _draw(found: list[Mutant], count: int, seed: int) -> list[Mutant]:
    return random.Random(seed).sample(found, min(count, len(found)))


def _within(tests: list[str], seconds: dict[str, float]) -> tuple[list[str], float]:
    """Return the first of ``tests`` that fit the budget, and their time."""
    spent, kept = 0.0, []
    for test in tests:
        spent += seconds[test]
        if spent > _BUDGET:
            break
        kept.append(test)
    return kept, min(spent, _BUDGET)


def _summarize(console: Console, verdicts: Sequence[Verdict]) -> None:
    known = equivalent()
    for package in (*PACKAGES, ""):
        part = [v for v in verdicts if f"/{package}" in v.mutant.path]
        alive = [v for v in part if v.result == SURVIVED]
        same = [v for v in alive if _key(v.mutant) in known]
        if part:
            killed = len(part) - len(alive)
            console.print(
                f"{package or 'all':12} {killed} of {len(part)} killed "
                f"({100 * killed / len(part):.1f} %), {len(same)} equivalent, "
                f"{len(alive) - len(same)} survive"
            )


def equivalent() -> dict[tuple[str, ...], str]:
    """Return the mutants that change nothing that can be observed, and why.

    Examples
    --------
    >>> all(reason for reason in equivalent().values())
    True
    """
    with EQUIVALENT.open("rb") as file:
        entries = tomllib.load(file).get("mutant", [])
    return {(e["path"], e["line"], e["before"], e["after"]): e["reason"] for e in entries}


def _key(mutant: Mutant) -> tuple[str, ...]:
    return mutant.path, mutant.line, mutant.before, mutant.after


def _plain(verdict: Verdict) -> dict[str, object]:
    mutant = verdict.mutant
    return {
        "path": mutant.path,
        "number": mutant.first,
        "line": mutant.line,
        "before": mutant.before,
        "after": mutant.after,
        "tests": verdict.tests,
        "result": verdict.result,
    }
