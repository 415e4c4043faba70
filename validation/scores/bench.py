"""One device's measured rows, lowered and ready to be fitted and predicted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from costmodel.calibration.fit import fit
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.table import NetworkTable, tabulate
from costmodel.timing.workload import Moved

from .baselines import BASELINES, Features, features, other_boards
from .dataset import DeviceSet
from .figures import Figures, average, judge
from .left_out import without_own
from .splits import Split, sample

MODEL = "costmodel"
"""Name of our own predictions among the methods."""
PRIORS = "costmodel, priors"
"""Their name if nothing was fitted."""
SHIPPED = "costmodel, shipped priors"
"""Their name with the priors that come with the package, if the scored device taught some."""


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
        Runtime of the platform, or the one that it is like.
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
        With its priors, without what its own rows taught them.
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
    shipped : Platform, optional
        With the priors that come with the package, if the scored device taught some of them.
    """

    platform: Platform
    table: NetworkTable
    seconds: np.ndarray
    groups: tuple[str, ...]
    sites: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    elsewhere: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    shipped: Platform | None = None

    @staticmethod
    def of(rows: DeviceSet, most: int | None = None) -> Bench:
        """Return the bench of ``rows``, or of ``most`` of them in a fixed draw."""
        shipped = load_platform(rows.platform, calibrated=False)
        platform = without_own(shipped)
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
            shipped=None if platform is shipped else shipped,
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
        if self.shipped is not None:
            found[SHIPPED] = self.predict(self.shipped, split.scored)
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
                    bench.platform.runtime.engine,
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
