"""Torch modules, imported by recording one run of a copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx as nx

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
    not touched. Weights may be on the ``meta`` device: only what follows from inputs, constants and
    buffers is computed. Where the code asks for values that follow from weights, it runs on real
    tensors, and the graph holds along the given input.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    *inputs, **keywords : Any
        What ``forward`` is called with: tensors, containers of tensors, or objects that hold them,
        such as caches. Values matter only where the code looks at them. An input that is called
        ``strict`` or ``dynamic`` must be given by position.
    strict : bool
        Whether unknown operators raise. Otherwise free views stand in for them, the graph carries
        ``graph.graph["coverage"]``, the share of the work that is counted, at least, and
        ``graph.graph["unknown"]``, their names and places: print both beside every total.
    dynamic : mapping, optional
        Symbolic sizes: for each symbol (``"n"``) or multiple of one (``"32*k"``) the axis of the
        first input that it stands for, or a sequence of (input, axis) pairs. An input goes by its
        number or its name; the name of what holds several tensors stands for all of them. Symbols
        need ``torch.export``.

    Returns
    -------
    DiGraph
        Nodes carry the dotted path of their ``module``; operators that share a parameter carry the
        same ``weights`` name, so that it counts once while its traffic counts each time.
        ``graph.graph["along"]`` names where the code looked at values that depend on the inputs,
        and ``graph.graph["notes"]`` says what holds for every total.

    Raises
    ------
    UnknownOperatorError
        Naming every unknown operator and where it occurs.
    DataError
        If the module cannot run, or fixes a size that ``dynamic`` asks for.

    Notes
    -----
    Views are recognized by shared storage: a reshape that torch must copy has a
    :class:`~costmodel.ops.Contiguous` before it. In-place operators are imported as what they
    compute; where they write a part of a tensor, a :class:`~costmodel.ops.Merge` leads to every
    later read of it.

    A causal mask of ``scaled_dot_product_attention`` that is a tensor counts as ``is_causal`` does
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

    walk = trace(module, inputs, keywords, dynamic or {}, strict)
    if strict:
        refuse_unknown("from_torch", walk.emit.unknown)
    return walk.graph
