"""Predictions of simpler models on the same rows.

All of them see the kernels that the runtime launches, after folding and fusion, which makes them
stronger than counts of the network itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls
from scipy.sparse import csr_matrix

from costmodel.platforms import Platform
from costmodel.platforms.machine import machine_for
from costmodel.prediction.table import NetworkTable
from costmodel.timing.workload import Workload

_PULL = 0.3
"""Weight of the line of its kind in the time of a shape, relative to one row."""
_TINY = 1e-12
_SHAPE = ("multiply_adds", "elementwise", "bytes")
_PRODUCT_SHAPE = ("batch", "m", "n", "k", "times")


@dataclass(frozen=True)
class Features:
    """Features of the networks of a table for the baselines.

    Parameters
    ----------
    flops, bytes : ndarray
        Sums over the kernels: two for each multiply-add and one for each other operation; bytes
        read and written. [FLOP], [byte]
    roofline : ndarray
        Sum of the larger of compute at peak and traffic at the datasheet's bandwidth. [s]
    linear : ndarray
        For each kind of kernel: number, operations, bytes; one row per network.
    shapes : csr_matrix
        How often each network runs each distinct shape of kernel.
    shape_linear : ndarray
        As ``linear``, one row a shape.
    """

    flops: np.ndarray
    bytes: np.ndarray
    roofline: np.ndarray
    linear: np.ndarray
    shapes: csr_matrix
    shape_linear: np.ndarray


def features(table: NetworkTable, platform: Platform) -> Features:
    """Return the features of the networks of ``table``."""
    width = table.counts.shape[1]
    flops, moved, roofline = np.zeros(width), np.zeros(width), np.zeros(width)
    keys: list[tuple[object, ...]] = [()] * width
    kinds = sorted({part.workload.kind for part in table.stacks})
    linear = np.zeros((width, 3 * len(kinds)))
    for part in table.stacks:
        w, i = part.workload, part.index
        machine = machine_for(platform, w.dtype)
        flops[i] = 2 * w.multiply_adds + w.elementwise
        moved[i] = w.bytes
        roofline[i] = np.maximum(
            w.multiply_adds / machine.multiply_adds, w.bytes / machine.bandwidth
        )
        first = 3 * kinds.index(w.kind)
        linear[i, first : first + 3] = np.stack([np.ones(len(i)), flops[i], moved[i]], axis=1)
        for j, key in zip(i, _shape_keys(w), strict=True):
            keys[j] = key
    numbers: dict[tuple[object, ...], int] = {}
    column = [numbers.setdefault(key, len(numbers)) for key in keys]
    to_shape = csr_matrix((np.ones(width), (range(width), column)), shape=(width, len(numbers)))
    first_of = np.unique(column, return_index=True)[1]
    counts = table.counts
    return Features(
        flops=counts @ flops,
        bytes=counts @ moved,
        roofline=counts @ roofline,
        linear=counts @ linear,
        shapes=csr_matrix(counts @ to_shape),
        shape_linear=linear[first_of],
    )


def _shape_keys(w: Workload) -> list[tuple[object, ...]]:
    head = (w.kind, w.dtype, w.passes, *(p.winograd for p in w.products))
    columns = [np.asarray(getattr(w, name)) for name in _SHAPE]
    columns += [np.asarray(getattr(p, name)) for p in w.products for name in _PRODUCT_SHAPE]
    return [(*head, *row) for row in np.stack(columns, axis=1).tolist()]


def flops_only(f: Features, fitted: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return latencies proportional to the operations."""
    return _scaled(f.flops, fitted, seconds)


