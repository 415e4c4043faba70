"""The command ``score``: predictions and simpler models on every data set, and the goals."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from costmodel.errors import DataError, suggest
from costmodel.graph.writing import write_atomically

from .bench import MODEL, Score
from .dataset import data_folder
from .goals import Verdict, verdicts
from .kept import Kept, state
from .processes import pool
from .protocols import SETS, Job, Outcome, jobs, run

DRAWS = 20
_PROCESSES = 2
_FILE_WIDTH = 140


def score(
    data: Annotated[
        str, typer.Argument(help=f"Data set: {', '.join(SETS)}, or all.", metavar="DATA")
    ] = "all",
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Also write all figures to this file.")
    ] = None,
    count: Annotated[
        int, typer.Option("--draws", min=1, help="Random splits of the networks of a device.")
    ] = DRAWS,
) -> None:
    """Score predictions on measurements by others, on rows that were not fitted.

    With --json, finished devices are stored next to the file during the run, so that an interrupted
    run can resume. For example:

    python -m validation score paper

    python -m validation score all --json scores.json
    """
    console = wide_console()
    if data not in (*SETS, "all"):
        raise DataError(f"unknown data set {data!r}; {suggest(data, [*SETS, 'all'])}")
    todo: list[Job] = []
    for name in SETS if data == "all" else (data,):
        try:
            found, missing = jobs(name, count)
        except DataError as error:
            found, missing = [], [f"{name} is skipped: {error}"]
        todo += found
        for sentence in missing:
            console.print(sentence, style="yellow", highlight=False)
    kept = _kept(as_json)
    scores, facts = _run(todo, kept)
    for name in dict.fromkeys(s.data for s in scores):
        console.print(scores_table(name, [s for s in scores if s.data == name]))
    goals = verdicts(scores, facts)
    if goals:
        console.print(goals_table(goals))
    if as_json is not None:
        write_atomically(as_json, _to_json(scores, facts, goals))
    if kept is not None:
        kept.remove()


def wide_console() -> Console:
    """Return a console that does not truncate columns if the output is a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=_FILE_WIDTH)


def _kept(as_json: Path | None) -> Kept | None:
    """Return the store of finished jobs, if the figures go to a file."""
    if as_json is None:
        return None
    try:
        data = data_folder()
    except DataError:
        data = None
    return Kept(as_json.with_name(f"{as_json.name}.part"), state(data))


def _run(todo: Sequence[Job], kept: Kept | None) -> tuple[list[Score], dict[str, float]]:
    """Run jobs on two processes and return their scores in the order of ``todo``."""
    found = dict(kept.outcomes) if kept else {}
    for job, outcome in _finished([job for job in todo if job not in found]):
        found[job] = outcome
        if kept:
            kept.keep(job, outcome)
    outcomes = [found[job] for job in todo]
    facts: dict[str, float] = {}
    for outcome in outcomes:
        facts |= outcome.facts
    return [s for outcome in outcomes for s in outcome.scores], facts


def _finished(todo: Sequence[Job]) -> Iterator[tuple[Job, Outcome]]:
    """Yield each finished job, and show the progress."""
    processes = min(_PROCESSES, os.cpu_count() or 1, max(1, len(todo)))
    console = Console(stderr=True)
    start = time.monotonic()
    with _progress(console) as progress, pool(processes) as workers:
        task = progress.add_task("scoring", total=len(todo))
        waiting = {workers.submit(run, job): job for job in todo}
        for count, done in enumerate(as_completed(waiting), 1):
            job = waiting[done]
            yield job, done.result()
            progress.update(task, advance=1, description=f"{job.data} {job.device}")
            if not console.is_terminal:
                place = f"{count} of {len(todo)}, {time.monotonic() - start:.0f} s"
                console.print(f"{place}: {job.data} {job.device}", highlight=False)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )


def scores_table(name: str, scores: Sequence[Score]) -> Table:
    """Return the scores of one data set: a line per device and method."""
    table = Table(title=f"{name}: predicted against measured, on rows not fitted")
    for heading in ("device", "split", "method"):
        table.add_column(heading)
    for heading in (
        "fitted",
        "scored",
        "MAPE",
        "median",
        "<= 10 %",
        "Spearman",
        "Kendall",
        "in 90 %",
    ):
        table.add_column(heading, justify="right")
    before = ("", "")
    for s in scores:
        here = (s.device, s.split)
        if before not in (("", ""), here):
            table.add_section()
        f = s.figures
        table.add_row(
            *(here if here != before else ("", "")),
            s.method,
            str(s.fitted) if s.method != "roofline" else "0",
            str(s.scored),
            *(_percent(x) for x in (f.mape, f.median, f.within10)),
            *(f"{x:.3f}" for x in (f.spearman, f.kendall)),
            _percent(f.coverage),
            style="bold" if s.method == MODEL else None,
        )
        before = here
    return table


def goals_table(goals: Sequence[Verdict]) -> Table:
    """Return the goals with the results."""
    table = Table(title="Goals, on rows not fitted")
    for heading in ("goal", "figure", "reached"):
        table.add_column(heading)
    before = ""
    for v in goals:
        table.add_row(
            v.goal if v.goal != before else "",
            v.figure,
            "yes" if v.reached else "no",
            style=None if v.reached else "yellow",
        )
        before = v.goal
    return table


def _percent(share: float) -> str:
    return "" if math.isnan(share) else f"{100 * share:.1f} %"


def _to_json(scores: Sequence[Score], facts: dict[str, float], goals: Sequence[Verdict]) -> str:
    document: dict[str, Any] = {
        "scores": [asdict(s) for s in scores],
        "facts": facts,
        "goals": [asdict(v) for v in goals],
    }
    return json.dumps(_without_nan(document), indent=1)


def _without_nan(value: Any) -> Any:
    """Return ``value`` with NaN replaced by null, for JSON."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
