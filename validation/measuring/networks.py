"""Networks as they are run: the one graph that is measured and predicted."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import networkx as nx

from costmodel.graph import infer_node, nodes_in_order
from costmodel.graph.serialize import to_json
from costmodel.ops import Cast
from costmodel.specs import network
from validation.measuring.backend import Settings


def network_for(spec: str, settings: Settings) -> nx.DiGraph:
    """Return the network that ``spec`` names, in the dtype of ``settings``.

    Raises
    ------
    CostModelError
        If there is no such network, as :func:`costmodel.specs.network`.
    """
    return in_dtype(network(spec), settings.dtype)


def in_dtype(graph: nx.DiGraph, dtype: str) -> nx.DiGraph:
    """Return ``graph`` with ``dtype`` in the place of float32: inputs, weights, all that follows.

    ``"tf32"`` is a way of multiplying, stored as float32. A conversion that the network itself
    makes stays as it is.

    Examples
    --------
    >>> import costmodel as cm
    >>> graph = cm.zoo.resnet18()
    >>> cm.mac(in_dtype(graph, "float16"), unit="bytes") * 2 == cm.mac(graph, unit="bytes")
    True
    """
    if dtype in ("float32", "tf32"):
        return graph
    result = graph.copy()
    for node in nodes_in_order(graph):
        op: Any = node.op
        if getattr(op, "dtype", "") == "float32" and not isinstance(op, Cast):
            op = replace(op, dtype=dtype)
        taken = tuple(result.nodes[source]["outputs"][output] for source, output in node.sources)
        result.nodes[node.name].update(op=op, outputs=infer_node(node.name, op, taken))
    return result


def digest(graph: nx.DiGraph) -> str:
    """Return what tells ``graph`` from others that go by the same name.

    Examples
    --------
    >>> from costmodel import zoo
    >>> digest(zoo.linear(cout=8)) == digest(zoo.linear(cout=8)) != digest(zoo.linear(cout=9))
    True
    """
    return hashlib.sha256(to_json(graph).encode()).hexdigest()[:20]