def mac_only(f: Features, fitted: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return latencies proportional to the memory access cost."""
    return _scaled(f.bytes, fitted, seconds)


def roofline(f: Features, fitted: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return the roofline of the datasheet; nothing is fitted."""
    return f.roofline


def roofline_scaled(f: Features, fitted: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return the roofline times one fitted number."""
    return _scaled(f.roofline, fitted, seconds)


def lookup(f: Features, fitted: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return the sum over kernels of a time for each shape, by non-negative least squares.

    If the fitted rows do not determine the time of a shape, the line of its kind does: a constant
    and slopes in operations and bytes, fitted to the same rows. A kind without rows uses the line
    of all kinds.
    """
    line = _line(f.linear[fitted], seconds[fitted])
    shapes = f.shapes[fitted]
    seen = np.unique(shapes.indices)
    start = np.maximum(f.shape_linear @ line, _TINY)
    if np.all(f.shapes.sum(axis=1) <= 1):
        return np.asarray(f.shapes @ start)  # single operators occur only once
    rows = shapes[:, seen].toarray() * start[seen] / seconds[fitted, None]
    pull = _PULL * np.eye(len(seen))
    target = np.concatenate([np.ones(len(fitted)), np.full(len(seen), _PULL)])
    times = start.copy()
    times[seen] *= _nnls(np.concatenate([rows, pull]), target)
    return np.asarray(f.shapes @ times)


ANOTHER_BOARD = "another board x scalar"
"""Name of the times measured on the most similar board among the methods."""
ALL_BOARDS = "other boards' mean x scalar"
"""Name of their mean: networks and boards as factors, which leaves what a board does by itself."""


def other_boards(
    elsewhere: np.ndarray, fitted: np.ndarray, seconds: np.ndarray
) -> dict[str, np.ndarray]:
    """Return times measured on other boards, times one fitted number, by the name of the method.

    No model reads a network more exactly than a measurement of it, so that the rest is noise,
    versions of the engine, and how boards differ.

    Parameters
    ----------
    elsewhere : ndarray
        Times of the networks, one row a board; NaN where it was not measured. [s]
    fitted : ndarray of int
        Positions of the fitted rows.
    seconds : ndarray
        Times on this board. [s]

    Examples
    --------
    >>> here, there = np.array([1.0, 2.0, 4.0]), np.array([[2.0, 4.0, 8.0], [1.0, 4.0, 4.0]])
    >>> other_boards(there, np.array([0, 1]), here)[ANOTHER_BOARD].tolist()
    [1.0, 2.0, 4.0]
    """
    complete = elsewhere[~np.isnan(elsewhere).any(axis=1)]
    if not len(complete):
        return {}
    scaled = np.stack([_scaled(board, fitted, seconds) for board in complete])
    off = np.abs(np.log(scaled[:, fitted] / seconds[fitted])).mean(axis=1)
    mean = np.exp(np.log(complete).mean(axis=0))
    return {
        ANOTHER_BOARD: scaled[int(np.argmin(off))],
        ALL_BOARDS: _scaled(mean, fitted, seconds),
    }


BASELINES: Mapping[str, Callable[[Features, np.ndarray, np.ndarray], np.ndarray]] = {
    "FLOPs only": flops_only,
    "MAC only": mac_only,
    "roofline": roofline,
    "roofline x scalar": roofline_scaled,
    "additive lookup": lookup,
}


def _scaled(quantity: np.ndarray, fitted: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    known = fitted[quantity[fitted] > 0]
    if not len(known):
        return np.full(len(quantity), float(np.median(seconds[fitted])))
    return quantity * float(np.exp(np.median(np.log(seconds[known] / quantity[known]))))


def _line(linear: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Return constant and slopes of every kind."""
    ones = np.ones(len(seconds))
    line = _nnls(linear / seconds[:, None], ones)
    all_kinds = linear.reshape(len(linear), -1, 3).sum(axis=1)
    common = _nnls(all_kinds / seconds[:, None], ones)
    unseen = np.repeat(~linear[:, ::3].any(axis=0), 3)
    return np.where(unseen, np.tile(common, linear.shape[1] // 3), line)


def _nnls(rows: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the non-negative solution after scaling the columns."""
    scale = np.abs(rows).max(axis=0)
    scale[scale == 0] = 1.0
    solution = np.asarray(nnls(rows / scale, target)[0])
    return np.asarray(solution / scale)
