"""Our counts for torch's own counter of FLOPs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from costmodel.algebra.symbols import Dim
from costmodel.counting.metrics import flops
from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.importers.registry import load_modules
from costmodel.importers.torch_module import handlers
from costmodel.importers.torch_module.call import ATEN, Call, dtype_name, is_tensor
from costmodel.ops.tensor import Tensor

_FAMILIES = ("attention", "layers", "products", "recurrent", "sampling")
"""Handlers of operators that may be products, including those that users register."""


def flop_formulas() -> dict[Any, Callable[..., int]]:
    """Return FLOPs of operators that torch's ``FlopCounterMode`` counts as nothing, or like us.

    Every operator of torch that may be a product, and those of
    :func:`~costmodel.importers.torch_operator`; a multiply-add is two FLOPs, as torch has it.

    Returns
    -------
    dict
        A function of the arguments for each operator, for the argument ``custom_mapping``.

    Examples
    --------
    >>> import torch, costmodel as cm
    >>> from torch.utils.flop_counter import FlopCounterMode
    >>> bilinear, x = torch.nn.Bilinear(3, 4, 5), torch.zeros(2, 3)
    >>> counts = []
    >>> for mapping in ({}, cm.flop_formulas()):
    ...     with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
    ...         _ = bilinear(x, torch.zeros(2, 4))
    ...     counts.append(counter.get_total_flops())
    >>> counts, 2 * (2 * 5 * 3 * 4 + 2 * 5 * 4)
    ([0, 320], 320)
    """
    load_modules(handlers)
    own = f"{handlers.__name__}."
    found = {}
    for name, handler in ATEN.items():
        place = handler.__module__ or ""
        packet = _packet(name)
        if packet is not None and (
            not place.startswith(own) or place.removeprefix(own) in _FAMILIES
        ):
            found[packet] = _formula(packet, handler)
    return found


def _packet(name: str) -> Any:
    import torch

    space, _, operator = name.rpartition(".")
    return getattr(getattr(torch.ops, space or "aten"), operator, None)


def _formula(packet: Any, handler: Callable[[Call], Any]) -> Callable[..., int]:
    def formula(*args: Any, out_val: Any, **kwargs: Any) -> int:
        target = _overload(packet, args, kwargs)
        one = _One(target, args, kwargs, out_val)
        made = handler(Call(one, one))
        outputs = made if isinstance(made, list | tuple) else [made]
        return int(flops(one.emit.finish([x for x in outputs if isinstance(x, Operand)])))

    formula._get_raw = True  # type: ignore[attr-defined]  # torch hands over tensors, not shapes
    return formula


def _overload(packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the overload whose schema has a place for all arguments."""
    for name in packet.overloads():
        overload = getattr(packet, name)
        names = [a.name for a in overload._schema.arguments]
        if len(args) <= len(names) and set(kwargs) <= set(names):
            return overload
    return packet.default


class _One:
    """A program of one operator: its own walk, and its node."""

    def __init__(self, target: Any, args: Any, kwargs: dict[str, Any], made: Any) -> None:
        self.emit = Emitter("operator")
        self.target, self.name, self.users = target, "operator", ()
        self.meta = {"val": made}
        self.all_input_nodes: tuple[Any, ...] = ()
        self._nodes: dict[int, _Tensor] = {}
        self.args = tuple(map(self._taken, args))
        self.kwargs = {name: self._taken(value) for name, value in kwargs.items()}

    def operand(self, node: Any) -> Operand | None:
        """Return a tensor of the call; one with a gradient counts as learned."""
        if not isinstance(node, _Tensor):
            return None
        value = node.meta["val"]
        return Stored(f"tensor{node.number}", self.tensor(value), bool(value.requires_grad))

    def size(self, value: Any) -> Dim:
        """Return a size, which is a number here."""
        return int(value)

    def tensor(self, meta: Any) -> Tensor:
        """Return shape and dtype of a tensor."""
        return Tensor.inferred(tuple(map(int, meta.shape)), dtype_name(meta.dtype))

    def _taken(self, value: Any) -> Any:
        if is_tensor(value):
            return self._nodes.setdefault(id(value), _Tensor(value, len(self._nodes)))
        if isinstance(value, list | tuple):
            return [self._taken(v) for v in value]
        return value


class _Tensor:
    """A tensor that the operator takes, as a node of a program."""

    def __init__(self, value: Any, number: int) -> None:
        self.meta = {"val": value}
        self.number = number
        self.all_input_nodes: tuple[Any, ...] = ()
