"""Weights that a file takes as inputs."""

from __future__ import annotations

from typing import Any

_ALWAYS: dict[str, tuple[int, ...]] = {
    "BatchNormalization": (1, 2, 3, 4),
    "Conv": (1, 2),
    "ConvInteger": (1,),
    "ConvTranspose": (1, 2),
    "DeformConv": (1, 3),
    "GRU": (1, 2, 3),
    "GroupNormalization": (1, 2),
    "InstanceNormalization": (1, 2),
    "LSTM": (1, 2, 3, 7),
    "LayerNormalization": (1, 2),
    "PRelu": (1,),
    "QLinearConv": (3, 8),
    "RMSNormalization": (1,),
    "RNN": (1, 2, 3),
}
"""Slots of operators for learned tensors."""


def weights_among(graph: Any) -> frozenset[str]:
    """Return the inputs of a graph that feed nothing but slots of weights.

    The second matrix of a ``Gemm`` with an offset, and one of two axes that a ``MatMul`` applies to
    more axes, are such slots, too: exporters that leave the parameters out name them as inputs.
    """
    ranks = {e.name: len(e.type.tensor_type.shape.dim) for e in graph.input}
    candidates = set(ranks)
    found: set[str] = set()
    for node in graph.node:
        slots = _slots(node, ranks)
        for slot, name in enumerate(node.input):
            if slot in slots:
                found.add(name)
            else:
                candidates.discard(name)
    candidates -= {output.name for output in graph.output}
    return frozenset(found & candidates)


def _slots(node: Any, ranks: dict[str, int]) -> tuple[int, ...]:
    if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
        return (1, 2)
    if node.op_type == "MatMul" and len(node.input) == 2:
        first, second = (ranks.get(name) for name in node.input)
        return (1,) if second == 2 and first != 2 and first != 1 else ()
    return _ALWAYS.get(node.op_type, ())
