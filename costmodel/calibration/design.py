"""Choice of the most informative measurements of a platform: D-optimal designs."""

from __future__ import annotations

import numpy as np

from costmodel.calibration.candidates import candidates
from costmodel.errors import DataError
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.table import tabulate
from costmodel.specs import network
from costmodel.timing.spread import STEP, nudged

_NOISE = 0.05
"""Relative error of one measurement. [1]"""


def design(platform: str | Platform, n: int, specs: list[str] | None = None) -> list[str]:
    r"""Return the ``n`` measurements that determine the parameters of ``platform`` best.

    Greedy D-optimal design: each step selects the measurement that increases the determinant of the
    posterior precision most,

    .. math:: \log\det\Bigl(\Sigma_0^{-1} + \sum_i g_i g_i^T / \sigma^2\Bigr)

    with ``g`` the gradient of the log time in the log parameters and the priors as ``Sigma_0``.

    Parameters
    ----------
    platform : str or Platform
        The platform to be measured.
    n : int
        Number of measurements.
    specs : list of str, optional
        Networks or operators to choose from; by default
        :func:`~costmodel.calibration.candidates.candidates` of its kind of hardware.

    Returns
    -------
    list of str
        In order of gain.

    Examples
    --------
    >>> len(design("raspberry-pi-4/ncnn", 5))
    5
    """
    where = load_platform(platform, calibrated=False)
    pool = candidates(where.hardware.kind) if specs is None else list(specs)
    if type(n) is not int or not 1 <= n <= len(pool):
        raise DataError(f"a design has 1 to {len(pool)} measurements, not {n!r}")
    table = tabulate([network(spec) for spec in pool], where)
    fitted = where.fitted
    columns = nudged(fitted.theta, fitted.free)
    logs = np.log(table.seconds(where, columns, bounded=False))
    gradients = ((logs[1:] - logs[0]) / STEP).T / _NOISE
    covariance = fitted.covariance.copy()
    chosen: list[int] = []
    for _ in range(n):
        # det(A + g g^T) = det(A) (1 + g^T A^-1 g): the widest prediction gains most.
        gain = np.einsum("ij,jk,ik->i", gradients, covariance, gradients)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        chosen.append(best)
        g = covariance @ gradients[best]
        covariance = covariance - np.outer(g, g) / (1 + gradients[best] @ g)
    return [pool[i] for i in chosen]
