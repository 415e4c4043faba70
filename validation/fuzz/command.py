"""The command ``fuzz``: all readers with invalid inputs."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from costmodel.errors import DataError, printable, suggest

from .child import MEMORY, SECONDS, Fault, Tally, run_batch, seeds_of
from .readers import READERS

CORPUS = Path("tests") / "fuzz_corpus"
"""Folder of mishandled inputs; a test reads all of them."""
_BATCH = 250
_SHOWN = 5


def fuzz(
    reader: Annotated[
        str, typer.Argument(help=f"Reader: {', '.join(READERS)}, or all.", metavar="READER")
    ] = "all",
    seconds: Annotated[
        float, typer.Option(min=0.1, help="How long, shared equally by the readers. [s]")
    ] = 60.0,
    seed: Annotated[int, typer.Option(help="Start of the pseudo-random inputs.")] = 0,
    corpus: Annotated[Path, typer.Option(help="Folder for mishandled inputs.")] = CORPUS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Feed readers broken files; only errors of the library, within 2 s and 500 MB, are allowed.

    Exit codes: 0 no fault, 1 faults, 2 bad input, 130 interrupted.

    For example:

    python -m validation fuzz hardware --seconds 30
    """
    if reader not in (*READERS, "all"):
        raise DataError(f"unknown reader {reader!r}; {suggest(reader, [*READERS, 'all'])}")
    names = list(READERS) if reader == "all" else [reader]
    tallies = {name: Tally() for name in names}
    interrupted = False
    try:
        run(tallies, seconds, seed)
    except KeyboardInterrupt:
        interrupted = True
    _save(tallies, corpus)
    if as_json:
        print(json.dumps(figures(tallies), indent=1))
    else:
        _print(tallies)
    if interrupted:
        raise typer.Exit(130)
    if any(tally.faults for tally in tallies.values()):
        raise typer.Exit(1)


def run(tallies: dict[str, Tally], seconds: float, seed: int, batch: int = _BATCH) -> None:
    """Read batches of inputs in turn until the time is over, at least one per reader.

    Parameters
    ----------
    tallies : dict
        By reader; filled.
    seconds : float
        Duration. [s]
    seed : int
        Start of the pseudo-random inputs.
    batch : int
        Inputs per turn.
    """
    names = [name for name in tallies if seeds_of(name)]
    spent = dict.fromkeys(names, 0.0)
    turn = 0
    while names and (turn < len(names) or sum(spent.values()) < seconds):
        name = min(names, key=lambda n: spent[n])
        start = time.monotonic()
        tallies[name].add(run_batch(name, seed + turn, batch))
        spent[name] += time.monotonic() - start
        turn += 1


def figures(tallies: dict[str, Tally]) -> dict[str, dict[str, float | list[str]]]:
    """Return the results of the inputs, by reader."""
    return {
        name: {
            "inputs": tally.inputs,
            "accepted": tally.accepted,
            "crashes": tally.count("crash"),
            "hangs": tally.count("hang"),
            "over_memory": tally.count("memory"),
            "faults": sorted({fault.what for fault in tally.faults}),
        }
        for name, tally in tallies.items()
    }


def _save(tallies: dict[str, Tally], corpus: Path) -> None:
    """Write one input of every kind of fault, by reader."""
    for name, tally in tallies.items():
        smallest: dict[str, Fault] = {}
        for fault in sorted(tally.faults, key=lambda f: len(f.content)):
            smallest.setdefault(fault.what.partition(":")[0] + fault.kind, fault)
        for fault in smallest.values():
            folder = corpus / name
            folder.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256(fault.content).hexdigest()[:12]
            (folder / f"{fault.kind}-{digest}").write_bytes(fault.content)


def _print(tallies: dict[str, Tally]) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    table = Table(title=f"Inputs of each reader: {SECONDS:g} s and {MEMORY // 2**20} MiB at most")
    table.add_column("reader")
    for heading in ("inputs", "accepted", "crashes", "hangs", "over memory"):
        table.add_column(heading, justify="right")
    total = Tally()
    for name, tally in tallies.items():
        _row(table, name, tally)
        total.add(tally)
    _row(table, "all", total)
    console.print(table)
    kinds = sorted({f"{n}: {f.kind}: {f.what}" for n, t in tallies.items() for f in t.faults})
    for text in kinds[:_SHOWN]:
        console.print(printable(text))
    if len(kinds) > _SHOWN:
        console.print(f"and {len(kinds) - _SHOWN} more")


def _row(table: Table, name: str, tally: Tally) -> None:
    share = f"{100 * tally.accepted / tally.inputs:.0f} %" if tally.inputs else "-"
    counts = (tally.count("crash"), tally.count("hang"), tally.count("memory"))
    style = "yellow" if any(counts) else None
    table.add_row(name, str(tally.inputs), share, *map(str, counts), style=style)
