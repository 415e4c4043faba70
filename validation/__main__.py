"""Check the claims of the project: score, reproduce, coverage, speed and others."""

from __future__ import annotations

from costmodel.cli.ending import end_when_interrupted, run_program

if __name__ == "__main__":  # before the imports that take time
    end_when_interrupted("validation")

import typer

from costmodel.cli.group import OnceCommand, PlainGroup

from .cli import measure, validate
from .coverage.command import coverage
from .fuzz.command import fuzz
from .kills import kills
from .mutants.command import mutants
from .onnx_nodes import onnx_nodes
from .rewritten import advice
from .scores.command import score
from .scores.priors import priors
from .scores.reproduce import reproduce
from .scores.ship import calibrations
from .scores.simulated import neon_priors
from .speed import speed

app = typer.Typer(
    name="python -m validation",
    cls=PlainGroup,
    no_args_is_help=True,
    add_completion=False,
    help=__doc__,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
COMMANDS = (
    measure,
    validate,
    score,
    reproduce,
    calibrations,
    priors,
    neon_priors,
    speed,
    coverage,
    fuzz,
    kills,
    mutants,
    onnx_nodes,
    advice,
)
for command in COMMANDS:
    app.command(cls=OnceCommand)(command)

if __name__ == "__main__":
    run_program(lambda: app, "validation")
