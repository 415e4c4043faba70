"""Execution of recorded operators: computed, or with shapes only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from costmodel.importers.torch_module.bound import Bound
from costmodel.importers.torch_module.facts import Facts
from costmodel.importers.torch_module.kernels import (
    Kernels,
    Output,
    given,
    on_cpu,
    with_memory,
    without_data,
)
from costmodel.importers.torch_module.program import CONSTANT, DATA, UNKNOWN

LARGEST = 2**22
"""Largest tensor whose values are computed where the rest of the run has none. [element]"""


class Values:
    """Runs operators: all of them for real, or only what follows from known tensors.

    Parameters
    ----------
    real : bool
        Whether every operator is computed.
    kernels : Kernels
        What operators make of shapes.
    """

    def __init__(self, real: bool, kernels: Kernels) -> None:
        self.real = real
        self.kernels = kernels

    def run(
        self, func: Any, facts: Facts, bound: Bound, args: Any, kwargs: Any
    ) -> tuple[Any, Sequence[Output | None] | None, int]:
        """Run an operator; return its result, the known facts of it, and whether it has values."""
        drawn = facts.random
        if self.real:
            return func(*args, **kwargs), None, DATA if drawn else bound.level
        if bound.level and bound.records and not drawn and not facts.makes:
            return func(*on_cpu(args), **on_cpu(kwargs)), None, bound.level
        if bound.level == UNKNOWN and facts.other_is_shape and bound.records[0].memory.level:
            args = (args[0], *[with_memory(a) for a in args[1:]])
            return func(*on_cpu(args), **on_cpu(kwargs)), None, bound.records[0].memory.level
        if facts.lengths is not None:
            lengths = bound.tensors[facts.lengths]
            kept = [t if t is lengths else without_data(t) for t in bound.tensors]
            rest = iter(kept)
            return func(*given(args, rest), **given(kwargs, rest)), None, UNKNOWN
        if facts.name == "index" and any(is_mask(t) for t in bound.tensors[1:]):
            return self._index(func, args)
        key = None if bound.key is None else (func, *bound.key)
        out, outputs = self.kernels.run(func, args, kwargs, bound.tensors, key)
        if facts.makes and not drawn and isinstance(out, Tensor) and out.numel() <= LARGEST:
            kwargs = {**kwargs, "device": torch.device("cpu")}
            return func(*args, **kwargs), None, CONSTANT
        return out, outputs, UNKNOWN

    def _index(self, func: Any, args: Any) -> tuple[Any, list[Output] | None, int]:
        """Run an index by masks as one by numbers, which has a shape without values."""
        numbers: list[Any] = []
        for t in args[1]:
            numbers += t.nonzero().unbind(1) if t is not None and is_mask(t) else [t]
        tensors = [args[0], *[t for t in numbers if t is not None]]
        return *self.kernels.run(func, (args[0], numbers), {}, tensors, None), UNKNOWN


def is_mask(tensor: Tensor) -> bool:
    """Return whether ``tensor``, as an index, is a mask."""
    return tensor.dtype in (torch.bool, torch.uint8)
