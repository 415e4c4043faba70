"""The command ``coverage``: import of a fixed list of networks, with two counts of each."""

from __future__ import annotations

import contextlib
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..errors import MeasuringError
from .guarded import measure_named, measured
from .networks import QUICK, networks
from .result import Result, read_results
from .show import reached, show

_WIDTH = 120
"""Width of the table in a file. [character]"""


def coverage(
    quick: Annotated[
        bool, typer.Option(help="Only 30 networks that need nothing but torch.")
    ] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this network or family; may be repeated.")
    ] = None,
    onnx: Annotated[
        bool, typer.Option(help="Also export to ONNX, by both exporters, and count the files.")
    ] = False,
    json: Annotated[
        Path | None,
        typer.Option(help="File of results, one JSON object per line; skips networks in it."),
    ] = None,
) -> None:
    """Import a fixed list of networks and compare their counts to an independent count.

    Every network runs with random weights on one small input, on one thread, in a child process.
    Networks whose library is not installed are listed as such; all of them need `pip install
    "nn-costmodel[networks]"`. With a CPU build of torch, torchvision must be
    of the same build. The exit code is 1 if fewer than 98 % import, or a count differs.

    For example:

    python -m validation coverage --quick

    python -m validation coverage --only timm --only "hf/gpt2 decode" --json coverage.jsonl
    """
    progress = Console(stderr=True)
    names = chosen(quick, only or [])
    results = read_results(json) if json else {}
    missing = [name for name in names if name not in results or (onnx and not results[name].files)]
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(json.open("a", encoding="utf-8")) if json else None
        for number, result in enumerate(
            measured(missing, task=partial(measure_named, onnx=onnx)), 1
        ):
            results[result.name] = result
            if lines is not None:
                lines.write(result.line() + "\n")
                lines.flush()
            line = f"{number}/{len(missing)} {_progress(result)}"
            progress.print(line, highlight=False, markup=False)
    ordered = [results[name] for name in names]
    show(ordered, Console() if sys.stdout.isatty() else Console(width=_WIDTH))
    if not reached(ordered):
        raise typer.Exit(1)


def chosen(quick: bool, only: list[str]) -> list[str]:
    """Return the requested names, in the order of the list.

    Raises
    ------
    MeasuringError
        If ``only`` names no network and no family.

    Examples
    --------
    >>> chosen(False, ["images/unet"])
    ['images/unet']
    """
    known = list(QUICK) if quick else list(networks())
    for wanted in only:
        if not any(_is(name, wanted) for name in known):
            families = ", ".join(dict.fromkeys(name.partition("/")[0] for name in known))
            raise MeasuringError(
                f"--only {wanted} is neither a network of the list nor a family: {families}"
            )
    return [name for name in known if not only or any(_is(name, wanted) for wanted in only)]


def _is(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}/")


def _progress(result: Result) -> str:
    reason = result.failure or result.broken
    return f"{result.name}: {result.verdict}" + (f" ({reason[:100]})" if reason else "")
