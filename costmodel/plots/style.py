"""Common parts of all figures: new axes, colours with markers and hatches, units of times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import networkx as nx

from costmodel.errors import DataError, missing
from costmodel.kinds import complete
from costmodel.prediction import Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Style(NamedTuple):
    """The style of one series: a colour, and a distinction without colour."""

    color: str
    marker: str
    hatch: str
    line: str | tuple[int, tuple[int, ...]]


# Okabe and Ito's colours, which colour-blind readers can distinguish, from dark to light.
STYLES = (
    Style("#0072B2", "o", "", "-"),
    Style("#E69F00", "s", "////", "--"),
    Style("#009E73", "D", "....", "-."),
    Style("#CC79A7", "^", "xxxx", ":"),
    Style("#56B4E9", "v", "----", (0, (5, 1))),
    Style("#D55E00", "P", "\\\\\\\\", (0, (3, 1, 1, 1))),
    Style("#F0E442", "X", "++++", (0, (1, 3))),
    Style("#999999", "*", "||||", (0, (8, 2))),
    Style("#000000", "<", "oooo", (0, (2, 2))),
    Style("#FFFFFF", ">", "**", (0, (6, 1, 1, 1, 1, 1))),
)
"""Styles of series, in order."""

_PLACES: Mapping[str, int] = complete(
    {
        "pointwise": 0,
        "convolution": 1,
        "grouped": 2,
        "depthwise": 3,
        "linear": 4,
        "elementwise": 5,
        "batch_norm": 6,
        "copy": 7,
        "matmul": 8,
        "pool": 9,
        "attention": 10,
        "recurrent": 11,
        "max_pool": 12,
        "norm": 13,
        "softmax": 14,
        "gather": 15,
        "resample": 16,
    },
    "plot styles",
)
"""The place of each kind of kernel among the styles: those that meet in one figure come first."""

SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
"""Units of time, largest first."""
_MANY = 1e3
"""Range of a logarithmic axis beyond which only powers of ten have labels. [1]"""


def style_of_kind(kind: str) -> Style:
    """Return the style of a kind of kernel, the same in all figures.

    Examples
    --------
    >>> style_of_kind("pointwise") == style_of_kind("depthwise")
    False
    """
    turns, place = divmod(_PLACES[kind], len(STYLES))
    style = STYLES[place]
    # Past the last style: the colours again, each with the marker and hatch of another.
    other = STYLES[(place + 3) % len(STYLES)]
    return style._replace(marker=other.marker, hatch=other.hatch) if turns else style


def time_scale(seconds: Iterable[float]) -> tuple[float, str]:
    """Return the unit in which the largest of some times is at least 1: its seconds, its name.

    Examples
    --------
    >>> time_scale([2e-5, 8e-4])
    (1e-06, 'µs')
    """
    largest = max(seconds, default=0.0)
    return next((unit for unit in SCALES if largest >= unit[0]), SCALES[-1])


def axes(ax: Axes | None, width: float = 6.4, height: float = 4.0) -> Axes:
    """Return ``ax``, or the axes of a new figure of ``width`` by ``height`` [inch]."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise missing(error, "a figure") or error from None
    made: Axes = plt.subplots(figsize=(width, height), layout="constrained")[1]
    return made


def plain_log(ax: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic with labels such as 0.5, 1, 2: as many as its range has room for."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = ax.get_xlim() if which == "x" else ax.get_ylim()
    (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    axis = ax.xaxis if which == "x" else ax.yaxis
    few = high / low > _MANY
    axis.set_major_locator(LogLocator(10, subs=(1.0,) if few else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def as_predictions(given: Prediction | Sequence[Prediction]) -> list[Prediction]:
    """Return one or several predictions as a list.

    Raises
    ------
    DataError
        If one is something else.
    """
    found = [given] if isinstance(given, Prediction) else given
    needed(found, Sequence, _PREDICTION)
    for prediction in found:
        needed(prediction, Prediction, _PREDICTION)
    return list(found)


_PREDICTION = "a prediction, as costmodel.latency(graph, platform) returns it"
_GRAPH = "an op graph, as costmodel.network returns it"


def needed(given: object, wanted: type, words: str) -> None:
    """Reject an object that a figure cannot draw, and state the accepted ones.

    Raises
    ------
    DataError
        If ``given`` is no ``wanted``.

    Examples
    --------
    >>> needed(3, str, "a name")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: this figure takes a name, not int
    """
    if not isinstance(given, wanted):
        raise DataError(f"this figure takes {words}, not {type(given).__name__}")


def as_graphs(given: object) -> dict[str, nx.DiGraph]:
    """Return one graph, or several by name, as graphs by name.

    Raises
    ------
    DataError
        If it is something else.
    """
    if isinstance(given, Mapping) and not isinstance(given, nx.DiGraph):
        for graph in given.values():
            needed(graph, nx.DiGraph, _GRAPH)
        return dict(given)
    needed(given, nx.DiGraph, f"{_GRAPH}, or several by name")
    return {"": given}
