"""Check that the torch form of an operator makes the tensors of its shape rule."""

from __future__ import annotations

import warnings

import networkx as nx
import torch
from torch import fx

from costmodel.graph import Builder
from costmodel.ops import Constant, Input, Op, Output, Parameter
from costmodel.ops.tensor import DTYPE_BYTES, Tensor

from ..errors import MeasuringError
from .graph_to_torch import random_inputs, to_torch
from .torch_emitter import DTYPES
from .torch_ops import EMIT


def check_emission(op: Op, inputs: tuple[Tensor, ...]) -> None:
    """Raise unless ``op`` runs in torch and its outputs and weights are those of its rules.

    Fits the argument ``emit`` of :func:`costmodel.testing.assert_operator`.

    Parameters
    ----------
    op : Op
        The operator.
    inputs : tuple of Tensor
        What it takes, of int sizes.

    Raises
    ------
    MeasuringError
        If the operator has no entry in the table of torch, does not run, or makes tensors of
        another shape or dtype than its rule says, or has another number of learned elements.

    Examples
    --------
    >>> from costmodel.ops import Linear
    >>> check_emission(Linear(3), (Tensor((2, 4)),))
    """
    if type(op) not in EMIT and not isinstance(op, Input | Constant | Parameter | Output):
        raise MeasuringError(
            f"{type(op).__name__} is not written in torch: enter it in the table EMIT of "
            "validation/backends/torch_ops.py"
        )
    graph = _alone(op, inputs)
    module = to_torch(graph)
    if inputs and module.state_dict():
        module = module.to(_dtype(op, inputs))
    made = _run(module, random_inputs(graph))
    wanted = inputs if isinstance(op, Output) else op.infer(*inputs)
    rule = [_named(y.shape, DTYPES[y.dtype]) for y in wanted]
    found = [_named(y.shape, y.dtype) for y in made]
    if found != rule:
        raise MeasuringError(
            f"torch makes {', '.join(found)} where the shape rule says {', '.join(rule)}"
        )
    learned = sum(p.numel() for p in module.parameters())
    params = sum(t.elements for t in op.weights(*inputs))
    if learned != params:
        raise MeasuringError(f"torch has {learned} learned elements where the rule says {params}")


def _alone(op: Op, inputs: tuple[Tensor, ...]) -> nx.DiGraph:
    """Return the graph of the operator alone: its inputs, it, and its outputs."""
    builder = Builder("operator")
    values = [builder.input(x.shape, x.dtype) for x in inputs]
    made = values if isinstance(op, Output) else builder.add_many(op, *values)
    return builder.finish(*made)


def _dtype(op: Op, inputs: tuple[Tensor, ...]) -> torch.dtype:
    """Return the dtype of the weights: the widest that is floating, of weights and inputs."""
    tensors = (*op.weights(*inputs), *inputs)
    floating = [t.dtype for t in tensors if DTYPES[t.dtype].is_floating_point]
    return DTYPES[max(floating, key=DTYPE_BYTES.__getitem__, default="float32")]


def _run(module: fx.GraphModule, inputs: list[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values, which nobody looks at
            outputs: tuple[torch.Tensor, ...] = module.forward(*inputs)
    except Exception as error:  # torch raises errors of many kinds
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise MeasuringError(f"torch does not run it: {reason}") from None
    return outputs


def _named(shape: tuple[int, ...], dtype: torch.dtype) -> str:
    return f"{str(dtype).removeprefix('torch.')}[{', '.join(map(str, shape))}]"
