"""A GPU that was never measured, predicted from fits to others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from costmodel.platforms import Platform
from costmodel.timing.fitted import Fitted
from costmodel.timing.multipliers import HOST
from costmodel.timing.surface import Surface


def transferred(platform: Platform, others: Sequence[Platform]) -> Platform:
    """Return ``platform`` with parameters fitted to other devices, and to none of its own rows.

    Parameters are the centre of the other fits on a logarithmic scale, nearer to the priors the
    more the others disagree. By the law of total covariance, their errors are the mean of the
    others' errors, in which parameters that have only their product determined are correlated,
    and the disagreement of the others. Host parameters keep their priors, because the host is a
    machine of its own. The residual spread is that of the others on rows that they left out.
    What formulas miss over the shapes of kernels is what the others miss in common.
    """
    logs = np.log([[p.value for p in other.fitted.parameters] for other in others])
    between = logs.var(axis=0, ddof=1 if len(others) > 1 else 0)
    prior = np.log([p.value for p in platform.fitted.parameters])
    known = np.array([p.spread for p in platform.fitted.parameters]) ** 2
    share = known / np.maximum(known + between / len(others), 1e-12)
    middle = np.exp(prior + share * (logs.mean(axis=0) - prior))
    covariance = np.mean([_of_all(other.fitted) for other in others], axis=0)
    if len(others) > 1:
        covariance += np.cov(logs, rowvar=False)
    own = [i for i, p in enumerate(platform.fitted.parameters) if p.name in _OF_HOST]
    covariance[own], covariance[:, own] = 0, 0
    covariance[own, own] = [platform.fitted.parameters[i].spread ** 2 for i in own]
    spread = np.sqrt(np.diag(covariance))
    parameters = tuple(
        p
        if p.name in _OF_HOST
        else replace(p, value=float(np.clip(v, p.lower, p.upper)), spread=float(s))
        for p, v, s in zip(platform.fitted.parameters, middle, spread, strict=True)
    )
    free = np.flatnonzero(spread)
    return replace(
        platform,
        fitted=Fitted(
            parameters,
            covariance[np.ix_(free, free)],
            _residual([other.fitted.operator_spread for other in others]),
            _residual([other.fitted.network_spread for other in others]),
            rows=sum(other.fitted.rows for other in others),
            surfaces=_shared(others),
        ),
    )


def _of_all(fitted: Fitted) -> np.ndarray:
    """Return the covariance of all parameters, zero for those that are held [1]."""
    spread = np.array([p.spread for p in fitted.parameters])
    free = np.flatnonzero(spread)
    found = np.zeros((len(spread), len(spread)))
    found[np.ix_(free, free)] = fitted.covariance
    return found


def _residual(spreads: Sequence[float]) -> float:
    """Return the residual spread of a device, from those of others [1]."""
    return float(np.sqrt(np.mean(np.square(spreads))))


_OF_HOST = ("host", "fixed", HOST)
"""Parameters that belong to the machine around a GPU."""


def _shared(others: Sequence[Platform]) -> tuple[Surface, ...]:
    """Return the common part of the formulas' errors on other devices.

    This is their mean, shrunk by their disagreement: for ``T`` devices whose surfaces have the
    correlation ``r``, the common part is the share ``T r / (1 + (T - 1) r)`` of the mean. With one
    device alone, its specific part is unknown. The noise includes the specific part of the unknown
    device.
    """
    found: list[Surface] = []
    own = [s for other in others for s in other.fitted.surfaces]
    for key in sorted({(s.kind, s.dtype) for s in own}):
        alike = [s for s in own if (s.kind, s.dtype) == key]
        share = _agreement(alike, len(others)) / len(others)
        noise = max(
            _residual([other.fitted.operator_spread for other in others]),
            *(s.noise for s in alike),
        )
        found += [replace(s, weights=share * s.weights, noise=noise) for s in alike if share > 0]
    return tuple(found)


def _agreement(alike: Sequence[Surface], devices: int) -> float:
    """Return the common part of the mean over devices; zeros for one without a surface [1]."""
    shapes = np.concatenate([s.shapes for s in alike])
    means = np.stack([np.asarray(s.mean(list(shapes.T))) for s in alike])
    square = float(np.sum(means**2)) / devices
    pairs = devices * (devices - 1)
    if not pairs or not square:
        return 0.0
    cross = (float(np.sum(means.sum(axis=0) ** 2)) - devices * square) / pairs
    correlation = max(0.0, cross / square)
    return devices * correlation / (1 + (devices - 1) * correlation)
