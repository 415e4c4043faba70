"""Content of a report: every figure of a network, computed once for all forms of output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import networkx as nx

from costmodel.algebra.symbols import Dim
from costmodel.counting.bounds import mac_lower_bound
from costmodel.counting.cache_bounds import cache_lower_bound, fast_elements
from costmodel.counting.cost import OpCost
from costmodel.counting.io_bounds import io_lower_bound
from costmodel.counting.metrics import (
    ModuleCost,
    activation_memory,
    by_module,
    params,
    stored_elements,
    trainable_params,
)
from costmodel.counting.parallelism import kernels_in_series, span
from costmodel.counting.subject import Prepared, prepare
from costmodel.errors import DataError
from costmodel.graph import Node, free_symbols
from costmodel.ops import Output
from costmodel.prediction.modules import by_operator, module_seconds
from costmodel.report.tree import OperatorCost as OperatorCost

if TYPE_CHECKING:
    from costmodel.prediction import Prediction

LABELS: Mapping[str, str] = {
    "launch": "launching kernels",
    "compute": "arithmetic",
    "memory": "memory traffic",
    "passes": "passes fused behind kernels",
    "learned": "multipliers that were fitted, beyond the formulas",
    "residual": "error of the formulas at similar shapes, as measured",
    "bound": "the hardware's bound",
    "dispatch": "the host's dispatch",
    "transfer": "moving inputs and outputs",
    "fixed": "fixed cost of an inference",
}
"""Printed names of the terms of a prediction."""


@dataclass(frozen=True)
class CacheBound:
    """Least traffic of a network through a fast memory, operator after operator.

    Parameters
    ----------
    name : str
        Of the memory.
    size : float
        Of the memory. [byte]
    elements : float
        The bound. [element]
    """

    name: str
    size: float
    elements: float


@dataclass(frozen=True)
class Totals:
    """Figures of a whole network, nothing fused.

    Parameters
    ----------
    operators : int
        Operators that take a tensor. [1]
    multiply_adds, elementwise : int
        [multiply-add], other arithmetic [operation].
    mac, mac_bytes : int
        Memory access cost. [element], [byte]
    mac_lower_bound : float
        Least MAC for the multiply-adds at hand, channels free (Eq. (1) and its kin). [element]
    io_lower_bound : int
        What any schedule moves: inputs, outputs, parameters. [element]
    cache_lower_bounds : tuple of CacheBound
        What operators that run one after the other move through fast memories.
    params, params_bytes : int
        Learned elements. [element], [byte]
    trainable_params : int, optional
        Those that get gradients; None if the source of the network does not say. [element]
    activation_memory, activation_bytes : int
        Peak over the best order known. [element], [byte]
    span : int
        Longest chain of dependent steps. [step]
    kernels_in_series : int
        Most operators on one path, views not counted. [1]
    """

    operators: int
    multiply_adds: int
    elementwise: int
    mac: int
    mac_bytes: int
    mac_lower_bound: float
    io_lower_bound: int
    cache_lower_bounds: tuple[CacheBound, ...]
    params: int
    params_bytes: int
    trainable_params: int | None
    activation_memory: int
    activation_bytes: int
    span: int
    kernels_in_series: int

    @property
    def flops(self) -> int:
        """Two for each multiply-add. [FLOP]."""
        return 2 * self.multiply_adds

    @property
    def work(self) -> int:
        """Multiply-adds and elementwise operations. [step]."""
        return self.multiply_adds + self.elementwise

    @property
    def mac_ratio(self) -> float | None:
        """MAC over its lower bound; None if nothing is moved. [1]."""
        return self.mac / self.mac_lower_bound if self.mac_lower_bound else None

    @property
    def intensity(self) -> float | None:
        """FLOPs per byte moved; None if nothing is moved. [FLOP/byte]."""
        return self.flops / self.mac_bytes if self.mac_bytes else None

    @property
    def parallelism(self) -> float | None:
        """Work over span; None if nothing is computed. [1]."""
        return self.work / self.span if self.span else None


@dataclass(frozen=True)
class Report:
    """All figures of a network.

    Parameters
    ----------
    network : str
        Its name.
    coverage : float
        Share of its work that is counted, at least; the rest stands for nothing in every total,
        which is a lower bound then. [1]
    unknown : tuple of str
        Operators that are not counted, and where they occur.
    notes : tuple of str
        What holds for every total: that it follows one input, which mask was counted.
    totals : Totals
        Of the whole network.
    modules : tuple of ModuleCost
        Of each module.
    module_seconds : mapping
        Predicted time by module; empty without a prediction. With the fixed cost and the transfer
        they add up to the latency, so that where the host is slower than the device they are the
        times of the dispatches. [s]
    operators : tuple of OperatorCost
        In order of execution.
    seconds : mapping
        The predicted time by operator, ``""`` for what belongs to none. [s]
    prediction : Prediction, optional
        On a platform.
    depth : int, optional
        Depth of the modules: number of parts of their dotted paths. None stands for one; text
        reports then open a module that holds nearly everything.
    """

    network: str
    coverage: float
    unknown: tuple[str, ...]
    notes: tuple[str, ...]
    totals: Totals
    modules: tuple[ModuleCost, ...]
    module_seconds: Mapping[str, float]
    operators: tuple[OperatorCost, ...]
    seconds: Mapping[str, float]
    prediction: Prediction | None
    depth: int | None = None


def collect(
    graph: nx.DiGraph,
    prediction: Prediction | None = None,
    depth: int | None = None,
    name: str | None = None,
    fast_memories: Mapping[str, float] | None = None,
) -> Report:
    """Return the report of a concrete network.

    Parameters
    ----------
    graph : DiGraph
        An op graph without free symbols.
    prediction : Prediction, optional
        Its latency on a platform.
    depth : int, optional
        Depth of the modules: number of parts of their dotted paths, by default one.
    name : str, optional
        Its name, by default the graph's name.
    fast_memories : mapping of str to float, optional
        Fast memories by name, through which a lower bound of traffic is given. [byte]

    Raises
    ------
    DataError
        If the graph has free symbols, or a fast memory holds no element.

    Examples
    --------
    >>> from costmodel import zoo
    >>> collect(zoo.pointwise(56, 56, 128, 128)).totals.mac
    819200
    """
    free = sorted(str(s) for s in free_symbols(graph))
    if free:
        raise DataError(
            f"a report needs numbers, but {', '.join(free)} of {graph.name or 'the network'} "
            "are free: give them values, or ask for the formula"
        )
    ready = prepare(graph)
    taking = [n.inputs and not isinstance(n.op, Output) for n in ready.nodes]
    nodes = list(compress(ready.nodes, taking))
    stored = compress(stored_elements(ready), taking)
    operators = tuple(map(_operator, nodes, compress(ready.costs, taking), stored))
    seconds = by_operator((o.name for o in operators), prediction) if prediction else {}
    return Report(
        network=name or graph.name or "network",
        coverage=float(graph.graph.get("coverage", 1.0)),
        unknown=tuple(graph.graph.get("unknown", ())),
        notes=tuple(graph.graph.get("notes", ())),
        totals=_totals(ready, len(nodes), fast_memories or {}),
        modules=tuple(by_module(ready, depth or 1)),
        module_seconds=module_seconds(nodes, prediction, depth or 1) if prediction else {},
        operators=operators,
        seconds=seconds,
        prediction=prediction,
        depth=depth,
    )


def _totals(ready: Prepared, operators: int, fast_memories: Mapping[str, float]) -> Totals:
    costs = ready.total
    return Totals(
        operators=operators,
        multiply_adds=int(costs.multiply_adds),
        elementwise=int(costs.elementwise),
        mac=int(costs.mac),
        mac_bytes=int(costs.bytes),
        mac_lower_bound=float(mac_lower_bound(ready)),
        io_lower_bound=int(io_lower_bound(ready)),
        cache_lower_bounds=tuple(
            CacheBound(
                name, size, float(cache_lower_bound(ready, capacity=fast_elements(ready, size)))
            )
            for name, size in fast_memories.items()
        ),
        params=int(params(ready)),
        params_bytes=int(params(ready, unit="bytes")),
        trainable_params=_trainable(ready),
        activation_memory=int(activation_memory(ready)),
        activation_bytes=int(activation_memory(ready, unit="bytes")),
        span=int(span(ready)),
        kernels_in_series=kernels_in_series(ready),
    )


def _trainable(ready: Prepared) -> int | None:
    try:
        return int(trainable_params(ready))
    except DataError:  # the source of the network does not say
        return None


def _operator(node: Node, result: OpCost, stored: Dim) -> OperatorCost:
    return OperatorCost(
        name=node.name,
        operator=type(node.op).__name__,
        module=node.module,
        shape=str(node.outputs[0]) if node.outputs else "",
        multiply_adds=int(result.cost.multiply_adds),
        elementwise=int(result.cost.elementwise),
        mac=int(result.cost.mac),
        mac_bytes=int(result.cost.bytes),
        params=int(stored),
    )
