"""Times of one kind beside those of another: predicted, simulated, measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from costmodel.errors import DataError
from costmodel.plots.comparisons import scatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def agreement(
    predicted: Sequence[float],
    simulated: Sequence[float] | None = None,
    measured: Sequence[float] | None = None,
    intervals: Sequence[tuple[float, float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw predicted and simulated times against measured ones, or predicted against simulated.

    Parameters
    ----------
    predicted : sequence of float
        One time for each network or kernel. [s]
    simulated, measured : sequence of float, optional
        Times of the same in the same order; one of both at least. Measured times, where given, are
        what the others are held against. [s]
    intervals : sequence of (float, float), optional
        Predicted intervals, drawn as bars. [s]
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Returns
    -------
    Axes
        Logarithmic in milliseconds; the legend has the mean absolute error of each kind of time,
        and the x axis says whether it is measured.

    Raises
    ------
    DataError
        If there is nothing to compare with, the sequences differ in length, or hold times that are
        not positive.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = agreement([1.1e-3, 2e-3], [0.8e-3, 2e-3], [1e-3, 2e-3], ax=Figure().add_subplot())
    >>> ax.get_legend_handles_labels()[1][:2]
    ['predicted, mean error 5 %', 'simulated, mean error 10 %']
    >>> ax.get_xlabel()
    'measured [ms]'
    """
    kinds = {"predicted": predicted}
    if measured is None:
        if simulated is None:
            raise DataError(
                "predicted times are compared with simulated or measured ones: give one"
            )
        against, label = simulated, "simulated, not measured"
    else:
        against, label = measured, "measured"
        if simulated is not None:
            kinds["simulated"] = simulated
    for kind, times in kinds.items():
        if len(times) != len(against):
            raise DataError(f"{len(times)} times are {kind}, {len(against)} are {label}")
    y = [time for times in kinds.values() for time in times]
    bars = None
    if intervals is not None:
        # a simulated time has none of the model's: its bar is the point itself
        bars = [*intervals, *((time, time) for time in y[len(predicted) :])]
    groups = [kind for kind, times in kinds.items() for _ in times]
    ax = scatter([*against] * len(kinds), y, bars, groups, ax)
    if measured is None:
        for handle in ax.get_legend_handles_labels()[0]:
            handle.set_label(str(handle.get_label()).replace("measured", "simulated"))
        ax.legend(fontsize="small")
    ax.set(xlabel=f"{label} [ms]", ylabel=f"{' or '.join(kinds)} [ms]")
    return ax
