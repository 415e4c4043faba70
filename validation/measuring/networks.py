"""Networks of a run: the same graph is measured and predicted."""

from __future__ import annotations

import hashlib
import json

import networkx as nx

from costmodel.graph import converted, to_json
from costmodel.specs import network

from .backend import Settings


def network_for(spec: str, settings: Settings) -> nx.DiGraph:
    """Return the network that ``spec`` names, in the dtype of ``settings``.

    ``"tf32"`` and ``"int8"`` are ways of multiplying: tensors are stored as float32.

    Raises
    ------
    CostModelError
        If there is no such network, as :func:`costmodel.specs.network`, or it is in another low
        precision.
    """
    graph = network(spec)
    multiplied = ("float32", "tf32", "int8")
    return graph if settings.dtype in multiplied else converted(graph, settings.dtype)


def digest(graph: nx.DiGraph) -> str:
    """Return what tells ``graph`` from others that go by the same name.

    Examples
    --------
    >>> from costmodel import zoo
    >>> digest(zoo.linear(cout=8)) == digest(zoo.linear(cout=8)) != digest(zoo.linear(cout=9))
    True
    """
    return fingerprint(to_json(graph))


def fingerprint(what: object) -> str:
    """Return twenty digits that tell ``what`` from anything else; a text, or what JSON can hold.

    Examples
    --------
    >>> fingerprint(["a", {}]) == fingerprint(["a", {}]) != fingerprint(["b", {}])
    True
    """
    text = what if isinstance(what, str) else json.dumps(what, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
