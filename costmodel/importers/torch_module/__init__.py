"""Torch modules, by way of ``torch.export``."""

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

    The module is traced in eval mode (its mode is put back), so that nothing is computed and its
    weights may be on the ``meta`` device.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    *inputs : Tensor or nested
        Example inputs; only shapes and dtypes matter.
    strict : bool
        Whether unknown operators raise. Otherwise free views stand in for them, the graph carries
        ``graph.graph["coverage"]``, the share of the work that is counted, at least, and
        ``graph.graph["unknown"]``, their names and places: print both beside every total.
    dynamic : mapping, optional
        Symbolic sizes: for each symbol the axis of the first input that it stands for, or a
        sequence of (input, axis) pairs.

    Returns
    -------
    DiGraph
        Nodes carry the dotted path of their ``module``; operators that share a parameter carry the
        same ``weights`` name, so that it counts once while its traffic counts each time.

    Raises
    ------
    UnknownOperatorError
        Naming every unknown operator and where it occurs.
    DataError
        If torch cannot trace the module, or fixes a size that ``dynamic`` asks for.

    Notes
    -----
    Views are recognized by shared storage: a reshape that torch must copy has a
    :class:`~costmodel.ops.Contiguous` before it. In-place operators are imported as what they
    compute; the part of a tensor that they write through a view is not merged back.

    Examples
    --------
    >>> import torch, costmodel as cm
    >>> from costmodel.importers import from_torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU())
    >>> g = from_torch(net, torch.zeros(2, 3, 32, 32), dynamic={"n": 0, "s": ((0, 2), (0, 3))})
    >>> cm.flops(g)
    216*n*(s - 2)**2
    """
    from costmodel.importers.torch_module.trace import trace

    walk = trace(module, inputs, keywords, dynamic or {}, strict)
    if strict:
        refuse_unknown("from_torch", walk.emit.unknown)
    return walk.graph
