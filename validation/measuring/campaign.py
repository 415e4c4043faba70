"""Measurement of many networks into a store; it can be interrupted and resumed at any point.

The networks of a group are measured in turns by a worker process (:mod:`.apart`), and the samples
of each round are on the disk before the next begins.
"""

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
from costmodel.zoo import NETWORKS as ZOO
from costmodel.zoo import singles

from ..errors import ClockError, MeasuringError
from .apart import measure_apart
from .backend import Backend, Settings
from .clock import Plan, Timing
from .journal import Turn
from .networks import digest, fingerprint, network_for
from .rounds import StoredTurn
from .store import Result, Store, result_key
from .worker import Job

GROUP = 12
"""Networks that are timed in turns, hence in memory, at once."""
OPERATORS = 5
"""Single operators in the place of one network: they are small, and the start of a worker takes
seconds."""
LIMIT = 600.0
"""Time without a sign of life, beyond its budget, after which a network hangs. [s]"""


@dataclass(frozen=True)
class Campaign:
    """The networks and settings of a campaign.

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
        Networks that are timed in turns, or :data:`OPERATORS` times as many single operators: more
        take more memory, but their turns are further apart, so that a spell of disturbance spoils
        fewer of them.
    graphs : mapping
        Networks that are built already, by spec; a stored result of another graph is not taken for
        theirs. The others are built when their turn comes.
    limit : float
        A network whose building, warm-up or turn takes longer than this and the budget together is
        given up. [s]
    """

    specs: tuple[str, ...]
    backend: Backend
    settings: Settings = field(default_factory=Settings)
    plan: Plan = field(default_factory=Plan)
    run: int = 0
    platform: str = ""
    group: int = GROUP
    graphs: Mapping[str, nx.DiGraph] = field(default_factory=dict)
    limit: float = LIMIT

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
    """Measure what the store lacks; every round is on the disk before the next begins.

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
        for together in _in_groups(todo, campaign.group):
            for result in _measure_group(campaign, together, store):
                store.append(result)
                done.append(result)
                progress.advance(task)
    return done


def _in_groups(specs: Sequence[str], most: int) -> Iterator[list[str]]:
    """Yield ``specs`` in groups of ``most`` networks, or of more single operators."""
    group: list[str] = []
    taken = 0
    for spec in specs:
        found = ZOO.get(spec.partition("?")[0])
        place = 1 if found and found.__module__ == singles.__name__ else OPERATORS
        if taken + place > most * OPERATORS:
            yield group
            group, taken = [], 0
        group.append(spec)
        taken += place
    if group:
        yield group


def _measure_group(campaign: Campaign, specs: Sequence[str], store: Store) -> Iterator[Result]:
    # Described before the measurement binds this process to some of the cores.
    host = campaign.backend.describe(campaign.settings)
    # A backend that says nothing of it is run here.
    measured = _apart if getattr(campaign.backend, "own_process", False) else _here
    group = _Group(campaign, store, host)
    for spec, outcome in measured(group, specs):
        if isinstance(outcome, ClockError):
            raise outcome
        yield _result(campaign, spec, group.graphs.get(spec), outcome, host)


@dataclass
class _Group:
    """Networks that are measured together: their known turns, and the file of new ones."""

    campaign: Campaign
    store: Store
    host: Mapping[str, str]
    graphs: dict[str, nx.DiGraph] = field(default_factory=dict)

    def built(self, name: str, graph: nx.DiGraph) -> None:
        self.graphs[name] = graph

    def earlier(self, name: str) -> Sequence[Turn]:
        return self.store.rounds.of(self.campaign.key(name), self._origin(name))

    def begin(self, name: str) -> None:
        pass

    def finish(self, turns: Mapping[str, Turn]) -> None:
        key = self.campaign.key
        self.store.append_round(
            [StoredTurn(key(name), self._origin(name), name, t) for name, t in turns.items()]
        )

    def _origin(self, name: str) -> str:
        """Return what samples must have in common to be samples of one median."""
        host = {key: value for key, value in self.host.items() if key != "load"}
        return fingerprint([digest(self.graphs[name]), host])


_Outcomes = Iterator[tuple[str, Timing | MeasuringError]]


def _apart(group: _Group, specs: Sequence[str]) -> _Outcomes:
    campaign = group.campaign
    graphs = {spec: campaign.graphs.get(spec) for spec in specs}
    job = Job(campaign.backend, campaign.settings, campaign.plan, graphs)
    yield from measure_apart(job, group, campaign.limit + campaign.plan.budget)


def _here(group: _Group, specs: Sequence[str]) -> _Outcomes:
    campaign = group.campaign
    for spec in specs:
        try:
            group.built(spec, campaign.graph(spec))
        except CostModelError as error:
            yield spec, MeasuringError(str(error))
    backend, how = campaign.backend, (campaign.settings, campaign.plan)
    if getattr(backend, "keeps_rounds", False):
        yield from backend.measure_networks(group.graphs, *how, group)
    else:
        yield from backend.measure_networks(group.graphs, *how)


def _result(
    campaign: Campaign,
    spec: str,
    graph: nx.DiGraph | None,
    outcome: Timing | MeasuringError,
    host: Mapping[str, str],
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
        # In a file, it would leave an empty line behind.
        disable=console is None or not console.is_terminal,
        transient=True,
    )
