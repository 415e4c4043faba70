"""Comparisons as a figure: predicted, and simulated if possible, against measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from costmodel.errors import DataError
from costmodel.platforms import load_platform

from ..backends import load_backend
from ..backends.arm import ArmBackend
from ..errors import MeasuringError
from ..measuring.backend import Backend
from ..measuring.campaign import Campaign
from ..measuring.clock import Timing
from .compare import Comparison

_KINDS = (".pdf", ".png", ".svg")


def check_figure(path: Path) -> None:
    """Refuse a file that no figure can be written to, before anything is measured.

    Raises
    ------
    DataError
    """
    if path.suffix not in _KINDS:
        raise DataError(f"--plot {path}: a figure is one of {', '.join(_KINDS)}")
    if not path.parent.is_dir():
        raise DataError(f"--plot {path}: there is no folder {path.parent}")


def write_figure(path: Path, compared: Sequence[Comparison], campaign: Campaign) -> str:
    """Draw networks as a scatter of times, and say what is drawn.

    Networks that the project's own kernels ran on a board whose core can be simulated at its clock
    are simulated, too.

    Parameters
    ----------
    path : Path
        Is replaced.
    compared : sequence of Comparison
        Networks.
    campaign : Campaign
        What ran them.
    """
    from costmodel.plots import agreement  # slow to import
    from costmodel.plots.files import write

    backend = campaign.backend
    here = [c.measured.quiet for c in compared]
    predicted, intervals = [c.predicted for c in compared], [c.interval for c in compared]
    if backend.label == "simulated":
        ax = agreement(predicted, here, None, intervals)
        said = "predicted against simulated"
    else:
        simulated = _simulated(compared, campaign) if isinstance(backend, ArmBackend) else None
        ax = agreement(predicted, simulated, here, intervals)
        said = f"predicted{' and simulated' if simulated else ''} against measured"
    write(ax, path)
    return f"{path}: {said} times of {len(compared)} networks"


def _simulated(compared: Sequence[Comparison], campaign: Campaign) -> list[float] | None:
    """Return the simulated times of all networks; None where the core or one of them has none."""
    core = load_platform(campaign.platform).hardware.core
    try:
        simulator: Backend = load_backend(f"arm:simulated={core}")
        simulator.confirm_platform(campaign.platform)
    except (DataError, MeasuringError):
        return None
    graphs = {c.network: campaign.graphs[c.network] for c in compared}
    found = dict(simulator.measure_networks(graphs, campaign.settings, campaign.plan))
    times = [found[c.network] for c in compared]
    return (
        [t.median for t in times if isinstance(t, Timing)]
        if all(isinstance(t, Timing) for t in times)
        else None
    )
