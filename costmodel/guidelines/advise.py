"""Rewrites of a network that save time on a platform, the largest saving first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import networkx as nx

from costmodel.counting.metrics import mac, multiply_adds, params
from costmodel.counting.subject import prepare
from costmodel.errors import CostModelError, DataError, GraphError
from costmodel.graph import free_symbols, validate
from costmodel.guidelines.branches import added_branches, merged_siblings
from costmodel.guidelines.case import Case, Rewrite
from costmodel.guidelines.channels import equal_widths, fewer_groups, packed
from costmodel.guidelines.drafts import drafts_of, outputs_of, rebuilt
from costmodel.guidelines.elementwise import (
    activations_behind_pooling,
    cheaper_activations,
    folded_norms,
    needless_shuffles,
    pooling_before_pointwise,
)
from costmodel.guidelines.throughout import throughout
from costmodel.guidelines.windows import larger_batch, smaller_kernels
from costmodel.ops.tensor import Tensor
from costmodel.platforms import Platform, load_platform
from costmodel.prediction import Prediction
from costmodel.prediction.joint import Ratio, joint
from costmodel.prediction.latency import LEVEL, latency
from costmodel.prediction.table import tabulate
from costmodel.units import format_si

RULES = (
    equal_widths,
    fewer_groups,
    packed,
    merged_siblings,
    added_branches,
    folded_norms,
    activations_behind_pooling,
    pooling_before_pointwise,
    needless_shuffles,
    cheaper_activations,
    smaller_kernels,
    larger_batch,
)
"""Functions that propose rewrites."""
NOISE = 0.015
"""Least saving of a proposed change, as a share of the latency: two medians that are each measured
to 1 % differ by 1.4 % by chance. [1]"""
PART = 0.005
"""Least share that a place must save to be changed together with others. [1]"""
STEADY = 0.05
"""Largest relative change of the multiply-adds in a rewrite that keeps them. [1]"""


@dataclass(frozen=True)
class Finding:
    """A rewrite that saves time, with its network and its saving.

    Parameters
    ----------
    rewrite : Rewrite
        The change.
    graph : DiGraph
        The rewritten network.
    saving : float
        Predicted saving in the latency, per input if the batch grows. [s]
    interval : (float, float)
        Interval of the saving at the probability level of the advice. [s]
    share : float
        The saving divided by the latency. [1]
    multiply_adds, params, mac : int
        Change of each. [multiply-add], [element], [element]
    """

    rewrite: Rewrite
    graph: nx.DiGraph
    saving: float
    interval: tuple[float, float]
    share: float
    multiply_adds: int
    params: int
    mac: int

    def __repr__(self) -> str:
        said = f"saves {format_si(self.saving, 's')}, {100 * self.share:.0f} %"
        return f"<Finding {self.rewrite.guideline}: {self.rewrite.title}, {said}>"


@dataclass(frozen=True)
class Advice:
    """The findings on a network, the largest saving first.

    Parameters
    ----------
    graph : DiGraph
        The network.
    prediction : Prediction
        Its latency.
    findings : tuple of Finding
        The rewrites that save time.
    """

    graph: nx.DiGraph
    prediction: Prediction
    findings: tuple[Finding, ...]

    def __repr__(self) -> str:
        p = self.prediction
        return f"<Advice on {p.network} on {p.platform}: {len(self.findings)} findings>"

    def apply(self, numbers: Iterable[int]) -> nx.DiGraph:
        """Return the network with several findings applied, one after the other.

        Parameters
        ----------
        numbers : iterable of int
            Numbers of the findings; the first is 1.

        Raises
        ------
        GraphError
            If there is no such finding, or one cannot follow another.

        Examples
        --------
        >>> import costmodel as cm
        >>> advice = cm.advise(cm.zoo.resnet18(), "gtx-1080-ti/torch-eager")
        >>> advice.findings[1].rewrite.title
        '20 batch normalizations folded into convolutions'
        >>> better = advice.apply([2])
        >>> cm.latency(better, "gtx-1080-ti/torch-eager").seconds < advice.prediction.seconds
        True
        """
        drafts = drafts_of(self.graph)
        if not isinstance(numbers, Iterable) or isinstance(numbers, str):
            raise GraphError(f"findings must be a list of their numbers, got {numbers!r}")
        for number in numbers:
            if not isinstance(number, int) or not 1 <= number <= len(self.findings):
                raise GraphError(
                    f"there is no finding {number}: they are numbered 1 to {len(self.findings)}"
                )
            try:
                drafts = self.findings[number - 1].rewrite.change(drafts)
            except CostModelError as error:
                raise GraphError(
                    f"finding {number} cannot follow those before it: {error}"
                ) from None
        return rebuilt(drafts, self.graph)


def advise(graph: nx.DiGraph, platform: str | Platform, level: float = LEVEL) -> Advice:
    """Propose changes of a network that save time on a platform.

    Parameters
    ----------
    graph : DiGraph
        An op graph without free symbols.
    platform : str or Platform
        See :func:`costmodel.platforms.load_platform`.
    level : float
        Probability of the intervals; a rewrite whose interval includes 0 is left out.

    Raises
    ------
    DataError
        If the graph has free symbols.

    Examples
    --------
    >>> from costmodel import zoo
    >>> found = advise(zoo.g1_stack(c1=36, c2=426), "gtx-1080-ti/paper").findings
    >>> found[0].rewrite.guideline
    'G1'
    """
    validate(graph)
    free = sorted(str(s) for s in free_symbols(graph))
    if free:
        raise DataError(f"advice needs numbers, but {', '.join(free)} are free: give them values")
    where = load_platform(platform)
    prediction = latency(graph, where, level)
    if not prediction.kernels:
        return Advice(graph, prediction, ())
    made = _weighed(Case(graph, where), prediction)
    together = joint([graph, *(m.graph for m in made)], where)
    before = _counts(graph)
    found = []
    for i, m in enumerate(made, start=1):
        ratio = together.ratio(0, i, m.rewrite.inputs)
        found.append(_finding(m, ratio, float(together.seconds[0]), level, before))
    worth = [f for f in found if f.share >= NOISE and f.interval[0] > 0]
    ranked = sorted(worth, key=lambda f: -f.saving)
    return Advice(graph, prediction, tuple(_best_of_each(ranked)))


class _Made(NamedTuple):
    """A rewrite, its network, and the predicted share of the time that it saves."""

    rewrite: Rewrite
    graph: nx.DiGraph
    share: float


def _weighed(case: Case, prediction: Prediction) -> list[_Made]:
    """Return the rewrites whose predicted saving is large enough to draw errors for them."""
    by_rule = [_predicted(case, prediction, rule(case)) for rule in RULES]
    joined = [
        rewrite
        for found in by_rule
        if (rewrite := throughout(m.rewrite for m in found if m.share >= PART))
    ]
    single = [m for found in by_rule for m in found]
    return [m for m in single + _predicted(case, prediction, joined) if m.share >= NOISE]


def _predicted(case: Case, prediction: Prediction, rewrites: Iterable[Rewrite]) -> list[_Made]:
    """Return the rewrites that make valid networks, the largest saving first."""
    made = list(_valid(case, rewrites))
    if not made:
        return []
    table = tabulate([graph for _, graph in made], case.platform)
    times = table.seconds(case.platform, case.platform.fitted.theta)
    whole = float(prediction.seconds)
    found = [
        _Made(rewrite, graph, 1 - float(time) / rewrite.inputs / whole)
        for (rewrite, graph), time in zip(made, times, strict=True)
    ]
    return sorted(found, key=lambda m: -m.share)


def _valid(case: Case, rewrites: Iterable[Rewrite]) -> Iterator[tuple[Rewrite, nx.DiGraph]]:
    """Yield the rewrites that make a valid network with the same outputs."""
    before = outputs_of(case.graph)
    for rewrite in rewrites:
        try:
            changed = rebuilt(rewrite.change(case.drafts), case.graph)
        except CostModelError:
            continue  # widths that are not divisible by groups or for reshapes
        if _same_outputs(before, outputs_of(changed), rewrite.inputs) and (
            rewrite.guideline not in ("G1", "G2") or _steady(case.graph, changed)
        ):
            yield rewrite, changed


def _steady(graph: nx.DiGraph, changed: nx.DiGraph) -> bool:
    """Return whether the multiply-adds stay the same except for rounding to whole packs."""
    now, then = int(multiply_adds(graph)), int(multiply_adds(changed))
    return abs(then - now) <= STEADY * now


def _same_outputs(before: Sequence[Tensor], after: Sequence[Tensor], inputs: int) -> bool:
    if inputs > 1:
        return len(before) == len(after)
    return list(before) == list(after)


def _counts(graph: nx.DiGraph) -> tuple[int, int, int]:
    ready = prepare(graph)
    return int(multiply_adds(ready)), int(params(ready)), int(mac(ready))


def _finding(
    made: _Made,
    ratio: Ratio,
    seconds: float,
    level: float,
    before: tuple[int, int, int],
) -> Finding:
    low, high = ratio.interval(level)
    share = 1 - ratio.value
    counts = _counts(made.graph)
    return Finding(
        made.rewrite,
        made.graph,
        seconds * share,
        (seconds * (1 - high), seconds * (1 - low)),
        share,
        *(after - now for after, now in zip(counts, before, strict=True)),
    )


def _best_of_each(ranked: Sequence[Finding]) -> Iterable[Finding]:
    """Yield the best of the rewrites by one guideline that concern the same layers."""
    seen: list[tuple[str, set[str]]] = []
    for finding in ranked:
        rewrite = finding.rewrite
        layers = set(rewrite.layers)
        if not any(g == rewrite.guideline and layers & others for g, others in seen):
            seen.append((rewrite.guideline, layers))
            yield finding
