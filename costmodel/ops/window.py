"""Sizes, strides and padding of sliding windows, shared by convolution and pooling."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np

from costmodel.algebra.sizes import MAX_DIM, check_dim
from costmodel.algebra.symbols import Dim, ceil_div, minimum
from costmodel.errors import ShapeError
from costmodel.ops.base import Op
from costmodel.ops.tensor import Tensor

Window: TypeAlias = Any
"""One number for all axes, or a tuple with one number per axis; stored as the tuple."""
Padding: TypeAlias = Any
"""``"same"``, a number, or a number or (before, after) pair per axis; stored as pairs."""


def as_sizes(value: Window, rank: int, smallest: int = 1) -> tuple[Dim, ...]:
    """Return one size for each of ``rank`` axes.

    Examples
    --------
    >>> as_sizes(2, 2)
    (2, 2)
    """
    if type(value) is int and smallest <= value <= MAX_DIM:
        return (value,) * rank  # by far the most common
    sizes = tuple(value) if isinstance(value, tuple | list) else (value,) * rank
    if len(sizes) != rank:
        raise ShapeError(f"{value!r} gives {len(sizes)} sizes for {rank} axes")
    what = "a padding" if smallest == 0 else "a kernel size, stride or dilation"
    return tuple(check_dim(s, what, smallest) for s in sizes)


def as_padding(value: Padding, rank: int) -> tuple[tuple[Dim, Dim], ...] | Literal["same"]:
    """Return a (before, after) pair for each of ``rank`` axes, or ``"same"``.

    Examples
    --------
    >>> as_padding(1, 2), as_padding(((0, 1), (0, 1)), 2)
    (((1, 1), (1, 1)), ((0, 1), (0, 1)))
    """
    if isinstance(value, str):
        if value == "same":
            return "same"
        raise ShapeError(f"padding must be numbers or 'same', got {value!r}")
    if type(value) is int and 0 <= value <= MAX_DIM:
        return ((value, value),) * rank
    entries = tuple(value) if isinstance(value, tuple | list) else (value,) * rank
    if len(entries) != rank:
        raise ShapeError(f"padding {value!r} gives {len(entries)} entries for {rank} axes")
    pairs = (tuple(e) if isinstance(e, tuple | list) else (e, e) for e in entries)
    return tuple((a, b) for a, b in (as_sizes(pair, 2, smallest=0) for pair in pairs))


def window_size(
    op: Op,
    x: Tensor,
    kernel: tuple[Dim, ...],
    stride: Window,
    padding: Padding,
    dilation: Window,
    ceil_mode: bool = False,
) -> tuple[Dim, ...]:
    r"""Return the number of windows along each spatial axis of ``x``.

    .. math:: o = \lceil (i + p - \delta(\kappa - 1)) / s \rceil
                = \lfloor (i + p - \delta(\kappa - 1) - 1) / s \rfloor + 1

    with ``i`` positions, ``p`` padding, and ``kappa`` taps of dilation ``delta`` and stride ``s``.

    Windows of symbolic sizes are assumed to fit.

    Raises
    ------
    ShapeError
        If none fits, or the image is empty.
    """
    need_pixels(op, x)
    sizes = x.shape[2:]
    if padding == "same":
        return tuple(ceil_div(size, s) for size, s in zip(sizes, stride, strict=True))
    out = []
    for size, k, s, (before, after), d in zip(
        sizes, kernel, stride, padding, dilation, strict=True
    ):
        span = size + before + after - d * (k - 1)
        if _holds_less(span, 1):
            raise ShapeError(
                f"{type(op).__name__} window of {k} taps, dilation {d}, does not fit into size "
                f"{size} with padding {before}+{after}"
            )
        windows = ceil_div(span, s)
        if ceil_mode:
            windows = ceil_div(span - 1, s) + 1
            # The last window must start inside the input or the padding before it (as in torch);
            # with this little padding it always does.
            overhang = after + s - 1 - d * (k - 1)
            if not (isinstance(overhang, int) and overhang <= 0):
                windows = minimum(windows, ceil_div(size + before, s))
        out.append(windows)
    return tuple(out)


def need_pixels(op: Op, x: Tensor) -> None:
    """Raise ``ShapeError`` if an image has no pixels; its batch and channels may be empty."""
    for size in x.shape[2:]:
        if _holds_less(size, 1):
            raise ShapeError(f"{type(op).__name__} needs an image with at least one pixel, got {x}")


def check_sizes(op: Op, *names: str, smallest: int = 1) -> None:
    """Convert the fields ``names`` of ``op`` to plain sizes.

    Raises
    ------
    ShapeError
        If one is not a size of at least ``smallest``.
    """
    for name in names:
        value = getattr(op, name)
        size = check_dim(value, f"{type(op).__name__} {name}", smallest)
        if size is not value:
            object.__setattr__(op, name, size)


def _holds_less(size: Dim, limit: int) -> bool:
    """Return whether a number, or an array entry, is less than ``limit``; False for symbols."""
    if isinstance(size, int):
        return size < limit
    return isinstance(size, np.ndarray) and bool((size < limit).any())
