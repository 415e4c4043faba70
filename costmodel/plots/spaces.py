"""A design space: latency against multiply-adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costmodel.plots.style import STYLES, axes, time_scale
from costmodel.spaces import Sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def swept(found: Sweep, ax: Axes | None = None) -> Axes:
    """Draw the variants that a sweep kept: latency against multiply-adds.

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
    ax.plot(
        found.columns["flops"] / 1e6,
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
