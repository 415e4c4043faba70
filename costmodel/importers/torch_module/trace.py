"""Running ``torch.export`` and putting everything back as it was."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from costmodel.errors import CostModelError, DataError
from costmodel.importers.registry import load_modules, refuse_unknown
from costmodel.importers.torch_module import handlers
from costmodel.importers.torch_module.call import ATEN, DROPOUTS, packet_name
from costmodel.importers.torch_module.sizes import Axes, SizeReader, axes_of
from costmodel.importers.torch_module.walk import Walk, unknown_operators

load_modules(handlers)


def trace(
    module: Any, inputs: tuple[Any, ...], dynamic: dict[str, Axes], strict: bool = True
) -> Walk:
    """Return the finished walk over the exported ``module``.

    Raises
    ------
    DataError
        If torch cannot trace the module.
    UnknownOperatorError
        If ``strict``, naming every operator that is not known.
    """
    import torch

    if not isinstance(module, torch.nn.Module):
        raise DataError(f"from_torch takes a torch.nn.Module, got {type(module).__name__}")
    axes = axes_of(dynamic, inputs)
    inputs = _prepared(module, inputs, axes)
    with _inference(module):
        try:
            program = torch.export.export(module, inputs, dynamic_shapes=_shapes(inputs, axes))
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
    walk = Walk(type(module).__name__, SizeReader(axes), _first_names(module))
    walk.run(program)
    return walk


@contextmanager
def _inference(module: Any) -> Iterator[None]:
    """Put ``module`` into eval mode, without gradients and fused paths that hide operators."""
    import torch

    training = [m for m in module.modules() if m.training]
    fast_path = torch.backends.mha.get_fastpath_enabled()
    try:
        for part in training:
            part.training = False
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own internals; nothing a user can mend
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for part in training:
            part.training = True


def _prepared(module: Any, inputs: tuple[Any, ...], axes: Any) -> tuple[Any, ...]:
    """Move the inputs to the device of the module and enlarge symbolic axes of size 1.

    Torch takes a size of 0 or 1 for a constant, because such axes broadcast.
    """
    import torch
    from torch.utils._pytree import tree_map

    devices = {p.device for p in module.parameters()}
    if len(devices) == 1:
        (device,) = devices
        inputs = tree_map(lambda x: x.to(device) if torch.is_tensor(x) else x, inputs)
    prepared = list(inputs)
    for number, axis in axes:
        if prepared[number].shape[axis] == 1:
            prepared[number] = torch.cat([prepared[number]] * 2, dim=axis)
    return tuple(prepared)


def _shapes(inputs: tuple[Any, ...], axes: Any) -> Any:
    import torch

    if not axes:
        return None
    return tuple(
        {axis: torch.export.Dim.AUTO for n, axis in axes if n == number} or None
        for number in range(len(inputs))
    )


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
