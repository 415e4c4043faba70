"""Products with a constant that a converter multiplies into the weights of the operator before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from costmodel.graph import Node, Source
from costmodel.ops import BatchNorm, Conv, Linear, Output


class ScaledWeights:
    """Convolutions and linear layers whose weights may take up a product with a constant.

    A product is taken up if nothing else reads the result. So a branch that is multiplied by zero
    is not dropped if it ends with a convolution: this runs with weights of zero.

    Parameters
    ----------
    nodes : sequence of Node
        A network, in the order in which the converter visits it.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._readers = Counter(source for node in nodes for source in node.sources)
        self._affine: set[Source] = set()
        for node in nodes:
            folded = isinstance(node.op, BatchNorm) and self._reads_affine_alone(node)
            if folded or isinstance(node.op, Conv | Linear):
                self._affine.add((node.name, 0))

    def take(self, node: Node) -> bool:
        """Return whether a product with a constant is taken up; else it no longer reads."""
        (value,) = node.sources
        if value in self._affine and self._readers[value] == 1:
            return True
        self._readers[value] -= 1
        return False

    def replace(self, old: Source, new: Source) -> None:
        """Let the readers of a value, whose node is dropped, read another that this node read."""
        self._readers[new] += self._readers.pop(old, 0) - 1

    def _reads_affine_alone(self, node: Node) -> bool:
        return node.sources[0] in self._affine and self._readers[node.sources[0]] == 1


def as_read(nodes: list[Node]) -> list[Node]:
    """Return the nodes in the order in which a walk from the outputs first completes them.

    A converter that imports a graph from its outputs visits an operator after all its inputs, the
    first input first. Nodes that no output depends on come last.
    """
    by_name = {node.name: node for node in nodes}
    done: dict[str, Node] = {}
    for start in [n for n in nodes if isinstance(n.op, Output)] + nodes:
        stack = [start]
        while stack:
            node = stack[-1]
            missing = [name for name, _ in node.sources if name not in done]
            if missing:
                stack.append(by_name[missing[0]])
            else:
                done[stack.pop().name] = node
    return list(done.values())
