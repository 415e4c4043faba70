"""Learned tensors that several nodes share by the name of their weights.

The first node of a name stores its learned tensors. A later node of the name uses them as they
are, transposed or in another shape, and stores only those that no earlier node has, such as a
bias. Nodes whose weights are computed have the name of the producer, and store nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from costmodel.algebra.symbols import same
from costmodel.errors import GraphError
from costmodel.graph.node import Node
from costmodel.ops.tensor import Tensor


def sharing(nodes: Iterable[Node]) -> dict[int, tuple[int, ...]]:
    """Return which learned tensors each node that shares the weights of an earlier one adds.

    Parameters
    ----------
    nodes : iterable of Node
        The nodes of a network in order.

    Returns
    -------
    dict of int to tuple of int
        By the number of the node, the numbers of the learned tensors that no node before it
        stores. A node that is absent stores all its learned tensors.

    Raises
    ------
    GraphError
        If two nodes have the same name of weights, but one cannot use the weights of the other.

    Examples
    --------
    >>> import costmodel as cm
    >>> from costmodel.ops import Embedding, Linear
    >>> b = cm.Builder("tied")
    >>> x = b.add(Embedding(100, 8), b.input((1, 4), "int64"), weights="words")
    >>> g = b.finish(b.add(Linear(100, bias=True), x, weights="words"))
    >>> sharing(cm.prepare(g).nodes)  # the table is that of the embedding, the bias is its own
    {2: (1,)}
    """
    first: dict[str, Node] = {}
    later: dict[str, list[tuple[int, Node]]] = {}
    for number, node in enumerate(nodes):
        if first.setdefault(node.weights, node) is not node:
            later.setdefault(node.weights, []).append((number, node))
    return {
        number: added
        for name, users in later.items()
        for number, added in _added(first[name], users)
    }


def _added(owner: Node, users: list[tuple[int, Node]]) -> list[tuple[int, tuple[int, ...]]]:
    """Return the learned tensors that each user of the weights of ``owner`` adds to them."""
    stored = list(_learned(owner))
    made = list(owner.outputs)
    found: list[tuple[int, tuple[int, ...]]] = []
    for number, user in users:
        own = _learned(user)
        added: tuple[int, ...] = ()
        if own and stored and _fits(own[0], stored[0]):
            added = _unmatched(own, stored)
            stored += [own[i] for i in added]
        elif own and not any(_fits(own[0], output) for output in made):
            raise GraphError(_refusal(owner, user, stored[0] if stored else None, own[0]))
        made += user.outputs
        found.append((number, added))
    return found


def _learned(node: Node) -> tuple[Tensor, ...]:
    return tuple(node.op.weights(*node.inputs))


def _unmatched(own: tuple[Tensor, ...], stored: list[Tensor]) -> tuple[int, ...]:
    left = list(stored)
    added = []
    for i, tensor in enumerate(own):
        match = next((j for j, other in enumerate(left) if _fits(tensor, other)), None)
        if match is None:
            added.append(i)
        else:
            del left[match]
    return tuple(added)


def _fits(a: Tensor, b: Tensor) -> bool:
    """Return whether one tensor is the other, transposed or in another shape."""
    return same(a.elements, b.elements)


def _refusal(owner: Node, user: Node, stored: Tensor | None, needed: Tensor) -> str:
    has = "no weights" if stored is None else f"weights of {_sizes(stored)}"
    return (
        f"nodes {owner.name!r} and {user.name!r} share the weights {user.weights!r}, but "
        f"{owner.name!r} has {has} and {user.name!r} needs {_sizes(needed)}"
    )


def _sizes(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape))
