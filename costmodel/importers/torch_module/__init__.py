"""Torch modules, imported by recording one run of a copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx as nx

from costmodel.arguments import mapping_of
from costmodel.importers.registry import refuse_unknown
from costmodel.importers.torch_module.sizes import Axes


def from_torch(
    module: Any,
    *inputs: Any,
    strict: bool = True,
    dynamic: Mapping[str, Axes] | None = None,
    **keywords: Any,
) -> nx.DiGraph:
    """Return the op graph of a torch module at inference.

    A copy of the module runs once, in eval mode, and its calls are recorded. The user's module is
    not modified. Weights may be on the ``meta`` device: only values that follow from inputs,
    constants and buffers are computed. If the code needs values that follow from weights, it runs
    on real tensors, and the graph holds for the given input.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    *inputs, **keywords : Any
        The arguments of ``forward``: tensors, containers of tensors, or objects that hold them,
        such as caches. Values matter only if the code branches on them. An input named
        ``strict`` or ``dynamic`` must be given by position.
    strict : bool
        Whether unknown operators are an error. Otherwise free views replace them, the graph has
        ``graph.graph["coverage"]``, a lower bound of the counted share of the work, and
        ``graph.graph["unknown"]``, their names and locations: print both with every total.
    dynamic : mapping, optional
        Symbolic sizes: for each symbol (``"n"``) or multiple of one (``"32*k"``) the axis of the
        first input that it replaces, or a sequence of (input, axis) pairs. An input is given by its
        number or its name; the name of a container of tensors selects all of them. Symbols
        need ``torch.export``.

    Returns
    -------
    DiGraph
        Nodes have the dotted path of their ``module``; operators that share a parameter have the
        same ``weights`` name, so that it counts once while its traffic counts each time.
        ``graph.graph["along"]`` lists the places where the code used values that depend on the
        inputs, and ``graph.graph["notes"]`` has notes that qualify the totals.

    Raises
    ------
    UnknownOperatorError
        Naming every unknown operator and where it occurs.
    DataError
        If the module cannot run, or fixes a size named in ``dynamic``.

    Notes
    -----
    Views are recognized by shared storage: a reshape that torch must copy has a
    :class:`~costmodel.ops.Contiguous` before it. In-place operators are imported as the operators
    that they compute; if they write part of a tensor, a :class:`~costmodel.ops.Merge` precedes
    every later read of it.

    A causal mask passed to ``scaled_dot_product_attention`` as a tensor counts like ``is_causal``
    if its values are known; any other mask counts the full square.

    Examples
    --------
    >>> import torch, costmodel as cm
    >>> from costmodel.importers import from_torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
    >>> g = from_torch(net, torch.zeros(2, 3, 32, 32), dynamic={"n": 0, "s": ((0, 2), (0, 3))})
    >>> cm.multiply_adds(g)
    216*n*(s - 2)**2
    """
    from costmodel.importers.torch_module.trace import trace

    walk = trace(module, inputs, keywords, mapping_of(dynamic, "dynamic"), strict)
    if strict:
        refuse_unknown("from_torch", walk.emit.unknown)
    return walk.graph
