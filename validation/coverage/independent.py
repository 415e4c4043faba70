"""An independent count: torch's FlopCounterMode while a network runs on real tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .differences import FORMULAS, differences
from .entry import Call


@dataclass(frozen=True)
class Count:
    """Multiply-adds of one forward pass.

    Parameters
    ----------
    counted : int
        By the formulas of FlopCounterMode. [multiply-add]
    missed : mapping
        For each kind of difference, the multiply-adds of its operators. [multiply-add]
    """

    counted: int
    missed: Mapping[str, int]


def independent_count(call: Call) -> Count:
    """Return the multiply-adds of one forward pass.

    Attention and recurrent layers are decomposed into their products: the kernels that torch
    fuses, and those of its CPU library, are not all visible to the counter.
    """
    with (
        taken_apart(call.module),
        _plain_recurrence(),
        _missed() as missed,
        flop_counter() as counter,
    ):
        call.run()
    return Count(counter.get_total_flops() // 2, dict(missed))


def flop_counter() -> Any:
    """Return a FlopCounterMode that prints nothing."""
    from torch.utils.flop_counter import FlopCounterMode

    return FlopCounterMode(display=False)


@contextmanager
def taken_apart(module: Any) -> Iterator[None]:
    """Run without gradients, and without fused attention, whose products are not visible."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    fast = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad(), without_gradients(module), sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def _plain_recurrence() -> Iterator[None]:
    """Run without the CPU library that runs recurrent layers as one operator."""
    import torch

    before = torch._C._get_mkldnn_enabled()
    try:
        torch._C._set_mkldnn_enabled(False)
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


@contextmanager
def without_gradients(module: Any) -> Iterator[None]:
    """Disable gradients of all parameters: the hooks of the counter fail on them as arguments."""
    from torch.nn.parameter import is_lazy

    learned = [p for p in module.parameters() if not is_lazy(p) and p.requires_grad]
    for parameter in learned:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad = True


@contextmanager
def _missed() -> Iterator[Counter[str]]:
    """Count the multiply-adds of the operators in the table of differences as they run."""
    from torch.utils._python_dispatch import TorchDispatchMode

    found: Counter[str] = Counter()
    kinds = differences()

    class Missed(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            name = func._schema.name if hasattr(func, "_schema") else ""
            if name in kinds and (worth := FORMULAS[name](args, out)):
                found[kinds[name].name] += worth
            return out

    with Missed():
        yield found
