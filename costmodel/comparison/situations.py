"""A network and a platform with one quantity at another value."""

from __future__ import annotations

import math
from collections.abc import Sequence

import networkx as nx

from costmodel.errors import DataError
from costmodel.graph import at, free_symbols
from costmodel.platforms import Platform
from costmodel.platforms.varied import UNITS, varied
from costmodel.prediction.latency import latency
from costmodel.specs import network
from costmodel.specs.batch import BATCH_NAMES, with_batch
from costmodel.zoo import NETWORKS
from costmodel.zoo.parameters import accepted

_PYTHON = "python:"


def situation(
    subject: str | nx.DiGraph, platform: Platform, name: str, value: float
) -> tuple[nx.DiGraph, Platform]:
    """Return a network and a platform with another value of a quantity in one of them.

    Raises
    ------
    DataError
        If the quantity does not exist, or the network cannot take this value.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> graph, _ = situation("resnet18", load_platform("gtx-1080-ti/paper"), "batch", 8)
    >>> graph.nodes["input"]["outputs"][0].shape[0]
    8
    """
    if name in UNITS:
        return _graph(subject), varied(platform, name, value)
    number = int(value) if value == int(value) else value
    key = _parameter(subject, name)
    if key and isinstance(subject, str):
        base, _, query = subject.partition("?")
        kept = [part for part in query.split("&") if part and not part.startswith(f"{key}=")]
        return network(f"{base}?{'&'.join([*kept, f'{key}={number}'])}"), platform
    graph = _graph(subject)
    if name in {s.name for s in free_symbols(graph)}:
        return at(graph, **{name: number}), platform
    if name == "batch":
        return with_batch(graph, int(value)), platform
    raise DataError(
        f"{graph.name or 'the network'} has no {name!r} to vary: give batch, "
        f"{', '.join(UNITS)}, a parameter of a zoo network or of a function, or a free symbol"
    )


def ready_to_vary(subject: str | nx.DiGraph, name: str) -> str | nx.DiGraph:
    """Return the graph of a network, so that it is read once, unless it depends on ``name``.

    Examples
    --------
    >>> ready_to_vary("resnet18", "batch"), ready_to_vary("resnet18", "clock").name
    ('resnet18', 'resnet18')
    """
    graph = _graph(subject)
    open_there = name in {s.name for s in free_symbols(graph)}
    return graph if open_there or not _parameter(subject, name) else subject


def log_seconds(subject: str | nx.DiGraph, platform: Platform, name: str, value: float) -> float:
    """Return the logarithm of the latency [s] of a network with another value of a quantity.

    Raises
    ------
    DataError
        If the quantity does not exist, or another size is still a symbol.
    """
    graph, where = situation(subject, platform, name, value)
    if free := sorted(str(s) for s in free_symbols(graph)):
        raise DataError(
            f"{', '.join(free)} of {graph.name or 'the network'} must be a number where {name} is "
            "varied: give it a value"
        )
    return math.log(float(latency(graph, where).seconds))


def is_whole(name: str, ends: tuple[float, float], subjects: Sequence[str | nx.DiGraph]) -> bool:
    """Return whether only integers make sense: for sizes and symbols, but not for multipliers.

    A user's function does not state which of its parameters are sizes; those varied between
    integers count as sizes.

    Examples
    --------
    >>> is_whole("batch", (1, 8), ["resnet18"]), is_whole("width", (1, 2), ["mobilenet_v2"])
    (True, False)
    """
    if name in UNITS:
        return False
    for subject in subjects:
        base = subject.partition("?")[0] if isinstance(subject, str) else ""
        if base.startswith(_PYTHON) and any(end != int(end) for end in ends):
            return False
        if base in NETWORKS:
            parameter = accepted(NETWORKS[base]).get(name)
            if parameter is not None and parameter.annotation in ("Width", "float"):
                return False
    return True


def _graph(subject: str | nx.DiGraph) -> nx.DiGraph:
    return network(subject) if isinstance(subject, str) else subject


def _parameter(subject: str | nx.DiGraph, name: str) -> str | None:
    """Return the name of a quantity in a spec, None if the network is built without it."""
    if not isinstance(subject, str) or name in UNITS:
        return None
    base = subject.partition("?")[0]
    if base in NETWORKS:
        known = accepted(NETWORKS[base])
        key = next((k for k in BATCH_NAMES if k in known), name) if name == "batch" else name
        return key if key in known else None
    # Only a call shows whether a function accepts a parameter.
    return name if base.startswith(_PYTHON) and name != "batch" else None
