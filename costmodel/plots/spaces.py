"""A design space: latency against multiply-adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from costmodel.plots.style import STYLES, axes, time_scale
from costmodel.prediction.latency import latencies
from costmodel.spaces import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_INTERVALS = 50
"""Variants whose intervals are drawn: of more they would hide each other. [1]"""


def swept(found: Sweep, ax: Axes | None = None) -> Axes:
    """Draw the variants that a sweep kept: latency against multiply-adds.

    Of up to 50 variants the intervals are drawn, too.

    Parameters
    ----------
    found : Sweep
        From :func:`costmodel.sweep`.
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> import costmodel as cm
    >>> found = cm.sweep(cm.find_space("mobilenet_v2"), "rk3399/tflite", sample=8)
    >>> swept(found, Figure().add_subplot()).get_xlabel()
    'multiply-adds (M)'
    """
    ax = axes(ax)
    unit, name = time_scale(found.columns["latency"].tolist())
    style = STYLES[0]
    if 0 < len(found) <= _MOST_INTERVALS:
        numbers = found.columns["variant"].tolist()
        graphs = [found.space.graph(number) for number in numbers]
        ends = np.array([p.interval for p in latencies(graphs, found.platform)])
        ax.vlines(
            found.columns["multiply_adds"] / 1e6,
            ends[:, 0] / unit,
            ends[:, 1] / unit,
            color=style.color,
            alpha=0.4,
            linewidth=1,
        )
    ax.plot(
        found.columns["multiply_adds"] / 1e6,
        found.columns["latency"] / unit,
        linestyle="none",
        marker=style.marker,
        color=style.color,
        markersize=3,
    )
    ax.set_xlabel("multiply-adds (M)")
    ax.set_ylabel(f"predicted latency ({name})")
    ax.set_title(f"{found.space.name} on {found.platform}", fontsize="medium")
    return ax
