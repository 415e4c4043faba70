"""The roofline of a platform with the kernels of a network under it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from costmodel.errors import DataError
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.plots.style import as_predictions, axes, style_of_kind
from costmodel.prediction import KernelTime, Prediction
from costmodel.units import format_si

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LARGEST = 500.0
"""Area of the marker of a kernel that takes all the time. [point^2]"""
_SMALLEST = 10.0


def roofline(prediction: Prediction, ax: Axes | None = None) -> Axes:
    r"""Draw the kernels of a network under the datasheet's roofline of its platform.

    .. math:: \text{FLOP/s} \le \min(\text{peak}, \text{intensity} \cdot \text{bandwidth})

    Parameters
    ----------
    prediction : Prediction
        Of a concrete network (see :func:`costmodel.latency`).
    ax : Axes, optional
        Where to draw, by default on a new figure.

    Returns
    -------
    Axes
        Arithmetic intensity [FLOP/byte] against speed [FLOP/s], two FLOPs a multiply-add and one an
        elementwise operation. The area of a marker is the kernel's share of the device time.

    Raises
    ------
    DataError
        If the kernels have no numbers, or compute nothing.

    Notes
    -----
    Speeds are predicted, fixed cost of the kernel included. A kernel whose tensors are still in
    cache may lie above the slope, which is that of main memory. Kernels that compute nothing
    (copies) have no place here: their share of the time is written into the figure.

    References
    ----------
    :cite:t:`williams2009roofline`

    Examples
    --------
    >>> import costmodel as cm
    >>> from matplotlib.figure import Figure
    >>> p = cm.latency(cm.zoo.shufflenet_v2(), "gtx-1080-ti/paper")
    >>> roofline(p, Figure().add_subplot()).get_xlabel()
    'arithmetic intensity [FLOP/byte]'
    """
    (prediction,) = as_predictions([prediction])
    points = {k: _place(k) for k in prediction.kernels}
    shown = {k: place for k, place in points.items() if place[1] > 0}
    if not shown:
        raise DataError(f"{prediction.network} computes nothing: there is no roofline to draw")
    ax = axes(ax, width=7.6)
    device = float(prediction.device_seconds)
    for kind in dict.fromkeys(k.kernel.kind for k in shown):
        kernels = [k for k in shown if k.kernel.kind == kind]
        style = style_of_kind(kind)
        share = sum(float(k.seconds) for k in kernels) / device
        ax.scatter(
            [shown[k][0] for k in kernels],
            [shown[k][1] for k in kernels],
            s=[_SMALLEST + _LARGEST * float(k.seconds) / device for k in kernels],
            marker=style.marker,
            facecolor=style.color,
            edgecolor="black",
            linewidth=0.5,
            alpha=0.8,
            label=f"{kind} ({100 * share:.0f} %)",
            zorder=3,
        )
    rest = 1 - sum(float(k.seconds) for k in shown) / device
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="arithmetic intensity [FLOP/byte]",
        ylabel="predicted speed [FLOP/s]",
        title=f"{prediction.network} on {prediction.platform}",
    )
    _roof(ax, prediction, [x for x, _ in shown.values()])
    title = "kind of kernel (share of time)"
    legend: Any = ax.legend(
        title=title + (f"\ncopies, not shown ({100 * rest:.0f} %)" if rest > 0.005 else ""),
        fontsize="small",
        title_fontsize="small",
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
    )
    for handle in legend.legend_handles:
        if hasattr(handle, "set_sizes"):  # of markers, not of the roof
            handle.set_sizes([40.0])
    ax.grid(visible=True, which="major", linewidth=0.4, alpha=0.6)
    return ax


def _place(k: KernelTime) -> tuple[float, float]:
    """Return intensity [FLOP/byte] and speed [FLOP/s] of a kernel."""
    try:
        operations = float(2 * k.kernel.multiply_adds + k.kernel.elementwise)
        return operations / max(float(k.kernel.bytes), 1.0), operations / float(k.seconds)
    except TypeError:
        raise DataError(
            f"kernel {k.kernel.name!r} has sizes that are no numbers; draw a concrete network"
        ) from None


def _roof(ax: Axes, prediction: Prediction, intensities: list[float]) -> None:
    machine = machine_for(load_platform(prediction.platform), prediction.kernels[0].kernel.dtype)
    peak = 2 * machine.multiply_adds
    ridge = peak / machine.bandwidth
    x = np.geomspace(min(*intensities, ridge) / 3, max(*intensities, ridge) * 8, 200)
    ax.plot(
        x,
        np.minimum(peak, x * machine.bandwidth),
        color="black",
        linewidth=1.5,
        zorder=2,
        label=f"{format_si(machine.bandwidth, 'B/s')}, {format_si(peak, 'FLOP/s')}",
    )
    ax.set_ylim(top=peak * 2.5)
