r"""How far the predictions for a board that was never measured are off as a whole.

Priors of separate parameters, each with its spread, say how far a board can be off because cores
and engines differ. What formulas and facts miss of a board (a clock that is not sustained, kernels
of another version) is the prior of the multiplier of all kernels,
:data:`~costmodel.timing.multipliers.DEVICE`. Its spread :math:`\sigma` is the most likely one after
leaving out boards, each with the mean error :math:`e` of its log times and the variance :math:`v`
that all other parameters explain:

.. math:: e \sim N(0, \sigma^2 + v)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from costmodel.platforms import Platform
from costmodel.timing.fitted import PRIOR_NETWORK_SPREAD, Fitted
from costmodel.timing.multipliers import DEVICE, DEVICE_SPREAD
from costmodel.timing.parameters import Parameter

from .assumed import offsets
from .bench import Bench
from .hierarchy import BEFORE, Known, Taught, taught

_ROWS = 8
"""Networks of a set that tell its level."""
_LEAST, _MOST = 0.01, 2.0
"""Range of the spread. [1]"""


@dataclass(frozen=True)
class Level:
    """Error of the level of one set that taught nothing.

    Parameters
    ----------
    error : float
        Mean logarithm of predicted over measured times. [1]
    variance : float
        What the spreads of the parameters explain. [1]
    weight : float
        Share of its board and engine that the set is; they count alike. [1]
    """

    error: float
    variance: float
    weight: float


def unseen(platform: Platform, lesson: Taught, before: Sequence[Parameter]) -> Platform:
    """Return ``platform`` with priors from other boards, for the parameters in ``before``."""
    engine = platform.runtime.engine
    mean, spread = lesson.of(engine)
    if engine not in lesson.engines and engine in offsets():
        mean = mean + offsets()[engine]
    numbers = zip(before, mean.tolist(), spread.tolist(), strict=True)
    learnt = {p.name: (m, s) for p, m, s in numbers} | {DEVICE: (0.0, lesson.level)}
    parameters = tuple(
        _moved(p, *learnt[p.name]) if p.name in learnt else p for p in platform.fitted.parameters
    )
    return replace(platform, fitted=Fitted.prior(parameters))


def _moved(p: Parameter, mean: float, spread: float) -> Parameter:
    return replace(p, value=float(np.clip(np.exp(mean), p.lower, p.upper)), spread=spread)


def with_level(
    sets: Collection[Bench], boards: Sequence[Known], before: Sequence[Parameter]
) -> Taught:
    """Return what ``boards`` teach, with the spread of the level of a further one.

    Parameters
    ----------
    sets : collection of Bench
        The sets of these boards.
    boards : sequence of Known
        What their rows say.
    before : sequence of Parameter
        The parameters, with the prior that was there before.
    """
    names = dict.fromkeys(k.board for k in boards)
    errors = [e for n in names for e in _errors(sets, n, _without(boards, {n}, before), before)]
    return replace(taught(boards, before), level=level_spread(errors))


def leaving_out(
    sets: Collection[Bench], boards: Sequence[Known], before: Sequence[Parameter]
) -> dict[str, Taught]:
    """Return, for each board, what all others teach, and how far off they are of each other.

    Each of the others is predicted without itself and without that board.
    """
    names = list(dict.fromkeys(k.board for k in boards))
    errors: dict[str, list[Level]] = {name: [] for name in names}
    for one, other in combinations(names, 2):
        lesson = _without(boards, {one, other}, before)
        errors[one] += _errors(sets, other, lesson, before)
        errors[other] += _errors(sets, one, lesson, before)
    return {
        name: replace(_without(boards, {name}, before), level=level_spread(errors[name]))
        for name in names
    }


def level_spread(levels: Sequence[Level]) -> float:
    """Return the spread of the level of a board that was never measured [1].

    Examples
    --------
    >>> told = [Level(error, 0.01, 1.0) for error in (0.3, -0.3, 0.25, -0.35) * 5]
    >>> round(level_spread(told), 2)
    0.3
    """
    from scipy.optimize import minimize_scalar

    error = np.array([0.0, *(x.error for x in levels)])
    variance = np.array([0.0, *(x.variance for x in levels)])
    weight = np.array([BEFORE, *(x.weight for x in levels)])
    error[0] = DEVICE_SPREAD

    def unlikely(spread: float) -> float:
        total = spread**2 + variance
        return float(np.sum(weight * (np.log(total) + error**2 / total)))

    return float(minimize_scalar(unlikely, bounds=(_LEAST, _MOST), method="bounded").x)


def _without(boards: Sequence[Known], names: set[str], before: Sequence[Parameter]) -> Taught:
    return taught([k for k in boards if k.board not in names], before)


def _errors(
    sets: Collection[Bench], board: str, lesson: Taught, before: Sequence[Parameter]
) -> list[Level]:
    """Return the errors of the sets of ``board``, which is not in ``lesson``."""
    own = [b for b in sets if b.platform.hardware.name == board]
    engines = [b.platform.runtime.engine for b in own]
    found = []
    for bench, engine in zip(own, engines, strict=True):
        rows = np.unique(np.linspace(0, len(bench.seconds) - 1, _ROWS).astype(int))
        guess = bench.predict(unseen(bench.platform, replace(lesson, level=0.0), before), rows)
        assert guess.log_spread is not None
        error = np.mean(np.log(guess.seconds / bench.seconds[rows]))
        variance = np.mean(guess.log_spread**2) - PRIOR_NETWORK_SPREAD**2
        found.append(Level(float(error), float(variance), 1 / engines.count(engine)))
    return found
