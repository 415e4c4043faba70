"""A callable that predicts latencies in a search loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import networkx as nx
import numpy as np

from costmodel.errors import GraphError
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.table import lowered, table_of


class Predictor:
    """Prediction of the latency of networks on one platform.

    No interval is computed. Each distinct kernel of a list of networks is timed once, so pass a
    list of candidates if you have one.

    Parameters
    ----------
    platform : Platform
        Where they run.

    Examples
    --------
    >>> import costmodel as cm
    >>> latency = cm.predictor("rk3399/tflite")
    >>> latency(cm.zoo.mobilenet_v2()) == cm.latency(cm.zoo.mobilenet_v2(), "rk3399/tflite").seconds
    True
    >>> latency([cm.zoo.resnet18(), cm.zoo.resnet50()]).shape
    (2,)
    """

    def __init__(self, platform: Platform) -> None:
        self.platform = platform

    def __repr__(self) -> str:
        return f"<Predictor on {self.platform.name}, from {self.platform.fitted.basis}>"

    @overload
    def __call__(self, network: Sequence[Any], example: Any = None) -> np.ndarray: ...
    @overload
    def __call__(self, network: Any, example: Any = None) -> float: ...
    def __call__(self, network: Any, example: Any = None) -> float | np.ndarray:
        """Return the latency of a network, or of each of a list [s].

        Parameters
        ----------
        network : DiGraph, torch module, or a list of them
            The networks to predict.
        example : optional
            The example input of torch modules, as for :func:`costmodel.from_torch`.

        Raises
        ------
        GraphError
            If a network is neither.
        """
        if isinstance(network, list | tuple):
            return self._seconds([_graph(n, example) for n in network])
        return float(self._seconds([_graph(network, example)])[0])

    def _seconds(self, graphs: Sequence[nx.DiGraph]) -> np.ndarray:
        table, _ = table_of([lowered(graph, self.platform) for graph in graphs])
        return table.seconds(self.platform, self.platform.fitted.theta)


def predictor(platform: str | Platform) -> Predictor:
    """Return a predictor of latencies on a platform (see :class:`Predictor`)."""
    return Predictor(load_platform(platform))


def _graph(network: Any, example: Any) -> nx.DiGraph:
    if isinstance(network, nx.DiGraph):
        return network
    if not callable(network):
        raise GraphError(f"expected a graph or a torch module, got {type(network).__name__}")
    if example is None:
        raise GraphError("a torch module needs an example input beside it")
    from costmodel.importers import from_torch

    return from_torch(network, example)
