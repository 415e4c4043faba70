"""Torch modules as ONNX models."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx, nn

_OPSET = 18


def to_onnx(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> bytes:
    """Return a torch module as an ONNX model, operator by operator; its inputs are x0, x1, ..."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter by tracing is called old: it writes the operators as they are.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            tuple(inputs),
            buffer,
            dynamo=False,
            opset_version=_OPSET,
            input_names=[f"x{i}" for i in range(len(inputs))],
            output_names=_ends(module),
        )
    return buffer.getvalue()


def in_steps(module: fx.GraphModule) -> dict[str, str]:
    """Make every call of a module a step, whose name the exporter writes before its operators.

    Parameters
    ----------
    module : GraphModule
        As :func:`~validation.backends.graph_to_torch.to_torch` returns it; it is changed in place.

    Returns
    -------
    dict of str to str
        Of each step, the node of the graph that it computes a part of.
    """
    steps = {}
    for number, node in enumerate(list(module.graph.nodes)):
        if node.op not in ("call_function", "call_method", "call_module"):
            continue
        step = f"s{number}"
        module.add_module(step, _Step(_callable(module, node)))
        node.op, node.target = "call_module", step
        steps[step] = str(node.meta["node"])
    module.recompile()
    return steps


def _ends(module: torch.nn.Module) -> list[str] | None:
    """Return names of a module's outputs that begin with the steps which make them."""
    if not isinstance(module, fx.GraphModule):
        return None
    made = next(node for node in module.graph.nodes if node.op == "output").args[0]
    names = [f"/{getattr(node, 'target', '')}/y{i}" for i, node in enumerate(made)]
    return names if all(map(step_of, names)) else None


def step_of(name: str) -> str:
    """Return the step that an operator of an exported model, or of an engine's, belongs to.

    Examples
    --------
    >>> step_of("/s12/m3_conv/Conv_output_0_nchwc"), step_of("ReorderInput")
    ('s12', '')
    """
    first, _, _ = name.lstrip("/").partition("/")
    return first if first[:1] == "s" and first[1:].isdigit() else ""


class _Step(nn.Module):  # type: ignore[misc]  # torch is not followed
    def __init__(self, call: Callable[..., Any]) -> None:
        super().__init__()
        self.call = call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(*args, **kwargs)


def _callable(module: fx.GraphModule, node: fx.Node) -> Callable[..., Any]:
    if node.op == "call_module":
        call: Callable[..., Any] = module.get_submodule(str(node.target))
        return call
    if node.op == "call_method":
        name = str(node.target)
        return lambda x, *args, **kwargs: getattr(x, name)(*args, **kwargs)
    function: Callable[..., Any] = node.target
    return function
