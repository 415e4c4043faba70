"""Fit of a platform's parameters to any number of measurements, and what they determine.

Maximum a posteriori in log time: log-normal priors (:mod:`costmodel.timing.parameters`), errors
with heavy tails, so that a tenth of wrong rows does not mislead
(:mod:`costmodel.calibration.robust`), and physical bounds. Every fitted parameter has a physical
meaning, so that 0, 5, 10 and 500 measurements all give a plausible model.
"""

from __future__ import annotations

import datetime
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl

import networkx as nx
import numpy as np

from costmodel.calibration.conditions import (
    check_conditions,
    check_fit,
    check_network,
    check_possible,
    check_units,
)
from costmodel.calibration.measurement import Measurement, check_numbers, named
from costmodel.calibration.posed import Posed
from costmodel.calibration.weights import weighed
from costmodel.counting.subject import Prepared, Subject, nodes_of
from costmodel.errors import CostModelError, DataError
from costmodel.graph.writing import write_atomically
from costmodel.platforms import (
    Platform,
    calibration_file,
    calibration_folder,
    load_platform,
)
from costmodel.prediction.table import NetworkTable, tabulate
from costmodel.specs import network
from costmodel.timing.fitted import (
    PRIOR_NETWORK_SPREAD,
    PRIOR_OPERATOR_SPREAD,
    Fitted,
    to_toml,
)
from costmodel.timing.parameters import Parameter
from costmodel.zoo import NETWORKS

UNDETERMINED = 0.7
"""A parameter whose posterior spread is above this share of its prior spread is not determined."""
_PRIOR_ROWS = 0.5
"""Weight of the prior residual spreads, in rows."""
_SHARED, _OF_NETWORKS, _PRIOR_AMONG = 0.4, 0.05, 4
"""Share of the errors of operators that does not average out in a network; spread of networks
beyond it; weight of the prior spread of networks, in operators timed among others. 184 operators
on a Zen 4 and on a Zen 5 core, eager: spreads of 0.15 and 0.19; 50 and 18 networks: 0.07 and 0.08.
"""


@dataclass(frozen=True)
class Tried:
    """Accuracy of a platform on rows that it was not fitted to.

    Parameters
    ----------
    platform : str
        Its name.
    error : float
        Mean absolute relative error of the rows, each predicted while its fifth is left out. [1]
    rank : float
        Spearman's rank correlation of the same rows; NaN if all times are equal. [1]
    """

    platform: str
    error: float
    rank: float


@dataclass(frozen=True)
class Calibration:
    """A platform fitted to measurements.

    Parameters
    ----------
    platform : Platform
        The platform with fitted parameters; pass it to :func:`costmodel.latency`.
    residuals : ndarray
        Log of predicted over measured, one per row. [1]
    undetermined : tuple of str
        Parameters that the data do not determine; they stay near their prior value.
    at_bounds : tuple of str
        Parameters that ended at a limit of their physical range: check the data and the hardware
        file.
    tried : tuple of Tried
        The accuracy of each tried platform on rows left out, the best first.
    weight : float
        Weight of the rows relative to the priors, by which rows that are left out are predicted
        best; with 0 the rows taught nothing and the priors stay. [1]
    """

    platform: Platform
    residuals: np.ndarray
    undetermined: tuple[str, ...]
    at_bounds: tuple[str, ...]
    tried: tuple[Tried, ...] = ()
    weight: float = 1.0

    def __repr__(self) -> str:
        error = f"{100 * self.median_error:.2g} %"
        return (
            f"<Calibration of {self.platform.name}: {len(self.residuals)} rows, "
            f"median error {error}>"
        )

    @property
    def median_error(self) -> float:
        """Median of the absolute relative error on the fitted rows [1]."""
        return float(np.median(np.abs(np.expm1(self.residuals))))

    def save(self, path: str | os.PathLike[str] | None = None) -> Path:
        """Write the calibration as TOML atomically, and return its path.

        The default is the folder of the user's calibrations, where the name of the platform finds
        it.
        """
        name = self.platform.name
        if path is None:
            folder = calibration_folder()
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / calibration_file(name)
        write_atomically(Path(path), to_toml(name, self.platform.fitted))
        return Path(path)


def fit_measurements(
    measurements: Sequence[Measurement],
    platform: str | Platform,
    provenance: Mapping[str, str],
    as_is: bool,
) -> Calibration:
    """Fit the parameters of one platform (see :func:`costmodel.calibrate`)."""
    where, table, seconds = measured_table(measurements, platform, as_is)
    result = fit(table, seconds, where, provenance)
    if not as_is:
        check_fit(result.residuals)
    return result


def measured_table(
    measurements: Sequence[Measurement], platform: str | Platform, as_is: bool
) -> tuple[Platform, NetworkTable, np.ndarray]:
    """Return the platform with its priors, the networks lowered for it, and their times [s].

    Raises
    ------
    DataError
        As :func:`costmodel.calibrate`.
    """
    where = load_platform(platform, calibrated=False)
    if not isinstance(measurements, Sequence) or not all(
        isinstance(m, Measurement) for m in measurements
    ):
        raise DataError("measurements must be a list of Measurement; read_measurements makes them")
    if not measurements:
        raise DataError("there is nothing to calibrate with: no measurements")
    bad = check_numbers(measurements) or check_conditions(measurements, where)
    if bad:
        raise DataError(named(bad))
    graphs = [measured_graph(m, i, where) for i, m in enumerate(measurements)]
    seconds = np.array([float(m.seconds) for m in measurements])
    table = tabulate(graphs, where, [m.between for m in measurements])
    if not as_is:
        numbers = [m.row or i for i, m in enumerate(measurements, start=2)]
        if not where.hardware.assumed:  # otherwise its priors cannot identify the unit
            check_units(seconds, table.seconds(where, where.fitted.theta), numbers)
        check_possible(seconds, table.sums(table.terms(where, where.fitted.theta).bound))
    return where, table, seconds


