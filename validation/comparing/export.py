"""Comparisons as CSV, for plots and fits."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ..measuring.backend import Label
from .compare import Comparison


def write_kernels(path: Path, comparisons: Sequence[Comparison], label: Label) -> None:
    """Write one row a kernel: predicted, and measured or simulated, in seconds as the column says.

    Parameters
    ----------
    path : Path
        Is replaced.
    comparisons : sequence of Comparison
        Networks with their kernels.
    label : {"measured", "simulated", "emulated"}
        What the times are.
    """
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("network", "platform", "kernel", "kind", "predicted", label))
        for one in comparisons:
            for k in one.kernels:
                row = (one.network, one.platform, k.name, k.kind, k.predicted, k.measured)
                writer.writerow(row)
