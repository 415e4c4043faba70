"""Matrix products: the form in which kernels carry out multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, is_symbolic, maximum


@dataclass(frozen=True, slots=True)
class Product:
    r"""``times`` dependent runs of ``batch`` independent products ``[m x k] @ [k x n]``.

    .. math:: B = \text{times} \cdot \text{batch} \cdot m n k

    unless only a part of these is needed.

    Parameters
    ----------
    batch : Dim
        Independent products: groups of a convolution, batch of a batched product. [1]
    m, n, k : Dim
        Output channels or rows, output pixels or columns, reduced length. [1]
    height, width : Dim
        Output pixels of one image of a convolution, ``n`` being images times these: the width is
        its last axis, the height all others; else 1. [1]
    taps : Dim
        Positions of the window of a convolution; else 1. [1]
    winograd : bool
        Whether it is a 2-d 3x3 convolution of stride and dilation 1, not a depthwise one.
    times : Dim
        Runs that depend on each other: the steps of a recurrent layer. [1]
    needed : Dim, optional
        Multiply-adds that are needed where the product is not a full box: the lower triangle of a
        causal attention. By default all. [multiply-add]
    fourier : bool
        Whether it is a dense convolution of stride and dilation 1 with a window of any size.
    axes : int
        Axes of the window of a convolution; else 2. [1]
    shared : Dim
        Products in a row that have one operand in common: query heads of a head of keys. [1]

    Examples
    --------
    >>> Product(2, 8, 8, 64).multiply_adds, Product(2, 8, 8, 64, needed=4608).multiply_adds
    (8192, 4608)
    """

    batch: Dim
    m: Dim
    n: Dim
    k: Dim
    height: Dim = 1
    width: Dim = 1
    taps: Dim = 1
    winograd: bool = False
    times: Dim = 1
    needed: Dim | None = None
    fourier: bool = False
    shared: Dim = 1
    axes: int = 2

    @property
    def dense(self) -> Dim:
        """Multiply-adds of the full box [multiply-add]."""
        return self.times * self.batch * self.m * self.n * self.k

    @property
    def multiply_adds(self) -> Dim:
        """Multiply-adds that are needed [multiply-add]."""
        return self.dense if self.needed is None else self.needed

    @property
    def share(self) -> Dim:
        """Multiply-adds that are needed over those of the full box; 1 of an empty one [1]."""
        if self.needed is None:
            return 1
        dense = self.dense
        return self.needed / (dense if is_symbolic(dense) else maximum(1, dense))
