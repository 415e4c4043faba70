r"""Positions along one axis that the taps of sliding windows reach.

Window :math:`i` of :math:`o` puts tap :math:`t` of :math:`k` on position
:math:`i s + t d - b` of an axis of :math:`h` positions, with dilation :math:`d` and padding
:math:`b`; positions outside are padding. Only lower bounds use this: costs count taps on padding
and skipped pixels, as the paper does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from math import gcd
from typing import NamedTuple

import numpy as np

from costmodel.algebra.later import is_expression
from costmodel.algebra.symbols import Dim, ceil_div, exact_div, maximum, minimum, plain, same, total


class Axis(NamedTuple):
    """One axis and the windows that slide along it.

    Parameters
    ----------
    size : Dim
        Positions without padding, ``h``. [1]
    windows : Dim
        Windows, ``o``. [1]
    kernel, stride, dilation : Dim
        Taps of a window, step between windows, step between taps: ``k``, ``s``, ``d``. [1]
    before, after : Dim
        Padding before, ``b``, and after. [1]
    """

    size: Dim
    windows: Dim
    kernel: Dim
    stride: Dim = 1
    dilation: Dim = 1
    before: Dim = 0
    after: Dim = 0


_MOST_TAPS = 4096
"""Maximum number of taps, or classes of taps, examined individually; the rest is ignored."""


def reuse(axis: Axis) -> Dim:
    r"""Return the largest number of taps that meet one position, over all windows [1].

    .. math:: \lceil k / (s / \gcd(s, d)) \rceil

    Taps that meet on a position differ by a multiple of ``s / gcd(s, d)``.

    Examples
    --------
    >>> [reuse(Axis(56, 28, k, stride=s)) for k, s in ((3, 1), (3, 2), (2, 2))]
    [3, 2, 1]
    """
    return ceil_div(axis.kernel, exact_div(axis.stride, common(axis.stride, axis.dilation)))


def common(stride: Dim, dilation: Dim) -> Dim:
    """Return the greatest common divisor of a stride and a dilation [1]."""
    if same(dilation, 1) or same(stride, 1):
        return 1
    if is_expression(stride) or is_expression(dilation):
        from costmodel.algebra.functions import Gcd

        return Gcd(stride, dilation)
    if isinstance(stride, int) and isinstance(dilation, int):
        return gcd(stride, dilation)
    both = np.gcd(np.asarray(stride, np.int64), np.asarray(dilation, np.int64))
    return both + stride * 0  # an array of the type of the stride


def most_taps(pixels: Dim, kernel: Dim, stride: Dim, dilation: Dim) -> Dim:
    """Return the largest number of taps of a transposed convolution on one output pixel [1].

    The input pixels of neighbouring such taps are ``dilation / gcd(stride, dilation)`` apart.

    Examples
    --------
    >>> most_taps(7, 2, 2, 1), most_taps(7, 4, 2, 1), most_taps(1, 4, 2, 1)
    (1, 2, 1)
    """
    shared = common(stride, dilation)
    met = ceil_div(kernel, exact_div(stride, shared))
    if same(met, 1):
        return 1
    return minimum(met, ceil_div(pixels, exact_div(dilation, shared)))


def _by_entry(function: Callable[..., Dim]) -> Callable[..., Dim]:
    """Extend a function of numbers and symbols to arrays: one call per distinct entry."""
    cached = lru_cache(maxsize=1 << 14)(function)

    @wraps(function)
    def of(axis: Axis, *more: Dim) -> Dim:
        values = tuple(map(plain, (*axis, *more)))
        if not any(isinstance(value, np.ndarray) for value in values):
            return plain(cached(Axis(*values[: len(axis)]), *values[len(axis) :]))
        columns = np.stack([np.ravel(c) for c in np.broadcast_arrays(*values)])
        distinct, back = np.unique(columns, axis=1, return_inverse=True)
        width = len(axis)
        entries = [tuple(map(int, column)) for column in distinct.T]
        found = [cached(Axis(*entry[:width]), *entry[width:]) for entry in entries]
        dtype = np.int64 if max(found) < 2**53 else np.float64
        nothing = total(value * 0 for value in values)  # an array of the common type and shape
        return nothing + np.array(found, dtype)[np.ravel(back)].reshape(nothing.shape)

    return of


@_by_entry
def touched(axis: Axis) -> Dim:
    """Return the number of positions that some tap meets [1].

    Examples
    --------
    >>> touched(Axis(56, 28, 1, stride=2)), touched(Axis(56, 28, 3, stride=2, before=1, after=1))
    (28, 56)
    """
    if any(is_expression(value) for value in axis):
        known = _touched_at_sight(axis)
        if known is not None:
            return known
    if same(axis.dilation, 1) or same(axis.kernel, 1):
        return _touched_by_blocks(axis)
    if not all(isinstance(v, int) for v in (axis.kernel, axis.stride, axis.dilation)):
        return inside(axis, 0)
    step = axis.stride // gcd(axis.stride, axis.dilation)
    classes = min(axis.kernel, step, _MOST_TAPS)
    return total(_touched_by_class(axis, c, step) for c in range(classes))


def inside(axis: Axis, tap: Dim) -> Dim:
    """Return the number of windows with tap number ``tap`` inside the axis [1].

    Examples
    --------
    >>> [inside(Axis(7, 7, 3, before=1), tap) for tap in range(3)]
    [6, 7, 6]
    """
    size, windows, _, stride, dilation, before, _ = axis
    shift = before - tap * dilation
    first = maximum(0, ceil_div(shift, stride))
    last = minimum(windows, ceil_div(size + shift, stride))
    return maximum(0, last - first)


@_by_entry
def hits(axis: Axis) -> Dim:
    """Return the number of (window, tap) pairs inside the axis [1].

    Examples
    --------
    >>> hits(Axis(7, 7, 3, before=1, after=1))
    19
    """
    if isinstance(axis.kernel, int) and axis.kernel <= _MOST_TAPS:
        return total(inside(axis, tap) for tap in range(axis.kernel))
    return axis.kernel * _unpadded(axis)


@_by_entry
def taps(axis: Axis, windows: Dim) -> Dim:
    """Return the number of taps that are certainly inside, for any ``windows`` windows [1].

    Examples
    --------
    >>> taps(Axis(1, 1, 3, before=1, after=1), 1), taps(Axis(7, 7, 3, before=1, after=1), 7)
    (1, 3)
    """
    missing = axis.windows - windows
    if isinstance(axis.kernel, int) and axis.kernel <= _MOST_TAPS:
        counts = (inside(axis, tap) - missing for tap in range(axis.kernel))
        return total(minimum(1, maximum(0, count)) for count in counts)
    if same(_unpadded(axis), axis.windows) and same(missing, 0):
        return axis.kernel
    return axis.kernel * minimum(1, maximum(0, _unpadded(axis) - missing))


def _unpadded(axis: Axis) -> Dim:
    """Return the number of windows with all taps inside [1]."""
    size, windows, kernel, stride, dilation, before, _ = axis
    last = ceil_div(size + before - (kernel - 1) * dilation, stride)
    if same(before, 0) and same(last, windows):
        return windows
    return maximum(0, minimum(windows, last) - ceil_div(before, stride))


@_by_entry
def landing(axis: Axis) -> Dim:
    """Return the number of windows with a tap inside the axis; a lower bound for some symbols [1].

    Examples
    --------
    >>> landing(Axis(7, 9, 3, before=4)), landing(Axis(4, 4, 1, stride=2))
    (7, 2)
    """
    size, windows, kernel, stride, dilation, before, _ = axis
    shortest = size - dilation
    if isinstance(shortest, int) and shortest < 0:
        return hits(axis)  # taps are further apart than the axis is long: at most one is inside
    if is_expression(shortest) and shortest.is_nonnegative is not True:
        return inside(axis, 0)
    first = maximum(0, ceil_div(before - (kernel - 1) * dilation, stride))
    last = minimum(windows, ceil_div(size + before, stride))
    return maximum(0, last - first)


def _touched_at_sight(axis: Axis) -> Dim | None:
    """Return a closed form for symbols if there is one."""
    size, windows, kernel, stride, dilation, before, after = axis
    close = same(dilation, 1)
    if close and _surely(kernel - stride):
        if _surely(after - stride + 1):
            return size
        if same(before, 0) and same(after, 0):
            return (windows - 1) * stride + kernel
    if close and same(before, 0) and same(after, 0) and _surely(stride - kernel):
        return windows * kernel
    few = range(kernel) if isinstance(kernel, int) and kernel <= _MOST_TAPS else ()
    if same(stride, 1) and any(same(inside(axis, tap), size) for tap in few):
        return size
    return None


def _surely(difference: Dim) -> bool:
    """Return whether a number or an expression is certainly at least 0."""
    if is_expression(difference):
        return difference.is_nonnegative is True
    return bool(difference >= 0)


def _touched_by_blocks(axis: Axis) -> Dim:
    """Count windows with adjoining taps: blocks of ``k`` in every ``s`` positions."""
    size, windows, kernel, stride, _, before, _ = axis
    end = (windows - 1) * stride + kernel

    def met(position: Dim) -> Dim:
        """Return the number of positions before ``position`` that are met, including padding."""
        up_to = minimum(position, end)
        return (up_to // stride) * minimum(kernel, stride) + minimum(up_to % stride, kernel)

    return met(size + before) - met(before)


def _touched_by_class(axis: Axis, first: int, step: int) -> Dim:
    """Count the positions met by taps ``first``, ``first + step`` ...: one remainder modulo s."""
    size, windows, kernel, stride, dilation, before, _ = axis
    lag = dilation // gcd(stride, dilation)  # windows between two taps of the class
    taps_here = -(-(kernel - first) // step)
    shift = before - first * dilation
    end = (taps_here - 1) * lag + windows
    width = minimum(windows, lag)

    def met(slot: Dim) -> Dim:
        up_to = minimum(maximum(0, slot), end)
        if taps_here == 1 or lag == 1:
            return up_to
        return (up_to // lag) * width + minimum(up_to % lag, width)

    return met(ceil_div(size + shift, stride)) - met(ceil_div(shift, stride))
