"""Predicted and measured times: errors of networks and kernels, and their causes."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx

from costmodel.platforms import Platform
from costmodel.prediction import KernelTime, Prediction
from costmodel.prediction.latency import latency

from ..measuring.backend import KernelTiming, LayerTiming
from ..measuring.clock import Timing

PARTS = {"compute": "compute", "memory": "traffic", "launch": "overhead", "passes": "fusion"}
"""What the error of a kernel is booked under, by the term that the model says it waits for."""
REPEATS = 0.03
"""Largest difference of two measurements that agree, as a share."""
WITHIN = 0.10
"""The error up to which a prediction counts as right, as in nn-Meter and its successors."""


@dataclass(frozen=True)
class KernelComparison:
    """One kernel: predicted inside the network, measured alone. Times in seconds.

    Parameters
    ----------
    name, kind : str
        As in :class:`costmodel.kernels.Kernel`.
    predicted, measured : float
        [s]
    part : str
        One of the values of :data:`PARTS`: what the model says it waits for.
    """

    name: str
    kind: str
    predicted: float
    measured: float
    part: str

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True)
class Comparison:
    """One network: predicted and measured.

    The compared value is the lowest median of a round (:attr:`Timing.quiet`): the model predicts an
    unshared machine, which other processes can only slow down.

    Parameters
    ----------
    network, platform : str
        What is compared, on what.
    predicted : float
        [s]
    interval : tuple of float
        Where the model expects a measurement. [s]
    measured : Timing
        The whole network.
    again : Timing, optional
        The same measured at another time.
    kernels : tuple of KernelComparison
        Each kernel, where they were measured.
    layers : tuple of LayerTiming
        Each layer inside the network, where an engine tells their times.
    inside : bool
        Whether kernels were timed inside the network, not each alone.
    """

    network: str
    platform: str
    predicted: float
    interval: tuple[float, float]
    measured: Timing
    again: Timing | None = None
    kernels: tuple[KernelComparison, ...] = ()
    layers: tuple[LayerTiming, ...] = ()
    inside: bool = False

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted / self.measured.quiet - 1

    @property
    def covered(self) -> bool:
        """Whether the measurement is in the predicted interval."""
        return self.interval[0] <= self.measured.quiet <= self.interval[1]

    @property
    def noise(self) -> float:
        """Difference of the two measurements as a share, or half the interval of the one."""
        if self.again is not None:
            return abs(self.again.quiet / self.measured.quiet - 1)
        return (self.measured.high - self.measured.low) / 2 / self.measured.median

    @property
    def repeats(self) -> bool | None:
        """Whether the two measurements agree within :data:`REPEATS`; None for a single one."""
        return None if self.again is None else self.noise <= REPEATS

    def decomposition(self) -> dict[str, float]:
        """Return what the error is made of, as shares of the measured time; they add up to it.

        ``compute``, ``traffic``, ``overhead`` and ``fusion`` are the errors of the kernels that
        wait for these; ``between`` is what the network takes beyond its kernels run alone (caches,
        dispatch, memory allocation), predicted less measured. Empty without kernels.
        """
        if not self.kernels:
            return {}
        parts = dict.fromkeys((*PARTS.values(), "between"), 0.0)
        total = self.measured.quiet
        for kernel in self.kernels:
            parts[kernel.part] += (kernel.predicted - kernel.measured) / total
        parts["between"] = self.error - sum(parts.values())
        return parts

    def by_kind(self) -> dict[str, tuple[float, float]]:
        """Return predicted and measured seconds of all kernels of a kind, largest first."""
        sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for kernel in self.kernels:
            sums[kernel.kind][0] += kernel.predicted
            sums[kernel.kind][1] += kernel.measured
        ordered = sorted(sums.items(), key=lambda item: -item[1][1])
        return {kind: (predicted, measured) for kind, (predicted, measured) in ordered}

    def layers_by_kind(self) -> dict[str, tuple[int, float]]:
        """Return number and seconds of all layers of a kind of the engine's, largest first."""
        sums: dict[str, list[float]] = defaultdict(list)
        for layer in self.layers:
            sums[layer.kind].append(layer.seconds)
        ordered = sorted(sums.items(), key=lambda item: -sum(item[1]))
        return {kind: (len(seconds), sum(seconds)) for kind, seconds in ordered}


