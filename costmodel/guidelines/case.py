"""What the guidelines look at, and what they find."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import networkx as nx

from costmodel.counting.cost import op_cost
from costmodel.graph import Node, nodes_in_order
from costmodel.platforms import Platform
from costmodel.prediction import KernelTime, Prediction


@dataclass(frozen=True)
class Finding:
    """One thing that costs more than its multiply-adds say.

    Parameters
    ----------
    guideline : str
        ``"G1"`` to ``"G4"``.
    title, message : str
        What it is, in a few words and in sentences.
    layers : tuple of str
        The nodes, or blocks, concerned.
    saving : float
        Predicted saving in the latency of the network, at most. [s]
    share : float
        That over the predicted latency. [1]
    mac_saving : float
        Saving in memory access cost, nothing fused. [element]
    """

    guideline: str
    title: str
    message: str
    layers: tuple[str, ...]
    saving: float
    share: float
    mac_saving: float


@dataclass(frozen=True)
class Advice:
    """The findings on a network, the largest saving first, and the prediction they rest on."""

    prediction: Prediction
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Case:
    """A network on a platform, with its prediction.

    Parameters
    ----------
    graph : DiGraph
        An op graph without free symbols.
    platform : Platform
        Where it runs.
    prediction : Prediction
        Its latency.
    """

    graph: nx.DiGraph
    platform: Platform
    prediction: Prediction

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """The nodes by name."""
        return {node.name: node for node in nodes_in_order(self.graph)}

    @cached_property
    def kernels(self) -> dict[str, KernelTime]:
        """The kernels by the node that each is built around."""
        return {k.kernel.name: k for k in self.prediction.kernels}

    @cached_property
    def mac(self) -> float:
        """Memory access cost of the network, nothing fused. [element]."""
        return float(sum(op_cost(n.op, n.inputs).cost.mac for n in self.nodes.values()))

    def saved(self, device: float, host: float = 0.0) -> float:
        """Return what the network gains where the device and the host save so much. [s]."""
        busy, dispatch = float(self.prediction.device_seconds), float(self.prediction.dispatch)
        if not self.platform.runtime.asynchronous:
            return device
        return max(busy, dispatch) - max(busy - device, dispatch - host)

    def finding(
        self,
        guideline: str,
        title: str,
        message: str,
        layers: Iterable[str],
        saving: float,
        mac_saving: float = 0.0,
    ) -> Finding:
        """Return a finding with its share of the latency."""
        share = saving / float(self.prediction.seconds)
        return Finding(guideline, title, message, tuple(layers), saving, share, mac_saving)
