"""Operators without a handler that torch tags as pointwise or reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costmodel.importers.emitter import Operand
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.importers.torch_module.handlers.elementwise import binary
from costmodel.importers.torch_module.handlers.reduction import reduce
from costmodel.ops import Elementwise


@ATEN.fall_back
def by_tag(name: str) -> Callable[[Call], Result] | None:
    """Return the handler of an operator by its torch tags, None if they do not decide.

    Examples
    --------
    >>> by_tag("hypot") is by_tag("lgamma"), by_tag("conv2d")
    (True, None)
    """
    import torch

    namespace, _, operator = name.rpartition(".")
    packet: Any = getattr(getattr(torch.ops, namespace or "aten"), operator, None)
    overloads = packet.overloads() if hasattr(packet, "overloads") else ()
    tags = {tag for overload in overloads for tag in getattr(packet, overload).tags}
    if torch.Tag.pointwise in tags:
        return pointwise
    return reduction if torch.Tag.reduction in tags else None


def pointwise(call: Call) -> Result:
    """Emit one operation per element, with all tensors as operands."""
    if not call.metas:
        return None  # a number that the program asks for
    kinds = ("not", "equal") if call.output.dtype == "bool" else ("special", "special_of_two")
    first, *others = _tensors(call)
    y: Operand = first
    for other in others:
        y = binary(call, kinds[1], y, other)
    if not others:
        y = call.emit.add(Elementwise(kinds[0]), first)
    return [y] * len(call.metas) if len(call.metas) > 1 else y


def reduction(call: Call) -> Result:
    """Emit one sum an output over the axes that the call names."""
    made = [reduce(call, "sum") for _ in call.metas]
    return made if len(made) > 1 else made[0]


def _tensors(call: Call) -> list[Operand]:
    schema: Any = call.node.target._schema
    found = (call.optional(argument.name) for argument in schema.arguments if not argument.is_out)
    return [x for x in found if x is not None]
