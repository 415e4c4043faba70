"""Networks lowered for one platform, as counts of distinct kernels.

All networks of numbers are timed by this module: :func:`costmodel.latency` uses a table of one
network, calibration and design use tables of many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from costmodel.algebra.symbols import Dim
from costmodel.counting.subject import Subject, nodes_of
from costmodel.graph import Node, in_dtype
from costmodel.kernels import Kernel
from costmodel.kernels.lowering import lower_nodes
from costmodel.platforms import Platform
from costmodel.platforms.machine import machine_for
from costmodel.timing.fitted import Fitted
from costmodel.timing.network import kernel_terms, network_seconds, transferred_bytes
from costmodel.timing.reuse import workloads
from costmodel.timing.spread import log_spread, nudged
from costmodel.timing.stacks import Stack, stack
from costmodel.timing.surface import spread
from costmodel.timing.terms import NAMES, Terms
from costmodel.timing.workload import Workload

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


@dataclass(frozen=True, slots=True)
class Lowered:
    """One network lowered for a platform.

    Parameters
    ----------
    kernels : tuple of Kernel
        The kernels in order of execution.
    workloads : tuple of Workload
        The same as inputs of the time formulas.
    transferred : Dim
        Bytes of inputs and outputs. [byte]
    distance : Dim
        Bytes touched from one inference to the next. [byte]
    """

    kernels: tuple[Kernel, ...]
    workloads: tuple[Workload, ...]
    transferred: Dim
    distance: Dim


def lowered(graph: Subject, platform: Platform, between: Dim = 0) -> Lowered:
    """Return ``graph`` lowered for ``platform``.

    Parameters
    ----------
    graph : DiGraph or Prepared
        A network, which is converted to the dtype of ``platform`` if it has one, with the casts of
        its automatic mixed precision.
    platform : Platform
        The platform.
    between : Dim
        Bytes that other kernels touch between two runs
        (:func:`~costmodel.timing.reuse.workloads`). [byte]

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.platforms import load_platform
    >>> found = lowered(zoo.pointwise(56, 56, 24, 48), load_platform("gtx-1080-ti/paper"))
    >>> found.transferred
    903168
    """
    nodes: list[Node] = nodes_of(graph)
    if platform.dtype:
        nodes = in_dtype(nodes, platform.dtype)
    kernels = lower_nodes(nodes, platform.rules, platform.amp, platform.hardware.kind)
    found = tuple(workloads(kernels, between))
    # Weights were last touched in the previous run; everything was touched since.
    touched = found[0].weights.distance if found else between
    return Lowered(kernels, found, transferred_bytes(nodes), touched)


@dataclass(frozen=True)
class NetworkTable:
    """Networks lowered for one platform, ready to be timed under many parameters.

    Parameters
    ----------
    stacks : list of Stack
        The distinct kernels of all networks, sorted into kinds.
    column : ndarray of int
        For each network in turn, the distinct kernels that it runs.
    count : ndarray
        Number of runs of each of these. [1]
    start : ndarray of int
        Index in ``column`` at which each network begins, and the end of the last one.
    transferred : ndarray
        Bytes of inputs and outputs that each network moves over the link. [byte]
    distance : ndarray
        Bytes touched from one inference to the next. [byte]
    """

    stacks: list[Stack]
    column: np.ndarray
    count: np.ndarray
    start: np.ndarray
    transferred: np.ndarray
    distance: np.ndarray

    @property
    def distinct(self) -> int:
        """Number of distinct kernels."""
        return sum(len(part.index) for part in self.stacks)

    @property
    def counts(self) -> csr_matrix:
        """Number of runs of each distinct kernel (column) in each network (row)."""
        from scipy.sparse import csr_matrix  # imported on demand, because it takes 0.3 s

        shape = (len(self.start) - 1, self.distinct)
        return csr_matrix((self.count, self.column, self.start), shape=shape)

    @property
    def kernels(self) -> np.ndarray:
        """Kernels of each network."""
        return self.sums(np.ones(self.distinct))

    @property
    def since(self) -> np.ndarray:
        """Bytes touched before the kernels of each network since others of their kind [byte].

        0 for a single kernel that runs again and again.
        """
        distinct = np.empty(self.distinct)
        for part in self.stacks:
            distinct[part.index] = part.workload.since
        return self.sums(distinct)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of ``values`` (..., distinct kernels) over the kernels of each network."""
        runs = values[..., self.column] * self.count
        result = np.zeros((*values.shape[:-1], len(self.start) - 1))
        filled = self.start[:-1] < self.start[1:]
        result[..., filled] = np.add.reduceat(runs, self.start[:-1][filled], axis=-1)
        return result

    def terms(self, platform: Platform, theta: Mapping[str, Dim]) -> Terms:
        """Return the terms of the distinct kernels [s].

        If parameters are columns (:func:`~costmodel.timing.spread.nudged`), there is one row per
        entry.
        """
        sets = np.broadcast_shapes(*(np.shape(value) for value in theta.values()))[:-1]
        rows = {name: np.zeros((*sets, self.distinct)) for name in NAMES}
        machines = {
            dtype: machine_for(platform, dtype)
            for dtype in {part.workload.dtype for part in self.stacks}
        }
        for part in self.stacks:
            w = part.workload
            found = kernel_terms(w, machines[w.dtype], theta, platform.fitted.surfaces)
            for name in NAMES:
                rows[name][..., part.index] = getattr(found, name)
        return Terms(**rows)

    def seconds(
        self, platform: Platform, theta: Mapping[str, Dim], bounded: bool = True
    ) -> np.ndarray:
        """Return the latency of each network under parameters ``theta`` [s].

        Parameters
        ----------
        platform : Platform
            The platform.
        theta : mapping
            Parameters.
        bounded : bool
            Whether every kernel takes at least its bound. A fit does not use the bound, because
            parameters would have no effect where it applies.
        """
        return self.network_seconds(platform, self.terms(platform, theta), theta, bounded)

    def network_seconds(
        self, platform: Platform, terms: Terms, theta: Mapping[str, Dim], bounded: bool = True
    ) -> np.ndarray:
        """Return the latency of each network from the terms of its kernels [s]."""
        return np.asarray(
            network_seconds(
                machine_for(platform, "float32"),
                self.sums(terms.host),
                self.sums(terms.seconds if bounded else terms.model),
                self.transferred,
                theta,
                self.distance,
                self.kernels,
            )
        )

    def log_spread(self, platform: Platform, seconds: np.ndarray | None = None) -> np.ndarray:
        """Return the standard deviation of the log latency of each network [1].

        From the errors of the parameters of ``platform`` and its residuals.

        Parameters
        ----------
        platform : Platform
            Its fitted parameters.
        seconds : ndarray, optional
            Latencies under its nudged parameters where they are known. [s]
        """
        fitted = platform.fitted
        if seconds is None:
            seconds = self.seconds(platform, nudged(fitted.theta, fitted.free))
        return log_spread(seconds, fitted.covariance, self.residual_spread(fitted))

    def residual_spread(self, fitted: Fitted) -> np.ndarray:
        """Return the residual spread of each network, without errors of the parameters [1]."""
        kernels = self.kernels
        found = np.where(kernels <= 1, fitted.operator_spread, fitted.network_spread)
        if fitted.surfaces:
            own = np.empty(self.distinct)
            for part in self.stacks:
                own[part.index] = spread(part.workload, fitted.surfaces, fitted.operator_spread)
            single = kernels == 1
            found[single] = own[self.column[self.start[:-1][single]]]
        return found

    def rows(self, index: np.ndarray) -> NetworkTable:
        """Return some of the networks."""
        parts = [np.arange(self.start[i], self.start[i + 1]) for i in index]
        entries = np.concatenate([np.arange(0), *parts])
        used, column = np.unique(self.column[entries], return_inverse=True)
        position = np.full(self.distinct, -1)
        position[used] = np.arange(len(used))
        kept = [(part, position[part.index] >= 0) for part in self.stacks]
        return NetworkTable(
            [part.select(keep, position) for part, keep in kept if keep.any()],
            column,
            self.count[entries],
            np.cumsum([0, *(len(part) for part in parts)]),
            self.transferred[index],
            self.distance[index],
        )


