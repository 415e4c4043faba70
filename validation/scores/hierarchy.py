r"""What boards teach about each other: means and spreads of parameters over boards and engines.

The logarithms of the parameters of a board under an engine are normal about those of the engine,
which are normal about those of all engines:

.. math::

    x_{be} \sim N(\mu_e, \operatorname{diag} \tau^2), \qquad
    \mu_e \sim N(\mu, \operatorname{diag} \omega^2)

The rows of a board are known by the parameters that fit them alone, :math:`\hat x`, and by how
sharply they do, :math:`\Lambda`, the curvature of the robust likelihood there. Means and spreads
are found by expectation and maximization (Dempster, Laird and Rubin 1977), the prior that was
there before being worth :data:`BEFORE` boards. No board is fitted again when another is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from costmodel.calibration.robust import Problem, estimate, student_weights
from costmodel.timing.multipliers import multipliers
from costmodel.timing.spread import STEP, nudged
from validation.scores.bench import Bench

BEFORE = 1.0
"""Weight of the prior that was there before, in boards and in engines."""
WORTH = 12.0
"""Rows that a set counts for at most: what formulas miss, they miss on all rows of a board."""
WIDER = 3.0
"""How much wider than the prior parameters may lie where one board is fitted alone. [1]"""
_ROUNDS = 200
_SETTLED = 1e-4


@dataclass(frozen=True)
class Known:
    """What the rows of one board under one engine say.

    Parameters
    ----------
    board, engine : str
        Hardware and runtime.
    sharpness : ndarray
        Curvature of the likelihood over the logarithms of the parameters. [1]
    pull : ndarray
        That, times where it is largest. [1]
    """

    board: str
    engine: str
    sharpness: np.ndarray
    pull: np.ndarray

    @property
    def own(self) -> np.ndarray:
        """Where the likelihood is largest, as far as it says [1]."""
        return np.asarray(np.linalg.pinv(self.sharpness, rcond=1e-6) @ self.pull)


@dataclass(frozen=True)
class Taught:
    """Means and spreads over boards.

    Parameters
    ----------
    mean : ndarray
        Logarithms of the parameters, over all engines. [1]
    engines : mapping of str to ndarray
        The same for each engine that was seen. [1]
    between : ndarray
        Spread between boards under one engine. [1]
    apart : ndarray
        Spread between engines. [1]
    errors : mapping of str to ndarray
        Standard error of the mean of each engine; ``""`` of the mean of all. [1]
    seen : mapping of str to ndarray
        How many boards determine each parameter, by engine; ``""`` in all. [1]
    """

    mean: np.ndarray
    engines: Mapping[str, np.ndarray]
    between: np.ndarray
    apart: np.ndarray
    errors: Mapping[str, np.ndarray]
    seen: Mapping[str, np.ndarray]

    def of(self, engine: str) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and spread for a board that was never seen [1]."""
        if engine in self.engines:
            return self.engines[engine], np.hypot(self.between, self.errors[engine])
        return self.mean, np.sqrt(self.between**2 + self.apart**2 + self.errors[""] ** 2)


def names(bench: Bench) -> list[str]:
    """Return the parameters that boards teach: those of the formulas that are free."""
    factors = {p.name for p in multipliers()}
    return [p.name for p in bench.platform.fitted.parameters if p.spread > 0 and p.name not in factors]


def known(benches: Sequence[Bench], free: Sequence[str]) -> list[Known]:
    """Return what each board says under each engine, all its sets together."""
    found: dict[tuple[str, str], list[tuple[np.ndarray, np.ndarray]]] = {}
    for bench in benches:
        key = bench.platform.hardware.name, bench.platform.runtime.name
        found.setdefault(key, []).append(_likelihood(bench, free))
    return [
        Known(*key, *(np.mean([part[i] for part in parts], axis=0) for i in (0, 1)))
        for key, parts in found.items()
    ]


