"""Running ``torch.export`` on a copy of the module, where sizes must stay symbols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from costmodel.errors import CostModelError, DataError
from costmodel.importers.registry import refuse_unknown
from costmodel.importers.torch_module.call import ATEN, DROPOUTS, packet_name
from costmodel.importers.torch_module.capture import argument_names
from costmodel.importers.torch_module.shadow import Copier
from costmodel.importers.torch_module.sizes import Axes, Size, SizeReader, axes_of
from costmodel.importers.torch_module.walk import Walk, unknown_operators


def walk_exported(
    module: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    dynamic: dict[str, Axes],
    strict: bool,
) -> Walk:
    """Return the finished walk over what ``torch.export`` makes of ``module``.

    Raises
    ------
    DataError
        If torch cannot trace it.
    UnknownOperatorError
        If ``strict``, naming every operator that is not known.
    """
    import torch
    from torch.utils._pytree import tree_flatten, tree_unflatten

    leaves, shape = tree_flatten((args, kwargs))
    axes = axes_of(dynamic, _input_names(module, args, kwargs), leaves)
    module = Copier(_alias).copy(module)
    leaves = _prepared(module, leaves, axes)
    args, kwargs = tree_unflatten(leaves, shape)
    try:
        with torch.no_grad():
            shapes = _shapes(leaves, axes).dynamic_shapes(module, args, kwargs)
            program = torch.export.export(module, args, kwargs, dynamic_shapes=shapes)
            program = _decompose_unknown(program)
    except CostModelError:
        raise
    except Exception as error:
        reason = (str(error).strip() or "no reason given").splitlines()[0]
        raise DataError(
            f"torch.export cannot trace {type(module).__name__} on these inputs: "
            f"{type(error).__name__}: {reason}"
        ) from error
    if strict:
        refuse_unknown("from_torch", unknown_operators(program))
    walk = Walk(type(module).__name__, SizeReader(axes))
    walk.run_exported(program, _first_names(module))
    return walk


def _alias(tensor: Any, path: str) -> Any:
    """Return another object for a parameter, a copy of anything that the module may write."""
    import torch

    with torch.no_grad():
        if isinstance(tensor, torch.nn.Parameter):
            return torch.Tensor._make_subclass(type(tensor), tensor.data, tensor.requires_grad)
        return tensor.detach().clone()


def _input_names(module: Any, args: Any, kwargs: Any) -> list[tuple[str, int | None]]:
    """Return for every leaf of the inputs its name, and its number if it is an input itself."""
    from torch.utils._pytree import tree_flatten_with_path

    first = argument_names(module, len(args))
    names: list[tuple[str, int | None]] = []
    for path, _ in tree_flatten_with_path((args, kwargs))[0]:
        keys: list[Any] = [_key(entry) for entry in path]
        head = first[keys[1]] if keys[0] == 0 else keys[1]
        number = keys[1] if keys[0] == 0 and len(keys) == 2 else None
        names.append(("_".join(map(str, (head, *keys[2:]))), number))
    return names


def _key(entry: Any) -> Any:
    """Return the key, index or attribute that an entry of a path through nested inputs holds."""
    return next(getattr(entry, k) for k in ("key", "idx", "name") if hasattr(entry, k))


def _prepared(module: Any, leaves: list[Any], axes: Mapping[tuple[int, int], Size]) -> list[Any]:
    """Move the inputs to the device of the module and enlarge symbolic axes of one unit.

    Torch takes a size of 0 or 1 for a constant, because such axes broadcast.
    """
    import torch

    devices = {p.device for p in module.parameters()}
    device = devices.pop() if len(devices) == 1 else None
    prepared = [x.to(device) if torch.is_tensor(x) and device is not None else x for x in leaves]
    for (number, axis), (_, factor) in axes.items():
        if prepared[number].shape[axis] == factor:
            prepared[number] = torch.cat([prepared[number]] * 2, dim=axis)
    return prepared


def _shapes(leaves: list[Any], axes: Mapping[tuple[int, int], Size]) -> Any:
    """Return what ``torch.export`` must know of the symbolic axes."""
    import torch

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
    """Let torch take unknown operators apart, and what that makes, where it knows how."""
    for _ in range(_MOST_ROUNDS):
        before, program = program, _decompose_once(program)
        if program is before:
            break
    return program


_MOST_ROUNDS = 8
"""How deep operators are taken apart: a bound on a loop that ends by itself."""


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
    import torch

    table = torch.export.default_decompositions()
    chosen = {op: table[op] for op in unknown if op in table}
    if not chosen:
        return program
    _leave_out_dropout(program)
    return program.run_decompositions(chosen)


def _leave_out_dropout(program: Any) -> None:
    """Make views of the dropouts: while taking others apart, torch makes copies of them."""
    import torch

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
    return {name: first.setdefault(id(tensor), name) for name, tensor in stored}