@dataclass(frozen=True)
class Score:
    """How good the predictions of several networks are.

    Parameters
    ----------
    networks : int
        How many.
    mape : float
        Mean of the absolute errors. [1]
    bias : float
        Median of predicted over measured, less one. [1]
    within : float
        Share of networks with an error up to :data:`WITHIN`. [1]
    covered : float
        Share of measurements in the predicted interval. [1]
    spearman, kendall : float, optional
        Rank correlations; None for fewer than three networks.
    noise : float
        Mean of :attr:`Comparison.noise`: no model can do better. [1]
    """

    networks: int
    mape: float
    bias: float
    within: float
    covered: float
    spearman: float | None
    kendall: float | None
    noise: float


def compare(
    network: str,
    graph: nx.DiGraph,
    platform: str | Platform,
    measured: Timing,
    again: Timing | None = None,
    kernels: Sequence[KernelTiming] = (),
    layers: Sequence[LayerTiming] = (),
) -> Comparison:
    """Predict ``graph`` on ``platform`` and set the measurements beside it.

    Parameters
    ----------
    network : str
        Its name in tables.
    graph : DiGraph
        Without symbols.
    platform : str or Platform
        As in :func:`costmodel.latency`.
    measured, again : Timing
        The whole network, and once more at another time.
    kernels : sequence of KernelTiming
        Its kernels, each alone.
    layers : sequence of LayerTiming
        Its layers as an engine counts them.
    """
    prediction = latency(graph, platform)
    assert prediction.interval is not None, "a graph that was measured has no symbols"
    return Comparison(
        network,
        prediction.platform,
        float(prediction.seconds),
        prediction.interval,
        measured,
        again,
        _kernels(prediction, kernels),
        tuple(layers),
        any(kernel.inside for kernel in kernels),
    )


def score(comparisons: Sequence[Comparison]) -> Score:
    """Return how good the predictions are over all networks (at least one).

    Examples
    --------
    >>> from costmodel_validation.measuring.clock import summary
    >>> rows = [Comparison(n, "p", 1.1 * s, (0.9 * s, 1.2 * s), summary([s]))
    ...         for n, s in (("a", 1.0), ("b", 2.0), ("c", 3.0))]
    >>> s = score(rows)
    >>> round(s.mape, 3), s.covered, s.spearman
    (0.1, 1.0, 1.0)
    """
    errors = [c.error for c in comparisons]
    spearman, kendall = _ranks(comparisons)
    return Score(
        networks=len(errors),
        mape=statistics.fmean(map(abs, errors)),
        bias=statistics.median(errors),
        within=statistics.fmean(abs(e) <= WITHIN for e in errors),
        covered=statistics.fmean(c.covered for c in comparisons),
        spearman=spearman,
        kendall=kendall,
        noise=statistics.fmean(c.noise for c in comparisons),
    )


def _ranks(comparisons: Sequence[Comparison]) -> tuple[float | None, float | None]:
    if len(comparisons) < 3:
        return None, None
    from scipy.stats import kendalltau, spearmanr  # slow to import

    predicted = [c.predicted for c in comparisons]
    measured = [c.measured.quiet for c in comparisons]
    return (
        float(spearmanr(predicted, measured).statistic),
        float(kendalltau(predicted, measured).statistic),
    )


def _kernels(
    prediction: Prediction, timings: Sequence[KernelTiming]
) -> tuple[KernelComparison, ...]:
    """Pair kernels by name; a kernel that only one side has would make the sums meaningless."""
    measured = {timing.name: timing for timing in timings}
    if measured.keys() != {k.kernel.name for k in prediction.kernels}:
        return ()
    return tuple(_kernel(k, measured[k.kernel.name].timing) for k in prediction.kernels)


def _kernel(time: KernelTime, timing: Timing) -> KernelComparison:
    # Where the host dispatches, a kernel lasts as long as the slower of host and device.
    predicted = max(float(time.seconds), float(time.terms.host))
    part = PARTS[time.waits_for]
    return KernelComparison(time.kernel.name, time.kernel.kind, predicted, timing.quiet, part)
