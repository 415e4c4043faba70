"""Op graphs as JSON text that round-trips exactly; reading it runs no code."""

from __future__ import annotations

import json
import math
import os
from typing import Any

import networkx as nx

from costmodel.algebra.certainty import is_certain
from costmodel.algebra.later import is_expression
from costmodel.algebra.written import parse_dim
from costmodel.arguments import path_of
from costmodel.errors import DataError, GraphError, UnknownOperatorError, listed, suggest
from costmodel.graph.decoding import Decoder
from costmodel.graph.schema import (
    MAX_NODES,
    SCHEMA,
    Link,
    OpGraph,
    sources_of,
    validate,
    validate_within,
)
from costmodel.graph.writing import write_atomically
from costmodel.ops import OPERATORS, Op
from costmodel.ops.tensor import Tensor
from costmodel.reading import parse_json, read_text

MAX_BYTES = 256 * 2**20
"""Maximum size of a graph file. [byte]"""
_SAID = ("along", "notes")
"""Notes of an importer on the whole graph: where and how it follows one given input."""


def to_json(graph: nx.DiGraph) -> str:
    """Return ``graph`` as JSON text.

    Raises
    ------
    GraphError
        If the graph violates the schema or has arrays.

    Examples
    --------
    >>> from costmodel import zoo, symbols
    >>> g = zoo.pointwise(*symbols("h w c1 c2"))
    >>> from_json(to_json(g)).nodes["conv"]["op"] == g.nodes["conv"]["op"]
    True
    """
    validate(graph)
    for name, op in graph.nodes(data="op"):
        if OPERATORS.get(type(op).__name__) is not type(op):
            raise GraphError(
                f"node {name!r}: a file can hold {type(op).__name__} only once it is in "
                "costmodel.ops.OPERATORS"
            )
    nodes = [
        {
            "name": name,
            "op": type(attributes["op"]).__name__,
            "fields": {k: _encode(v, name) for k, v in attributes["op"].fields().items()},
            "inputs": [list(source) for source in sources_of(graph, name)],
            "outputs": [
                {"shape": _encode(t.shape, name), "dtype": t.dtype} for t in attributes["outputs"]
            ],
            "module": attributes.get("module", ""),
            "weights": attributes.get("weights", name),
            **({"trainable": list(flags)} if (flags := attributes.get("trainable")) else {}),
        }
        for name, attributes in graph.nodes(data=True)
    ]
    document = {"format": "costmodel-graph", "schema": SCHEMA, "name": graph.name, "nodes": nodes}
    if "coverage" in graph.graph:
        document["coverage"] = float(graph.graph["coverage"])
        document["unknown"] = [str(name) for name in graph.graph.get("unknown", ())]
    for key in _SAID:
        if graph.graph.get(key):
            document[key] = [str(text) for text in graph.graph[key]]
    return json.dumps(document, indent=1)


def from_json(text: str) -> nx.DiGraph:
    """Return the graph written in ``text``.

    Raises
    ------
    GraphError
        If the text is not a graph: a cycle, a dangling edge, a wrong shape, an absurd size; names
        the node.
    UnknownOperatorError
        If it has operators that do not exist; lists all of them.
    """
    document = parse_json(text)
    if not isinstance(document, dict) or document.get("format") != "costmodel-graph":
        raise DataError('not a graph file: "format" must be "costmodel-graph"')
    if document.get("schema") != SCHEMA:
        raise DataError(
            f"graph schema {document.get('schema')!r} is not the one this version reads: {SCHEMA}"
        )
    entries = document.get("nodes")
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise DataError('"nodes" must be a list of objects')
    if len(entries) > MAX_NODES:
        raise GraphError(f"a graph of {len(entries)} nodes is too large (at most {MAX_NODES})")
    name = document.get("name", "network")
    if not isinstance(name, str):
        raise DataError(f'"name" must be a text, got {name!r}')
    _refuse_unknown_operators(entries)
    graph = OpGraph(name=name, schema=SCHEMA)
    decoder = Decoder(text)
    for entry in entries:
        _add_node(graph, entry, decoder)
    for entry in entries:
        _add_edges(graph, entry)
    validate_within(graph, decoder.deadline)
    if "coverage" in document:
        graph.graph["coverage"], graph.graph["unknown"] = _coverage(document)
    for key in _SAID:
        if key in document:
            graph.graph[key] = _texts(document, key)
    return graph


def save(graph: nx.DiGraph, path: str | os.PathLike[str]) -> None:
    """Write ``graph`` to a JSON file atomically."""
    write_atomically(path_of(path, "path"), to_json(graph) + "\n")


