"""Activations as exporters write them: products, sums and numbers.

Numbers are compared by value, as the dtype rounds them. An activation with another slope or factor
(``x * sigmoid(1.702 * x)``) is none of these and stays apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from costmodel.graph import Source
from costmodel.importers.patterns.pieces import EXPORTED, Pieces, Whole
from costmodel.ops import Elementwise

_Gate: TypeAlias = Callable[[Pieces, Source], Source | None]
"""Returns ``x`` where a value is some function of ``x``, else None."""

_CUBIC = 0.044715
_TANH_SLOPE = math.sqrt(2 / math.pi)


@EXPORTED.register("silu")
def _silu(pieces: Pieces, value: Source) -> Whole | None:
    """``x * sigmoid(x)``."""
    return _activation("silu", _gated(pieces, value, 1.0, lambda p, y: p.unary(y, "sigmoid")))


@EXPORTED.register("hard_sigmoid")
def _hard_sigmoid(pieces: Pieces, value: Source) -> Whole | None:
    """``relu6(x + 3) / 6``."""
    number, y = pieces.scaled(value)
    found = _ramp(pieces, y) if pieces.near(value, number, 1 / 6) else None
    return _activation("hard_sigmoid", found)


@EXPORTED.register("hard_swish")
def _hard_swish(pieces: Pieces, value: Source) -> Whole | None:
    """``x * hard_sigmoid(x)``, or ``x * relu6(x + 3) / 6``."""
    found = _gated(pieces, value, 1.0, lambda p, y: p.unary(y, "hard_sigmoid"))
    return _activation("hard_swish", found or _gated(pieces, value, 1 / 6, _ramp))


@EXPORTED.register("mish")
def _mish(pieces: Pieces, value: Source) -> Whole | None:
    """``x * tanh(softplus(x))``."""
    return _activation("mish", _gated(pieces, value, 1.0, _tanh_of_softplus))


@EXPORTED.register("gelu")
def _gelu(pieces: Pieces, value: Source) -> Whole | None:
    """``x / 2 * (1 + erf(x / sqrt(2)))``."""
    return _activation("gelu", _gated(pieces, value, 0.5, _one_plus_erf))


@EXPORTED.register("gelu_tanh")
def _gelu_tanh(pieces: Pieces, value: Source) -> Whole | None:
    """``x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))``."""
    return _activation("gelu_tanh", _gated(pieces, value, 0.5, _one_plus_tanh))


@EXPORTED.register("softplus")
def _softplus(pieces: Pieces, value: Source) -> Whole | None:
    """``softplus(b * x) / b``, or ``x`` itself where that is large, or ``log(sigmoid(x))``."""
    branches = pieces.operands(value, "where")
    if len(branches) == 3:
        return _activation("softplus", _soft_branch(pieces, *branches))
    y = pieces.unary(value, "log")
    if y is not None:
        return _activation("softplus", pieces.unary(y, "sigmoid"))
    x, _ = _soft(pieces, value)
    return _activation("softplus", x)


def _activation(kind: str, x: Source | None) -> Whole | None:
    return None if x is None else Whole(Elementwise(kind), x)


def _gated(pieces: Pieces, value: Source, number: float, gate: _Gate) -> Source | None:
    """Return ``x`` where ``value`` is ``number * x * gate(x)``."""
    found, factors = pieces.product(value)
    return _of_other(pieces, factors, gate) if pieces.near(value, found, number) else None


def _of_other(pieces: Pieces, pair: tuple[Source, ...], gate: _Gate) -> Source | None:
    """Return the one of two values of which the other is a function by ``gate``."""
    for x, y in (pair, pair[::-1]) if len(pair) == 2 else ():
        if gate(pieces, y) == x:
            return x
    return None


def _ramp(pieces: Pieces, value: Source) -> Source | None:
    """Return ``x`` where ``value`` is ``relu6(x + 3)``."""
    y = pieces.unary(value, "relu6")
    return None if y is None else pieces.plus(y, 3.0)


def _tanh_of_softplus(pieces: Pieces, value: Source) -> Source | None:
    y = pieces.unary(value, "tanh")
    whole = None if y is None else _softplus(pieces, y)
    return None if whole is None else whole.x


def _one_plus_erf(pieces: Pieces, value: Source) -> Source | None:
    y = pieces.plus(value, 1.0)
    argument = None if y is None else pieces.unary(y, "erf")
    if argument is None:
        return None
    number, x = pieces.scaled(argument)
    return x if pieces.near(argument, number, math.sqrt(0.5)) else None


def _one_plus_tanh(pieces: Pieces, value: Source) -> Source | None:
    y = pieces.plus(value, 1.0)
    argument = None if y is None else pieces.unary(y, "tanh")
    if argument is None:
        return None
    number, factors = pieces.product(argument)
    if not pieces.near(argument, number, _TANH_SLOPE):
        return None
    if len(factors) == 1:
        return _of_other(pieces, pieces.operands(factors[0], "add"), _cube)
    return _of_other(pieces, factors, _one_plus_square)


def _cube(pieces: Pieces, value: Source) -> Source | None:
    """Return ``x`` where ``value`` is ``0.044715 * x**3``."""
    return _power(pieces, value, 3)


def _one_plus_square(pieces: Pieces, value: Source) -> Source | None:
    """Return ``x`` where ``value`` is ``1 + 0.044715 * x**2``."""
    y = pieces.plus(value, 1.0)
    return None if y is None else _power(pieces, y, 2)


def _power(pieces: Pieces, value: Source, exponent: int) -> Source | None:
    number, factors = pieces.product(value)
    same = len(factors) == exponent and len(set(factors)) == 1
    return factors[0] if same and pieces.near(value, number, _CUBIC) else None


def _soft(pieces: Pieces, value: Source) -> tuple[Source | None, Source | None]:
    """Return ``x`` and ``b * x`` where ``value`` is ``softplus(b * x) / b``."""
    argument = pieces.unary(value, "softplus")
    if argument is not None:
        return argument, argument
    outer, y = pieces.scaled(value)
    argument = pieces.unary(y, "softplus")
    if argument is None:
        return None, None
    inner, x = pieces.scaled(argument)
    return (x, argument) if pieces.near(value, outer * inner, 1.0) else (None, None)


def _soft_branch(pieces: Pieces, large: Source, x: Source, y: Source) -> Source | None:
    """Return ``x`` where ``large`` is ``b * x > limit`` and ``y`` is ``softplus(b * x) / b``."""
    soft, argument = _soft(pieces, y)
    limit, compared = pieces.with_number(large, "greater")
    return x if soft == x and limit is not None and compared == argument else None
