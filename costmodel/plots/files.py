"""Figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.errors import DataError, missing

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes


def check_file(file: Path) -> None:
    """Refuse a file that no figure can be written to.

    Raises
    ------
    DataError
        If matplotlib writes no files of its suffix.
    MissingPackageError
        If matplotlib is not installed.

    Examples
    --------
    >>> check_file(Path("figure.doc"))
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: figure.doc: a figure's file must end in .png, .svg, .pdf or ...
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise missing(error, "a figure") or error from None
    known = FigureCanvasBase.get_supported_filetypes()
    if file.suffix.lower().removeprefix(".") not in known:
        raise DataError(
            f"{file}: a figure's file must end in .png, .svg, .pdf or another suffix of matplotlib"
        )


def write(ax: Axes, file: Path) -> None:
    """Write the figure of some axes to a file, and close it."""
    from matplotlib import pyplot

    figure = ax.get_figure(root=True)
    if figure is not None:
        figure.savefig(file)
        pyplot.close(figure)
