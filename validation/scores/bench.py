"""One device's measured rows, lowered and ready to be fitted and predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from costmodel.calibration.fit import fit
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.table import NetworkTable, tabulate
from costmodel.timing.fitted import Fitted
from costmodel.timing.multipliers import HOST
from costmodel.timing.surface import Surface
from costmodel.timing.workload import Moved

from .baselines import BASELINES, Features, features, other_boards
from .dataset import DeviceSet
from .figures import Figures, average, judge
from .splits import Split, sample

MODEL = "costmodel"
"""Name of our own predictions among the methods."""
PRIORS = "costmodel, priors"
"""Their name if nothing was fitted."""


@dataclass(frozen=True)
class Guess:
    """Predictions of a method for the scored rows of a split.

    Parameters
    ----------
    seconds : ndarray
        [s]
    log_spread : ndarray, optional
        Standard deviation of the logarithm, if the method gives one. [1]
    """

    seconds: np.ndarray
    log_spread: np.ndarray | None = None


@dataclass(frozen=True)
class Score:
    """The figures of one method on one device.

    Parameters
    ----------
    data, device, split, method : str
        Data set, device (and kind of rows), kind of split, method.
    fitted, scored : int
        Rows of one draw.
    figures : Figures
        Averages over the draws.
    runtime : str
        Runtime of the platform.
    """

    data: str
    device: str
    split: str
    method: str
    fitted: int
    scored: int
    figures: Figures
    runtime: str = ""


@dataclass(frozen=True)
class Bench:
    """Rows of a device, tabulated.

    Parameters
    ----------
    platform : Platform
        With its priors.
    table : NetworkTable
        The networks.
    seconds : ndarray
        Measured times. [s]
    groups : tuple of str
        Kind of each row.
    sites : tuple of str
        Site of each row.
    names : tuple of str
        Network of each row.
    elsewhere : ndarray
        Times of the networks on other boards, one row a board; NaN where unknown. [s]
    """

    platform: Platform
    table: NetworkTable
    seconds: np.ndarray
    groups: tuple[str, ...]
    sites: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    elsewhere: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))

    @staticmethod
    def of(rows: DeviceSet, most: int | None = None) -> Bench:
        """Return the bench of ``rows``, or of ``most`` of them in a fixed draw."""
        platform = load_platform(rows.platform, calibrated=False)
        index = sample(len(rows.rows), most or len(rows.rows))
        chosen = [rows.rows[i] for i in index]
        graphs, between = [rows.graph(row) for row in chosen], [row.between for row in chosen]
        table = tabulate(graphs, platform, between)
        return Bench(
            platform,
            _with_weights_at_hand(table) if rows.weights_at_hand else table,
            np.array([row.seconds for row in chosen]),
            tuple(row.group for row in chosen),
            tuple(row.site for row in chosen),
            tuple(row.network for row in chosen),
            np.array([[t.get(r.network, np.nan) for r in chosen] for t in rows.elsewhere]),
        )

    @cached_property
    def features(self) -> Features:
        """Features for the baselines."""
        return features(self.table, self.platform)

    def fitted(self, rows: np.ndarray, provenance: Mapping[str, str] | None = None) -> Platform:
        """Return the platform fitted to some of the rows."""
        table, seconds = self.table.rows(rows), self.seconds[rows]
        return fit(table, seconds, self.platform, provenance or {}).platform

    def predict(self, platform: Platform, rows: np.ndarray) -> Guess:
        """Return the predictions of ``platform`` for some of the rows."""
        table = self.table.rows(rows)
        return Guess(table.seconds(platform, platform.fitted.theta), table.log_spread(platform))

    def guesses(self, split: Split) -> dict[str, Guess]:
        """Fit every method on the fitted rows and predict the others."""
        found = {
            MODEL: self.predict(self.fitted(split.fitted), split.scored),
            PRIORS: self.predict(self.platform, split.scored),
        }
        for name, method in BASELINES.items():
            everything = method(self.features, split.fitted, self.seconds)
            found[name] = Guess(everything[split.scored])
        if self.elsewhere.size:
            for name, times in other_boards(self.elsewhere, split.fitted, self.seconds).items():
                found[name] = Guess(times[split.scored])
        return found


def scores_of(
    data: str,
    device: str,
    how: str,
    bench: Bench,
    splits: Sequence[Split],
    guesses: Sequence[Mapping[str, Guess]],
) -> list[Score]:
    """Return one score per method and kind of rows, averaged over splits of one size."""
    groups = np.array(bench.groups)
    scores = []
    for group in sorted(set(bench.groups)):
        keeps = [groups[split.scored] == group for split in splits]
        for method in guesses[0]:
            figures = [
                _judged(guess[method], bench.seconds[split.scored], keep)
                for split, guess, keep in zip(splits, guesses, keeps, strict=True)
                if keep.any()
            ]
            scores.append(
                Score(
                    data,
                    f"{device} {group}".strip(),
                    how,
                    method,
                    int(np.sum(groups[splits[0].fitted] == group)),
                    int(keeps[0].sum()),
                    average(figures),
                    bench.platform.runtime.name,
                )
            )
    return scores


def _with_weights_at_hand(table: NetworkTable) -> NetworkTable:
    """Return ``table`` with all weights in the first cache of a core."""
    stacks = []
    for stack in table.stacks:
        weights = stack.workload.weights
        none = weights.bytes * 0
        workload = replace(stack.workload, weights=Moved(weights.bytes, none, none))
        stacks.append(replace(stack, workload=workload))
    return replace(table, stacks=stacks)


def _judged(guess: Guess, measured: np.ndarray, keep: np.ndarray) -> Figures:
    spread = None if guess.log_spread is None else guess.log_spread[keep]
    return judge(guess.seconds[keep], measured[keep], spread)


def transferred(platform: Platform, others: Sequence[Platform]) -> Platform:
    """Return ``platform`` with parameters fitted to other devices, and to none of its own rows.

    Parameters are the centre of the other fits on a logarithmic scale, nearer to the priors the
    more the others disagree. By the law of total covariance, their errors are the mean of the others' errors, in which parameters that have only
    their product determined are correlated, and the disagreement of the others. Host parameters
    keep their priors, because the host is a machine of its own. The residual spread is that of the
    others on rows that they left out. What formulas miss over the shapes of kernels is what the
    others miss in common.
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
