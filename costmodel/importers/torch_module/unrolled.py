"""Recurrent layers as one operator, where torch would unroll them and fix the number of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


@torch.library.custom_op("costmodel::recurrent", mutates_args=())  # type: ignore[untyped-decorator]
def _recurrent(
    input: Tensor,
    params: list[Tensor],
    mode: str,
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
    state: int,
    cell: int,
) -> tuple[Tensor, Tensor, Tensor]:
    raise NotImplementedError("this operator has a shape and no values")


@_recurrent.register_fake  # type: ignore[untyped-decorator]
def _shapes(
    input: Tensor,
    params: list[Tensor],
    mode: str,
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
    state: int,
    cell: int,
) -> tuple[Tensor, Tensor, Tensor]:
    directions = 1 + bidirectional
    batch = input.shape[0 if batch_first else 1]
    y = input.new_empty(*input.shape[:2], directions * state)
    last = directions * num_layers, batch
    return y, input.new_empty(*last, state), input.new_empty(*last, cell)


def whole(forward: Callable[..., Any], path: str) -> Callable[..., Any]:
    """Return ``forward``, that of a recurrent layer as one operator.

    Sequences without a batch and packed ones run as they are.
    """
    layer = getattr(forward, "__self__", None)
    if not isinstance(layer, torch.nn.RNNBase):
        return forward

    def run(input: Any, hx: Any = None) -> Any:
        if isinstance(input, PackedSequence) or input.dim() != 3:
            return forward(input, hx)
        state = layer.proj_size or layer.hidden_size
        y, last, cell = torch.ops.costmodel.recurrent(
            input,
            list(layer._flat_weights),
            layer.mode.lower(),
            layer.bias,
            layer.num_layers,
            layer.bidirectional,
            layer.batch_first,
            state,
            layer.hidden_size,
        )
        return (y, (last, cell)) if layer.mode == "LSTM" else (y, last)

    return run
