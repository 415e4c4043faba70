"""Inputs of the time formulas for a kernel: its sizes, and the reuse distance of every tensor.

The same record holds ints (one kernel), arrays (a design space, or thousands of kernels of many
networks at once) or sympy expressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from costmodel.algebra.arrays import once
from costmodel.algebra.symbols import Dim, ceil_div, maximum, minimum, total
from costmodel.kernels import Product
from costmodel.kinds import KINDS

PASSING = ("elementwise", "batch_norm", "pool", "max_pool", "resample")
"""Kinds of kernel that write an image in the layout that they read."""


class Moved(NamedTuple):
    """A tensor that a kernel reads or writes.

    Parameters
    ----------
    bytes : Dim
        Its size. [byte]
    distance : Dim
        Bytes touched since the last access to the tensor: its reuse distance. [byte]
    least : Dim, optional
        Its bytes that must move, if they are fewer. [byte]
    """

    bytes: Dim
    distance: Dim
    least: Dim | None = None

    @property
    def required(self) -> Dim:
        """Bytes that must move [byte]."""
        return self.bytes if self.least is None else self.least

    def missed(self, capacity: Dim) -> Dim:
        r"""Return the bytes that a memory of ``capacity`` bytes no longer holds [byte].

        .. math:: \mathrm{bytes} \cdot \min(1, \max(0, d / S - 1/2))

        None at a distance below half the capacity, all beyond one and a half: caches are not
        perfectly LRU, and other data share them.

        Examples
        --------
        >>> [Moved(100, d).missed(1000) for d in (400, 1000, 2000)]
        [0.0, 50.0, 100]
        """
        find = partial(_lost, self.distance, capacity)
        if isinstance(self.distance, np.ndarray):
            return self.bytes * once(find, _lost, self.distance, capacity)
        return self.bytes * find()


def _lost(distance: Dim, capacity: Dim) -> Dim:
    """Return the share of a tensor that a memory no longer holds [1]."""
    share = minimum(1, maximum(0.0, distance / capacity - 0.5))
    if isinstance(share, np.ndarray) and share.min() == share.max():
        # Few distances of a space are near the capacity: a scalar avoids large arrays.
        return float(share.flat[0])
    return share


class Channels(NamedTuple):
    """The channels of a convolution, by which an engine chooses the layout of its images.

    Parameters
    ----------
    groups : Dim
        Groups; 0 for other operators. [1]
    inputs, outputs : Dim
        Channels of a group. [1]
    """

    groups: Dim = 0
    inputs: Dim = 0
    outputs: Dim = 0


@dataclass(frozen=True, slots=True)
class Workload:
    """One kernel, or many of one kind as arrays.

    Parameters
    ----------
    kind, dtype : str
        Kind of kernel and dtype of its arithmetic.
    passes : int
        Operators fused behind the first.
    multiply_adds, elementwise, special : Dim
        Multiply-adds; other operations; the exponentials among them, or functions in exponentials
        (:func:`~costmodel.timing.functions.exponentials`). [operation]
    products : tuple of Product
        The matrix products that make up the multiply-adds.
    pieces : Dim
        Pieces that it handles one after the other. [1]
    reads : tuple of Moved
        Activations read.
    writes, weights : Moved
        Activations written, learned tensors read.
    since : Dim
        Bytes touched since a kernel of the same kind ran. [byte]
    merged : Dim
        Rows whose mean and variance are computed together. [1]
    makers : tuple of Channels
        For each activation read, the convolution that chose its layout.
    last : Dim
        1 if only the caller reads its output, else 0. [1]
    among : Dim
        Kernels of its network. [1]
    nchw : Dim
        1 if its network stays in NCHW although the platform has NHWC. [1]
    channels_last : bool
        Whether it has vectors along the channels of images with the channels last.
    turned : Dim
        Elements of its inputs that it copies into another layout one by one. [1]
    """

    kind: str
    dtype: str
    passes: int
    multiply_adds: Dim
    elementwise: Dim
    special: Dim
    products: tuple[Product, ...]
    pieces: Dim
    reads: tuple[Moved, ...]
    writes: Moved
    weights: Moved
    since: Dim
    merged: Dim = 0
    makers: tuple[Channels, ...] = ()
    last: Dim = 0
    among: Dim = 1
    nchw: Dim = 0
    channels_last: bool = False
    turned: Dim = 0

    @property
    def moved(self) -> tuple[Moved, ...]:
        """Everything read and written."""
        return (*self.reads, self.weights, self.writes)

    @property
    def bytes(self) -> Dim:
        """Bytes read and written, each tensor once [byte]."""
        return total(tensor.bytes for tensor in self.moved)

    @property
    def read_bytes(self) -> Dim:
        """Activations read [byte]."""
        return total(tensor.bytes for tensor in self.reads)

    @property
    def channels(self) -> Channels:
        """Its own channels if it is a convolution."""
        return channels_of(self.kind, self.products)

    @property
    def product(self) -> Product:
        """The product of a kernel with a single one, such as a convolution."""
        (only,) = self.products
        return only

    def missed(self, capacity: Dim) -> Dim:
        """Return the bytes that come from beyond a memory of ``capacity`` bytes [byte]."""
        return total(tensor.missed(capacity) for tensor in self.moved)


def channels_of(kind: str, products: tuple[Product, ...]) -> Channels:
    """Return the channels of a convolution; none for other kernels.

    Examples
    --------
    >>> channels_of("depthwise", (Product(24, 1, 49, 9, taps=9),))
    Channels(groups=24, inputs=1.0, outputs=1)
    """
    if KINDS[kind].group != "convolution":
        return Channels()
    (p,) = products
    return Channels(p.batch, p.k / p.taps, p.m)


def blocks(p: Product, size: int) -> Dim:
    """Return the output blocks of ``size`` x ``size`` pixels of a convolution, all images [1].

    Examples
    --------
    >>> blocks(Product(1, 8, 2 * 49, 72, height=7, width=7, taps=9), 4)
    8.0
    """
    images = p.n / (p.height * p.width)
    return images * ceil_div(p.height, size) * ceil_div(p.width, size)
