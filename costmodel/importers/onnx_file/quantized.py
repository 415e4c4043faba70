"""Nodes of a quantized graph that run on integers.

In the QDQ form, a ``DequantizeLinear`` precedes every operator and a ``QuantizeLinear`` follows
it. A runtime runs the operator on the integers, and folds the scales into it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators whose result has more bits: they run on integers whatever follows."""
_CARRIERS = frozenset(
    {
        "Add",
        "ArgMax",
        "AveragePool",
        "Clip",
        "Concat",
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LeakyRelu",
        "MaxPool",
        "Mul",
        "Pad",
        "ReduceMean",
        "Relu",
        "Reshape",
        "Resize",
        "Sigmoid",
        "Slice",
        "Softmax",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Sub",
        "Tanh",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators that run on integers if all their inputs and outputs are quantized."""
_INTEGERS = "QuantizeLinear"
_FLOATS = "DequantizeLinear"


class Quantized:
    """The quantised parts of a graph.

    Parameters
    ----------
    nodes : sequence of NodeProto
        The nodes of the graph, in order.
    takers : mapping
        The nodes that take a tensor, by its name.
    outputs : collection of str
        Tensors that leave the graph.
    """

    def __init__(
        self, nodes: Sequence[Any], takers: Mapping[str, Sequence[Any]], outputs: Collection[str]
    ) -> None:
        self._integer: set[int] = set()
        self._carried: set[str] = set()
        floats = {n.output[0] for n in nodes if n.op_type == _FLOATS and n.output}
        if not floats:
            return
        makers = {name for node in nodes for name in node.output}
        leads = _lead_to_integers(nodes, takers, outputs)
        for node in nodes:
            is_product = node.op_type in _PRODUCTS
            if not is_product and node.op_type not in _CARRIERS:
                continue
            taken = [name for name in node.input if name in makers]
            whole = bool(taken) and all(name in floats or name in self._carried for name in taken)
            carried = all(name in leads for name in node.output if name)
            if whole and (is_product or carried):
                self._integer.add(id(node))
                self._carried.update(node.output if carried else ())

    def runs_on_integers(self, node: Any) -> bool:
        """Return whether ``node`` runs on the integers before its dequantized inputs."""
        return id(node) in self._integer

    def stays(self, name: str) -> bool:
        """Return whether the result of such a node is used as integers."""
        return name in self._carried


def _lead_to_integers(
    nodes: Sequence[Any], takers: Mapping[str, Sequence[Any]], outputs: Collection[str]
) -> set[str]:
    """Return the tensors used only in quantized form, directly or after data movement."""
    leads: set[str] = set()
    for node in reversed(nodes):
        for name in node.output:
            behind = takers.get(name, ())
            if behind and name not in outputs and all(_leads(n, leads) for n in behind):
                leads.add(name)
    return leads


def _leads(taker: Any, leads: set[str]) -> bool:
    if taker.op_type == _INTEGERS:
        return True
    return taker.op_type in _CARRIERS and all(name in leads for name in taker.output if name)
