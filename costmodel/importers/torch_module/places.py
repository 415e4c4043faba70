"""Locations of operators in a module, and the unknown operators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from costmodel.importers.registry import Occurrence
from costmodel.importers.torch_module.aliases import MERGE
from costmodel.importers.torch_module.call import ATEN, packet_name
from costmodel.importers.torch_module.program import Node


def unknown_operators(program: Any) -> list[Occurrence]:
    """Return every node of an exported program whose operator is not known at all."""
    graphs = [part.graph for part in program.graph_module.modules() if hasattr(part, "graph")]
    return unknown_nodes(
        node
        for graph in graphs
        for node in graph.nodes
        if hasattr(node.target, "_schema") or takes_functions(node)
    )


def unknown_nodes(nodes: Iterable[Any]) -> list[Occurrence]:
    """Return the nodes whose operator is not known at all."""
    return [
        Occurrence(str(node.target), place_of(node))
        for node in nodes
        if node.target != MERGE and packet_name(node.target) not in ATEN
    ]


def takes_functions(node: Any) -> bool:
    """Return whether a node calls functions among its arguments: ``cond``, ``scan`` and others."""
    kinds = {kind.__name__ for kind in type(node.target).__mro__}
    return "HigherOrderOperator" in kinds and not str(node.target).startswith("wrap_with_")


def place_of(node: Any) -> str:
    """Return the path of the module that runs ``node``, and its name."""
    path = module_path(node)
    return f"{path}/{node.name}" if path else str(node.name)


def module_path(node: Any) -> str:
    """Return the dotted path of the innermost module, calls of shared modules not told apart."""
    if isinstance(node, Node):
        return node.module
    stack = list(node.meta.get("nn_module_stack", {}).values())
    path = str(stack[-1][0]) if stack else ""
    parts = [part.split("@")[0] for part in path.split(".") if part]
    return ".".join(parts[1:])  # the first is the module around the user's
