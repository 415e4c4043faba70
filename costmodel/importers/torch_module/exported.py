"""Running ``torch.export`` on a copy of the module, for symbolic sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from costmodel.errors import CostModelError, DataError
from costmodel.importers.registry import refuse_unknown
from costmodel.importers.torch_module.call import ATEN, DROPOUTS, packet_name
from costmodel.importers.torch_module.flat import PREFIX, Flat, Inputs
from costmodel.importers.torch_module.masks import ATTENTION, text
from costmodel.importers.torch_module.places import unknown_operators
from costmodel.importers.torch_module.shadow import Copier
from costmodel.importers.torch_module.sizes import Axes, Size, SizeReader, axes_of
from costmodel.importers.torch_module.unrolled import whole
from costmodel.importers.torch_module.walk import Walk


def walk_exported(
    module: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    dynamic: dict[str, Axes],
    strict: bool,
) -> tuple[Walk, tuple[str, ...]]:
    """Return the finished walk over what ``torch.export`` makes of ``module``, and notes.

    Raises
    ------
    DataError
        If torch cannot trace it.
    UnknownOperatorError
        If ``strict``, naming every operator that is not known.
    """
    inputs = Inputs(module, args, kwargs)
    axes = axes_of(dynamic, inputs.names, inputs.numbers, inputs.leaves)
    shadow = Flat(Copier(_alias, whole).copy(module), inputs).eval()
    leaves = tuple(_prepared(module, inputs.leaves, axes))
    try:
        with torch.no_grad():
            shapes = _shapes(leaves, axes).dynamic_shapes(shadow, leaves)
            program = torch.export.export(shadow, leaves, dynamic_shapes=shapes, strict=False)
            program = _decompose_unknown(program)
    except CostModelError:
        raise
    except Exception as error:
        raise _refused(type(module).__name__, dynamic, error) from error
    if strict:
        refuse_unknown("from_torch", unknown_operators(program))
    walk = Walk(type(module).__name__, SizeReader(axes, inputs.names))
    walk.run_exported(program, _first_names(shadow), inputs.names)
    masked = sum(map(_is_masked, program.graph.nodes))
    return walk, (text(masked, causal=False),) if masked else ()


def _refused(name: str, dynamic: dict[str, Axes], error: Exception) -> DataError:
    symbols = ", ".join(dynamic)
    reason = (str(error).strip() or "no reason given").splitlines()[0]
    ours = not type(error).__module__.startswith("torch") and "ymbol" not in reason
    why = f"{type(error).__name__}: {reason}" if ours else "the network fixes or ties a size"
    return DataError(
        f"{name} cannot be traced with {symbols} as a symbol ({why}): leave it out of dynamic, "
        "or name a multiple such as 32*k"
    )


def _is_masked(node: Any) -> bool:
    """Return whether a node is an attention with a tensor as mask."""
    if node.op != "call_function" or packet_name(node.target) != ATTENTION:
        return False
    return (node.args[3] if len(node.args) > 3 else node.kwargs.get("attn_mask")) is not None


def _alias(tensor: Any, path: str) -> Any:
    """Return another object for a parameter, a copy of anything that the module may write."""
    with torch.no_grad():
        if isinstance(tensor, torch.nn.Parameter):
            return torch.Tensor._make_subclass(type(tensor), tensor.data, tensor.requires_grad)
        return tensor.detach().clone()


def _prepared(module: Any, leaves: list[Any], axes: Mapping[tuple[int, int], Size]) -> list[Any]:
    """Move the inputs to the device of the module and enlarge symbolic axes of one unit.

    Torch treats a size of 0 or 1 as a constant, because such axes broadcast.
    """
    devices = {p.device for p in module.parameters()}
    device = devices.pop() if len(devices) == 1 else None
    prepared = [x.to(device) if torch.is_tensor(x) and device is not None else x for x in leaves]
    for (number, axis), (_, factor) in axes.items():
        if prepared[number].shape[axis] == factor:
            prepared[number] = torch.cat([prepared[number]] * 2, dim=axis)
    return prepared


def _shapes(leaves: Sequence[Any], axes: Mapping[tuple[int, int], Size]) -> Any:
    """Return the description of symbolic axes for ``torch.export``."""
    # Only multiples need a name: without one torch finds by itself what a size may be.
    multiples = {name for name, factor in axes.values() if factor > 1}
    named = {name: torch.export.Dim(f"_{name}", min=2) for name in multiples}
    shapes = torch.export.ShapesCollection()
    for number, leaf in enumerate(leaves):
        sizes = {
            axis: factor * named[name] if factor > 1 else torch.export.Dim.AUTO
            for (n, axis), (name, factor) in axes.items()
            if n == number
        }
        if sizes:
            shapes[leaf] = sizes
    return shapes


def _decompose_unknown(program: Any) -> Any:
    """Let torch decompose unknown operators, recursively, where it can."""
    for _ in range(_MOST_ROUNDS):
        before, program = program, _decompose_once(program)
        if program is before:
            break
    return program


_MOST_ROUNDS = 8
"""Maximum depth of decompositions: a bound on a loop that terminates anyway."""


def _decompose_once(program: Any) -> Any:
    from torch._ops import OpOverload

    unknown = {
        node.target
        for part in program.graph_module.modules()
        if hasattr(part, "graph")
        for node in part.graph.nodes
        if isinstance(node.target, OpOverload) and packet_name(node.target) not in ATEN
    }
    if not unknown:
        return program
    table = torch.export.default_decompositions()
    chosen = {op: table[op] for op in unknown if op in table}
    if not chosen:
        return program
    _leave_out_dropout(program)
    return program.run_decompositions(chosen)


def _leave_out_dropout(program: Any) -> None:
    """Make views of the dropouts: while taking others apart, torch makes copies of them."""
    for part in program.graph_module.modules():
        for node in part.graph.nodes if hasattr(part, "graph") else ():
            if packet_name(node.target) in DROPOUTS:
                node.target = torch.ops.aten.alias.default
                node.args, node.kwargs = node.args[:1], {}


def _first_names(module: Any) -> dict[str, str]:
    """Return, for every name of a parameter or buffer, the first name of the same tensor."""
    first: dict[int, str] = {}
    stored = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    start = len(PREFIX) + 1
    return {name: first.setdefault(id(tensor), name[start:]) for name, tensor in stored}
