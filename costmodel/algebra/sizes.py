"""The definition of a valid size, in one place: :func:`check_dim`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from costmodel.algebra.arrays import Whole, check_broadcast, narrowed, once, whole
from costmodel.algebra.certainty import is_certain, objection
from costmodel.algebra.later import is_expression, sympy
from costmodel.algebra.symbols import Dim, dim, is_name, is_symbolic
from costmodel.errors import ShapeError

MAX_DIM = 2**40
"""Maximum size of one dimension [element]."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A formula that a network assumes to be a size (see :func:`taken`); it has no arithmetic.

    Parameters
    ----------
    value : Expr
        The size.
    """

    value: sympy.Expr


def taken(value: Any) -> Any:
    """Mark a formula, or each of a tuple, as one that the network assumes to be a size.

    A network requires more of its symbols than positivity: channels that it halves are even, an
    image has at least one window. A size inferred under such a requirement may be stated again, in
    a field of an operator or in the shape of a tensor, if it is marked.

    Parameters
    ----------
    value : Dim or tuple of Dim
        Only formulas are marked; numbers, arrays and other values are returned unchanged.

    Examples
    --------
    >>> from costmodel.algebra.symbols import exact_div
    >>> from costmodel.ops import Conv
    >>> half = exact_div(dim("c"), 2)
    >>> Conv(taken(half), (3, 3), groups=taken(half)).out_channels
    c/2
    """
    if isinstance(value, tuple):
        return tuple(taken(entry) for entry in value)
    return Taken(value) if is_symbolic(value) else value


def check_dim(value: Dim, what: str, smallest: int = 1, stated: bool = True) -> Dim:
    """Return ``value`` as a plain size, or raise an error if it is not a valid size.

    A size is an integer of at least ``smallest``: 0 in the shape of a tensor, in operators that
    only cut or rename one, and for paddings; otherwise 1. A tensor with a size of 0 is empty and
    costs nothing. Symbolic formulas hold if no tensor is empty.

    =========== =====================================================================
    number      an ``int``, ``np.integer`` or ``sympy.Integer``; no bool and no float
    array       not empty, of an integer dtype; every entry must be such a number. It
                is returned as a read-only :class:`~costmodel.algebra.arrays.Whole`,
                whose products never wrap
    expression  in symbols of ``dim``, which are positive integers; it must provably be
                such a number at every assignment of them: ``2*k``,
                ``k + 5``, ``ceiling(h/2)``, but neither ``h/2`` nor ``h - 5``
    =========== =====================================================================

    A size inferred by a shape rule is a consequence of stated sizes: ``c/2`` is assumed to divide
    and ``h - 4`` to fit. It is rejected only if it certainly is not a size. The same holds for a
    stated size that is marked by :func:`taken`.

    Parameters
    ----------
    value : Dim or Taken
        The candidate.
    what : str
        Its name in the message.
    smallest : int
        Its minimum.
    stated : bool
        Whether a caller states it; otherwise a shape rule infers it.

    Raises
    ------
    ShapeError
        If ``value`` is not a size; for an expression the message has a counterexample and a
        correction.

    Examples
    --------
    >>> check_dim(sympy.Integer(3), "the width"), check_dim(2 * dim("k"), "the width")
    (3, 2*k)
    >>> check_dim(dim("h") / 2, "the width")
    Traceback (most recent call last):
    ...
    costmodel.errors.ShapeError: the width must be a positive integer, but h/2 is
    1/2 for h = 1: write h = 2*k
    """
    if type(value) is int and smallest <= value <= MAX_DIM:
        return value  # by far the most common
    if isinstance(value, Taken):
        value, stated = value.value, False
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if is_expression(value) and value.is_Integer:
        value = int(value)
    words = "a positive integer" if smallest == 1 else f"an integer of at least {smallest}"
    if is_expression(value):
        _check_expression(value, f"{what} must be {words}", smallest, stated)
        return value
    if isinstance(value, np.ndarray):
        return _check_array(value, what, smallest, stated)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ShapeError(f"{what} must be {words}, an array of them or a symbol, got {value!r}")
    if not smallest <= value <= MAX_DIM:
        raise ShapeError(f"{what} must lie between {smallest} and {MAX_DIM}, got {value}")
    return int(value)


def check_shape(shape: Any, smallest: int = 0, stated: bool = True) -> tuple[Dim, ...]:
    """Return the sizes of a shape as plain sizes (see :func:`check_dim`).

    Raises
    ------
    ShapeError
        If one is not a size, or ``shape`` is not a tuple.

    Examples
    --------
    >>> check_shape([np.int32(2), 0, dim("h")])
    (2, 0, h)
    """
    if not isinstance(shape, tuple | list):
        raise ShapeError(f"a shape must be a tuple of sizes, got {shape!r}")
    for size in shape:
        if type(size) is not int or not smallest <= size <= MAX_DIM:
            what = "a dimension of a shape"
            if not any(isinstance(entry, np.ndarray) for entry in shape):  # slow to print
                what = f"a dimension of shape {tuple(map(_bare, shape))}"
            sizes = tuple(check_dim(entry, what, smallest, stated) for entry in shape)
            check_broadcast(sizes)
            return sizes
    return tuple(shape)


def _check_array(value: np.ndarray, what: str, smallest: int, stated: bool) -> Whole:
    plain = value.view(np.ndarray)
    # A shape rule may infer a quotient of float counts.
    fits = plain.dtype.kind in "iu" or (not stated and _is_whole(plain))
    if not fits or plain.size == 0 or plain.min() < smallest:
        raise ShapeError(f"{what} must hold integers of at least {smallest}, got {value!r}")
    if plain.max() > MAX_DIM:
        raise ShapeError(f"{what} must hold integers of at most {MAX_DIM}, got {value!r}")
    fixed = value if isinstance(value, Whole) and not value.flags.writeable else whole(plain)
    return once(partial(narrowed, fixed), narrowed, fixed) if fixed.ndim > 1 else fixed


def _is_whole(plain: np.ndarray) -> bool:
    return plain.dtype.kind == "f" and bool(np.all(np.rint(plain) == plain))


def _bare(value: Any) -> Any:
    return value.value if isinstance(value, Taken) else value


def _check_expression(value: sympy.Expr, rule: str, smallest: int, stated: bool) -> None:
    if not value.free_symbols:
        raise ShapeError(f"{rule}, got {value}")
    for symbol in value.free_symbols:
        name = str(symbol)
        if not is_name(name) or symbol != dim(name):
            raise ShapeError(
                f"{rule}, but {value} holds the symbol {name}, which is not the positive integer "
                f"costmodel.dim({name!r}); make symbols there"
            )
    if not stated:
        if value.is_integer is False or (value - smallest).is_negative:
            raise ShapeError(f"{rule}, got {value}")
    elif not is_certain(value, smallest):
        raise ShapeError(f"{rule}, but {objection(value, smallest)}")
