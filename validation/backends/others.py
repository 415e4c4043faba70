"""Other operators between two timed runs of one operator, which leave caches as a network does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch

from costmodel.specs import network

from .graph_to_torch import random_inputs, to_torch

SPECS = (
    "conv2d?cin=32&cout=32&size=14&k=3",
    "depthwise?c=64&size=14&k=3",
    "batch_norm?c=64&size=14",
    "conv2d?cin=64&cout=64&size=14&k=1",
    "elementwise?kind=relu&shape=1x64x14x14",
    "elementwise?kind=sigmoid&shape=1x64x14x14",
    "elementwise?kind=add&shape=1x64x14x14",
    "channel_shuffle?c=64&size=14&groups=2",
    "concat?shape=1x64x14x14",
    "pool?kind=avg&c=64&size=14&k=2&stride=2&padding=0",
    "linear?n=1&cin=256&cout=256",
    "softmax?shape=64x64",
    "layer_norm?shape=1x64x64",
)
"""One operator of each kind: their code takes the place of the timed one's in the near caches."""


class Others:
    """Touches ``size`` bytes, runs other operators, and makes inputs and room for outputs anew.

    Parameters
    ----------
    size : int
        Bytes touched. [byte]
    twin : callable
        Runs the same operator on other weights and inputs: the code that networks run again and
        again stays near, what belongs to the timed operator does not.
    inputs, outputs : sequence of Tensor
        What the timed operator reads and makes. Floating inputs are written once more, as by an
        operator that made them; outputs say which sizes of memory have been freed last.
    """

    def __init__(
        self,
        size: int,
        twin: Callable[[], object],
        inputs: Sequence[torch.Tensor],
        outputs: Sequence[torch.Tensor],
    ) -> None:
        self._filler = torch.ones(size // 4)
        self._twin = twin
        self._inputs = [x for x in inputs if x.is_floating_point()]
        self._outputs = [(y.shape, y.dtype) for y in outputs]

    def __call__(self) -> None:
        """Run them."""
        self._filler.mul_(1.0)
        self._twin()
        for module, values in _others():
            module(*values)
        for shape, dtype in self._outputs:
            torch.zeros(shape, dtype=dtype)
        for x in self._inputs:
            x.mul_(1.0)


@cache
def _others() -> list[tuple[torch.nn.Module, list[torch.Tensor]]]:
    graphs = [network(spec) for spec in SPECS]
    return [(to_torch(graph), random_inputs(graph)) for graph in graphs]
