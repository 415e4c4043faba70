r"""Least traffic of one operator through a fast memory of :math:`M` elements: the formulas.

The formulas hold for the classical multiply-adds in any order, each done once. They do not hold for
Winograd, Fourier transforms or Strassen, which do other ones.
:func:`~costmodel.counting.cache_bounds.cache_lower_bound` combines them into the bound of a
network.
"""

from __future__ import annotations

from costmodel.algebra.later import sympy
from costmodel.algebra.symbols import Dim, is_symbolic, maximum, minimum, product, ratio, same, sqrt


def product_traffic(multiply_adds: Dim, capacity: Dim, reuse: Dim = 1) -> Dim:
    r"""Return the least traffic of matrix products or of a convolution [element].

    .. math:: Q \ge \frac{2B}{\sqrt{\rho M}} - 2M

    Parameters
    ----------
    multiply_adds : Dim
        ``B``, of all products together (groups, images, heads), without taps on padding.
        [multiply-add]
    capacity : Dim
        Capacity of the fast memory, ``M``. [element]
    reuse : Dim
        Largest number of taps that meet one input pixel (for a transposed convolution, one output
        pixel), ``rho``; 1 for matrix products. If a view repeats elements of an operand, multiplied
        by the number of places of one element. [1]

    Returns
    -------
    Dim
        Elements read and written; negative if the bound is vacuous.

    Notes
    -----
    *Cost.* Every result is written at least once, after its last multiply-add. Count the first
    access to a result as a read, and do not count its last write: the number of moves does not
    increase, and elements now enter the fast memory only by reads.

    *Phases.* Divide the schedule into phases of :math:`2M` reads; the last one may be shorter. The
    multiply-adds of a phase use at most :math:`M` operands present at its start and :math:`2M` that
    are read: with :math:`a` inputs, :math:`b` weights and :math:`c` results,
    :math:`a + b + c \le 3M`.

    *One product.* By :cite:t:`loomis1949inequality`, a set of triples :math:`(i, j, k)` that
    projects on :math:`a`, :math:`b` and :math:`c` pairs has at most :math:`\sqrt{abc}`.

    *Separate products.* They share the operands of a phase:
    :math:`\sum_i \sqrt{a_i b_i c_i} \le \sum_i \left(\frac{a_i + b_i + c_i}{3}\right)^{3/2} \le
    \left(\frac{\sum_i a_i + b_i + c_i}{3}\right)^{3/2} \le M^{3/2}`, as :math:`x^{3/2}` is
    superadditive.

    *Convolutions.* For one tap :math:`t` an input pixel belongs to one output pixel, so the
    multiply-adds of the tap form a product: :math:`F_t \le \sqrt{a_t b_t c}`. A pixel meets
    at most :math:`\rho` taps, and each weight belongs to one: :math:`\sum_t a_t \le \rho a` and
    :math:`\sum_t b_t = b`. By Cauchy-Schwarz :math:`F \le \sum_t \sqrt{a_t b_t c} \le
    \sqrt{\rho\,a\,b\,c}`, and for groups as above. For a transposed convolution, swap
    input and output.

    *Views.* If each element of an operand is in at most :math:`r` places, for example after
    ``BroadcastTo``, :math:`a` elements are :math:`r a` places, so :math:`F \le \sqrt{r a b c}`.

    *Sum.* A phase does at most :math:`F = \sqrt{\rho}\,M^{3/2}` multiply-adds, so there are at
    least :math:`B/F - 1` full phases of :math:`2M` reads.

    The pebble game is that of :cite:t:`hong1981io`, the constant for one product that of
    :cite:t:`smith2019tight`; for convolutions compare :cite:t:`demmel2018communication` and
    :cite:t:`chen2020communication`. The form :math:`2B/\sqrt{M} + mn` that is often quoted is false
    for inner sizes below about :math:`2\sqrt{M}`.

    Examples
    --------
    >>> product_traffic(30 * 10**6, 900)
    1998200.0
    >>> round(product_traffic(56 * 56 * 128 * 128 * 9, 8192, reuse=9))
    3389676
    """
    return 2 * ratio(multiply_adds, _root(capacity * reuse, multiply_adds)) - 2 * capacity


def gram_traffic(multiply_adds: Dim, capacity: Dim, diagonal: Dim, repeats: Dim = 1) -> Dim:
    r"""Return the least traffic of a product of a matrix with itself transposed [element].

    .. math:: Q \ge \frac{B - B_d}{\sqrt{2M}} - 2M

    Parameters
    ----------
    multiply_adds : Dim
        ``B``, of both triangles: :math:`n^2 k` for ``x @ x.T`` of ``n`` rows. [multiply-add]
    capacity : Dim
        Capacity of the fast memory, ``M``. [element]
    diagonal : Dim
        Multiply-adds of the diagonal, ``B_d``: :math:`n k`. [multiply-add]
    repeats : Dim
        If views repeat elements: places of an element in one operand times those in the other.
        ``M`` under the root is multiplied by it, as in :func:`product_traffic`. [1]

    Notes
    -----
    Both operands are one buffer, and a schedule may compute one triangle and copy it. Therefore
    count the multiply-adds of an unordered pair of different rows once: at least
    :math:`(B - B_d)/2`. A phase with :math:`u_j` elements of column :math:`j` of the matrix and
    :math:`c` results does at most :math:`\min(u_j^2/2, c)` of column :math:`j`. As
    :math:`\min(x, y) \le \sqrt{xy}`, the total is at most
    :math:`\sum_j u_j \sqrt{c/2} \le u \sqrt{c/2}`. With :math:`u + c \le 3M` this is at most
    :math:`2M\sqrt{M/2} = \sqrt{2}\,M^{3/2}`, at :math:`u = 2M`. A phase has :math:`2M` reads, as in
    :func:`product_traffic`. The leading term is that of :cite:t:`beaumont2022symmetric`.

    Examples
    --------
    >>> round(gram_traffic(1000 * 1000 * 1000, 512, 1000 * 1000))
    31217726
    """
    root = _root(2 * capacity * repeats, multiply_adds)
    return ratio(multiply_adds - diagonal, root) - 2 * capacity


