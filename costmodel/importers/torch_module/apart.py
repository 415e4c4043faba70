"""Torch's decompositions of operators without a handler."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from costmodel.importers.torch_module.facts import Facts


class Apart:
    """Finds torch's decomposition of an operator into others."""

    def way(self, op: Any, facts: Facts) -> Callable[..., Any] | None:
        """Return a function with the arguments of ``op`` that runs other operators, or None."""
        if facts.composite:
            composite: Callable[..., Any] = op.decompose
            return composite
        packet = getattr(op, "overloadpacket", None)
        return self._table.get(op) or getattr(packet, "impl_aten", None)

    @cached_property
    def _table(self) -> dict[Any, Callable[..., Any]]:
        import torch

        return dict(torch.export.default_decompositions().items())


def plain_program(op: Any) -> Callable[..., Any] | None:
    """Return the plain operators of an operator with functions as arguments, or None."""
    import torch

    programs: dict[str, Callable[..., Any]] = {"cond": _branch, "scan": _scan}
    kernels: dict[Any, Callable[..., Any]] = op.py_kernels
    return programs.get(op.name()) or kernels.get(torch._C.DispatchKey.CompositeExplicitAutograd)


def _branch(which: Any, then: Any, otherwise: Any, operands: Any) -> Any:
    return (then if bool(which) else otherwise)(*operands)


def _scan(step: Any, carried: Any, sequences: Any, more: Any = ()) -> Any:
    """Run ``step`` on every slice; torch's own program also computes where results go."""
    import torch

    state, made = list(carried), []
    for i in range(sequences[0].shape[0]):
        results = step(*state, *(x.select(0, i) for x in sequences), *more)
        state, rest = list(results[: len(state)]), results[len(state) :]
        made.append(rest)
    return (*state, *(torch.stack(list(parts)) for parts in zip(*made, strict=True)))
