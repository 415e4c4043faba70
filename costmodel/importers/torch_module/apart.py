"""How torch takes operators apart that have no handler."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from costmodel.importers.torch_module.facts import Facts


class Apart:
    """Finds the function of torch that does with others what an operator does."""

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
