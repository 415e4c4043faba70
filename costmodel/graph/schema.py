"""The op graph: a ``networkx.DiGraph`` of a fixed schema.

Schema
------
Graph attributes
    ``name`` (str), ``schema`` (int, :data:`SCHEMA`).
Node
    Key: its name, a string. Attributes: ``op``, a frozen operator of :mod:`costmodel.ops`;
    ``outputs``, the tuple of its output :class:`~costmodel.ops.tensor.Tensor`; ``module``, the
    dotted path of its module (``""`` at the top); ``weights``, the name under which its learned
    tensors are stored: nodes with the same name share them, and they count once
    (:mod:`costmodel.graph.shared`); optionally ``trainable``, a tuple that says for each learned
    tensor whether it gets gradients.
Edge
    From the producer of a tensor to a consumer. Attribute ``links``: a tuple of
    :class:`~costmodel.graph.node.Link`, one for each tensor on the edge, from an output of the
    producer to an input slot of the consumer.
    There is at most one edge between two nodes, so all networkx functions for directed graphs work,
    including those that reject multigraphs.

Inputs are nodes with an :class:`~costmodel.ops.Input` operator, outputs are nodes with an
:class:`~costmodel.ops.Output`; there may be several of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import networkx as nx
import numpy as np

from costmodel.algebra.arrays import check_broadcast
from costmodel.algebra.expressions import substitute
from costmodel.algebra.sizes import check_dim, taken
from costmodel.algebra.symbols import Dim, is_symbolic, same
from costmodel.errors import CostModelError, GraphError, ShapeError, listed
from costmodel.graph.node import Link as Link
from costmodel.graph.node import Node as Node
from costmodel.graph.node import OpGraph as OpGraph
from costmodel.graph.node import Source as Source
from costmodel.graph.node import Unlinked as Unlinked
from costmodel.graph.shared import sharing
from costmodel.ops import Op
from costmodel.ops.tensor import Tensor
from costmodel.reading import Deadline

SCHEMA = 1
"""Version of the schema, incremented at each change."""
MAX_NODES = 1_000_000
"""Maximum number of operators in a graph."""
MAX_ELEMENTS = 2**48
"""Maximum size of a tensor. [element]"""


def inputs_of(graph: nx.DiGraph, name: str) -> tuple[Tensor, ...]:
    """Return the input tensors of node ``name``, by slot.

    Examples
    --------
    >>> from costmodel import zoo
    >>> [str(t) for t in inputs_of(zoo.pointwise(56, 56, 24, 48), "conv")]
    ['float32[1, 24, 56, 56]']
    """
    return tuple(
        graph.nodes[source]["outputs"][output] for source, output in sources_of(graph, name)
    )


def sources_of(graph: nx.DiGraph, name: str) -> tuple[Source, ...]:
    """Return the source (node, output number) of each input slot of node ``name``."""
    slots = sorted(
        (slot, source, output)
        for source, attributes in graph.pred[name].items()
        for output, slot in attributes["links"]
    )
    return tuple((source, output) for _, source, output in slots)


def nodes_in_order(graph: nx.DiGraph) -> Iterator[Node]:
    """Yield the nodes in topological order, with ties in insertion order.

    Raises
    ------
    GraphError
        If the graph has a cycle or violates the schema.
    """
    data = dict(_checked(graph).nodes(data=True))
    sources = _all_sources(graph)
    for name in _topological_order(graph, sources):
        attributes = data[name]
        try:
            yield Node(
                name,
                attributes["op"],
                tuple([data[source]["outputs"][output] for source, output in sources[name]]),
                attributes["outputs"],
                attributes.get("module", ""),
                attributes.get("weights", name),
                sources[name],
                attributes.get("trainable"),
            )
        except KeyError as missing:
            raise GraphError(
                f"node {name!r} has no {missing} attribute; build graphs with costmodel.Builder"
            ) from None
        except (IndexError, TypeError):
            raise GraphError(
                f"node {name!r} uses an output that no node before it has; its links must be "
                "(output, slot)"
            ) from None


def validate(graph: nx.DiGraph) -> None:
    """Check that ``graph`` conforms to the schema and every shape follows from the inputs.

    Raises
    ------
    GraphError
        Names the node and the fault: a cycle, a missing attribute, an input slot with no or two
        sources, an output number that does not exist, a shape that does not follow, shared weights
        that do not fit.

    Examples
    --------
    >>> import networkx as nx
    >>> validate(nx.DiGraph([("a", "b")]))
    Traceback (most recent call last):
    ...
    costmodel.errors.GraphError: node 'a' has no 'op' attribute; build graphs with costmodel.Builder
    """
    validate_within(graph, None)


def validate_within(graph: nx.DiGraph, deadline: Deadline | None) -> None:
    """Validate like :func:`validate`, within the time limit of a graph from a file."""
    if len(_checked(graph)) > MAX_NODES:
        raise GraphError(f"a graph of {len(graph)} nodes is too large (at most {MAX_NODES})")
    if len(graph) == 0:
        raise GraphError("the graph has no nodes")
    for name, attributes in graph.nodes(data=True):
        _validate_attributes(name, attributes)
    for source, target, links in graph.edges(data="links"):
        _validate_links(source, target, links, len(graph.nodes[source]["outputs"]))
    for name in graph:
        slots = sorted(link[1] for data in graph.pred[name].values() for link in data["links"])
        if slots != list(range(len(slots))):
            raise GraphError(
                f"node {name!r}: input slots [{listed(slots)}] must be 0 to {len(slots) - 1}, "
                "each fed once"
            )
    nodes = list(nodes_in_order(graph))
    for node in nodes:
        _validate_shapes(node)
        if deadline is not None:
            deadline.check("the graph")
    check_arrays(graph)
    sharing(nodes)


def infer_node(name: str, op: Op, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the outputs of ``op`` on ``inputs``; errors name the node.

    Raises
    ------
    ShapeError
    """
    try:
        return _inferred(op, inputs)
    except TypeError:  # arrays cannot be hashed, or the operator cannot take these inputs
        pass
    except CostModelError as error:
        raise ShapeError(f"node {name!r}: {error}") from None
    except (ArithmeticError, AttributeError, IndexError, ValueError):
        pass
    try:
        return _infer(op, inputs)
    except CostModelError as error:
        raise ShapeError(f"node {name!r}: {error}") from None
    except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError):
        taken = listed(inputs, most=4) or "nothing"
        raise ShapeError(f"node {name!r}: {type(op).__name__} cannot take {taken}") from None