def tabulate(
    graphs: Sequence[Subject], platform: Platform, between: Sequence[float] | None = None
) -> NetworkTable:
    """Lower ``graphs`` for ``platform`` and collect their distinct kernels.

    Parameters
    ----------
    graphs : sequence of DiGraph or Prepared
        Networks or single operators of numbers.
    platform : Platform
        Whose runtime lowers them.
    between : sequence of float, optional
        Bytes that other kernels touch between two runs of each network (see
        :func:`~costmodel.timing.reuse.workloads`); none by default. [byte]

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.platforms import load_platform
    >>> table = tabulate([zoo.pointwise(56, 56, 24, 48)] * 2, load_platform("gtx-1080-ti/paper"))
    >>> table.distinct, table.kernels.tolist()
    (1, [1.0, 1.0])
    """
    others = between or [0] * len(graphs)
    found = [lowered(g, platform, size) for g, size in zip(graphs, others, strict=True)]
    return table_of(found)[0]


def table_of(networks: Sequence[Lowered]) -> tuple[NetworkTable, list[list[int]]]:
    """Return the table of lowered networks, and which distinct kernel each of their kernels is."""
    distinct: dict[Workload, int] = {}
    places = [
        [distinct.setdefault(w, len(distinct)) for w in network.workloads] for network in networks
    ]
    columns, counts = [], []
    for row in places:
        column, count = np.unique(np.array(row, dtype=int), return_counts=True)
        columns.append(column)
        counts.append(count)
    table = NetworkTable(
        stack(list(distinct)),
        np.concatenate([np.zeros(0, dtype=int), *columns]),
        np.concatenate([np.zeros(0), *counts]),
        np.cumsum([0, *map(len, columns)]),
        np.array([float(network.transferred) for network in networks]),
        np.array([float(network.distance) for network in networks]),
    )
    return table, places