def load(path: str | os.PathLike[str]) -> nx.DiGraph:
    """Return the graph of a JSON file.

    Raises
    ------
    DataError
        If the file cannot be read.
    GraphError, UnknownOperatorError
        As :func:`from_json`; names the file.
    """
    file = path_of(path, "path")
    text = read_text(file, MAX_BYTES)
    try:
        return from_json(text)
    except (DataError, GraphError, UnknownOperatorError) as error:
        raise type(error)(f"{file}: {error}") from None


def _encode(value: Any, node: str) -> Any:
    """Return numbers, strings and tuples unchanged, and an expression as {"expr": text}.

    An expression marked by ``taken`` is written as {"taken": text}.
    """
    if isinstance(value, tuple):
        return [_encode(v, node) for v in value]
    if is_expression(value):
        text = str(value)
        try:
            exact = parse_dim(text) == value
        except DataError as error:
            raise GraphError(f"node {node!r}: {error}") from None
        if not exact:
            raise GraphError(f"node {node!r}: expression {text} cannot be written exactly")
        return {"expr" if is_certain(value, 1) else "taken": text}
    if value is None or isinstance(value, bool | int | float | str):
        if isinstance(value, float) and not math.isfinite(value):
            raise GraphError(f"node {node!r}: {value} cannot be written to JSON")
        return value
    raise GraphError(f"node {node!r}: a {type(value).__name__} cannot be written to JSON")


def _coverage(document: dict[str, Any]) -> tuple[float, tuple[str, ...]]:
    """Return the coverage of the import, and the names of unknown operators."""
    coverage = document["coverage"]
    number = isinstance(coverage, int | float) and not isinstance(coverage, bool)
    if not number or not 0 <= coverage <= 1:
        raise DataError(f'"coverage" must lie between 0 and 1, got {coverage!r}')
    return float(coverage), _texts(document, "unknown")


def _texts(document: dict[str, Any], key: str) -> tuple[str, ...]:
    found = document.get(key, [])
    if not isinstance(found, list) or not all(isinstance(n, str) for n in found):
        raise DataError(f'"{key}" must be a list of texts')
    return tuple(found)


def _refuse_unknown_operators(entries: list[dict[str, Any]]) -> None:
    unknown = [e for e in entries if str(e.get("op")) not in OPERATORS]
    if unknown:
        told = [f"{e.get('op')!r} (node {e.get('name')!r})" for e in unknown]
        where = listed(told, most=2 if len(told) == 2 else 1)
        hint = suggest(unknown[0].get("op"), OPERATORS)
        raise UnknownOperatorError(f"unknown operators: {where}; {hint}")


def _add_node(graph: nx.DiGraph, entry: dict[str, Any], decoder: Decoder) -> None:
    name = entry.get("name")
    if not isinstance(name, str) or name in graph:
        raise GraphError(f"node name {name!r} is missing, no text, or used twice")
    graph.add_node(
        name,
        op=_decode_op(name, entry, decoder),
        outputs=_decode_outputs(name, entry.get("outputs"), decoder),
        module=entry.get("module", ""),
        weights=entry.get("weights", name),
    )
    flags = entry.get("trainable")
    if flags is not None:
        graph.nodes[name]["trainable"] = tuple(flags) if isinstance(flags, list) else flags


def _decode_op(name: str, entry: dict[str, Any], decoder: Decoder) -> Op:
    cls = OPERATORS[str(entry["op"])]
    fields = entry.get("fields", {})
    try:
        op = cls(**{key: decoder.value(value) for key, value in fields.items()})
        op.check_fields()
        return op
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise GraphError(f"node {name!r}: wrong fields for {cls.__name__}: {error}") from None
    except (DataError, GraphError) as error:
        raise GraphError(f"node {name!r}: {error}") from None


def _decode_outputs(name: str, outputs: Any, decoder: Decoder) -> tuple[Tensor, ...]:
    try:
        return tuple(Tensor.inferred(decoder.value(o["shape"]), o["dtype"]) for o in outputs)
    except (DataError, GraphError, TypeError, KeyError, ValueError) as error:
        raise GraphError(f"node {name!r}: wrong outputs: {error}") from None


def _add_edges(graph: nx.DiGraph, entry: dict[str, Any]) -> None:
    name = entry["name"]
    inputs = entry.get("inputs", [])
    if not isinstance(inputs, list):
        raise GraphError(f"node {name!r}: inputs must be a list, got {inputs!r}")
    links: dict[str, list[Link]] = {}
    for slot, source in enumerate(inputs):
        if not (isinstance(source, list) and len(source) == 2 and type(source[1]) is int):
            raise GraphError(f"node {name!r}: input {slot} must be [node, output], got {source}")
        maker, output = source
        if not isinstance(maker, str) or maker not in graph:
            raise GraphError(f"node {name!r}: input {slot} comes from {maker!r}, not a node")
        links.setdefault(maker, []).append(Link(output, slot))
    graph.add_edges_from((maker, name, {"links": tuple(each)}) for maker, each in links.items())
