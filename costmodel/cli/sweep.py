"""``costmodel sweep``: the variants of a design space, filtered and ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from costmodel.cli.given import DimOption, InputOption
from costmodel.cli.networks import JsonOption, ended_by
from costmodel.cli.unused import refuse_unused
from costmodel.errors import DataError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import numpy as np
    from rich.console import Console

    from costmodel.spaces import Sweep

SHOWN = 10
"""Variants that are printed; a file and JSON contain all that are kept."""


def sweep(
    space: Annotated[
        str,
        typer.Argument(
            metavar="SPACE", help="A space, or a network with --choose.", show_default=False
        ),
    ],
    platform: Annotated[
        str,
        typer.Option(
            "--platform", "-p", metavar="PLATFORM", help="Hardware/runtime, or a calibration file."
        ),
    ],
    choose: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=V,V,...",
            help="Values of a parameter, such as width=0.5,1.0; of an open size, batch=1,2,4; of "
            "a width, c1=16,24,32 (named as by solve --widths).",
        ),
    ] = None,
    where: Annotated[
        str,
        typer.Option(metavar="CONDITIONS", help='Such as "flops<300e6 and latency<0.01".'),
    ] = "",
    best: Annotated[
        int | None, typer.Option(min=1, help="Number of the fastest variants to keep.")
    ] = None,
    pareto: Annotated[
        str | None,
        typer.Option(metavar="COLUMNS", help="Keep the Pareto front: latency,params ..."),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Number of variants drawn at random.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes.")] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Use a Dask cluster, such as tcp://host:8786."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A .csv or .parquet file."),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Store finished chunks in this folder and resume from it."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw latency against multiply-adds.")
    ] = None,
    inputs: InputOption = None,
    dims: DimOption = None,
    json: JsonOption = False,
) -> None:
    """Predict all variants of a design space; filter and rank them.

    Columns: latency [s], multiply_adds, flops (2 each), params and mac [element].

    Example: costmodel sweep nasbench201 -p rk3399/tflite --sample 500 --best 20

    Example: costmodel sweep shufflenet_v2 -p rk3399/tflite --where "multiply_adds<150e6"
    --pareto latency,params -o front.parquet

    Example: costmodel sweep mobilenet_v1 -p rk3399/tflite --choose width=0.5,0.75,1.0
    --choose size=128,160,192,224

    Example: costmodel sweep model.onnx -p raspberry-pi-4/ncnn --choose batch=1,2,4
    --choose c1=16,24,32 --best 20
    """
    from costmodel.cli.console import print_json, safe_console
    from costmodel.cli.drawing import check_figure_file, write_figure
    from costmodel.cli.given import parse_dims, parse_inputs
    from costmodel.spaces import find_space
    from costmodel.spaces import sweep as go
    from costmodel.spaces.sweeping import with_choices
    from costmodel.spaces.writing import rows_to

    check_figure_file(plot)
    if scheduler is not None:
        refuse_unused({"--workers": workers > 1}, "--scheduler uses the workers of its cluster")
    with ended_by(space):
        place = find_space(space, _choices(choose), parse_inputs(inputs), parse_dims(dims))
    front = tuple(part.strip() for part in pareto.split(",")) if pareto else ()
    # Variants are written to the file as they come, because all may not fit into memory.
    every = output is not None and best is None and not front and not json and plot is None
    written = 0
    with ExitStack() as stack:
        write = stack.enter_context(rows_to(output)) if output is not None else None

        def each(rows: dict[str, np.ndarray]) -> None:
            nonlocal written
            written += len(rows["variant"])
            if write is not None:
                write(with_choices(place, rows))

        with _executor(workers, scheduler) as executor, _progress(safe_console(stderr=True)) as bar:
            found = go(
                place,
                platform,
                where,
                SHOWN if every else best,
                front,
                sample,
                executor,
                resume,
                bar,
                each if every else None,
            )
        if write is not None and not every:
            written = len(found)
            write(found.table())
    if output is not None:
        from costmodel.report.text import number_of

        typer.echo(f"wrote {number_of(written, 'variant')} to {output}", err=True)
    if plot is not None:
        from costmodel.plots import swept

        write_figure(swept(found), plot)
    if json:
        print_json(_document(found))
    else:
        _print(found, written if every else len(found))


def _choices(texts: Sequence[str] | None) -> dict[str, tuple[str, ...]]:
    found = {}
    for text in texts or ():
        name, equals, values = text.partition("=")
        parts = tuple(part for part in values.split(",") if part)
        if not (name and equals and parts):
            raise DataError(f"choices must be NAME=VALUE,VALUE,..., got {text!r}")
        if name in found:
            raise DataError(f"--choose {name!r} is given twice")
        found[name] = parts
    return found


@contextmanager
def _executor(workers: int, scheduler: str | None) -> Iterator[Executor | None]:
    """Yield the executor of the chunks; None for this process."""
    if scheduler is not None:
        try:
            from distributed import Client
        except ModuleNotFoundError:
            raise DataError(
                "a cluster needs the package distributed: pip install 'nn-costmodel[cluster]', or "
                "use --workers"
            ) from None
        try:
            client = Client(scheduler)
        except (OSError, ValueError) as error:
            raise DataError(f"no Dask scheduler answers at {scheduler!r}: {error}") from None
        with client:
            yield client.get_executor(pure=False)
    elif workers > 1:
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor(workers) as executor:
            yield executor
    else:
        yield None


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[int, int], None]]:
    """Show the number of finished variants and the remaining time, on terminals."""
    from rich.progress import Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.completed:,} of {task.total:,} variants"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=None)
        yield lambda done, whole: bar.update(task, completed=done, total=whole)


def _print(found: Sweep, kept: int) -> None:
    from rich.table import Table

    from costmodel.cli.console import stdout
    from costmodel.report.text import count, number_of, seconds

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
        f"{found.space.name} on {found.platform}: {kept:,} kept of {found.seen:,} predicted; "
        f"the space has {number_of(found.space.count, 'variant')}"
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
