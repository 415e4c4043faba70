"""The input of the rules, and their proposals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import networkx as nx

from costmodel.graph import Node, Source, nodes_in_order
from costmodel.guidelines.drafts import Change, Drafts, draft_of, takers
from costmodel.guidelines.pack import pack_of
from costmodel.guidelines.widths import Widths
from costmodel.platforms import Platform


@dataclass(frozen=True)
class Rewrite:
    """A change of a network according to a guideline.

    Parameters
    ----------
    guideline : str
        ``"G1"`` to ``"G4"``, ``"pack"``, ``"kernel"`` or ``"launch"``.
    title, message : str
        The change in a few words, and in a sentence.
    layers : tuple of str
        The nodes concerned.
    same_function : bool
        Whether the new network computes the same function with weights derived from the old ones.
    change : callable
        The change itself.
    inputs : int
        Factor by which the batch of the new network is larger.
    """

    guideline: str
    title: str
    message: str
    layers: tuple[str, ...]
    same_function: bool
    change: Change
    inputs: int = 1


@dataclass(frozen=True)
class Case:
    """A network on a platform.

    Parameters
    ----------
    graph : DiGraph
        An op graph without free symbols.
    platform : Platform
        The platform.
    """

    graph: nx.DiGraph
    platform: Platform

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """The nodes by name, in order."""
        return {node.name: node for node in nodes_in_order(self.graph)}

    @cached_property
    def drafts(self) -> Drafts:
        """The nodes without their shapes."""
        return {name: draft_of(node) for name, node in self.nodes.items()}

    @cached_property
    def takers(self) -> dict[Source, list[str]]:
        """The nodes that read each tensor."""
        return takers(self.drafts)

    @cached_property
    def widths(self) -> Widths:
        """The layers that share the channels of one tensor."""
        return Widths(self.nodes.values())

    @cached_property
    def users(self) -> dict[str, list[str]]:
        """The nodes that have learned tensors, by the name of these."""
        found: dict[str, list[str]] = {}
        for node in self.nodes.values():
            if node.op.weights(*node.inputs):
                found.setdefault(node.weights, []).append(node.name)
        return found

    def shares(self, name: str) -> bool:
        """Return whether another node shares learned tensors with a node."""
        return len(self.users.get(self.nodes[name].weights, ())) > 1

    @cached_property
    def pack(self) -> int:
        """Number of channels that the engine computes at once [1]."""
        dtypes = {t.dtype for n in self.nodes.values() for t in n.outputs}
        stated = self.platform.dtype or (
            "float32" if "float32" in dtypes else min(dtypes, default="")
        )
        return pack_of(self.platform, stated or "float32")

    def sole_taker(self, name: str) -> Node | None:
        """Return the only node that reads the first output of a node, None if there are several."""
        found = self.takers.get((name, 0), [])
        return self.nodes[found[0]] if len(found) == 1 else None


def listed_layers(names: Iterable[str], what: str) -> str:
    """Return the number of layers, or the name of the only one.

    Examples
    --------
    >>> listed_layers(["a", "b"], "convolutions"), listed_layers(["a"], "convolutions")
    ('2 convolutions', 'a')
    """
    all_names = list(names)
    return all_names[0] if len(all_names) == 1 else f"{len(all_names)} {what}"
