"""Predicted time by module."""

from __future__ import annotations

from collections.abc import Iterable

from costmodel.graph import Node
from costmodel.prediction.prediction import Prediction


def module_seconds(
    nodes: Iterable[Node], prediction: Prediction, depth: int = 1
) -> dict[str, float]:
    """Return the device time of each module: a kernel counts for the node it is built around [s].

    Parameters
    ----------
    nodes : iterable of Node
        Those of the network that was predicted.
    prediction : Prediction
        Its latency, of numbers.
    depth : int
        How many parts of the dotted path tell modules apart.

    Examples
    --------
    >>> import costmodel as cm
    >>> from costmodel.graph import nodes_in_order
    >>> graph = cm.zoo.shufflenet_v2()
    >>> found = module_seconds(nodes_in_order(graph), cm.latency(graph, "gtx-1080-ti/paper"))
    >>> list(found)[:3]
    ['conv1', 'maxpool', 'stage2']
    """
    modules = {node.name: node.module for node in nodes}
    spent: dict[str, float] = {}
    for k in prediction.kernels:
        # The steps of an operator that a runtime takes apart are called "node.0", "node.1" ...
        name = k.kernel.name
        path = modules.get(name, modules.get(name.rpartition(".")[0], ""))
        module = ".".join(path.split(".")[:depth])
        spent[module] = spent.get(module, 0.0) + float(k.seconds)
    return spent
