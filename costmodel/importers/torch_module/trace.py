"""From a module to the walk over its operators, by the way that the sizes need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costmodel.errors import DataError
from costmodel.importers.registry import load_modules, refuse_unknown
from costmodel.importers.torch_module import handlers
from costmodel.importers.torch_module.places import unknown_nodes
from costmodel.importers.torch_module.program import Program
from costmodel.importers.torch_module.sizes import Axes, SizeReader
from costmodel.importers.torch_module.walk import Walk

load_modules(handlers)


def trace(
    module: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    dynamic: Mapping[str, Axes],
    strict: bool = True,
) -> Walk:
    """Return the finished walk over what ``module`` does.

    Raises
    ------
    DataError
        If it cannot run, or torch cannot trace it with symbols.
    UnknownOperatorError
        If ``strict``, naming every operator that is not known.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise DataError(f"from_torch takes a torch.nn.Module, got {type(module).__name__}")
    from costmodel.importers.torch_module.capture import capture
    from costmodel.importers.torch_module.quiet import quiet

    with quiet():
        if dynamic:
            from costmodel.importers.torch_module.exported import walk_exported

            program = Program()
            walk, program.notes = walk_exported(module, args, dict(kwargs), dict(dynamic), strict)
        else:
            program = capture(module, args, dict(kwargs))
            walk = _walked(type(module).__name__, program, strict)
    assert walk.graph is not None
    along = [f"along this input: the code looks at {place}" for place in program.asked]
    walk.graph.graph.update(along=tuple(program.asked), notes=(*along, *program.notes))
    return walk


def _walked(name: str, program: Program, strict: bool) -> Walk:
    if strict:
        refuse_unknown("from_torch", unknown_nodes(program.nodes))
    walk = Walk(name, SizeReader())
    walk.run(program)
    for node in program.nodes:
        node.outputs.clear()  # they hold each other
    return walk