def _likelihood(bench: Bench, free: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the curvature of the likelihood of one set, and that times its maximum."""
    start = {p.name: p for p in bench.platform.fitted.parameters}
    target, table = np.log(bench.seconds), bench.table
    own = [start[name] for name in free]

    def theta(x: np.ndarray) -> dict[str, float]:
        return {**bench.platform.fitted.theta, **dict(zip(free, np.exp(x).tolist(), strict=True))}

    def residual(x: np.ndarray) -> np.ndarray:
        seconds = table.seconds(bench.platform, theta(x), bounded=False)
        return np.asarray(np.log(seconds) - target)

    def jacobian(x: np.ndarray) -> np.ndarray:
        logs = np.log(table.seconds(bench.platform, nudged(theta(x), free), bounded=False))
        return np.asarray((logs[1:] - logs[0]).T / STEP)

    found = estimate(
        Problem(
            residual,
            jacobian,
            mean=np.log([p.value for p in own]),
            spread=WIDER * np.array([p.spread or 1.0 for p in own]),
            lower=np.log([p.lower for p in own]),
            upper=np.log([p.upper for p in own]),
            groups=[np.arange(len(target))],
        )
    )
    slopes = jacobian(found.x)
    weights = student_weights(found.residual, found.noise) / found.noise**2
    worth = min(1.0, WORTH / len(target))
    sharpness = worth * slopes.T @ (weights[:, None] * slopes)
    return sharpness, sharpness @ found.x


def taught(boards: Sequence[Known], before: np.ndarray, spread: np.ndarray) -> Taught:
    """Return means and spreads over ``boards``.

    Parameters
    ----------
    boards : sequence of Known
        At least one.
    before, spread : ndarray
        The prior that was there before: logarithms of the parameters and their spread. [1]

    Examples
    --------
    Three boards that agree on the first of two parameters, and say nothing about the second:

    >>> sharp = np.diag([400.0, 0.0])
    >>> boards = [Known(b, "e", sharp, sharp @ [0.7, 0.0]) for b in ("a", "b", "c")]
    >>> found = taught(boards, np.zeros(2), np.full(2, 0.5))
    >>> found.engines["e"].round(1).tolist(), bool(found.between[0] < found.between[1])
    ([0.6, 0.0], True)
    """
    engines = sorted({b.engine for b in boards})
    mean = before.astype(float)
    means = dict.fromkeys(engines, mean)
    between, apart = spread.copy(), spread / 2
    for _ in range(_ROUNDS):
        posts = [_posterior(b, means[b.engine], between) for b in boards]
        errors = {}
        for e in engines:
            own = [m for b, (m, _) in zip(boards, posts, strict=True) if b.engine == e]
            precision = len(own) / between**2 + 1 / apart**2
            means[e] = (sum(own) / between**2 + mean / apart**2) / precision
            errors[e] = 1 / np.sqrt(precision)
        precision = len(engines) / apart**2 + BEFORE / spread**2
        last, mean = mean, (sum(means.values()) / apart**2 + BEFORE * before / spread**2) / precision
        errors[""] = 1 / np.sqrt(precision)
        squares = sum((m - means[b.engine]) ** 2 + v for b, (m, v) in zip(boards, posts, strict=True))
        between = np.sqrt((squares + BEFORE * spread**2) / (len(boards) + BEFORE))
        squares = sum((means[e] - mean) ** 2 + errors[e] ** 2 for e in engines)
        apart = np.sqrt((squares + BEFORE * (spread / 2) ** 2) / (len(engines) + BEFORE))
        if np.max(np.abs(mean - last)) < _SETTLED:
            break
    seen = {e: _seen(boards, posts, between, e) for e in ("", *engines)}
    return Taught(mean, means, between, apart, errors, seen)


def _posterior(b: Known, mean: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of the parameters of one board."""
    covariance = np.linalg.inv(b.sharpness + np.diag(1 / between**2))
    return covariance @ (b.pull + mean / between**2), np.diag(covariance)


def _seen(
    boards: Sequence[Known],
    posts: Sequence[tuple[np.ndarray, np.ndarray]],
    between: np.ndarray,
    engine: str,
) -> np.ndarray:
    shares = [
        1 - v / between**2
        for b, (_, v) in zip(boards, posts, strict=True)
        if engine in ("", b.engine)
    ]
    return np.asarray(np.clip(sum(shares), 0, None))
