"""``costmodel sweep``: the variants of a design space, filtered and ranked."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.networks import JsonOption
from costmodel.errors import DataError

if TYPE_CHECKING:
    from costmodel.spaces import Space, Sweep

SHOWN = 10
"""Variants that are printed; a file and JSON have all that are kept."""


def sweep(
    space: Annotated[
        str,
        typer.Argument(
            metavar="SPACE", help="A space, or a network with --choose.", show_default=False
        ),
    ],
    platform: Annotated[
        str, typer.Option("--platform", "-p", metavar="PLATFORM", help="Where they run.")
    ],
    choose: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=V,V,...", help="Values of a parameter, such as width=0.5,1.0."),
    ] = None,
    where: Annotated[
        str,
        typer.Option(metavar="CONDITIONS", help='Such as "flops<300e6 and latency<0.01".'),
    ] = "",
    best: Annotated[
        int | None, typer.Option(min=1, help="How many of the fastest are kept.")
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option(metavar="COLUMNS", help="Keep the Pareto front: latency,params ..."),
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Variants drawn at random.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A .csv or .parquet file."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keep what is done here, and go on from it."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw latency against multiply-adds.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Predict all variants of a design space; filter and rank them.

    Columns: latency [s], multiply_adds, flops (2 each), params and mac [element].

    Example: costmodel sweep nasbench201 -p rk3399/tflite --sample 500 --best 20

    Example: costmodel sweep shufflenet_v2 -p rk3399/tflite --where "multiply_adds<150e6"
    --pareto latency,params -o front.parquet

    Example: costmodel sweep mobilenet_v1 -p rk3399/tflite --choose width=0.5,0.75,1.0
    --choose size=128,160,192,224
    """
    from costmodel.cli.console import print_json
    from costmodel.spaces import find_space

    found_space = find_space(space, _choices(choose))
    if output is not None and output.suffix not in (".csv", ".parquet"):
        raise DataError(f"{output}: the file should end in .csv or .parquet")
    front = tuple(part.strip() for part in pareto.split(",")) if pareto else ()
    found = _run(found_space, platform, where, best, front, sample, workers, resume)
    if output is not None:
        _write(found, output)
    if plot is not None:
        _draw(found, plot)
    if json:
        print_json(_document(found))
    else:
        _print(found)


def _choices(texts: Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    found = {}
    for text in texts or ():
        name, equals, values = text.partition("=")
        parts = tuple(part for part in values.split(",") if part)
        if not (name and equals and parts):
            raise DataError(f"choices should be NAME=VALUE,VALUE,..., got {text!r}")
        found[name] = parts
    return found


def _run(
    space: Space,
    platform: str,
    where: str,
    best: int | None,
    front: tuple[str, ...],
    sample: int | None,
    workers: int,
    folder: Path | None,
) -> Sweep:
    from contextlib import ExitStack

    from rich.progress import Progress, TextColumn, TimeRemainingColumn

    from costmodel.cli.console import safe_console
    from costmodel.spaces import sweep as go

    with ExitStack() as stack:
        executor = None
        if workers > 1:
            from concurrent.futures import ProcessPoolExecutor

            executor = stack.enter_context(ProcessPoolExecutor(workers))
        console = safe_console(stderr=True)
        bar = Progress(
            TextColumn("{task.completed:,} of {task.total:,} variants"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        task = stack.enter_context(bar).add_task("", total=None)

        def progress(done: int, whole: int) -> None:
            bar.update(task, completed=done, total=whole)

        return go(space, platform, where, best, front, sample, executor, folder, progress)


def _write(found: Sweep, file: Path) -> None:
    table = found.table()
    if file.suffix == ".parquet":
        try:
            import pyarrow
            from pyarrow import parquet
        except ModuleNotFoundError:
            raise DataError(
                "a Parquet file needs the package pyarrow: pip install 'nn-costmodel[sweep]', or "
                "name a .csv file"
            ) from None
        parquet.write_table(pyarrow.table(dict(table)), file)
    else:
        with open(file, "w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(table)
            writer.writerows(zip(*(column.tolist() for column in table.values()), strict=True))
    typer.echo(f"wrote {len(found)} variants to {file}", err=True)


def _draw(found: Sweep, file: Path) -> None:
    from costmodel.plots import swept

    figure = swept(found).get_figure(root=True)
    if figure is not None:
        figure.savefig(file)
    typer.echo(f"wrote {file}", err=True)


def _print(found: Sweep) -> None:
    from rich.table import Table

    from costmodel.cli.console import stdout
    from costmodel.report.text import count, seconds

    console = stdout()
    table = Table(box=None, pad_edge=False)
    for heading in ("latency", "multiply-adds", "parameters", "variant"):
        table.add_column(heading, justify="right" if heading != "variant" else "left")
    columns = found.columns
    for row in range(min(SHOWN, len(found))):
        said = ", ".join(f"{name}={value}" for name, value in found.variant(row).items())
        table.add_row(
            seconds(float(columns["latency"][row])),
            count(int(columns["multiply_adds"][row])),
            count(int(columns["params"][row])),
            said,
        )
    console.print(table)
    console.print(
        f"{found.space.name} on {found.platform}: {len(found):,} kept of {found.seen:,} predicted; "
        f"the space has {found.space.count:,} variants"
    )


def _document(found: Sweep) -> dict[str, Any]:
    from costmodel.prediction import LABEL
    from costmodel.report import document

    table = found.table()
    rows = zip(*(column.tolist() for column in table.values()), strict=True)
    return document(
        "sweep",
        label=LABEL,
        space=found.space.name,
        platform=found.platform,
        variants=found.space.count,
        predicted=found.seen,
        columns=list(table),
        rows=[list(row) for row in rows],
    )
