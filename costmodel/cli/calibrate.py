"""``costmodel calibrate``: fit a platform to a table of measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from costmodel.errors import DataError


def calibrate(
    platform: Annotated[
        str,
        typer.Option("--platform", "-p", metavar="PLATFORM", help="What was measured."),
    ],
    measurements: Annotated[
        Path | None,
        typer.Argument(help="CSV or Parquet: network, seconds, batch, dtype, threads ..."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the TOML file goes; by default to the calibrations that are found by name.",
        ),
    ] = None,
    design: Annotated[
        int | None,
        typer.Option(min=1, help="Print the N most informative measurements instead."),
    ] = None,
    keep_good: Annotated[
        bool, typer.Option("--keep-good", help="Leave out bad rows instead of refusing the table.")
    ] = False,
) -> None:
    """Fit a platform to measured latencies.

    The result is readable TOML; give it as --platform to the other commands.

    Example: costmodel calibrate t.csv -p host/torch-eager -o host.toml

    Example: costmodel calibrate --design 20 -p raspberry-pi-4/ncnn
    """
    if design is not None:
        from costmodel._design import design as choose

        for spec in choose(platform, design):
            typer.echo(spec)
        return
    if measurements is None:
        raise DataError("give a table of measurements, or --design N")
    fit_table(measurements, platform, output, keep_good)


def fit_table(measurements: Path, platform: str, output: Path | None, keep_good: bool) -> None:
    """Fit ``platform`` to a table, write the result and say what it rests on."""
    from costmodel.calibration import calibrate as fit
    from costmodel.cli.console import stdout, working
    from costmodel.measurement import read_measurements
    from costmodel.report.text import share

    rows, bad = read_measurements(measurements, keep_good)
    for row in bad:
        typer.echo(f"left out row {row.row}: {row.reason}", err=True)
    with working(f"fitting {len(rows)} rows"):
        result = fit(rows, platform, {"file": measurements.name})
    output = result.save(output)
    console = stdout()
    console.print(
        f"{result.platform.name}: {len(rows)} rows fitted, "
        f"median error {share(result.median_error)}"
    )
    if result.undetermined:
        console.print(f"not determined by these rows: {', '.join(result.undetermined)}")
    if result.at_bounds:
        console.print(f"at a physical limit, look again: {', '.join(result.at_bounds)}")
    console.print(f"wrote {output}")
