"""Measures many networks into a store: interruptible at any point, and resumable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import networkx as nx
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from costmodel.errors import CostModelError
from costmodel.graph import nodes_in_order
from costmodel.ops import Input
from validation.errors import ClockError, MeasuringError
from validation.measuring.backend import Backend, Settings
from validation.measuring.clock import Plan, Timing
from validation.measuring.networks import digest, network_for
from validation.measuring.store import Result, Store, result_key

GROUP = 12
"""Networks that are timed in turns, hence in memory, at once."""


@dataclass(frozen=True)
class Campaign:
    """What is measured, and how.

    Parameters
    ----------
    specs : tuple of str
        Networks, as in :mod:`costmodel.specs`.
    backend : Backend
        What runs them.
    settings, plan
        How they are run and timed.
    run : int
        Repetition at another time; the difference of two runs is the noise floor.
    platform : str
        What the results are to be compared with; by default the backend's own platform.
    group : int
        Networks that are timed in turns: more take more memory, but their turns are further apart,
        so that a spell of disturbance spoils fewer of them.
    graphs : mapping
        Networks that are built already, by spec; a stored result of another graph is not taken for
        theirs. The others are built when their turn comes.
    """

    specs: tuple[str, ...]
    backend: Backend
    settings: Settings = field(default_factory=Settings)
    plan: Plan = field(default_factory=Plan)
    run: int = 0
    platform: str = ""
    group: int = GROUP
    graphs: Mapping[str, nx.DiGraph] = field(default_factory=dict)

    def stored_settings(self) -> dict[str, Any]:
        """Return what the store keeps of the settings and the plan."""
        return {**self.settings.to_dict(), "plan": asdict(self.plan)}

    def key(self, spec: str) -> str:
        """Return the key of ``spec`` in the store."""
        return result_key(spec, self.backend.name, self.stored_settings(), self.run)

    def missing(self, store: Store) -> list[str]:
        """Return the networks that the store has no result of."""
        return [spec for spec in dict.fromkeys(self.specs) if self.result(spec, store) is None]

    def result(self, spec: str, store: Store) -> Result | None:
        """Return the stored result of ``spec``, where it was measured with success."""
        found = store.get(self.key(spec))
        if found is None or spec not in self.graphs:
            return found
        return found if found.graph == digest(self.graphs[spec]) else None

    def graph(self, spec: str) -> nx.DiGraph:
        """Return the network of ``spec``, in the dtype of the settings."""
        if spec in self.graphs:
            return self.graphs[spec]
        return network_for(spec, self.settings)


def run_campaign(
    campaign: Campaign,
    store: Store,
    console: Console | None = None,
) -> list[Result]:
    """Measure what the store lacks; every result is on the disk before the next begins.

    Parameters
    ----------
    campaign : Campaign
        What to measure.
    store : Store
        Open for appending.
    console : Console, optional
        Where a progress bar goes; none is shown without it.

    Returns
    -------
    list of Result
        What was measured now; failures too, with a sentence each.

    Raises
    ------
    ClockError, StoreError
        What would befall every further measurement. The results before it are kept.
    """
    todo = campaign.missing(store)
    done = []
    with _progress(console) as progress:
        task = progress.add_task("measuring", total=len(todo))
        for start in range(0, len(todo), campaign.group):
            for result in _measure_group(campaign, todo[start : start + campaign.group]):
                store.append(result)
                done.append(result)
                progress.advance(task)
    return done


def _measure_group(campaign: Campaign, specs: Sequence[str]) -> Iterator[Result]:
    graphs = {}
    # Described before the measurement binds this process to some of the cores.
    host = campaign.backend.describe(campaign.settings)
    for spec in specs:
        try:
            graphs[spec] = campaign.graph(spec)
        except CostModelError as error:
            yield _result(campaign, spec, None, MeasuringError(str(error)), host)
    backend = campaign.backend
    for spec, outcome in backend.measure_networks(graphs, campaign.settings, campaign.plan):
        if isinstance(outcome, ClockError):
            raise outcome
        yield _result(campaign, spec, graphs[spec], outcome, host)


def _result(
    campaign: Campaign,
    spec: str,
    graph: nx.DiGraph | None,
    outcome: Timing | MeasuringError,
    host: dict[str, str],
) -> Result:
    timing = None if isinstance(outcome, MeasuringError) else outcome
    return Result(
        spec=spec,
        backend=campaign.backend.name,
        platform=campaign.platform or campaign.backend.platform(campaign.settings),
        settings=campaign.stored_settings(),
        batch=1 if graph is None else batch_of(graph),
        timing=timing,
        failure=str(outcome) if timing is None else "",
        host=host,
        run=campaign.run,
        graph="" if graph is None else digest(graph),
    )


def batch_of(graph: nx.DiGraph) -> int:
    """Return the inputs at once: the first size of the first input.

    Examples
    --------
    >>> from costmodel import zoo
    >>> batch_of(zoo.pointwise(7, 7, 8, 8, batch=4))
    4
    """
    for node in nodes_in_order(graph):
        if isinstance(node.op, Input) and node.outputs[0].shape:
            return int(node.outputs[0].shape[0])
    return 1


def _progress(console: Console | None) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("time left"),
        TimeRemainingColumn(),
        console=console,
        disable=console is None,
        transient=True,
    )
