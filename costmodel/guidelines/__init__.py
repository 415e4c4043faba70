"""The four guidelines of the ShuffleNet V2 paper as advice on a network, weighed on a platform.

=====  ==========================================================================
G1     Equal channel width minimizes memory access cost (MAC).
G2     Excessive group convolution increases MAC.
G3     Network fragmentation reduces the degree of parallelism.
G4     Element-wise operations are non-negligible.
=====  ==========================================================================

Each saving is predicted for its finding alone. Savings do not add up, and what a change does to the
accuracy of the network is not predicted :cite:p:`ma2018shufflenet`.
"""

from __future__ import annotations

import networkx as nx

from costmodel.errors import DataError
from costmodel.graph import free_symbols
from costmodel.guidelines.case import Advice as Advice
from costmodel.guidelines.case import Case as Case
from costmodel.guidelines.case import Finding as Finding
from costmodel.guidelines.channels import grouped_convolutions as grouped_convolutions
from costmodel.guidelines.channels import unequal_channels as unequal_channels
from costmodel.guidelines.kernels import elementwise as elementwise
from costmodel.guidelines.kernels import fragmentation as fragmentation
from costmodel.platforms import Platform, load_platform
from costmodel.prediction.latency import latency

WORTH = 0.001
"""Findings that save a smaller share of the latency and of the MAC are left out."""


def advise(graph: nx.DiGraph, platform: str | Platform) -> Advice:
    """Say where a network breaks the guidelines G1-G4 and what that costs on a platform.

    Parameters
    ----------
    graph : DiGraph
        An op graph without free symbols.
    platform : str or Platform
        See :func:`costmodel.platforms.load_platform`.

    Raises
    ------
    DataError
        If the graph has free symbols.

    Examples
    --------
    >>> from costmodel import zoo
    >>> found = advise(zoo.g1_stack(c1=36, c2=426), "gtx-1080-ti/paper").findings
    >>> [f.guideline for f in found if "36" in f.message]
    ['G1', 'G1']
    """
    free = sorted(str(s) for s in free_symbols(graph))
    if free:
        raise DataError(f"advice needs numbers, but {', '.join(free)} are free: give them values")
    where = load_platform(platform)
    case = Case(graph, where, latency(graph, where))
    rules = (unequal_channels, grouped_convolutions, fragmentation, elementwise)
    if case.mac == 0:
        return Advice(case.prediction, ())  # empty tensors break no guideline
    found = [f for rule in rules for f in rule(case)]
    worth = [f for f in found if f.share >= WORTH or f.mac_saving >= WORTH * case.mac]
    return Advice(case.prediction, tuple(sorted(worth, key=lambda f: -f.saving)))
