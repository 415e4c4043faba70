"""``costmodel calibrate``: fit a platform to a table of measurements."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    measurements: Annotated[
        Path, typer.Argument(help="CSV or Parquet: network, seconds, batch, dtype, threads ...")
    ],
    platform: Annotated[
        str,
        typer.Option("--platform", "-p", metavar="PLATFORM", help="What was measured."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where the TOML file goes.")
    ],
    keep_good: Annotated[
        bool, typer.Option("--keep-good", help="Leave out bad rows instead of refusing the table.")
    ] = False,
) -> None:
    """Fit a platform to measured latencies.

    The result is readable TOML; give it as --platform to the other commands.

    Example: costmodel calibrate t.csv -p host/torch-eager -o host.toml
    """
    from costmodel.calibration import calibrate as fit
    from costmodel.cli.console import stdout, working
    from costmodel.measurement import read_measurements
    from costmodel.report.text import share

    rows, bad = read_measurements(measurements, keep_good)
    for row in bad:
        typer.echo(f"left out row {row.row}: {row.reason}", err=True)
    with working(f"fitting {len(rows)} rows"):
        result = fit(rows, platform, {"file": measurements.name})
    result.save(output)
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
