"""Output of ``costmodel calibrate``: the fit, its file, the rows with the largest errors."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import typer

from costmodel.calibration import Calibration, calibrate
from costmodel.calibration.measurement import Measurement
from costmodel.calibration.residuals import Residual, residuals_of
from costmodel.cli.console import print_json, stdout, working
from costmodel.errors import DataError
from costmodel.report.terminal import table
from costmodel.report.text import number_of, share
from costmodel.units import format_si

WORST = 8
"""Number of rows in the text output."""
_LITTLE = 0.05
"""Weight below which the rows taught next to nothing. [1]"""


@dataclass(frozen=True)
class Output:
    """The destination and the form of a calibration's output.

    Parameters
    ----------
    file : Path, optional
        The TOML file; None for the folder of calibrations that are found by name.
    form : {"text", "json", "csv"}
        Form of the printed output.
    as_is : bool
        As in :func:`costmodel.calibrate`.
    """

    file: Path | None
    form: Literal["text", "json", "csv"]
    as_is: bool


def fit_table(
    measurements: Path, platforms: Sequence[str], output: Output, keep_good: bool
) -> None:
    """Fit the best of ``platforms`` to a table, write the result and print its basis."""
    from costmodel.calibration.conditions import check_conditions
    from costmodel.calibration.measurement import read_measurements
    from costmodel.platforms import load_platform

    wanted = [load_platform(platform, calibrated=False) for platform in platforms]
    rows, bad = read_measurements(measurements, keep_good)
    if keep_good:
        for where in wanted:
            others = check_conditions(rows, where)
            bad += others
            left_out = {row.row for row in others}
            rows = [row for row in rows if row.row not in left_out]
    for row in sorted(bad, key=lambda row: row.row):
        typer.echo(f"left out row {row.row}: {row.reason}", err=True)
    fit_rows(platforms, rows, {"file": measurements.name}, output)


def fit_rows(
    platforms: Sequence[str],
    rows: Sequence[Measurement],
    provenance: Mapping[str, str],
    output: Output,
) -> None:
    """Fit the best of ``platforms`` to rows, write the result and show it."""
    what = platforms[0] if len(platforms) == 1 else platforms
    try:
        with working(f"fitting {len(rows)} rows"):
            result = calibrate(rows, what, provenance, output.as_is)
    except DataError as error:
        if "file" in provenance:
            raise DataError(f"{provenance['file']}: {error}") from None
        raise
    file = result.save(output.file)
    residuals = residuals_of(result, rows)
    if output.form == "json":
        print_json(_document(result, residuals, file))
    elif output.form == "csv":
        _print_csv(residuals)
    else:
        _print_text(result, residuals, file)


def _print_text(result: Calibration, residuals: Sequence[Residual], file: Path) -> None:
    console = stdout()
    for tried in result.tried:
        console.print(
            f"tried {tried.platform}: rows left out are {share(tried.error)} off in the mean, "
            f"rank correlation {tried.rank:.3f}"
        )
    console.print(
        f"{result.platform.name}: {number_of(len(residuals), 'row')} fitted, "
        f"median error {share(result.median_error)}"
    )
    if result.weight < 1:
        console.print(_said_of(result.weight))
    if result.undetermined:
        console.print(f"not determined by these rows: {', '.join(result.undetermined)}")
    if result.at_bounds:
        console.print(f"at a physical limit, look again: {', '.join(result.at_bounds)}")
    outliers = sum(residual.is_outlier for residual in residuals)
    if outliers:
        console.print(
            f"outliers, further off than the others explain: {number_of(outliers, 'row')}"
        )
    shown = residuals[:WORST]
    console.print(f"the rows that fit worst, {len(shown)} of {len(residuals)} (--csv has all):")
    rows = table(console, "row", "network", "measured", "predicted", "ratio", "sigmas", left=2)
    for r in shown:
        times = (format_si(r.measured, "s"), format_si(r.predicted, "s"))
        rows.add_row(str(r.row), _name(r), *times, f"{r.ratio:.2f}", _sigmas(r))
    console.print(rows)
    console.print(f"wrote {file}")


def _said_of(weight: float) -> str:
    """Return the sentence about a weight below 1."""
    said = f"weight of the rows against the priors: {weight:.2g}, which predicts rows left out best"
    return said + (": the rows taught next to nothing" if weight < _LITTLE else "")


def _name(r: Residual) -> str:
    return r.network + (" (among others)" if r.between else "")


def _sigmas(r: Residual) -> str:
    return "-" if r.sigmas is None else f"{r.sigmas:.1f}"


def _document(result: Calibration, residuals: Sequence[Residual], file: Path) -> dict[str, Any]:
    from costmodel.report import document

    return document(
        "calibration",
        platform=result.platform.name,
        file=str(file),
        rows=len(residuals),
        median_error=result.median_error,
        weight=result.weight,
        undetermined=list(result.undetermined),
        at_bounds=list(result.at_bounds),
        tried=[asdict(tried) for tried in result.tried],
        residuals=[{**asdict(r), "outlier": r.is_outlier} for r in residuals],
    )


def _print_csv(residuals: Sequence[Residual]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns = ("row", "network", "between", "measured", "predicted", "ratio", "sigmas", "outlier")
    writer.writerow(columns)
    for r in residuals:
        sigmas = "" if r.sigmas is None else repr(r.sigmas)
        numbers = (repr(r.measured), repr(r.predicted), repr(r.ratio), sigmas)
        writer.writerow((r.row, r.network, r.between, *numbers, int(r.is_outlier)))