def _infer(op: Op, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    op.check_arity(inputs)
    return op.infer(*inputs)


_inferred = lru_cache(maxsize=1 << 16)(_infer)


def check_arrays(graph: nx.DiGraph) -> None:
    """Raise ``ShapeError`` unless all array sizes of a graph broadcast.

    Examples
    --------
    >>> import costmodel as cm
    >>> check_arrays(cm.zoo.pointwise(56, np.array([28, 56]), 24, 48))
    """
    check_sizes_of(outputs for _, outputs in graph.nodes(data="outputs"))


def check_sizes_of(outputs: Iterable[tuple[Tensor, ...]]) -> None:
    """Raise ``ShapeError`` unless all array sizes of some tensors broadcast."""
    sizes = [size for tensors in outputs for x in tensors for size in x.shape]
    check_broadcast([size for size in sizes if type(size) is not int])


def at(graph: nx.DiGraph, **values: Dim) -> nx.DiGraph:
    """Return ``graph`` with symbols replaced by name and shapes inferred again.

    Parameters
    ----------
    graph : DiGraph
        An op graph with symbolic dimensions.
    **values : Dim
        A positive number, array or expression for each symbol; symbols not named stay.

    Raises
    ------
    GraphError
        If a name is not a symbol of the graph.
    ShapeError
        If a value is not a positive integer, or the numbers do not fit (channels not divisible by
        groups).

    Examples
    --------
    >>> import costmodel as cm
    >>> g = cm.zoo.pointwise(*cm.symbols("h w c1 c2"))
    >>> cm.mac(at(g, h=56, w=56, c1=128, c2=128))
    819200
    """
    unknown = set(values) - {s.name for s in free_symbols(graph)}
    if unknown:
        known = ", ".join(sorted(s.name for s in free_symbols(graph))) or "none"
        raise GraphError(f"no symbol {sorted(unknown)} in the graph; its symbols are: {known}")
    checked = {name: check_dim(value, f"the value of {name}") for name, value in values.items()}
    result = graph.copy()
    data = dict(result.nodes(data=True))
    sources = _all_sources(graph)
    for name in _topological_order(graph, sources):
        attributes = data[name]
        inputs = tuple(data[source]["outputs"][output] for source, output in sources[name])
        attributes["op"] = _substitute_op(name, attributes["op"], checked)
        attributes["outputs"] = infer_node(name, attributes["op"], inputs)
    check_arrays(result)
    return result


def free_symbols(graph: nx.DiGraph) -> set[Any]:
    """Return the symbols in the fields of the operators, hence of all shapes.

    Examples
    --------
    >>> import costmodel as cm
    >>> sorted(map(str, free_symbols(cm.zoo.pointwise(*cm.symbols("h w c1 c2")))))
    ['c1', 'c2', 'h', 'w']
    """
    found: set[Any] = set()
    for name, op in _checked(graph).nodes(data="op"):
        if not isinstance(op, Op):
            raise GraphError(f"node {name!r}: {op!r} is not an operator of costmodel.ops")
        for value in op.fields().values():
            found |= _symbols_in(value)
    return found


def _checked(graph: Any) -> nx.DiGraph:
    """Return ``graph`` if it is a directed graph without parallel edges, else raise an error."""
    if not isinstance(graph, nx.DiGraph) or graph.is_multigraph():
        raise GraphError(
            f"expected an op graph (networkx.DiGraph, see costmodel.graph), "
            f"got {type(graph).__name__}"
        )
    return graph


def _all_sources(graph: nx.DiGraph) -> dict[str, tuple[Source, ...]]:
    """Return the sources of every node, by slot, in one pass over the edges."""
    feeds: dict[str, list[tuple[int, str, int]]] = {name: [] for name in graph}
    for source, targets in graph.adjacency():
        for target, attributes in targets.items():
            links = attributes.get("links")
            if links is None:
                raise GraphError(f"edge {source!r} -> {target!r} has no 'links' attribute")
            for output, slot in links:
                feeds[target].append((slot, source, output))
    for slots in feeds.values():
        if len(slots) > 1:
            slots.sort()
    return {name: tuple([feed[1:] for feed in slots]) for name, slots in feeds.items()}


def _topological_order(graph: nx.DiGraph, sources: dict[str, tuple[Source, ...]]) -> list[str]:
    """Sort by Kahn's algorithm; a topological insertion order is kept."""
    seen: set[str] = set()
    for name, feeds in sources.items():
        for source, _ in feeds:
            if source not in seen:
                return _sorted(graph)
        seen.add(name)
    return list(sources)


def _sorted(graph: nx.DiGraph) -> list[str]:
    try:
        return list(nx.topological_sort(graph))
    except nx.NetworkXUnfeasible:
        cycle = [str(edge[0]) for edge in nx.find_cycle(graph)]
        raise GraphError(f"the graph has a cycle: {listed(cycle, between=' -> ')}") from None


def _validate_attributes(name: object, attributes: dict[str, Any]) -> None:
    if not isinstance(name, str):
        raise GraphError(f"node {name!r}: its name must be a text")
    for key in ("op", "outputs"):
        if key not in attributes:
            raise GraphError(
                f"node {name!r} has no {key!r} attribute; build graphs with costmodel.Builder"
            )
    op, outputs = attributes["op"], attributes["outputs"]
    if not isinstance(op, Op):
        raise GraphError(f"node {name!r}: {op!r} is not an operator of costmodel.ops")
    if not isinstance(outputs, tuple) or not all(isinstance(t, Tensor) for t in outputs):
        raise GraphError(f"node {name!r}: outputs must be a tuple of tensors, got {outputs!r}")
    for key in ("module", "weights"):
        if not isinstance(attributes.get(key, ""), str):
            raise GraphError(f"node {name!r}: {key} must be a text, got {attributes[key]!r}")
    flags = attributes.get("trainable", ())
    if not isinstance(flags, tuple) or not all(isinstance(flag, bool) for flag in flags):
        raise GraphError(f"node {name!r}: trainable must be a tuple of booleans, got {flags!r}")
    try:
        op.check_fields()
    except CostModelError as error:
        raise GraphError(f"node {name!r}: {error}") from None


def _validate_links(source: str, target: str, links: Any, outputs: int) -> None:
    if not isinstance(links, tuple) or not links:
        raise GraphError(f"edge {source!r} -> {target!r} has no 'links' attribute")
    for link in links:
        if not (isinstance(link, tuple) and [type(number) for number in link] == [int, int]):
            raise GraphError(
                f"edge {source!r} -> {target!r}: a link must be (output, slot), got {link!r}"
            )
        if not 0 <= link[0] < outputs:
            raise GraphError(f"node {source!r} has no output {link[0]} for node {target!r}")


def _validate_shapes(node: Node) -> None:
    outputs = infer_node(node.name, node.op, node.inputs)
    if len(outputs) != len(node.outputs) or not all(map(_same_tensor, outputs, node.outputs)):
        found, right = (", ".join(map(str, ts)) for ts in (node.outputs, outputs))
        raise ShapeError(f"node {node.name!r}: outputs are {found} but must be {right}")
    for tensor in (*outputs, *node.op.weights(*node.inputs)):
        if not is_symbolic(tensor.elements) and np.any(tensor.elements > MAX_ELEMENTS):
            raise ShapeError(f"node {node.name!r}: {tensor} is absurdly large")


def _same_tensor(a: Tensor, b: Tensor) -> bool:
    return a.dtype == b.dtype and a.rank == b.rank and all(map(same, a.shape, b.shape))


def _substitute_op(name: str, op: Op, values: dict[str, Dim]) -> Op:
    try:
        return type(op)(**{k: _substitute_field(v, values) for k, v in op.fields().items()})
    except CostModelError as error:
        raise ShapeError(f"node {name!r}: {error}") from None


def _substitute_field(value: object, values: dict[str, Dim]) -> object:
    if isinstance(value, tuple):
        return tuple(_substitute_field(v, values) for v in value)
    # Both the values and the field are checked, so the result is a size.
    return taken(substitute(value, values))


def _symbols_in(value: Any) -> set[Any]:
    if isinstance(value, tuple):
        return {symbol for entry in value for symbol in _symbols_in(entry)}
    return set(getattr(value, "free_symbols", ()))
