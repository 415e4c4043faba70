"""Comparison of networks on platforms, with their differences by module and by term."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from costmodel.arguments import values_of
from costmodel.counting.metrics import mac, multiply_adds, params
from costmodel.counting.subject import prepare
from costmodel.errors import DataError, GraphError, listed
from costmodel.graph import free_symbols, nodes_in_order
from costmodel.platforms import Platform, load_platform
from costmodel.prediction import Prediction
from costmodel.prediction.joint import Joint, Ratio, joint
from costmodel.prediction.latency import LEVEL, latencies
from costmodel.prediction.modules import module_seconds
from costmodel.specs import network


@dataclass(frozen=True)
class Entry:
    """One network on one platform.

    Parameters
    ----------
    network, platform : str
        Their names.
    prediction : Prediction
        Its latency.
    multiply_adds, mac, params : int
        Of the network. [multiply-add], [element], [element]
    modules : mapping
        Device time by module. [s]
    """

    network: str
    platform: str
    prediction: Prediction
    multiply_adds: int
    mac: int
    params: int
    modules: Mapping[str, float]


@dataclass(frozen=True)
class Difference:
    """The difference of the second of two entries from the first.

    Parameters
    ----------
    first, second : int
        Numbers of the entries.
    ratio : float
        Time of the second over that of the first. [1]
    interval : (float, float)
        Interval of the ratio at the probability level of the comparison. [1]
    faster : float
        Probability that the second is faster. [1]
    terms, modules : mapping
        Additional seconds of the second, by term and by module; the largest difference first. [s]
    """

    first: int
    second: int
    ratio: float
    interval: tuple[float, float]
    faster: float
    terms: Mapping[str, float]
    modules: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """Networks on platforms with their differences.

    Parameters
    ----------
    entries : tuple of Entry
        All networks on the first platform, then on the next.
    draws : ndarray
        Latencies of all entries under drawn errors (:func:`costmodel.prediction.joint.joint`), one
        row per draw. [s]
    level : float
        Probability of all intervals.
    """

    entries: tuple[Entry, ...]
    draws: np.ndarray
    level: float

    def __repr__(self) -> str:
        networks = listed(dict.fromkeys(e.network for e in self.entries), 3)
        platforms = listed(dict.fromkeys(e.platform for e in self.entries), 2)
        return f"<Comparison of {networks} on {platforms}>"

    @property
    def seconds(self) -> np.ndarray:
        """Latency of each entry [s]."""
        return np.array([float(e.prediction.seconds) for e in self.entries])

    def difference(self, first: int, second: int) -> Difference:
        """Return the difference of two entries, on the same platform or not."""
        a, b = self.entries[first], self.entries[second]
        ratio: Ratio = Joint(self.seconds, self.draws).ratio(first, second)
        return Difference(
            first,
            second,
            ratio.value,
            ratio.interval(self.level),
            ratio.faster,
            _apart(a.prediction.waits(), b.prediction.waits()),
            _apart(a.modules, b.modules),
        )

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Comparisons with the first network on each platform, and with the first platform.

        Every network on a further platform is also compared with itself on the first one.
        """
        platforms = list(dict.fromkeys(e.platform for e in self.entries))
        count = len(self.entries) // len(platforms)
        starts = range(0, len(self.entries), count)
        pairs = [(start, start + i) for start in starts for i in range(1, count)]
        pairs += [(i, start + i) for start in starts[1:] for i in range(count)]
        return tuple(self.difference(*pair) for pair in pairs)


def compare(
    networks: Iterable[str | nx.DiGraph],
    platforms: str | Platform | Sequence[str | Platform],
    level: float = LEVEL,
    depth: int = 1,
) -> Comparison:
    """Predict networks on platforms, and their differences.

    Parameters
    ----------
    networks : iterable of str or DiGraph
        Graphs, or networks by name (:func:`costmodel.network`), of numbers.
    platforms : str, Platform, or sequence of them
        Platforms of the comparison.
    level : float
        Probability of the intervals.
    depth : int
        Depth of the modules: number of parts of their dotted paths.

    Raises
    ------
    DataError
        If a network has free symbols, or a platform is unknown.
    GraphError
        If there is none.

    Examples
    --------
    >>> import costmodel as cm
    >>> found = cm.compare(["resnet18", "resnet50"], "gtx-1080-ti/paper")
    >>> (d,) = found.differences
    >>> d.ratio > 1.5, d.faster < 0.01
    (True, True)
    """
    if isinstance(networks, str | nx.Graph) or not isinstance(networks, Iterable):
        raise GraphError(f"expected several networks, such as a list, got {networks!r}")
    networks = list(networks)
    if wrong := [n for n in networks if not isinstance(n, str | nx.Graph)]:
        raise GraphError(f"expected networks by name or as graphs, got {wrong[0]!r}")
    named = [(n, network(n)) if isinstance(n, str) else (str(n.name), n) for n in networks]
    single = isinstance(platforms, str | Platform)
    places = values_of([platforms] if single else platforms, "platforms", "platforms")
    if type(depth) is not int:
        raise DataError(f"depth must be an integer, got {depth!r}")
    if not named or not places:
        raise GraphError("a comparison needs at least one network and one platform")
    for name, graph in named:
        if free := sorted(str(s) for s in free_symbols(graph)):
            raise DataError(
                f"a comparison needs numbers, but {', '.join(free)} of {name} are free: give them "
                "values"
            )
    ready = [prepare(graph) for _, graph in named]
    counts = [(int(multiply_adds(r)), int(mac(r)), int(params(r))) for r in ready]
    entries: list[Entry] = []
    blocks: list[np.ndarray] = []
    for place in map(load_platform, places):
        predictions = latencies(ready, place, level)
        for (name, graph), prediction, sums in zip(named, predictions, counts, strict=True):
            modules = module_seconds(nodes_in_order(graph), prediction, depth)
            entries.append(Entry(name, place.name, prediction, *sums, modules))
        blocks.append(joint(ready, place).draws)
    return Comparison(tuple(entries), np.concatenate(blocks, axis=1), level)


def _apart(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    """Return the excess of ``b`` over ``a`` under each name, the largest difference first."""
    apart = {name: b.get(name, 0.0) - a.get(name, 0.0) for name in dict.fromkeys((*a, *b))}
    return dict(sorted(apart.items(), key=lambda item: -abs(item[1])))
