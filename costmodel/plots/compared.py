"""Networks side by side, and a design space: latencies with their intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.comparison import Comparison
from costmodel.plots.style import STYLES, axes, time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def compared(comparison: Comparison, ax: Axes | None = None) -> Axes:
    """Draw the latency of each network on each platform as a point with its interval.

    Parameters
    ----------
    comparison : Comparison
        From :func:`costmodel.compare`.
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Returns
    -------
    Axes
        Platforms below each other; a marker and a line of the legend for each network.

    Examples
    --------
    >>> import costmodel as cm
    >>> from matplotlib.figure import Figure
    >>> found = cm.compare(["resnet18", "resnet50"], ["gtx-1080-ti/paper", "t4/torch-eager"])
    >>> ax = compared(found, ax=Figure().add_subplot())
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['gtx-1080-ti/paper', 't4/torch-eager']
    """
    entries = comparison.entries
    platforms = list(dict.fromkeys(e.platform for e in entries))
    networks = list(dict.fromkeys(e.network for e in entries))
    ax = axes(ax, 6.4, 1.4 + 0.3 * len(entries))
    unit, name = time_scale([float(e.prediction.seconds) for e in entries])
    for i, network in enumerate(networks):
        style = STYLES[i % len(STYLES)]
        own = [e for e in entries if e.network == network]
        heights = [
            platforms.index(e.platform) + (i - (len(networks) - 1) / 2) * 0.8 / len(networks)
            for e in own
        ]
        x = [float(e.prediction.seconds) / unit for e in own]
        ends = [e.prediction.interval or (0.0, 0.0) for e in own]
        low, high = ([float(end[j]) / unit for end in ends] for j in (0, 1))
        ax.hlines(heights, low, high, color=style.color, linewidth=1.5)
        ax.plot(
            x,
            heights,
            linestyle="none",
            marker=style.marker,
            color=style.color,
            markeredgecolor="black",
            label=network,
        )
    ax.set_xscale("log")
    ax.set_yticks(range(len(platforms)), platforms)
    ax.invert_yaxis()
    ax.set_xlabel(f"predicted latency ({name})")
    ax.legend(fontsize="small")
    return ax
