"""Figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from costmodel.errors import DataError, missing
from costmodel.graph.writing import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes


def check_file(file: Path) -> None:
    """Refuse a file that no figure can be written to.

    Raises
    ------
    DataError
        If matplotlib writes no files of its suffix, or its folder does not exist.
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
    if not file.parent.is_dir():
        raise DataError(f"{file}: cannot be written: there is no folder {file.parent}")


def write(ax: Axes, file: Path) -> None:
    """Write the figure of some axes to a file, and close it.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    from matplotlib import pyplot

    figure = ax.get_figure(root=True)
    if figure is not None:
        with replacing(file) as half:
            figure.savefig(half, format=file.suffix.lower().removeprefix("."))
        pyplot.close(figure)
