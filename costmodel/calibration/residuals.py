"""Rows of a calibration with measured and predicted times, the largest error first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.calibration.fit import Calibration
from costmodel.calibration.measurement import Measurement

OUTLIER = 4.0
"""Robust standard deviations beyond which a row is an outlier."""
_ENOUGH = 8  # rows, below which a deviation of theirs means little


@dataclass(frozen=True)
class Residual:
    """One measured row with its fitted prediction.

    Parameters
    ----------
    row : int
        Its number in the file, where the header is row 1.
    network : str
        The measured network.
    measured, predicted : float
        [s]
    ratio : float
        Predicted over measured. [1]
    sigmas : float, optional
        Logarithm of the ratio in robust standard deviations (1.4826 times the median of the
        absolute residuals of all rows); None if there are too few rows.
    between : int
        Bytes that other kernels touched between two runs. [byte]
    """

    row: int
    network: str
    measured: float
    predicted: float
    ratio: float
    sigmas: float | None
    between: int = 0

    @property
    def is_outlier(self) -> bool:
        """Whether its error is larger than the errors of the others explain."""
        return self.sigmas is not None and self.sigmas > OUTLIER


def residuals_of(
    calibration: Calibration, measurements: Sequence[Measurement]
) -> tuple[Residual, ...]:
    """Return the rows that ``calibration`` was fitted to, the largest error first.

    Examples
    --------
    >>> from costmodel.calibration import calibrate
    >>> rows = [Measurement("pointwise?h=56&w=56&c1=128&c2=128", 1e-3, row=2)]
    >>> residuals_of(calibrate(rows, "gtx-1080-ti/paper"), rows)[0].row
    2
    """
    off = calibration.residuals
    sigma = 1.4826 * float(np.median(np.abs(off))) if len(off) >= _ENOUGH else 0.0
    found = [
        Residual(
            m.row or number,
            m.name,
            m.seconds,
            float(m.seconds * np.exp(r)),
            float(np.exp(r)),
            float(abs(r)) / sigma if sigma > 0 else None,
            m.between,
        )
        for number, (m, r) in enumerate(zip(measurements, off, strict=True), start=2)
    ]
    return tuple(found[i] for i in np.argsort(-np.abs(off), kind="stable"))
