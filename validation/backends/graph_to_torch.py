"""Any op graph as a torch module that runs the operators that eager torch would run.

The module is a ``torch.fx.GraphModule``: straight-line Python, one statement an operator, values
freed after their last use, as in code written by hand. Nothing is fused and nothing is folded.
"""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
import torch
from torch import fx

from costmodel.errors import GraphError
from costmodel.graph import Node, free_symbols, nodes_in_order, sources_of
from costmodel.ops import (
    Constant,
    Embedding,
    EmbeddingBag,
    Gather,
    Input,
    Output,
    Parameter,
    Pool,
    Scatter,
)
from costmodel.ops.tensor import Tensor

from ..errors import MeasuringError
from .torch_emitter import DTYPES, Emitter
from .torch_ops import EMIT


def to_torch(graph: nx.DiGraph, seed: int = 0) -> fx.GraphModule:
    """Return ``graph`` as a torch module in inference mode, with random weights.

    Its inputs are the graph's in order of insertion, its outputs a tuple: the graph's, or what
    nothing takes where the graph marks none. Weights are normal with variance ``1 / fan in``, so
    that values keep their size from layer to layer and no denormal number slows a kernel down.

    Raises
    ------
    GraphError
        If symbols are left in the graph.
    MeasuringError
        If torch cannot run an operator.

    Examples
    --------
    >>> from costmodel import zoo
    >>> module = to_torch(zoo.pointwise(7, 7, 8, 16))
    >>> [tuple(y.shape) for y in module(*random_inputs(zoo.pointwise(7, 7, 8, 16)))]
    [(1, 16, 7, 7)]
    """
    symbols = sorted(s.name for s in free_symbols(graph))
    if symbols:
        raise GraphError(
            f"the graph has the symbols {', '.join(symbols)}: give them numbers with costmodel.at"
        )
    generator = torch.Generator().manual_seed(seed)
    emitter = Emitter(generator)
    values: dict[tuple[str, int], fx.Node] = {}
    outputs: list[fx.Node] = []
    for node in nodes_in_order(graph):
        sources = sources_of(graph, node.name)
        arguments = [values[source] for source in sources]
        if isinstance(node.op, Output):
            outputs += arguments
            continue
        emitter.node = node
        made = _leaf(emitter, node) or EMIT[type(node.op)](emitter, node, *arguments)
        for i, value in enumerate(made if isinstance(made, tuple) else (made,)):
            values[node.name, i] = value
    if not outputs:
        taken = {source for name in graph for source in sources_of(graph, name)}
        outputs = [value for key, value in values.items() if key not in taken]
    emitter.graph.output(tuple(outputs))
    return fx.GraphModule(emitter.root, emitter.graph).eval().requires_grad_(False)


def random_inputs(
    graph: nx.DiGraph, dtype: torch.dtype | None = None, seed: int = 0
) -> list[torch.Tensor]:
    """Return random tensors for the inputs of ``graph``.

    Floating ones lie in [0.5, 1.5): no zeros, no denormal numbers, and fit for roots and
    logarithms. Only what goes straight into a maximum is as a convolution and a ReLU leave it: a
    maximum is found by branches, whose time depends on the values. Integers are valid indices of
    every table that they may reach.

    Parameters
    ----------
    graph : DiGraph
        An op graph without symbols.
    dtype : torch.dtype, optional
        Dtype in the place of float32.
    seed : int
        Of the random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    inputs = []
    for node in nodes_in_order(graph):
        if isinstance(node.op, Input):
            limit = _index_limit(graph, node.name)
            values = random_tensor(node.outputs[0], generator, limit, dtype)
            if _feeds_maximum(graph, node.name) and values.is_floating_point():
                values = _rectified(values)
            inputs.append(values)
    return inputs


def random_tensor(
    tensor: Tensor, generator: torch.Generator, limit: int = 2, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Return a random tensor of the shape and dtype of ``tensor``; integers below ``limit``."""
    kind = DTYPES[tensor.dtype]
    if not kind.is_floating_point:
        return torch.randint(0, limit, tensor.shape, generator=generator).to(kind)
    wanted = dtype if dtype is not None and kind is torch.float32 else kind
    return (torch.rand(tensor.shape, generator=generator) + 0.5).to(wanted)


def check_outputs(graph: nx.DiGraph, outputs: Sequence[torch.Tensor]) -> None:
    """Raise unless ``outputs`` have the shapes of the graph and are finite numbers.

    Raises
    ------
    MeasuringError
    """
    wanted = [
        graph.nodes[source]["outputs"][output].shape
        for name, op in graph.nodes(data="op")
        if isinstance(op, Output)
        for source, output in sources_of(graph, name)
    ]
    found = [tuple(y.shape) for y in outputs]
    if wanted and found != wanted:
        raise MeasuringError(f"torch returns shapes {found} where the graph says {wanted}")
    for number, y in enumerate(outputs):
        if y.is_floating_point() and not torch.isfinite(y).all():
            raise MeasuringError(f"output {number} of the torch module holds NaN or infinity")


def _leaf(emitter: Emitter, node: Node) -> fx.Node | None:
    """Return an input, constant or parameter; None for an operator."""
    if isinstance(node.op, Input):
        return emitter.graph.placeholder(emitter.identifier(node.name))
    if not isinstance(node.op, Constant | Parameter):
        return None
    tensor = random_tensor(node.outputs[0], emitter.generator)
    return emitter.tensor(tensor, learned=isinstance(node.op, Parameter))


def _rectified(values: torch.Tensor) -> torch.Tensor:
    """Return images as a convolution and a ReLU leave them: neighbours alike, half of them zero."""
    centred = values - values.mean()
    if values.dim() == 4:
        smooth = torch.nn.functional.avg_pool2d(centred.float(), 3, 1, 1)
        centred = smooth.to(values.dtype)
    return torch.relu(centred)


def _feeds_maximum(graph: nx.DiGraph, name: str) -> bool:
    users = [graph.nodes[user]["op"] for user in graph.successors(name)]
    return any(isinstance(op, Pool) and op.kind == "max" for op in users)


def _index_limit(graph: nx.DiGraph, name: str) -> int:
    """Return the number of rows of the smallest table that the input may be an index of."""
    limits = [2**15]
    for user in nx.descendants(graph, name):
        op = graph.nodes[user]["op"]
        if isinstance(op, Embedding | EmbeddingBag):
            limits.append(op.rows)
        elif isinstance(op, Gather | Scatter):
            source, output = sources_of(graph, user)[0]
            axis = op.axis if isinstance(op, Gather) else 0
            limits.append(graph.nodes[source]["outputs"][output].shape[axis])
    return min(limits) if len(limits) > 1 else 2