def square_traffic(multiply_adds: Dim, capacity: Dim, repeats: Dim = 1) -> Dim:
    r"""Return the least traffic of ``x @ x``, whose operands are one buffer [element].

    .. math:: Q \ge \frac{B}{\sqrt{M}} - 2M

    If views repeat elements, ``M`` under the root is multiplied by ``repeats``, as in
    :func:`gram_traffic`.

    Notes
    -----
    With :math:`u` elements of the matrix and :math:`c` results a phase does at most
    :math:`\sqrt{u\,u\,c}` multiply-adds, which for :math:`u + c \le 3M` is at most
    :math:`2M\sqrt{M}`. Phases are those of :func:`product_traffic`.

    Examples
    --------
    >>> square_traffic(1000, 25)
    150.0
    """
    return ratio(multiply_adds, _root(capacity * repeats, multiply_adds)) - 2 * capacity


def attention_traffic(
    scores: Dim, depth: Dim, outputs: Dim, capacity: Dim, repeats: Dim = 1
) -> Dim:
    r"""Return the least traffic of attention whose scores need not be stored [element].

    .. math::

        Q \ge \max\left(N \min\left(\frac{d^2}{M}, \frac{1}{2}\right) - M + |O|,\;
        \frac{N d^2}{M + d\sqrt{M}} - M\right)

    Parameters
    ----------
    scores : Dim
        Pairs of a query and a key that it attends to, over images and heads, ``N``. [1]
    depth : Dim
        Elements of a query, ``d``. [element]
    outputs : Dim
        Elements of the output, ``|O|``. [element]
    capacity : Dim
        Capacity of the fast memory, ``M``. [element]
    repeats : Dim
        If views repeat elements: places of an element among the queries times those among the
        keys. [1]

    Notes
    -----
    A score is a sum of :math:`d` products. It is computed once and may be spilled or dropped after
    its use.

    *First form.* Divide the schedule into phases of :math:`M` reads. Count the scores whose last
    multiply-add is in a phase. Of these, :math:`p` had earlier ones: each has a partial sum that
    was present or is read. For the others, the whole query and key are in the phase: with
    :math:`x_h` queries and :math:`y_h` keys of head :math:`h` there are at most
    :math:`\sum_h x_h y_h \le (\sum_h (x_h + y_h)/2)^2`. As :math:`p + d \sum_h (x_h + y_h) \le 2M`,
    a phase completes at most :math:`p + (2M - p)^2/(4d^2)` scores, which is convex in :math:`p`: at
    most :math:`\max(2M, M^2/d^2)`. There are therefore at least
    :math:`M(N/\max(2M, M^2/d^2) - 1)` reads; the outputs are written in addition.

    *Second form.* Divide it into phases of :math:`M` moves. Scores with all multiply-adds in one
    phase account for at most :math:`d\,(M/d)^2` of them, as before. Every other score in progress
    has a partial sum that was present, is read, is written, or stays. For these
    :math:`a + b + c \le 2M + M`, and their multiply-adds are at most
    :math:`\sqrt{abc} \le M^{3/2}`. A phase therefore does at most :math:`M^2/d + M^{3/2}` of the
    :math:`N d` multiply-adds.

    *Views.* If :math:`x` elements of the queries are in :math:`r_q x` places and :math:`y` elements
    of the keys in :math:`r_k y`, there are :math:`r = r_q r_k` times as many pairs, and
    :math:`\sqrt{r}` times as many multiply-adds in :math:`\sqrt{abc}`: both forms hold with
    :math:`d/\sqrt{r}` for :math:`d`.

    Both are of the order of :cite:t:`saha2024complexity`, who give no constants.

    Examples
    --------
    >>> attention_traffic(4096 * 4096, 64, 4096 * 64, 16384)
    4440064.0
    """
    if not same(repeats, 1):
        depth = ratio(depth, _root(repeats, scores))
    share = minimum(ratio(depth * depth, capacity), 0.5)
    finished = scores * share - capacity + outputs
    worked = (
        ratio(product((scores, depth, depth)), capacity + depth * _root(capacity, scores))
        - capacity
    )
    return maximum(finished, worked)


def _root(value: Dim, beside: Dim) -> Dim:
    """Return the square root, exact in a formula."""
    return sympy.sqrt(value) if is_symbolic(beside) and isinstance(value, int) else sqrt(value)
