r"""Hierarchical priors: means and spreads of parameters over boards and engines.

The logarithms of the parameters of a board under an engine scatter about those of the engine,
which scatter about those of all engines:

.. math::

    x_{be} \sim t_\nu(\mu_e, \operatorname{diag} \tau^2), \qquad
    \mu_e \sim t_\nu(\mu, \operatorname{diag} \omega^2)

Both are Student's t, because some boards are odd in one parameter (another maker's core, another
clock than the stated one) and some engines are (a pool that is not vectorized). Each counts with
the weight :math:`(\nu + 1) / (\nu + z^2)`, :math:`z` its distance in spreads.

The rows of a board are known by the parameters that fit them alone, :math:`\hat x`, and by how
sharply they do, :math:`\Lambda`, the curvature of the robust likelihood there. Means and spreads
are found by expectation and maximization (Dempster, Laird and Rubin 1977; for Student's t: Lange,
Little and Taylor 1989). The previous prior is worth :data:`BEFORE` boards. Few boards do not
determine a spread well, so that it is drawn to the common one
(:mod:`validation.scores.moderation`). No board is fitted again when another is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from costmodel.calibration.robust import FREEDOM, Problem, student_weights
from costmodel.calibration.starts import estimate
from costmodel.timing.multipliers import DEVICE_SPREAD
from costmodel.timing.parameters import Parameter

from .bench import Bench
from .moderation import moderated

BEFORE = 1.0
"""Weight of the previous prior, in boards and in engines."""
WORTH = 24.0
"""Maximum number of rows that a board counts for, because its rows share errors of the formulas."""
NORMAL = 2.353 / 1.645
"""Spread of a normal distribution of which as much as of Student's t lies in its 90 % interval."""
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
    offset : ndarray
        How the engine differs from others by its source (:mod:`validation.scores.assumed`). [1]
    """

    board: str
    engine: str
    sharpness: np.ndarray
    pull: np.ndarray
    offset: np.ndarray

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
    level : float
        Spread of the multiplier of all kernels (:mod:`validation.scores.levels`). [1]
    """

    mean: np.ndarray
    engines: Mapping[str, np.ndarray]
    between: np.ndarray
    apart: np.ndarray
    errors: Mapping[str, np.ndarray]
    seen: Mapping[str, np.ndarray]
    level: float = DEVICE_SPREAD

    def of(self, engine: str) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and spread for a new board, as of a normal distribution [1]."""
        if engine in self.engines:
            return self.engines[engine], np.hypot(NORMAL * self.between, self.errors[engine])
        apart = NORMAL * np.hypot(self.between, self.apart)
        return self.mean, np.hypot(apart, self.errors[""])


def known(
    benches: Sequence[Bench],
    before: Sequence[Parameter],
    offsets: Mapping[str, np.ndarray] | None = None,
) -> list[Known]:
    """Return the information of each board under each engine, over all its sets.

    Parameters
    ----------
    benches : sequence of Bench
        The sets.
    before : sequence of Parameter
        The parameters that boards teach, with the prior that was there before.
    offsets : mapping of str to ndarray, optional
        How engines differ from each other by their sources, in logarithms. [1]
    """
    none = np.zeros(len(before))
    found: dict[tuple[str, str], list[Bench]] = {}
    for bench in benches:
        key = bench.platform.hardware.name, bench.platform.runtime.engine
        found.setdefault(key, []).append(bench)
    moved = [(offsets or {}).get(engine, none) for _, engine in found]
    return [
        Known(*key, *_likelihood(own, before, offset), offset)
        for (key, own), offset in zip(found.items(), moved, strict=True)
    ]


def _likelihood(
    own: Sequence[Bench], before: Sequence[Parameter], offset: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the curvature of the likelihood of some sets, and that times its maximum."""
    names = [p.name for p in before]
    mean = np.log([p.value for p in before]) + offset
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
    >>> boards = [Known(b, "e", sharp, sharp @ [0.7, 0.0], np.zeros(2)) for b in ("a", "b", "c")]
    >>> found = taught(boards, before)
    >>> found.engines["e"].round(1).tolist(), bool(found.between[0] < found.between[1])
    ([0.7, 0.0], True)
    """
    engines = sorted({b.engine for b in boards})
    assumed = mean = np.log([p.value for p in before])
    spread = np.array([p.spread for p in before])
    means = dict.fromkeys(engines, mean)
    between, apart = spread.copy(), spread / 2
    weights, odds = [np.ones_like(mean)] * len(boards), [np.ones_like(mean)] * len(engines)
    for _ in range(_ROUNDS):
        posts = _posteriors(boards, means, between, weights)
        errors = {}
        for e, odd in zip(engines, odds, strict=True):
            own = [
                (m, w) for b, (m, _), w in zip(boards, posts, weights, strict=True) if b.engine == e
            ]
            means[e], errors[e] = _centre(own, between, mean, apart / np.sqrt(odd))
        last = mean
        own = list(zip(means.values(), odds, strict=True))
        mean, errors[""] = _centre(own, apart, assumed, spread / np.sqrt(BEFORE))
        squares = [(m - means[b.engine]) ** 2 + v for b, (m, v) in zip(boards, posts, strict=True)]
        between, weights = _scatter(squares, weights, spread)
        squares = [(means[e] - mean) ** 2 + errors[e] ** 2 for e in engines]
        apart, odds = _scatter(squares, odds, spread / 2)
        if np.max(np.abs(mean - last)) < _SETTLED:
            break
    posts = _posteriors(boards, means, between, weights)
    told = [1 - w * v / between**2 for (_, v), w in zip(posts, weights, strict=True)]
    seen = {
        e: _sum(t for b, t in zip(boards, told, strict=True) if e in ("", b.engine))
        for e in ("", *engines)
    }
    own_means = {b.engine: means[b.engine] + b.offset for b in boards}
    return Taught(mean, own_means, moderated(between, seen[""]), apart, errors, seen)


def _posteriors(
    boards: Sequence[Known],
    means: Mapping[str, np.ndarray],
    between: np.ndarray,
    weights: Sequence[np.ndarray],
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return mean and variance of the parameters of each board, without engines' offsets [1]."""
    found = []
    for b, w in zip(boards, weights, strict=True):
        mean, variance = b.posterior(means[b.engine] + b.offset, between / np.sqrt(w))
        found.append((mean - b.offset, variance))
    return found


def _centre(
    own: Sequence[tuple[np.ndarray, np.ndarray]],
    spread: np.ndarray,
    prior: np.ndarray,
    prior_spread: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of values with weights about it, under a normal prior, and its error [1]."""
    precision = _sum(w for _, w in own) / spread**2 + 1 / prior_spread**2
    total = _sum(w * m for m, w in own) / spread**2 + prior / prior_spread**2
    return total / precision, 1 / np.sqrt(precision)


def _scatter(
    squares: Sequence[np.ndarray], weights: Sequence[np.ndarray], before: np.ndarray
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the spread that squared distances tell, and the weights of those under it [1]."""
    weighted = _sum(w * s for w, s in zip(weights, squares, strict=True))
    spread = np.sqrt((weighted + BEFORE * before**2) / (len(squares) + BEFORE))
    return spread, [(FREEDOM + 1) / (FREEDOM + s / spread**2) for s in squares]


def _sum(arrays: Iterable[np.ndarray]) -> np.ndarray:
    return np.asarray(np.sum(list(arrays), axis=0))
