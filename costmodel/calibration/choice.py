"""Calibration of a platform, or of the best of several platforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from costmodel.calibration.conditions import check_fit
from costmodel.calibration.fit import Calibration, Tried, fit, fit_measurements, measured_table
from costmodel.calibration.measurement import Measurement
from costmodel.errors import DataError
from costmodel.platforms import Platform
from costmodel.prediction.table import NetworkTable

FEWEST = 5
"""Fewest rows for choosing between platforms."""
_FOLDS = 5
_SEED = 2018


def calibrate(
    measurements: Sequence[Measurement],
    platform: str | Platform | Sequence[str | Platform],
    provenance: Mapping[str, str] | None = None,
    as_is: bool = False,
) -> Calibration:
    """Fit the parameters of ``platform`` to ``measurements``.

    Parameters
    ----------
    measurements : sequence of Measurement
        Operators, whole networks, or both, by name or as op graphs; rows of other platforms are
        rejected.
    platform : str, Platform, or a sequence of them
        The measured platform; the fit starts from its priors. If several are given, such as one
        device with several runtimes, the one with the best predictions of rows left out of the fit
        is used: each fifth of the rows is predicted from the others.
    provenance : mapping, optional
        Origin of the data, stored with the parameters.
    as_is : bool
        Whether to accept times that differ from the prior by a factor of a hundred and are probably
        not seconds.

    Returns
    -------
    Calibration

    Raises
    ------
    DataError
        If there are no rows, or a row names another platform, other threads, dtype or conditions,
        or a network that does not exist, or whose sizes are open; if nearly all times are a hundred
        times as long, or as short, as the prior says; if several platforms are given and fewer
        than :data:`FEWEST` rows.

    Examples
    --------
    >>> import costmodel as cm
    >>> rows = [cm.Measurement("pointwise?h=56&w=56&c1=128&c2=128", 1e-3)]
    >>> result = cm.calibrate(rows, "gtx-1080-ti/paper")
    >>> result.platform.fitted.rows
    1

    A graph in memory, and several runtimes:

    >>> graphs = [cm.zoo.conv2d(cin=c, cout=c, k=1, size=28) for c in (16, 32, 64, 128, 256)]
    >>> times = [float(cm.latency(graph, "rk3399/ncnn").seconds) for graph in graphs]
    >>> rows = [cm.Measurement(graph, time) for graph, time in zip(graphs, times)]
    >>> result = cm.calibrate(rows, ["rk3399/torch-eager", "rk3399/ncnn"])
    >>> [tried.platform for tried in result.tried]
    ['rk3399/ncnn', 'rk3399/torch-eager']
    """
    if isinstance(platform, str | Platform) or not isinstance(platform, Sequence):
        return fit_measurements(measurements, platform, provenance or {}, as_is)
    if len(platform) < 2:
        raise DataError(f"give one platform, or two and more to try, not a list of {len(platform)}")
    tables = [measured_table(measurements, one, as_is) for one in platform]
    if len(measurements) < FEWEST:
        raise DataError(
            f"{len(measurements)} rows do not tell one platform from another: give {FEWEST} or "
            "more, or one platform"
        )
    tried = [_tried(*table) for table in tables]
    order = sorted(range(len(tried)), key=lambda i: tried[i].error)
    where, table, seconds = tables[order[0]]
    best = fit(table, seconds, where, provenance or {})
    if not as_is:
        check_fit(best.residuals)
    return replace(best, tried=tuple(tried[i] for i in order))


def _tried(platform: Platform, table: NetworkTable, seconds: np.ndarray) -> Tried:
    """Predict each fifth of the rows after a fit to the others."""
    from scipy.stats import spearmanr

    order = np.random.default_rng(_SEED).permutation(len(seconds))
    predicted = np.empty(len(seconds))
    for fold in range(_FOLDS):
        out = order[fold::_FOLDS]
        rest = np.setdiff1d(order, out)
        found = fit(table.rows(rest), seconds[rest], platform, {}).platform
        predicted[out] = table.rows(out).seconds(found, found.fitted.theta)
    alike = np.ptp(seconds) == 0 or np.ptp(predicted) == 0
    rank = float("nan") if alike else float(spearmanr(predicted, seconds).statistic)
    return Tried(platform.name, float(np.mean(np.abs(predicted / seconds - 1))), rank)
