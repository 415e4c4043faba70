r"""Least traffic of one operator through a fast memory of :math:`S` elements: the formulas.

All hold for the classical multiply-adds in any order, each done once, not for Winograd, Fourier
transforms or Strassen, which do others. The network's bound that they make is
:func:`~costmodel.counting.cache_bounds.cache_lower_bound`.
"""

from __future__ import annotations

import sympy

from costmodel.algebra.symbols import Dim, is_symbolic, maximum, minimum, product, ratio, same, sqrt


def product_traffic(multiply_adds: Dim, capacity: Dim, reuse: Dim = 1) -> Dim:
    r"""Return the least traffic of matrix products or of a convolution [element].

    .. math:: Q \ge \frac{2B}{\sqrt{RS}} - 2S

    Parameters
    ----------
    multiply_adds : Dim
        ``B``, of all products together (groups, images, heads), taps on padding left out.
        [multiply-add]
    capacity : Dim
        Elements that the fast memory holds, ``S``. [element]
    reuse : Dim
        Most taps that one input pixel meets, ``R``; of a transposed convolution, one output pixel;
        1 for matrix products. Times the places of an operand that are one element, where a view
        repeats it. [1]

    Returns
    -------
    Dim
        Elements read and written; negative where the bound says nothing.

    Notes
    -----
    *Cost.* Every result is written at least once, after its last multiply-add. Count the first
    access to a result as a read, and its last write not at all: the number of moves stays the
    same or falls, and now nothing enters the fast memory but by a read.

    *Phases.* Cut the schedule into phases of :math:`2S` reads, the last one shorter. In a phase the
    multiply-adds have at most :math:`S` operands that were there and :math:`2S` that are read: with
    :math:`a` inputs, :math:`b` weights and :math:`c` results, :math:`a + b + c \le 3S`.

    *One product.* By :cite:t:`loomis1949inequality`, a set of triples :math:`(i, j, k)` that
    projects on :math:`a`, :math:`b` and :math:`c` pairs has at most :math:`\sqrt{abc}`.

    *Separate products.* They share the operands of a phase:
    :math:`\sum_i \sqrt{a_i b_i c_i} \le \sum_i \left(\frac{a_i + b_i + c_i}{3}\right)^{3/2} \le
    \left(\frac{\sum_i a_i + b_i + c_i}{3}\right)^{3/2} \le S^{3/2}`, as :math:`x^{3/2}` is
    superadditive.

    *Convolutions.* For one tap :math:`t` an input pixel belongs to one output pixel, so that the
    multiply-adds of the tap are those of a product: :math:`F_t \le \sqrt{a_t b_t c}`. A pixel meets
    at most :math:`R` taps, and each weight belongs to one: :math:`\sum_t a_t \le R a` and
    :math:`\sum_t b_t = b`. By Cauchy-Schwarz :math:`F \le \sum_t \sqrt{a_t b_t c} \le
    \sqrt{R\,a\,b\,c}`, and with groups as above. For a transposed convolution
    input and output change places.

    *Views.* Of an operand whose elements stand in at most :math:`r` places each, ``BroadcastTo``
    say, :math:`a` elements are :math:`r a` places, so that :math:`F \le \sqrt{r a b c}`.

    *Sum.* A phase does at most :math:`F = \sqrt{R}\,S^{3/2}` multiply-adds, so that there are at
    least :math:`B/F - 1` full ones of :math:`2S` reads.

    The pebble game is that of :cite:t:`hong1981io`, the constant for one product that of
    :cite:t:`smith2019tight`; for convolutions compare :cite:t:`demmel2018communication` and
    :cite:t:`chen2020communication`. The form :math:`2B/\sqrt{S} + mn` that is often quoted is false
    for inner sizes below about :math:`2\sqrt{S}`.

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

    .. math:: Q \ge \frac{B - B_d}{\sqrt{2S}} - 2S

    Parameters
    ----------
    multiply_adds : Dim
        ``B``, of both triangles: :math:`n^2 m` for ``x @ x.T`` of ``n`` rows. [multiply-add]
    capacity : Dim
        Elements that the fast memory holds, ``S``. [element]
    diagonal : Dim
        Those of the diagonal, ``B_d``: :math:`n m`. [multiply-add]
    repeats : Dim
        Places of an element in the one operand times those in the other, where views repeat it:
        ``S`` is multiplied by them in the root, as in :func:`product_traffic`. [1]

    Notes
    -----
    Both operands are one buffer, and a schedule may compute one triangle and copy it. So count a
    multiply-add of an unordered pair of different rows once: at least :math:`(B - B_d)/2`. A phase
    that has :math:`u_k` elements of column :math:`k` of the matrix and :math:`c` results does at
    most :math:`\min(u_k^2/2, c)` of column :math:`k`, and :math:`\min(x, y) \le \sqrt{xy}`, in all
    :math:`\sum_k u_k \sqrt{c/2} \le u \sqrt{c/2}`. With :math:`u + c \le 3S` that is at most
    :math:`2S\sqrt{S/2} = \sqrt{2}\,S^{3/2}`, at :math:`u = 2S`; a phase has :math:`2S` reads, as in
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

    .. math:: Q \ge \frac{B}{\sqrt{S}} - 2S

    Where views repeat elements, ``S`` is multiplied by ``repeats`` in the root, as in
    :func:`gram_traffic`.

    Notes
    -----
    With :math:`u` elements of the matrix and :math:`c` results a phase does at most
    :math:`\sqrt{u\,u\,c}`; at :math:`u + c \le 3S` that is at most :math:`2S\sqrt{S}`. Phases as in
    :func:`product_traffic`.

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

        Q \ge \max\left(N \min\left(\frac{d^2}{S}, \frac{1}{2}\right) - S + |O|,\;
        \frac{N d^2}{S + d\sqrt{S}} - S\right)

    Parameters
    ----------
    scores : Dim
        Pairs of a query and a key that sees it, over images and heads, ``N``. [1]
    depth : Dim
        Elements of a query, ``d``. [element]
    outputs : Dim
        Elements of the output, ``|O|``. [element]
    capacity : Dim
        Elements that the fast memory holds, ``S``. [element]
    repeats : Dim
        Places of an element among the queries times those among the keys, where views repeat
        it. [1]

    Notes
    -----
    A score is a sum of :math:`d` products. It may be spilled or dropped when it has been used, and
    is computed once.

    *First form.* Cut the schedule into phases of :math:`S` reads. Count the scores whose last
    multiply-add lies in a phase. Of these, :math:`p` had others before: each has a partial sum that
    was there or is read. The rest have their whole query and key in the phase: with :math:`x_h`
    queries and :math:`y_h` keys of head :math:`h` they are at most
    :math:`\sum_h x_h y_h \le (\sum_h (x_h + y_h)/2)^2`. As :math:`p + d \sum_h (x_h + y_h) \le 2S`,
    a phase finishes at most :math:`p + (2S - p)^2/(4d^2)`, which is convex in :math:`p`: at most
    :math:`\max(2S, S^2/d^2)`. So there are at least :math:`S(N/\max(2S, S^2/d^2) - 1)` reads; the
    outputs are written besides.

    *Second form.* Cut it into phases of :math:`S` moves. Scores whose multiply-adds all lie in a
    phase make at most :math:`d\,(S/d)^2` of them, as before. Of every other score that is worked
    on, a partial sum was there, is read, is written, or stays: with those,
    :math:`a + b + c \le 2S + S`, and their multiply-adds are at most
    :math:`\sqrt{abc} \le S^{3/2}`. So a phase does at most :math:`S^2/d + S^{3/2}` of the
    :math:`N d` multiply-adds.

    *Views.* Where :math:`x` elements of the queries are :math:`r_q x` places and :math:`y` of the
    keys :math:`r_k y`, there are :math:`r = r_q r_k` times as many pairs, and
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
