"""A network in another dtype: all its floating-point tensors, weights and activations."""

from __future__ import annotations

from collections.abc import Iterable

import networkx as nx

from costmodel.errors import DataError
from costmodel.graph.schema import Node, Source, infer_node, nodes_in_order
from costmodel.kinds import KINDS
from costmodel.ops import Op
from costmodel.ops.tensor import FLOATING, INTEGERS, Tensor

_FULL = ("float32", "float64")
"""Dtypes that a network may be converted from."""


def in_dtype(nodes: Iterable[Node], dtype: str) -> list[Node]:
    """Return the nodes of a network with its floating-point tensors in ``dtype``.

    Integer and boolean tensors are kept, for example indices, masks and images that are cast first.

    Parameters
    ----------
    nodes : iterable of Node
        The network, in order.
    dtype : str
        A key of :data:`~costmodel.ops.tensor.DTYPE_BYTES`.

    Raises
    ------
    DataError
        If the network has a floating-point tensor, or a product of integers, in another low
        precision.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.graph import nodes_in_order
    >>> converted = in_dtype(nodes_in_order(zoo.pointwise(56, 56, 24, 48)), "float16")
    >>> [str(node.outputs[0]) for node in converted if node.outputs]
    ['float16[1, 24, 56, 56]', 'float16[1, 48, 56, 56]']
    """
    made: dict[Source, Tensor] = {}
    converted = []
    for node in nodes:
        inputs = tuple(made[source] for source in node.sources)
        op = _converted(node, dtype)
        low = next((x.dtype for x in inputs if x.dtype in INTEGERS and x.dtype != dtype), "")
        if low and any(KINDS[kind].product for kind in op.kernel_kinds):
            raise _already(node.name, low, dtype)
        outputs = infer_node(node.name, op, inputs)
        made.update({(node.name, i): tensor for i, tensor in enumerate(outputs)})
        converted.append(node._replace(op=op, inputs=inputs, outputs=outputs))
    return converted


def converted(graph: nx.DiGraph, dtype: str) -> nx.DiGraph:
    """Return ``graph`` with its floating-point tensors in ``dtype`` (see :func:`in_dtype`).

    Raises
    ------
    DataError
        If the network has a tensor in another low precision.

    Examples
    --------
    >>> import costmodel as cm
    >>> graph = cm.zoo.resnet18()
    >>> cm.mac(converted(graph, "float16"), unit="bytes") * 2 == cm.mac(graph, unit="bytes")
    True
    """
    result = graph.copy()
    for node in in_dtype(nodes_in_order(graph), dtype):
        result.nodes[node.name].update(op=node.op, outputs=node.outputs)
    return result


def _converted(node: Node, dtype: str) -> Op:
    """Return the operator of ``node``, with its dtype replaced if it has one."""
    stated = getattr(node.op, "dtype", None)
    if stated not in FLOATING or stated == dtype:
        return node.op
    if stated not in _FULL:
        raise _already(node.name, stated, dtype)
    return node.op.with_fields(dtype=dtype)


def _already(name: str, low: str, dtype: str) -> DataError:
    return DataError(
        f"node {name!r} is already in {low}: only a network in float32 or float64 can be converted "
        f"to {dtype}"
    )
