r"""Hierarchical priors: means and spreads of parameters over boards and engines.

The logarithms of the parameters of a board under an engine are normal about those of the engine,
which are normal about those of all engines:

.. math::

    x_{be} \sim N(\mu_e, \operatorname{diag} \tau^2), \qquad
    \mu_e \sim N(\mu, \operatorname{diag} \omega^2)

The rows of a board are known by the parameters that fit them alone, :math:`\hat x`, and by how
sharply they do, :math:`\Lambda`, the curvature of the robust likelihood there. Means and spreads
are found by expectation and maximization (Dempster, Laird and Rubin 1977), the prior that was
there before being worth :data:`BEFORE` boards. So few boards do not know a spread well; it is
drawn to what is common (:mod:`validation.scores.moderation`). No board is fitted again when another
is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from costmodel.calibration.robust import Problem, student_weights
from costmodel.calibration.starts import estimate
from costmodel.timing.parameters import Parameter

from .bench import Bench
from .moderation import moderated

BEFORE = 1.0
"""Weight of the previous prior, in boards and in engines."""
WORTH = 24.0
"""Maximum number of rows that a board counts for, because its rows share errors of the formulas."""
WIDER = 3.0
"""Factor by which priors are widened when one board is fitted alone. [1]"""
_ROUNDS = 200
_SETTLED = 1e-4


@dataclass(frozen=True)
class Known:
    """Information in the rows of one board under one engine.

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

    def posterior(self, mean: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of the parameters, given those of other boards [1]."""
        covariance = np.linalg.inv(self.sharpness + np.diag(1 / between**2))
        return covariance @ (self.pull + mean / between**2), np.diag(covariance)


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
        """Return mean and spread for a new board [1]."""
        if engine in self.engines:
            return self.engines[engine], np.hypot(self.between, self.errors[engine])
        return self.mean, np.sqrt(self.between**2 + self.apart**2 + self.errors[""] ** 2)


def known(benches: Sequence[Bench], before: Sequence[Parameter]) -> list[Known]:
    """Return the information of each board under each engine, over all its sets.

    Parameters
    ----------
    benches : sequence of Bench
        The sets.
    before : sequence of Parameter
        The parameters that boards teach, with the prior that was there before.
    """
    found: dict[tuple[str, str], list[Bench]] = {}
    for bench in benches:
        key = bench.platform.hardware.name, bench.platform.runtime.engine
        found.setdefault(key, []).append(bench)
    return [Known(*key, *_likelihood(own, before)) for key, own in found.items()]


def _likelihood(own: Sequence[Bench], before: Sequence[Parameter]) -> tuple[np.ndarray, np.ndarray]:
    """Return the curvature of the likelihood of some sets, and that times its maximum."""
    names = [p.name for p in before]
    mean = np.log([p.value for p in before])
    wide = WIDER * np.array([p.spread for p in before])

    target = np.log(np.concatenate([b.seconds for b in own]))

    def residuals(x: np.ndarray) -> np.ndarray:
        columns = dict(zip(names, np.exp(x).T[:, :, None], strict=True))
        theta = {**own[0].platform.fitted.theta, **columns}
        parts = [np.log(b.table.seconds(b.platform, theta, bounded=False)) for b in own]
        return np.asarray(np.concatenate(parts, axis=-1) - target)

    ends = np.cumsum([0, *(len(b.seconds) for b in own)])
    problem = Problem(
        residuals=residuals,
        mean=mean,
        spread=wide,
        lower=np.log([p.lower for p in before]),
        upper=np.log([p.upper for p in before]),
        groups=[np.arange(*pair) for pair in pairwise(ends.tolist())],
    )
    found = estimate(problem)
    slopes = problem.jacobian(found.x)
    weights = student_weights(found.residual, found.noise) / found.noise**2
    sharpness = slopes.T @ (weights[:, None] * slopes)
    worth = min(1.0, WORTH / len(target))
    return worth * sharpness, worth * sharpness @ found.x


def taught(boards: Sequence[Known], before: Sequence[Parameter]) -> Taught:
    """Return means and spreads over ``boards``.

    Parameters
    ----------
    boards : sequence of Known
        At least one.
    before : sequence of Parameter
        The parameters, with the prior that was there before.

    Examples
    --------
    Three boards that agree on the first of two parameters and do not determine the second:

    >>> before = [Parameter(n, 1.0, 0.5, 0.1, 10.0, "1", "") for n in ("told", "untold")]
    >>> sharp = np.diag([400.0, 0.0])
    >>> boards = [Known(b, "e", sharp, sharp @ [0.7, 0.0]) for b in ("a", "b", "c")]
    >>> found = taught(boards, before)
    >>> found.engines["e"].round(1).tolist(), bool(found.between[0] < found.between[1])
    ([0.6, 0.0], True)
    """
    engines = sorted({b.engine for b in boards})
    assumed = mean = np.log([p.value for p in before])
    spread = np.array([p.spread for p in before])
    means = dict.fromkeys(engines, mean)
    between, apart = spread.copy(), spread / 2
    for _ in range(_ROUNDS):
        posts = [b.posterior(means[b.engine], between) for b in boards]
        errors = {}
        for e in engines:
            own = [m for b, (m, _) in zip(boards, posts, strict=True) if b.engine == e]
            precision = len(own) / between**2 + 1 / apart**2
            means[e] = (sum(own) / between**2 + mean / apart**2) / precision
            errors[e] = 1 / np.sqrt(precision)
        precision = len(engines) / apart**2 + BEFORE / spread**2
        last, mean = (
            mean,
            (sum(means.values()) / apart**2 + BEFORE * assumed / spread**2) / precision,
        )
        errors[""] = 1 / np.sqrt(precision)
        squares = sum(
            (m - means[b.engine]) ** 2 + v for b, (m, v) in zip(boards, posts, strict=True)
        )
        between = np.sqrt((squares + BEFORE * spread**2) / (len(boards) + BEFORE))
        squares = sum((means[e] - mean) ** 2 + errors[e] ** 2 for e in engines)
        apart = np.sqrt((squares + BEFORE * (spread / 2) ** 2) / (len(engines) + BEFORE))
        if np.max(np.abs(mean - last)) < _SETTLED:
            break
    seen = {e: _seen(boards, posts, between, e) for e in ("", *engines)}
    return Taught(mean, means, moderated(between, seen[""]), apart, errors, seen)


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
