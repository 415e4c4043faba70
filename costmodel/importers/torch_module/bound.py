"""The arguments of one operator while it is recorded."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from costmodel.importers.torch_module.aliases import Aliases, Record
from costmodel.importers.torch_module.program import CONSTANT, UNKNOWN

_ATOMS = frozenset({int, type(None), str, torch.dtype, torch.layout, torch.memory_format})


class Records(Protocol):
    """An object that knows the tensors of a run."""

    aliases: Aliases

    def record_of(self, tensor: Tensor) -> Record:
        """Return the record of ``tensor``."""


class Bound:
    """The arguments of one operator: as torch has them, as the program has them."""

    __slots__ = ("args", "key", "kwargs", "level", "records", "tensors")

    def __init__(self, recorder: Records, args: Any, kwargs: Any) -> None:
        self.records: list[Record] = []
        self.tensors: list[Tensor] = []
        self.key: list[Any] | None = []
        self.args = [self._bind(recorder, a) for a in args]
        self.kwargs = {k: self._bind(recorder, a) for k, a in kwargs.items()}
        if self.key is not None and kwargs:
            self.key.append(tuple(kwargs))
        levels = [r.memory.level for r in self.records]
        self.level = UNKNOWN if UNKNOWN in levels else max(levels, default=CONSTANT)

    def _bind(self, recorder: Records, a: Any) -> Any:
        key = self.key
        if isinstance(a, Tensor):
            record = recorder.record_of(a)
            self.records.append(record)
            self.tensors.append(a)
            if key is not None:
                key.append(record.spec)
            made = recorder.aliases.read(record)
            if made.node is not None:
                made.node.used.add(made.output)
            return made
        kind = type(a)
        if kind in _ATOMS:
            if key is not None:
                key.append(a)
        elif kind is float or kind is bool:
            if key is not None:
                key.append(kind)
                key.append(a)
        elif kind is list or kind is tuple:
            if key is not None:
                key.append(len(a))
            return [self._bind(recorder, x) for x in a]
        elif kind is not torch.device:
            self.key = None
        return a