def measured_graph(m: Measurement, index: int, platform: Platform) -> Subject:
    """Return the network of a measurement.

    Raises
    ------
    DataError
        If the network cannot be built or contradicts the row; the message names the row.
    """
    try:
        if not isinstance(m.network, str | nx.Graph | Prepared):
            kind = type(m.network).__name__
            raise DataError(f"network must be a text or an op graph, got {kind}")
        graph = network(_with_settings(m)) if isinstance(m.network, str) else m.network
        check_network(m, nodes_of(graph), platform)
        return graph
    except CostModelError as error:
        raise DataError(f"row {m.row or index + 2}: {error}") from None


def _with_settings(m: Measurement) -> str:
    """Return the network with the batch and dtype of the row; a file has its own."""
    name, _, query = m.name.partition("?")
    if name not in NETWORKS:
        return m.name
    stated = dict(parse_qsl(query))
    for key, value in (("batch", m.batch), ("dtype", m.dtype)):
        if value and key not in stated and key in inspect.signature(NETWORKS[name]).parameters:
            query += f"&{key}={value}"
    return f"{name}?{query.lstrip('&')}" if query else name


def fit(
    table: NetworkTable,
    seconds: np.ndarray,
    platform: Platform,
    provenance: Mapping[str, str],
) -> Calibration:
    """Fit the parameters of ``platform`` to lowered networks."""
    posed = Posed(table, seconds, platform)
    weight, found = weighed(posed)
    x, theta = found.x, posed.theta(found.x)
    errors = np.sqrt(np.diag(found.covariance))
    target, single = np.log(seconds), posed.single
    formula = np.log(table.seconds(posed.formulas, theta)) - target  # bounded, like predictions
    surfaces = posed.surfaces(found)
    rest = np.log(table.seconds(posed.with_surfaces(surfaces), theta)) - target
    off = np.where(single, formula, rest)  # a surface has its own spread of operators
    among = int(np.sum(single & (table.since > 0)))
    operator_spread, network_spread = _spreads(off / (1 - found.leverage), single, among)
    wide = posed.problem.spread_at(x)
    return Calibration(
        replace(
            platform,
            fitted=Fitted(
                _with_values(platform.fitted.parameters, posed.free, x, errors),
                found.covariance,
                operator_spread,
                network_spread,
                rows=len(seconds),
                provenance={"date": datetime.date.today().isoformat(), **provenance},
                surfaces=surfaces,
            ),
        ),
        rest,
        tuple(
            name
            for name, error, most in zip(posed.names, errors, wide, strict=True)
            if error > UNDETERMINED * most
        ),
        tuple(
            p.name
            for p, v in zip(posed.free, x, strict=True)
            if min(v - np.log(p.lower), np.log(p.upper) - v) < 1e-3
        ),
        weight=weight,
    )


def _spreads(residual: np.ndarray, single: np.ndarray, among: int) -> tuple[float, float]:
    """Return the residual spread of operators and of networks, ``among`` rows being in networks."""
    operators = _spread(residual[single], PRIOR_OPERATOR_SPREAD)
    return operators, _spread(residual[~single], _network_prior(operators, among))


def _spread(residual: np.ndarray, prior: float) -> float:
    """Return the residual spread of some rows.

    It comes from the 90 % quantile of the absolute leave-one-out residuals, so that intervals have
    their nominal coverage also with few rows and with heavy tails.
    """
    n = len(residual)
    wide = float(np.quantile(np.abs(residual), 0.9)) / 1.645 if n else prior
    return float(np.sqrt((wide**2 * n + prior**2 * _PRIOR_ROWS) / (n + _PRIOR_ROWS)))


def _network_prior(operators: float, among: int) -> float:
    r"""Return the spread of networks that the operators alone tell.

    .. math:: r_\text{network}^2 = (0.4\, r_\text{operator})^2 + 0.05^2

    Only operators timed among others are in the state of a network. A few of them count less than
    the prior.
    """
    told = (_SHARED * operators) ** 2 + _OF_NETWORKS**2
    prior = PRIOR_NETWORK_SPREAD**2
    return float(np.sqrt((told * among + prior * _PRIOR_AMONG) / (among + _PRIOR_AMONG)))


def _with_values(
    parameters: tuple[Parameter, ...],
    free: tuple[Parameter, ...],
    x: np.ndarray,
    errors: np.ndarray,
) -> tuple[Parameter, ...]:
    found = {
        p.name: (float(np.clip(np.exp(v), p.lower, p.upper)), float(e))
        for p, v, e in zip(free, x, errors, strict=True)
    }
    return tuple(
        replace(p, value=found[p.name][0], spread=found[p.name][1]) if p.name in found else p
        for p in parameters
    )
