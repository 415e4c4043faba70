"""Known operators of a file: by a handler, or as a function of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from costmodel.importers.onnx_file.call import HANDLERS
from costmodel.importers.onnx_file.folds import FOLDS
from costmodel.importers.onnx_file.names import full_name, place
from costmodel.importers.registry import Occurrence

FREE = frozenset({"Shape", "Size", "Constant"})
"""Operators that the traversal handles itself."""
_MOST_BODIES = 10_000


def key_of(node: Any) -> str:
    """Return the registered name of the handler of a node."""
    domain = node.domain
    return str(node.op_type) if domain in ("", "ai.onnx") else f"{domain}.{node.op_type}"


def unknown_operators(model: Any, versions: dict[str, int]) -> list[Occurrence]:
    """Return every node whose operator is not known at all, without importing anything."""
    own = {(f.domain, f.name) for f in model.functions}
    plain = {*HANDLERS.names(), *FOLDS.names(), *FREE}
    found: dict[str, bool] = {}
    unknown = []
    for node in _all_nodes(model):
        key = key_of(node)
        if key in plain or (node.domain, node.op_type) in own:
            continue
        if key not in found:
            found[key] = schema_of(node, versions.get(node.domain, 0)) is not None
        if not found[key]:
            unknown.append(Occurrence(full_name(node), place(node)))
    return unknown


def schema_of(node: Any, version: int) -> Any:
    """Return ONNX's own schema of a node where it is a function of other operators, or None."""
    import onnx

    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        newest = max(1, min(version, 2**31 - 1))
        schema = onnx.defs.get_schema(node.op_type, newest, domain)
    except Exception:  # there is none
        return None
    return schema if schema.has_function or schema.has_context_dependent_function else None


def _all_nodes(model: Any) -> Iterator[Any]:
    """Yield the nodes of a model, of its functions, and of the bodies in them."""
    waiting: list[Sequence[Any]] = [model.graph.node, *(f.node for f in model.functions)]
    bodies = 0
    while waiting:
        for node in waiting.pop():
            yield node
            for entry in node.attribute:
                if entry.type == 5 and bodies < _MOST_BODIES:
                    bodies += 1
                    waiting.append(entry.g.node)
