"""The broadcasting rule of NumPy, on dimensions that may be symbols."""

from __future__ import annotations

from costmodel.algebra.symbols import Dim, same
from costmodel.errors import ShapeError


def broadcast_shapes(a: tuple[Dim, ...], b: tuple[Dim, ...], what: str) -> tuple[Dim, ...]:
    """Return the shape that ``a`` and ``b`` broadcast to.

    Raises
    ------
    ShapeError
        If two sizes are neither equal nor 1; ``what`` names the operator.

    Examples
    --------
    >>> broadcast_shapes((8, 1, 5), (4, 1), "Elementwise")
    (8, 4, 5)
    """
    rank = max(len(a), len(b))
    left = (1,) * (rank - len(a)) + tuple(a)
    right = (1,) * (rank - len(b)) + tuple(b)
    return tuple(_broadcast_dim(x, y, a, b, what) for x, y in zip(left, right, strict=True))


def _broadcast_dim(x: Dim, y: Dim, a: tuple[Dim, ...], b: tuple[Dim, ...], what: str) -> Dim:
    if same(x, y) or same(y, 1):
        return x
    if same(x, 1):
        return y
    raise ShapeError(f"{what} shapes {a} and {b} do not match: {x} against {y}")
