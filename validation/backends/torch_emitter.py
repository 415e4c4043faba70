"""Collects the statements and the modules of one network as a torch.fx graph."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import fx, nn

from costmodel.graph import Node
from costmodel.ops import Op

Value: TypeAlias = fx.Node

DTYPES: dict[str, torch.dtype] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "tf32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float8": torch.float8_e4m3fn,
    "int64": torch.int64,
    "int32": torch.int32,
    "int16": torch.int16,
    "int8": torch.int8,
    "uint8": torch.uint8,
    "bool": torch.bool,
    "complex64": torch.complex64,
    "complex128": torch.complex128,
}
"""The torch dtype of each dtype of a graph."""


class Emitter:
    """Collects the statements and the modules of one network.

    Parameters
    ----------
    generator : torch.Generator
        Source of the random weights.
    """

    def __init__(self, generator: torch.Generator) -> None:
        self.generator = generator
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.node: Node
        self._shared: dict[tuple[str, Op, tuple[Any, ...]], str] = {}
        self._count = 0

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Value:
        """Add a call of ``function``."""
        return self._named("call_function", function, args, kwargs)

    def method(self, name: str, *args: Any, **kwargs: Any) -> Value:
        """Add a call of a method of the first argument."""
        return self._named("call_method", name, args, kwargs)

    def module(self, make: Callable[[], nn.Module], *args: Any) -> Value:
        """Add a call of the module that ``make`` returns; nodes that share weights share it."""
        key = (self.node.weights, self.node.op, self.node.inputs)
        if key not in self._shared:
            self._shared[key] = self._add(fill(make(), self.generator))
        return self._named("call_module", self._shared[key], args, {})

    def tensor(self, value: torch.Tensor, learned: bool = False) -> Value:
        """Add a constant."""
        name = self._free_name()
        if learned:
            self.root.register_parameter(name, nn.Parameter(value, requires_grad=False))
        else:
            self.root.register_buffer(name, value)
        return self._named("get_attr", name, (), {})

    @staticmethod
    def identifier(name: str) -> str:
        """Return ``name`` as a Python name."""
        return re.sub(r"\W", "_", name)

    def _add(self, module: nn.Module) -> str:
        name = self._free_name()
        self.root.add_module(name, module)
        return name

    def _free_name(self) -> str:
        self._count += 1
        return f"m{self._count}_{self.identifier(self.node.name)}"

    def _named(
        self, kind: str, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Value:
        name = self.identifier(self.node.name)
        made = self.graph.create_node(kind, target, args, kwargs, name)
        made.meta["node"] = self.node.name  # which of the graph's it computes a part of
        return made


def fill(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Give ``module`` random weights that keep the size of values from layer to layer."""
    with torch.no_grad():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if name.endswith("num_batches_tracked"):
                continue
            if tensor.dim() < 2:  # scales, shifts, statistics: near one, or a small bias
                bias = "bias" in name or name.endswith("mean")
                tensor.uniform_(0.01 if bias else 0.5, 0.1 if bias else 1.5, generator=generator)
            else:
                fan_in = math.prod(tensor.shape[1:])
                tensor.normal_(0.0, fan_in**-0.5, generator=generator)
    return module
