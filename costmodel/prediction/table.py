"""Many networks at once, as counts of the distinct kernels that they are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np

from costmodel.algebra.symbols import Dim, total
from costmodel.kernels.lowering import lower
from costmodel.platforms.machine import machine_for
from costmodel.timing.network import kernel_terms, network_seconds, transferred_bytes
from costmodel.timing.spread import log_spread, nudged
from costmodel.timing.workload import Stack, Workload, stack, workloads

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from costmodel.platforms import Platform


@dataclass(frozen=True)
class NetworkTable:
    """Networks lowered for one platform, ready to be timed under many parameters.

    Parameters
    ----------
    stacks : list of Stack
        The distinct kernels of all networks, sorted into kinds.
    counts : csr_matrix
        How often each network (row) runs each distinct kernel (column).
    transferred : ndarray
        Bytes of inputs and outputs that each network moves over the link. [byte]
    distance : ndarray
        Bytes touched from one inference to the next. [byte]
    """

    stacks: list[Stack]
    counts: csr_matrix
    transferred: np.ndarray
    distance: np.ndarray

    @property
    def kernels(self) -> np.ndarray:
        """Kernels of each network."""
        return np.asarray(self.counts.sum(axis=1)).ravel()

    def seconds(self, platform: Platform, theta: Mapping[str, Dim]) -> np.ndarray:
        """Return the latency of each network under parameters ``theta`` [s].

        Parameters that are columns (:func:`~costmodel.timing.spread.nudged`) give one row of
        latencies for each of their entries.
        """
        sets = np.broadcast_shapes(*(np.shape(value) for value in theta.values()))[:-1]
        host = np.zeros((*sets, self.counts.shape[1]))
        device = np.zeros_like(host)
        for part in self.stacks:
            found = kernel_terms(part.workload, machine_for(platform, part.workload.dtype), theta)
            host[..., part.index] = found.host
            device[..., part.index] = found.seconds
        return np.asarray(
            network_seconds(
                machine_for(platform, "float32"),
                (self.counts @ host.T).T,
                (self.counts @ device.T).T,
                self.transferred,
                theta,
                self.distance,
            )
        )

    def log_spread(self, platform: Platform) -> np.ndarray:
        """Return the standard deviation of the log latency of each network [1].

        From the errors of the parameters of ``platform`` and its residuals.
        """
        fitted = platform.fitted
        seconds = self.seconds(platform, nudged(fitted.theta, fitted.free))
        residual = np.where(self.kernels <= 1, fitted.operator_spread, fitted.network_spread)
        return log_spread(seconds, fitted.covariance, residual)

    def rows(self, index: np.ndarray) -> NetworkTable:
        """Return some of the networks."""
        counts = self.counts[index]
        used = np.unique(counts.indices)
        position = np.full(self.counts.shape[1], -1)
        position[used] = np.arange(len(used))
        stacks = []
        for part in self.stacks:
            keep = position[part.index] >= 0
            if keep.any():
                stacks.append(part.select(keep, position))
        return NetworkTable(stacks, counts[:, used], self.transferred[index], self.distance[index])


def tabulate(
    graphs: Sequence[nx.DiGraph], platform: Platform, between: Sequence[float] | None = None
) -> NetworkTable:
    """Lower ``graphs`` for ``platform`` and collect their distinct kernels.

    Parameters
    ----------
    graphs : sequence of DiGraph
        Networks or single operators.
    platform : Platform
        Whose runtime lowers them.
    between : sequence of float, optional
        Bytes that other kernels touch between two runs of each (see
        :func:`~costmodel.timing.workload.workloads`); none by default. [byte]

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.platforms import load_platform
    >>> table = tabulate([zoo.pointwise(56, 56, 24, 48)] * 2, load_platform("gtx-1080-ti/paper"))
    >>> table.counts.shape
    (2, 1)
    """
    from scipy.sparse import csr_matrix  # 0.3 s to import: only where networks are fitted

    distinct: dict[Workload, int] = {}
    rows: list[Counter[int]] = []
    others = between or [0] * len(graphs)
    distance = []
    for graph, size in zip(graphs, others, strict=True):
        found: Counter[int] = Counter()
        kernels = lower(graph, platform.runtime)
        for workload in workloads(kernels, size):
            found[distinct.setdefault(workload, len(distinct))] += 1
        rows.append(found)
        distance.append(float(size + total(kernel.bytes for kernel in kernels)))
    entries = np.array([(i, j, n) for i, row in enumerate(rows) for j, n in row.items()])
    i, j, n = entries.reshape(-1, 3).T
    counts = csr_matrix((n.astype(float), (i, j)), shape=(len(rows), len(distinct)))
    moved = [transferred_bytes(g) for g in graphs]
    return NetworkTable(
        stack(list(distinct)), counts, np.array(moved, dtype=float), np.array(distance)
    )
