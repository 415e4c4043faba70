"""A module with tensors as inputs and outputs that wraps one with arbitrary ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costmodel.importers.torch_module.capture import tensors_in
from costmodel.importers.torch_module.shadow import Copier
from costmodel.importers.torch_module.standins import argument_names

PREFIX = "net"
"""The name of the inner module, the prefix of all names from torch."""


class Inputs:
    """The tensors among the inputs of a module, with their names.

    Parameters
    ----------
    module : torch.nn.Module
        The module.
    args, kwargs : tuple, dict
        Its inputs: tensors, containers of them, or objects that hold them, such as caches.
    """

    def __init__(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args = args
        self.kwargs = kwargs
        self.leaves: list[Tensor] = []
        self.names: list[str] = []
        self.numbers: dict[int, int] = {}
        copier = Copier(self._meet)
        first = argument_names(module, len(args))
        for i, argument in enumerate(args):
            if isinstance(argument, Tensor):
                self.numbers[i] = len(self.leaves)
            copier.copy(argument, first[i])
        for key, argument in kwargs.items():
            copier.copy(argument, key)

    def _meet(self, tensor: Tensor, path: str) -> Tensor:
        self.leaves.append(tensor)
        self.names.append(path.replace(".", "_"))
        return tensor

    def filled(self, tensors: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return the inputs with ``tensors`` in the place of the leaves."""
        new = {id(old): tensor for old, tensor in zip(self.leaves, tensors, strict=True)}
        copier = Copier(lambda tensor, path: new[id(tensor)])
        return copier.copy(self.args), {k: copier.copy(v) for k, v in self.kwargs.items()}


class Flat(torch.nn.Module):  # type: ignore[misc]
    """A module on the tensors of ``inputs`` that returns the tensors of what ``net`` returns."""

    def __init__(self, net: Any, inputs: Inputs) -> None:
        super().__init__()
        self.net = net
        self._inputs = inputs

    def forward(self, *tensors: Any) -> tuple[Any, ...]:
        """Run the inner module."""
        args, kwargs = self._inputs.filled(tensors)
        return tuple(tensors_in(self.net(*args, **kwargs)))
