"""The application: its commands, and the options that all of them share."""

from __future__ import annotations

from typing import Annotated

import typer

from costmodel.cli.advise import advise
from costmodel.cli.calibrate import calibrate
from costmodel.cli.compare import compare
from costmodel.cli.formula import formula
from costmodel.cli.group import CommandGroup, OnceCommand
from costmodel.cli.platforms import platforms
from costmodel.cli.report import report
from costmodel.cli.solve import solve
from costmodel.cli.sweep import sweep
from costmodel.cli.whatif import whatif
from costmodel.cli.zoo import zoo

app = typer.Typer(
    name="costmodel",
    cls=CommandGroup,
    no_args_is_help=True,
    # Help and errors are plain text, because boxes disturb pipes, logs and screen readers.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=OnceCommand)(report)
app.command(cls=OnceCommand)(formula)
app.command(cls=OnceCommand)(advise)
app.command(cls=OnceCommand)(compare)
app.command(cls=OnceCommand)(whatif)
app.command(cls=OnceCommand)(solve)
app.command(cls=OnceCommand)(sweep)
app.command(cls=OnceCommand)(calibrate)
app.add_typer(platforms, name="platforms")
app.command(cls=OnceCommand)(zoo)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"costmodel {version('nn-costmodel')}")
        except PackageNotFoundError:
            print("costmodel (not installed: run from its sources)")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Cost models of neural networks: FLOPs, MAC, bounds, parallelism, latency.

    MAC is memory access cost; a multiply-add is two FLOPs.

    NETWORK is a name of the zoo with parameters ("shufflenet_v2?width=1.5&size=224"), model.onnx,
    graph.json, or python:module:callable that returns a torch module or a graph.

    PLATFORM is hardware/runtime with settings, such as "rk3399/ncnn?threads=2", or a file written
    by calibrate.

    Exit codes: 0 done, 1 findings, 2 bad input, 130 interrupted.
    """
