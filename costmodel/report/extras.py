"""Additional content of a page: conditions, roofline, memory, advice, edges."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from platform import python_version
from typing import TYPE_CHECKING

import networkx as nx

from costmodel.counting.timeline import Timeline, memory_timeline
from costmodel.graph import nodes_in_order
from costmodel.guidelines.advise import advise
from costmodel.ops import Input, Output
from costmodel.platforms import Platform, load_platform
from costmodel.platforms.machine import machine_for

if TYPE_CHECKING:
    from costmodel.guidelines.advise import Finding


@dataclass(frozen=True)
class Roof:
    """The ceilings of a platform for one dtype.

    Parameters
    ----------
    peak : float
        [FLOP/s]
    levels : tuple of (str, float)
        Memories with their bandwidth, main memory last. [B/s]
    dtype : str
        Of the arithmetic.
    """

    peak: float
    levels: tuple[tuple[str, float], ...]
    dtype: str


@dataclass(frozen=True)
class Details:
    """Additional content of a page.

    Parameters
    ----------
    conditions : tuple of (str, str)
        Conditions of the figures, name and value: inputs, dtype, platform, versions, date.
    memory : Timeline
        Of activations.
    links : tuple of (str, str)
        Producer and consumer of each tensor, by the names of the operators.
    roof : Roof, optional
        Of the platform.
    findings : tuple of Finding
        Advice on the network, on the platform.
    """

    conditions: tuple[tuple[str, str], ...]
    memory: Timeline
    links: tuple[tuple[str, str], ...]
    roof: Roof | None = None
    findings: tuple[Finding, ...] = ()


def details(
    graph: nx.DiGraph, platform: str | Platform | None = None, date: str | None = None
) -> Details:
    """Return the additional content of a page on a concrete network.

    Parameters
    ----------
    graph : DiGraph
        An op graph without free symbols.
    platform : str or Platform, optional
        The platform.
    date : str, optional
        Of the report, by default today's in UTC.

    Examples
    --------
    >>> from costmodel import zoo
    >>> dict(details(zoo.resnet18(), date="2026-01-31").conditions)["inputs"]
    'input float32[1, 3, 224, 224]'
    """
    nodes = list(nodes_in_order(graph))
    inputs = [f"{n.name} {n.outputs[0]}" for n in nodes if isinstance(n.op, Input)]
    batch = {n.outputs[0].shape[0] for n in nodes if isinstance(n.op, Input) and n.outputs[0].rank}
    conditions = [
        ("inputs", ", ".join(inputs) or "none"),
        ("batch", str(batch.pop()) if len(batch) == 1 else "differs by input"),
    ]
    where = None if platform is None else load_platform(platform)
    if where is not None:
        conditions += _conditions(where)
    conditions += versions(date)
    return Details(
        conditions=tuple(conditions),
        memory=memory_timeline(graph),
        links=tuple(
            (source, node.name)
            for node in nodes
            for source in dict.fromkeys(name for name, _ in node.sources)
            if not isinstance(node.op, Output)
        ),
        roof=None if where is None else _roof(where),
        findings=() if where is None else advise(graph, where).findings,
    )


def versions(date: str | None = None) -> list[tuple[str, str]]:
    """Return the versions behind a page, and its date (by default today's in UTC)."""
    return [
        ("costmodel", _version()),
        ("Python", python_version()),
        ("date", date or datetime.now(UTC).date().isoformat()),
    ]


def _version() -> str:
    try:
        return version("nn-costmodel")
    except PackageNotFoundError:
        return "not installed: run from its sources"


def _conditions(where: Platform) -> list[tuple[str, str]]:
    threads = [("threads", str(where.threads))] if where.hardware.kind == "cpu" else []
    threads += [("cores", where.cores)] if where.cores else []
    return [
        ("hardware", where.hardware.title),
        ("runtime", where.runtime.title),
        *threads,
        ("dtype", where.dtype or "as in the network"),
        *([("automatic mixed precision", where.amp)] if where.amp else []),
        *([("layout of images", where.layout)] if where.layout else []),
        ("transfer of inputs and outputs", "counted" if where.transfers else "not counted"),
    ]


def _roof(where: Platform) -> Roof:
    dtype = where.dtype or "float32"
    machine = machine_for(where, dtype)
    levels = []
    if machine.kind == "gpu":
        if machine.cache_bandwidth:
            levels.append(("l2", machine.cache_bandwidth))
    else:
        for level in where.hardware.levels[1:-1]:
            if level.bandwidth:  # of all big cores together
                share = where.threads / where.hardware.units if level.scope == "unit" else 1.0
                levels.append((level.name, level.bandwidth * share))
    return Roof(2 * machine.multiply_adds, (*levels, ("dram", machine.bandwidth)), dtype)
