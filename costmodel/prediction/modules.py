"""The time of a prediction by kernel, operator and module; each adds up to the latency."""

from __future__ import annotations

from collections.abc import Iterable

from costmodel.graph import Node
from costmodel.prediction.prediction import Prediction


def is_host_bound(prediction: Prediction) -> bool:
    """Return whether the device waits for its host, so that dispatches determine the time.

    Examples
    --------
    >>> import costmodel as cm
    >>> is_host_bound(cm.latency(cm.zoo.shufflenet_v2(), "rtx-4090/torch-eager"))
    True
    """
    return "dispatch" in prediction.waits()


def spent(prediction: Prediction) -> tuple[float, ...]:
    """Return the contribution of each kernel: its dispatch if the host is slower [s].

    With the fixed cost and the transfer they add up to the latency.

    Examples
    --------
    >>> import costmodel as cm
    >>> p = cm.latency(cm.zoo.shufflenet_v2(), "rtx-4090/torch-eager")
    >>> abs(sum(spent(p)) + p.fixed + p.transfer - p.seconds) < 1e-12
    True
    """
    host = is_host_bound(prediction)
    return tuple(float(k.terms.host if host else k.seconds) for k in prediction.kernels)


def by_operator(names: Iterable[str], prediction: Prediction) -> dict[str, float]:
    """Return the time of the main operator of each kernel; ``""`` has the rest [s].

    The steps of an operator that a runtime expands are called "node.0", "node.1" ...
    """
    known = set(names)
    found: dict[str, float] = {}
    for k, seconds in zip(prediction.kernels, spent(prediction), strict=True):
        name = k.kernel.name
        if name not in known:
            name = name.rpartition(".")[0]
        name = name if name in known else ""
        found[name] = found.get(name, 0.0) + seconds
    return found


def module_seconds(
    nodes: Iterable[Node], prediction: Prediction, depth: int = 1
) -> dict[str, float]:
    """Return the time of each module; ``""`` for kernels outside all modules [s].

    With the fixed cost and the transfer they add up to the latency.

    Parameters
    ----------
    nodes : iterable of Node
        The nodes of the predicted network.
    prediction : Prediction
        Its latency, of numbers.
    depth : int
        Depth of the modules: number of parts of their dotted paths.

    Examples
    --------
    >>> import costmodel as cm
    >>> from costmodel.graph import nodes_in_order
    >>> graph = cm.zoo.shufflenet_v2()
    >>> p = cm.latency(graph, "gtx-1080-ti/paper")
    >>> found = module_seconds(nodes_in_order(graph), p)
    >>> list(found)[:3], abs(sum(found.values()) + p.fixed + p.transfer - p.seconds) < 1e-12
    (['conv1', 'maxpool', 'stage2'], True)
    """
    modules = {node.name: node.module for node in nodes}
    found: dict[str, float] = {}
    for name, seconds in by_operator(modules, prediction).items():
        module = ".".join(modules.get(name, "").split(".")[:depth])
        found[module] = found.get(module, 0.0) + seconds
    return found
