"""A kernel: one launch of a runtime, one operator or several fused ones, and its traffic."""

from __future__ import annotations

from typing import NamedTuple

from costmodel.algebra.symbols import Dim, total
from costmodel.ops.product import Product


class Read(NamedTuple):
    """A tensor that a kernel reads.

    Parameters
    ----------
    maker : str, optional
        The kernel that produced it; None for an input or constant of the network.
    bytes : Dim
        [byte]
    least : Dim, optional
        The bytes that the loops touch, if fewer. [byte]
    """

    maker: str | None
    bytes: Dim
    least: Dim | None = None


class Kernel(NamedTuple):
    """One launch of a runtime.

    Parameters
    ----------
    name : str
        The main node of the kernel.
    kind : str
        One of :data:`costmodel.kinds.KINDS`.
    nodes : tuple of str
        All nodes that it computes, in order, including folded ones.
    multiply_adds : Dim
        [multiply-add]
    elementwise : Dim
        Other operations. [operation]
    products : tuple of Product
        The matrix products that make up its multiply-adds, in order.
    reads : tuple of Read
        Tensors read from outside the kernel.
    weight_bytes, write_bytes : Dim
        Learned tensors read, tensors written. [byte]
    dtype : str
        Dtype of the arithmetic.
    passes : int
        Operators with arithmetic fused after the first: activations, additions.
    functions : tuple of (str, Dim)
        Evaluations of each transcendental function among the other operations. [operation]
    pieces : Dim
        Pieces that it handles one after the other (:meth:`costmodel.ops.base.Op.pieces`). [1]
    merged : Dim
        Rows whose mean and variance are computed together. [1]
    learned_from : str, optional
        The kernel that has just written its learned tensors; None where they lie as it reads them.
    nchw : Dim
        1 if a compiler keeps the images of its network in NCHW although the platform has NHWC. [1]
    channels_last : bool
        Whether it has vectors along the channels of images with the channels last
        (:mod:`costmodel.kernels.images`).
    turned : Dim
        Elements of its inputs that it copies into another layout one by one. [1]
    """

    name: str
    kind: str
    nodes: tuple[str, ...]
    multiply_adds: Dim
    elementwise: Dim
    products: tuple[Product, ...]
    reads: tuple[Read, ...]
    weight_bytes: Dim
    write_bytes: Dim
    dtype: str
    passes: int = 0
    functions: tuple[tuple[str, Dim], ...] = ()
    pieces: Dim = 0
    merged: Dim = 0
    learned_from: str | None = None
    nchw: Dim = 0
    channels_last: bool = False
    turned: Dim = 0

    @property
    def read_bytes(self) -> Dim:
        """Activations read [byte]."""
        return total(read.bytes for read in self.reads)

    @property
    def bytes(self) -> Dim:
        """Total traffic, each tensor once [byte]."""
        moved = self.weight_bytes + self.write_bytes
        for read in self.reads:
            moved = moved + read.bytes
        return moved
