"""Figures that commands write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from costmodel.plots.files import Axes


def check_figure_file(file: Path | None) -> None:
    """Reject a file that no figure can be written to, before anything is predicted.

    Raises
    ------
    CostModelError
        If there is a file and matplotlib cannot write it.
    """
    if file is not None:
        from costmodel.plots.files import check_file

        check_file(file)


def write_figure(ax: Axes, file: Path) -> None:
    """Write the figure of some axes to a file, and print its name."""
    from costmodel.plots.files import write

    write(ax, file)
    typer.echo(f"wrote {file}", err=True)
