"""A whole network of the ARM program by torch: operators as they came, nothing fused or folded."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import networkx as nx
import numpy as np
import torch
from torch import nn

from costmodel.graph import Node, nodes_in_order, sources_of
from costmodel.ops import BatchNorm, Constant, Gather, Input, Output, Parameter
from costmodel_validation.arm.bench.targets import emulated_target
from costmodel_validation.arm.checks.check import relative_error
from costmodel_validation.arm.checks.operands import BIAS, SCALE, SHIFT, WEIGHT, uniform
from costmodel_validation.arm.translate.lower import lowered
from costmodel_validation.arm.translate.state import State
from costmodel_validation.backends.graph_to_torch import to_torch
from costmodel_validation.backends.torch_emitter import Emitter
from costmodel_validation.backends.torch_modules import StatisticsNorm


def deviation(graph: nx.DiGraph, scale: int = 1) -> float:
    """Return the largest error of the outputs under the emulator, relative to torch's."""
    state = lowered(graph)
    spec = state.builder.build()
    inputs = [state.tensors[n.name, 0] for n in _leaves(graph, state) if isinstance(n.op, Input)]
    buffers = tuple(
        replace(buffer, scale=scale) if number in inputs else buffer
        for number, buffer in enumerate(spec.buffers)
    )
    ends = [state.tensors[source] for source in _ends(graph)]
    found = emulated_target().run(replace(spec, buffers=buffers).dumping(ends)).tensors
    expected = by_torch(graph, state, scale)
    pairs = zip(ends, expected, strict=True)
    return max(relative_error(found[end].ravel(), y.ravel()) for end, y in pairs)


def by_torch(graph: nx.DiGraph, state: State, scale: int = 1) -> list[Any]:
    """Run the graph in torch with the numbers that the program makes."""
    plain = _with_leaves(graph, state)
    module = to_torch(plain)
    nodes = {Emitter.identifier(node.name): node for node in nodes_in_order(plain)}
    named = {**dict(module.named_children()), **dict(module.named_parameters(recurse=False))}
    for name, value in {**named, **dict(module.named_buffers(recurse=False))}.items():
        _set(value, nodes[re.sub(r"^m\d+_", "", name)], plain, state)
    inputs = [
        scale * _numbers(state.seeds[node.name], WEIGHT, node.outputs[0].shape)
        for node in _leaves(graph, state)
        if isinstance(node.op, Input)
    ]
    with torch.no_grad():
        return [y.numpy() for y in module(*inputs)]


def _leaves(graph: nx.DiGraph, state: State) -> list[Node]:
    return [node for node in nodes_in_order(graph) if isinstance(node.op, Input)]


def _ends(graph: nx.DiGraph) -> list[tuple[str, int]]:
    names = [name for name, op in graph.nodes(data="op") if isinstance(op, Output)]
    return [source for name in names for source in sources_of(graph, name)]


def _with_leaves(graph: nx.DiGraph, state: State) -> nx.DiGraph:
    """Return the graph with what is stored as parameters, whatever they were made of."""
    plain = graph.copy()
    for name in state.stored:
        first = graph.nodes[name]["outputs"][0]
        leaf = Parameter if first.dtype == "float32" else Constant
        plain.nodes[name]["op"] = leaf(first.shape, first.dtype)
        plain.remove_edges_from(list(plain.in_edges(name)))
    return plain


def _numbers(seed: int, role: int, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(uniform(seed, role, int(np.prod(shape))).reshape(shape))


def _set(value: Any, node: Node, graph: nx.DiGraph, state: State) -> None:
    with torch.no_grad():
        if isinstance(value, nn.Module):
            _set_module(value, node, graph, state)
        elif value.is_floating_point():
            seed = state.seeds.get(f"{node.name}/0")  # none: nothing reads it
            if seed is not None:
                value.copy_(_numbers(seed, WEIGHT, value.shape))
        else:
            for reader in graph.successors(node.name):
                if isinstance(graph.nodes[reader]["op"], Gather):
                    axis, (table, _) = graph.nodes[reader]["op"].axis, sources_of(graph, reader)
                    rows = graph.nodes[table[0]]["outputs"][table[1]].shape[axis]
                    shares = (_numbers(state.seeds[reader], WEIGHT, value.shape).double() + 1) / 2
                    value.copy_((shares * rows).long())


def _set_module(module: nn.Module, node: Node, graph: nx.DiGraph, state: State) -> None:
    seed = state.seeds.get(node.weights, 0)
    if isinstance(node.op, BatchNorm) and node.name in state.done:
        (before,) = graph.predecessors(node.name)
        data = graph.nodes[before]
        module.running_var.fill_(1 - 1e-5)
        module.bias.zero_()
        module.weight.fill_(1)
        module.running_mean.zero_()
        if not data["op"].bias:
            seed = state.seeds[data.get("weights", before)]
            module.bias.copy_(0.125 * _numbers(seed, BIAS, module.bias.shape))
        return
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    norm = isinstance(module, StatisticsNorm | nn.LayerNorm | nn.RMSNorm | nn.GroupNorm)
    if norm and weight is not None:
        weight.copy_(1 + 0.25 * _numbers(seed, SCALE, weight.shape))
    elif isinstance(module, nn.PReLU):
        weight.copy_(0.25 + 0.125 * _numbers(seed, SCALE, weight.shape))
    elif isinstance(module, nn.Embedding):
        weight.copy_(_numbers(seed, WEIGHT, weight.shape))
    elif weight is not None:
        fan_in = weight[0].numel()
        if isinstance(module, nn.modules.conv._ConvTransposeNd):
            fan_in = module.in_channels // module.groups * weight[0, 0].numel()
        weight.copy_(_numbers(seed, WEIGHT, weight.shape) * np.sqrt(np.float32(6) / fan_in))
    if isinstance(module, StatisticsNorm):
        module.running_mean.zero_()
        module.running_var.fill_(1 - 1e-5)
    if bias is not None:
        bias.copy_(0.125 * _numbers(seed, SHIFT if norm else BIAS, bias.shape))
