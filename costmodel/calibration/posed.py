"""The fit of a platform to some rows, for one weight of the rows relative to the priors."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from costmodel.calibration.discrepancy import Alike, correlated
from costmodel.calibration.robust import Estimate, Problem, climbed, student_weights
from costmodel.calibration.starts import estimate
from costmodel.calibration.surfaces import FEWEST, alike, learnt
from costmodel.kinds import KINDS
from costmodel.platforms import Platform
from costmodel.platforms.machine import machine_for
from costmodel.prediction.table import NetworkTable
from costmodel.timing.multipliers import DEVICE, multiplier
from costmodel.timing.parameters import Parameter
from costmodel.timing.surface import Surface

UNKNOWN_SCALE = 1.2
"""Least spread of the multiplier of all kernels while it is fitted: a factor of three. [1]

Most devices are as fast as their datasheets say within a twentieth, and a few differ by a factor of
two or three. The prior of this multiplier therefore has heavy tails. A normal prior of this spread
would let launches that are a tenth too long make all kernels of a device faster; the largest
kernels, which hardly depend on launches, would then be too fast.
"""
NOISE_OF_ITS_OWN = 5
"""Fewest single operators, and networks, whose errors have a scale of their own.

A scale that is estimated from one row is as large as its residual, and the row counts for nothing.
"""


@dataclass(frozen=True)
class Posed:
    """Rows, and the platform whose parameters are fitted to them.

    Parameters
    ----------
    table : NetworkTable
        The measured networks.
    seconds : ndarray
        Their times. [s]
    platform : Platform
        With its priors.
    start : ndarray, optional
        Logarithms of the parameters where the fit starts; the default are the priors, and further
        starts. [1]
    """

    table: NetworkTable
    seconds: np.ndarray
    platform: Platform
    start: np.ndarray | None = None

    def rows(self, index: np.ndarray) -> Posed:
        """Return the fit to some of the rows, which starts at the estimate with all of them."""
        start = self.independent.x
        return Posed(self.table.rows(index), self.seconds[index], self.platform, start)

    @cached_property
    def free(self) -> tuple[Parameter, ...]:
        """The parameters that are fitted."""
        return tuple(p for p in self.platform.fitted.parameters if p.spread > 0)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(p.name for p in self.free)

    @cached_property
    def single(self) -> np.ndarray:
        """Whether each row is one operator."""
        return np.asarray(self.table.kernels <= 1)

    @cached_property
    def formulas(self) -> Platform:
        """The platform without surfaces."""
        return replace(self.platform, fitted=replace(self.platform.fitted, surfaces=()))

    @cached_property
    def independent(self) -> Estimate:
        """The estimate with independent rows of full weight."""
        problem = self._problem(())
        return estimate(problem) if self.start is None else climbed(problem, self.start)

    @cached_property
    def kinds(self) -> list[Alike]:
        """The kinds of kernel with enough single operators for correlated rows."""
        if np.sum(self.table.kernels == 1) < FEWEST:
            return []
        return alike(self.table, self._share(self.theta(self.independent.x)))

    @cached_property
    def problem(self) -> Problem:
        """Residuals and priors; surfaces take the place of multipliers, except in networks."""
        instead = bool(self.kinds) and bool(self.single.all())
        return self._problem([multiplier(kind) for kind in KINDS] if instead else ())

    def estimate(self, weight: float) -> Estimate:
        """Return the estimate if the rows have a weight relative to the priors."""
        weighed, first = replace(self.problem, weight=weight), self.independent
        if self.kinds:
            return correlated(weighed, first, self.kinds)
        return first if weight == 1 else climbed(weighed, first.x, first.noise)

    def surfaces(self, found: Estimate) -> tuple[Surface, ...]:
        """Return the surfaces of the model errors, for kinds with enough single operators."""
        if np.sum(self.table.kernels == 1) < FEWEST:
            return ()
        slopes = self.problem.jacobian(found.x)
        return learnt(
            self.table,
            -found.residual,
            self._share(self.theta(found.x)),
            student_weights(found.residual, found.noise),
            np.einsum("ij,jk,ik->i", slopes, found.covariance, slopes),
        )

    def theta(self, x: np.ndarray) -> dict[str, float]:
        """Return all parameters, given the logarithms of the fitted ones."""
        fitted = dict(zip(self.names, np.exp(x).tolist(), strict=True))
        return {**self.platform.fitted.theta, **fitted}

    def with_surfaces(self, surfaces: tuple[Surface, ...]) -> Platform:
        """Return the platform with surfaces, and its prior parameters."""
        return replace(self.platform, fitted=replace(self.platform.fitted, surfaces=surfaces))

    def _problem(self, heavy: Sequence[str]) -> Problem:
        target = np.log(self.seconds)
        fixed = self.platform.fitted.theta

        def residuals(x: np.ndarray) -> np.ndarray:
            columns = {**fixed, **dict(zip(self.names, np.exp(x).T[:, :, None], strict=True))}
            times = self.table.seconds(self.formulas, columns, bounded=False)
            return np.asarray(np.log(times) - target)

        return Problem(
            residuals=residuals,
            mean=np.log([p.value for p in self.free]),
            spread=np.array([_spread(p) for p in self.free]),
            lower=np.log([p.lower for p in self.free]),
            upper=np.log([p.upper for p in self.free]),
            groups=self._groups(),
            heavy=_named(self.names, [DEVICE, *heavy]),
        )

    def _groups(self) -> list[np.ndarray]:
        """Return the rows of single operators and those of networks, unless either are few."""
        groups = [np.flatnonzero(rows) for rows in (self.single, ~self.single) if rows.any()]
        few = min(len(rows) for rows in groups) < NOISE_OF_ITS_OWN
        return [np.arange(len(self.seconds))] if few else groups

    def _share(self, theta: Mapping[str, float]) -> np.ndarray:
        """Return the share of the device in each predicted time [1]."""
        terms = self.table.terms(self.formulas, theta)
        host, device = self.table.sums(terms.host), self.table.sums(terms.model)
        total = self.table.network_seconds(self.formulas, terms, theta, bounded=False)
        waits = machine_for(self.platform, "float32").asynchronous & (host > device)
        return np.where(waits, 0.0, device / total)


def _spread(p: Parameter) -> float:
    return max(p.spread, UNKNOWN_SCALE) if p.name == DEVICE else p.spread


def _named(names: Sequence[str], wanted: Collection[str]) -> list[int]:
    return [i for i, name in enumerate(names) if name in wanted]
