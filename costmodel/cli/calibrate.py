"""``costmodel calibrate``: fit a platform to measurements, from a table or made now."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from costmodel.cli.completion import complete_platform
from costmodel.cli.unused import refuse_unused
from costmodel.errors import DataError

if TYPE_CHECKING:
    from costmodel.calibration.measurement import Measurement

MEASURERS = "costmodel.measurers"
"""Entry points of this group measure; ``design`` is called with a backend and a platform."""
Measured: TypeAlias = "tuple[str, Sequence[Measurement], Mapping[str, str]]"
"""A measurer returns the platform, the rows and their provenance."""


def calibrate(
    measurements: Annotated[
        Path | None,
        typer.Argument(help="CSV or Parquet: network, seconds, batch, dtype, threads ..."),
    ] = None,
    platforms: Annotated[
        list[str] | None,
        typer.Option(
            "--platform",
            "-p",
            metavar="PLATFORM",
            autocompletion=complete_platform,
            help="Measured platform; default with --backend: the backend's own. Give several "
            "platforms, or hardware only, to select the one that explains the rows best.",
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="Measure single operators on this backend now, such as torch."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="TOML file; default: the folder of calibrations that are found by name.",
        ),
    ] = None,
    design: Annotated[
        int | None,
        typer.Option(min=1, help="Print the N most informative measurements instead."),
    ] = None,
    keep_good: Annotated[
        bool, typer.Option("--keep-good", help="Skip bad rows instead of rejecting the table.")
    ] = False,
    as_is: Annotated[
        bool,
        typer.Option("--as-is", help="Accept times that seem to be in a unit other than seconds."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: the fit, and all rows, largest error first.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print all rows as CSV, largest error first.")
    ] = False,
) -> None:
    """Fit a platform to measured latencies.

    The result is a readable TOML file; pass it as --platform to the other commands. The rows with
    the largest errors are printed with their row numbers. Rows with other threads, or another dtype
    or layout, than the platform's are rejected.

    Example: costmodel calibrate t.csv -p host/torch-eager -o host.toml

    Example: costmodel calibrate t.csv -p rk3399/tflite -p rk3399/tflite-strict

    Example: costmodel calibrate t.csv -p raspberry-pi-4

    Example: costmodel calibrate --backend torch

    Example: costmodel calibrate --design 20 -p raspberry-pi-4/ncnn
    """
    from costmodel.cli.fitted import Output, fit_rows, fit_table

    if as_json and as_csv:
        raise typer.BadParameter("give one of --json and --csv")
    if output is not None and output.suffix != ".toml":
        raise DataError(
            f"--output must end in .toml, by which commands know a calibration, got {str(output)!r}"
        )
    shown = Output(output, "json" if as_json else "csv" if as_csv else "text", as_is)
    tried = [name for given in platforms or [] for name in _with_runtimes(given)]
    if len(tried) > 1 and (backend is not None or design is not None):
        raise DataError("several platforms are tried on a table: give one beside this option")
    unused = {"--keep-good": keep_good}
    if design is not None:
        form = "--json" if as_json else "--csv"
        unused |= {"--as-is": as_is, "--output": output is not None, form: as_json or as_csv}
        if measurements is not None:
            unused["the table"] = True
        refuse_unused(unused, "--design prints what to measure, and fits nothing")
    if backend is not None:
        refuse_unused(unused, "--backend measures by itself")
        if measurements is not None or design is not None:
            raise DataError("--backend measures by itself: give no table and no --design beside it")
        name, rows, provenance = _measure(backend, tried[0] if tried else None)
        fit_rows([name], rows, provenance, shown)
        return
    if not tried:
        raise DataError("name what was measured: --platform, such as host/torch-eager")
    if design is not None:
        from costmodel.calibration.design import design as choose

        for spec in choose(tried[0], design):
            typer.echo(spec)
        return
    if measurements is None:
        raise DataError("give a table of measurements, --backend, or --design N")
    fit_table(measurements, tried, shown, keep_good)


def _with_runtimes(platform: str) -> list[str]:
    """Return a platform, or hardware with each of its possible runtimes, keeping the settings."""
    from costmodel.hardware import hardware_names, load_hardware
    from costmodel.runtimes import load_runtime, runtime_names

    name, mark, query = platform.partition("?")
    if name not in (*hardware_names(), "host"):
        return [platform]
    kind = load_hardware(name).kind
    # The table of convolution algorithms names the kinds of hardware that a runtime supports.
    fitting = [r for r in runtime_names() if kind in load_runtime(r).algorithms]
    return [f"{name}/{runtime}{mark}{query}" for runtime in fitting]


def _measure(backend: str, platform: str | None) -> Measured:
    """Measure the designed operators with the package that registered for measuring."""
    for entry in entry_points(group=MEASURERS, name="design"):
        measure: Callable[[str, str | None], Measured] = entry.load()
        return measure(backend, platform)
    raise DataError(
        "no package that measures is installed: give a table of measurements, or install the "
        "project with its package validation"
    )
