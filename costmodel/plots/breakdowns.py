"""Parts of the time of networks, as stacked bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from costmodel.errors import DataError
from costmodel.plots.style import STYLES, Style, as_predictions, axes, style_of_kind, time_scale
from costmodel.prediction import KernelTime, Prediction

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TERMS = ("compute", "memory", "launch", "passes", "dispatch", "transfer", "fixed")
"""Terms of a kernel or a network, in the order of the bars."""
_OUTSIDE = ("dispatch", "transfer", "fixed")
"""The time that no kernel takes."""
_GREYS = {
    "dispatch": Style("#555555", "o", "xx", "-"),
    "transfer": Style("#AAAAAA", "o", "//", "-"),
    "fixed": Style("#EEEEEE", "o", "", "-"),
}


def breakdown(
    predictions: Prediction | Sequence[Prediction],
    by: Literal["kind", "term"] = "kind",
    ax: Axes | None = None,
) -> Axes:
    """Draw the parts of the predicted time of one or several networks.

    Parameters
    ----------
    predictions : Prediction or sequence of Prediction
        One bar each, of concrete networks.
    by : {"kind", "term"}
        Kinds of kernel, or the terms of the time model: arithmetic, traffic, fixed cost of kernels
        ("launch"), fused operators ("passes").
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Returns
    -------
    Axes
        One horizontal bar a network, its parts adding up to the predicted time, in the unit that
        fits.

    Raises
    ------
    DataError
        If there is no prediction.

    Notes
    -----
    Arithmetic and traffic of a kernel overlap: the time of both counts for the longer one, and so
    does what multipliers that were fitted add to it. Where
    the host dispatches more slowly than the device runs, the time that the device waits is
    "dispatch".

    Examples
    --------
    >>> import costmodel as cm
    >>> from matplotlib.figure import Figure
    >>> p = cm.latency(cm.zoo.shufflenet_v2(), "gtx-1080-ti/paper")
    >>> breakdown(p, "term", Figure().add_subplot()).get_xlabel()
    'predicted time [µs]'
    """
    found = as_predictions(predictions)
    if not found:
        raise DataError("there is nothing to draw: no predictions")
    spent = [_spent(p, by) for p in found]
    ax = axes(ax, height=1.4 + 0.5 * len(found))
    unit, name = time_scale(float(p.seconds) for p in found)
    left = [0.0] * len(found)
    for part in _order(spent):
        width = [times.get(part, 0.0) / unit for times in spent]
        style = _style(part)
        ax.barh(
            range(len(found)),
            width,
            left=left,
            height=0.6,
            color=style.color,
            hatch=style.hatch,
            edgecolor="black",
            linewidth=0.5,
            label=part,
        )
        left = [a + b for a, b in zip(left, width, strict=True)]
    ax.set_yticks(range(len(found)), _labels(found))
    ax.invert_yaxis()
    ax.set_xlabel(f"predicted time [{name}]")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize="small", frameon=False)
    return ax


def _terms(k: KernelTime) -> dict[str, float]:
    """Return the seconds of a kernel by term; arithmetic and traffic count for the longer one."""
    t = k.terms
    busy = "compute" if float(t.compute) >= float(t.memory) else "memory"
    return {
        "launch": float(t.launch),
        "passes": float(t.passes),
        busy: float(t.model) - float(t.launch) - float(t.passes),
        "bound": float(k.seconds) - float(t.model),
    }


def _spent(p: Prediction, by: str) -> dict[str, float]:
    """Return seconds by part; they add up to those of the network."""
    spent: dict[str, float] = {}
    for k in p.kernels:
        parts = {k.kernel.kind: float(k.seconds)} if by == "kind" else _terms(k)
        for part, seconds in parts.items():
            spent[part] = spent.get(part, 0.0) + seconds
    known = sum(spent.values()) + float(p.fixed) + float(p.transfer)
    spent |= {"transfer": float(p.transfer), "fixed": float(p.fixed)}
    # Except for rounding, the remaining time is waiting of the device for the host.
    waiting = float(p.seconds) - known
    spent["dispatch"] = waiting if waiting > 1e-9 * float(p.seconds) else 0.0
    return {part: seconds for part, seconds in spent.items() if seconds > 0}


def _order(spent: list[dict[str, float]]) -> list[str]:
    """Return the parts, the largest first; parts other than kernels come last."""
    totals: dict[str, float] = {}
    for times in spent:
        for part, seconds in times.items():
            totals[part] = totals.get(part, 0.0) + seconds
    return sorted(totals, key=lambda part: (part in _OUTSIDE, -totals[part]))


def _style(part: str) -> Style:
    """Return a style; parts other than kernels are grey, so that kinds keep the colours."""
    if part in _OUTSIDE:
        return _GREYS[part]
    return STYLES[TERMS.index(part)] if part in TERMS else style_of_kind(part)


def _labels(predictions: list[Prediction]) -> list[str]:
    """Return the names of the networks, with the platform if there are several."""
    if len({p.platform for p in predictions}) == 1:
        return [p.network for p in predictions]
    return [f"{p.network}\n{p.platform}" for p in predictions]
