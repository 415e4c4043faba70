"""Matrix products: the form in which kernels execute multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, is_symbolic, maximum


@dataclass(frozen=True, slots=True)
class Product:
    r"""``times`` dependent runs of ``batch`` independent products ``[m x k] @ [k x n]``.

    .. math:: B = \text{times} \cdot \text{batch} \cdot m n k

    unless only part of them is needed.

    Parameters
    ----------
    batch : Dim
        Independent products: groups of a convolution, batch of a batched product. [1]
    m, n, k : Dim
        Output channels or rows, output pixels or columns, reduction length. [1]
    height, width : Dim
        Output pixels of one image of a convolution, where ``n`` is images times both: the width is
        the last axis, the height all others; else 1. [1]
    taps : Dim
        Taps of the window of a convolution; else 1. [1]
    winograd : bool
        Whether it is a 2-d 3x3 convolution of stride and dilation 1, not a depthwise one.
    times : Dim
        Dependent runs: the steps of a recurrent layer. [1]
    needed : Dim, optional
        Needed multiply-adds if the product is not a full box, such as the lower triangle of causal
        attention. By default all. [multiply-add]
    fourier : bool
        Whether it is a dense convolution of stride and dilation 1 with a window of any size.
    axes : int
        Axes of the window of a convolution; else 2. [1]
    shared : Dim
        Consecutive products that share one operand: query heads per key head. [1]
    sets : Dim
        Such groups of products in one sequence: heads of keys. [1]

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
    sets: Dim = 1
    axes: int = 2

    @property
    def dense(self) -> Dim:
        """Multiply-adds of the full box [multiply-add]."""
        return self.times * self.batch * self.m * self.n * self.k

    @property
    def multiply_adds(self) -> Dim:
        """Needed multiply-adds [multiply-add]."""
        return self.dense if self.needed is None else self.needed

    @property
    def share(self) -> Dim:
        """Needed multiply-adds divided by those of the full box; 1 for an empty one [1]."""
        if self.needed is None:
            return 1
        dense = self.dense
        return self.needed / (dense if is_symbolic(dense) else maximum(1, dense))
