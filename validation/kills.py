"""The command ``kills``: campaigns killed at random moments must lose no finished round."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .backends import load_backend
from .errors import MeasuringError
from .measuring.campaign import Campaign, run_campaign
from .measuring.clock import Plan
from .measuring.rounds import StoredTurn
from .measuring.store import Result, Store

PLAN = Plan(precision=1.0, budget=60.0, warm_up=0.02, turn=0.02, rounds=8, min_samples=3)
"""Eight rounds per network on any machine, so that lost or repeated ones are visible."""
GROUP = 2
"""Places of networks in a group: ten of the single operators that are measured here."""
_FIRST = "from {module} import killed; killed({path!r}, {count})"


@dataclass(frozen=True)
class Trial:
    """The state after one kill, and the result of resuming.

    Parameters
    ----------
    after : float
        When it was killed. [s]
    results, rounds : int
        Results, and rounds of unfinished networks, on the disk at that time.
    torn : int
        Truncated lines.
    faults : tuple of str
        Lost, repeated or unresumed networks, one sentence each.
    """

    after: float
    results: int
    rounds: int
    torn: int
    faults: tuple[str, ...]


def kills(
    count: Annotated[int, typer.Option("--kills", min=1, help="Number of campaigns to kill.")] = 50,
    networks: Annotated[int, typer.Option(min=1, help="Networks per campaign.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the random moments.")] = 0,
) -> None:
    """Kill (SIGKILL) a campaign of short networks at random moments, resume it, and count rounds.

    No round that was on the disk may be lost or measured again, and every resumed campaign must
    end with all results. The exit code is 1 if one does not. For example:

    python -m validation kills --kills 50
    """
    console = Console(highlight=False, soft_wrap=True)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        whole = _duration(Path(folder) / "whole.jsonl", networks)
        console.print(f"a campaign of {networks} networks takes {whole:.1f} s when left alone")
        trials = []
        for number in range(count):
            path = Path(folder) / f"{number}.jsonl"
            trials.append(trial(path, networks, rng.uniform(0, whole)))
            console.print(_line(number + 1, trials[-1]))
    bad = [t for t in trials if t.faults]
    console.print(
        f"{count} kills: {sum(t.results for t in trials)} results and "
        f"{sum(t.rounds for t in trials)} rounds of unfinished networks were on the disk, "
        f"{sum(t.torn for t in trials)} lines cut off; {count - len(bad)} campaigns were resumed "
        f"to the end without losing or repeating a finished round, {len(bad)} were not"
    )
    if bad:
        raise typer.Exit(1)


def trial(path: Path, networks: int, after: float) -> Trial:
    """Start a campaign, kill it, inspect its files, and resume it."""
    _kill(_start(path, networks), after)
    campaign = campaign_of(networks)
    left = Store(path)
    kept = {spec: _turns(left, campaign, spec) for spec in campaign.specs}
    results = {result.spec: result for result in left.results()}
    store = _Counting(path)
    with store:
        run_campaign(campaign, store)
    return Trial(
        after,
        len(results),
        sum(kept.values()),
        len(left.torn) + len(left.rounds.torn),
        tuple(_faults(campaign, store, results, kept)),
    )


def campaign_of(networks: int) -> Campaign:
    """Return the campaign: small matrix products of different sizes."""
    specs = tuple(f"linear?cin=64&cout={8 * (i + 1)}" for i in range(networks))
    return Campaign(specs, load_backend("torch"), plan=PLAN, group=GROUP)


def killed(path: str, networks: int) -> None:
    """Measure the campaign into ``path``; this is the process that is killed."""
    with Store(path) as store:
        run_campaign(campaign_of(networks), store)


@dataclass
class _Tally:
    turns: dict[str, int] = field(default_factory=dict)
    results: list[str] = field(default_factory=list)


class _Counting(Store):
    """A store that counts the lines appended after the kill."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.tally = _Tally()

    def append(self, result: Result) -> None:
        super().append(result)
        self.tally.results.append(result.spec)

    def append_round(self, turns: Sequence[StoredTurn]) -> None:
        super().append_round(turns)
        for turn in turns:
            self.tally.turns[turn.spec] = self.tally.turns.get(turn.spec, 0) + 1


def _faults(
    campaign: Campaign, store: _Counting, results: dict[str, Result], kept: dict[str, int]
) -> list[str]:
    """Return the faults, by the independent counts of the file and of the store."""
    found = []
    for spec in campaign.specs:
        end, new = campaign.result(spec, store), store.tally.turns.get(spec, 0)
        if end is None or end.timing is None:
            found.append(f"{spec}: has no result")
        elif spec in results:
            if end != results[spec] or new or spec in store.tally.results:
                found.append(f"{spec}: was finished and is measured again")
        elif not end.timing.rounds == kept[spec] + new == PLAN.rounds:
            found.append(f"{spec}: {kept[spec]} rounds kept, {new} new, {end.timing.rounds} in all")
    return found


def _turns(store: Store, campaign: Campaign, spec: str) -> int:
    """Count the whole lines of the file that hold a turn of ``spec``; results make them void."""
    key = campaign.key(spec)
    if key in store or not store.rounds.path.is_file():
        return 0
    whole = store.rounds.path.read_bytes().split(b"\n")[:-1]
    turns = [turn for line in whole for turn in json.loads(line)["round"]]
    return sum(turn["key"] == key for turn in turns)


def _start(path: Path, networks: int) -> subprocess.Popen[bytes]:
    code = _FIRST.format(module=__name__, path=str(path), count=networks)
    folder = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment)


def _kill(process: subprocess.Popen[bytes], after: float) -> None:
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    else:
        if process.returncode:
            raise MeasuringError(f"the campaign ended with code {process.returncode} by itself")


def _duration(path: Path, networks: int) -> float:
    begin = time.monotonic()
    process = _start(path, networks)
    if process.wait():
        raise MeasuringError(f"the campaign ended with code {process.returncode} by itself")
    return time.monotonic() - begin


def _line(number: int, found: Trial) -> str:
    wrong = "; ".join(found.faults) or "resumed, nothing lost"
    return (
        f"{number:3}: killed after {found.after:5.2f} s with {found.results} results and "
        f"{found.rounds} rounds more; {wrong}"
    )
