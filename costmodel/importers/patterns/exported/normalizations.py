"""Normalizations as exporters write them: means, roots and divisions, or instance by instance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from costmodel.algebra.symbols import Dim, same
from costmodel.graph import Source
from costmodel.importers.patterns.pieces import EXPORTED, Pieces, Whole
from costmodel.ops import AdaptivePool, GroupNorm, LayerNorm, Parameter, Reduce, Reshape

_MOST_EPSILON = 0.1
"""Largest number that is taken for the one that keeps a root from zero."""


class _Core(NamedTuple):
    """The normalized value, its axes, and whether only its root mean square divides it."""

    x: Source
    axes: tuple[int, ...]
    rms: bool


@EXPORTED.register("layer_norm")
def _layer_norm(pieces: Pieces, value: Source) -> Whole | None:
    """``(x - mean(x)) / sqrt(mean((x - mean(x))**2) + eps)``, without the mean for RMSNorm.

    Behind it may stand a learned scale, or a learned scale and shift. Steps in between may be
    computed in another floating-point type.
    """
    y, shift = _learned(pieces, pieces.uncast(value), "add")
    y, scale = _learned(pieces, y, "mul")
    core = _core(pieces, pieces.uncast(y))
    if core is None or (shift is not None and (scale is None or core.rms)):
        return None
    sizes = [pieces.tensor(core.x).shape[axis] for axis in core.axes]
    rank = pieces.tensor(core.x).rank
    last = core.axes == tuple(range(rank - len(core.axes), rank))
    learned = tuple(p for p in (scale, shift) if p is not None)
    if not last or not all(_has_shape(pieces, p, sizes) for p in learned):
        return None
    cast = pieces.tensor(core.x).dtype != pieces.tensor(value).dtype
    op = LayerNorm(len(sizes), scale is not None, core.rms, shift is not None)
    return Whole(op, pieces.uncast(core.x) if cast else core.x, learned)


@EXPORTED.register("group_norm")
def _group_norm(pieces: Pieces, value: Source) -> Whole | None:
    """Instance normalization of groups in the place of channels, then scale and shift."""
    y, shift = _learned(pieces, value, "add")
    y, scale = _learned(pieces, y, "mul")
    learned = () if shift is None or scale is None else (scale, shift)
    found = _grouped(pieces, y if learned else _without_one_and_zero(pieces, y))
    if found is None:
        return None
    x, groups, reshaped = found
    _, channels, *pixels = pieces.tensor(x).shape
    sizes = [channels, *[1] * len(pixels)]
    if not (reshaped or learned) or not all(_has_shape(pieces, p, sizes) for p in learned):
        return None
    return Whole(GroupNorm(groups, affine=bool(learned)), x, learned)


def _learned(pieces: Pieces, value: Source, kind: str) -> tuple[Source, Source | None]:
    """Return (y, p) where ``value`` is ``kind(y, p)`` and ``p`` is learned; else p is None."""
    pair = pieces.operands(value, kind)
    for y, parameter in (pair, pair[::-1]) if len(pair) == 2 else ():
        if isinstance(pieces.op(parameter), Parameter):
            return y, parameter
    return value, None


def _has_shape(pieces: Pieces, value: Source, sizes: list[Dim]) -> bool:
    shape = pieces.tensor(value).shape
    return len(shape) == len(sizes) and all(map(same, shape, sizes))


def _core(pieces: Pieces, value: Source) -> _Core | None:
    for y, radicand in _over_roots(pieces, value):
        epsilon, mean = pieces.with_number(pieces.uncast(radicand), "add")
        squares = _mean(pieces, pieces.uncast(mean))
        if epsilon is None or not 0 < epsilon <= _MOST_EPSILON or squares is None:
            continue
        number, factors = pieces.product(pieces.uncast(squares[0]))
        if number != 1 or len(factors) != 2 or factors[0] != factors[1]:
            continue
        axes, squared = squares[1], pieces.uncast(factors[0])
        centred = _centred(pieces, pieces.uncast(y))
        if centred is None and pieces.uncast(y) == squared:
            return _Core(y, axes, rms=True)
        if centred is not None and centred == _centred(pieces, squared) and centred[1] == axes:
            return _Core(centred[0], axes, rms=False)
    return None


def _over_roots(pieces: Pieces, value: Source) -> Iterator[tuple[Source, Source]]:
    """Yield (y, r) where ``value`` is ``y / sqrt(r)``, in one of the ways to write that."""
    quotient = pieces.operands(value, "div")
    if len(quotient) == 2:
        radicand = pieces.unary(pieces.uncast(quotient[1]), "sqrt")
        if radicand is not None:
            yield quotient[0], radicand
    pair = pieces.operands(value, "mul")
    for y, factor in (pair, pair[::-1]) if len(pair) == 2 else ():
        radicand = _inverse_root(pieces, pieces.uncast(factor))
        if radicand is not None:
            yield y, radicand


def _inverse_root(pieces: Pieces, value: Source) -> Source | None:
    """Return ``r`` where ``value`` is ``1 / sqrt(r)``."""
    root = pieces.unary(value, "reciprocal")
    if root is not None:
        return pieces.unary(root, "sqrt")
    exponent, radicand = pieces.with_number(value, "pow")
    return radicand if exponent == -0.5 else pieces.unary(value, "rsqrt")


def _centred(pieces: Pieces, value: Source) -> tuple[Source, tuple[int, ...]] | None:
    """Return ``x`` and the axes where ``value`` is ``x - mean(x)``."""
    difference = pieces.operands(value, "sub")
    if len(difference) != 2:
        return None
    x, mean = difference
    found = _mean(pieces, pieces.uncast(mean))
    same_x = found is not None and pieces.uncast(found[0]) == pieces.uncast(x)
    return (x, found[1]) if found is not None and same_x else None


def _mean(pieces: Pieces, value: Source) -> tuple[Source, tuple[int, ...]] | None:
    """Return ``x`` and the axes where ``value`` is the mean of ``x``, the axes kept."""
    rank = pieces.tensor(value).rank
    match pieces.op(value):
        case Reduce(kind="mean", axes=axes, keepdims=True):
            return pieces.inputs(value)[0], tuple(sorted(axis % rank for axis in axes))
        case AdaptivePool(kind="avg", output=output) if all(same(size, 1) for size in output):
            return pieces.inputs(value)[0], tuple(range(2, rank))
    return None


def _without_one_and_zero(pieces: Pieces, value: Source) -> Source:
    """Return ``x`` where ``value`` is ``x * 1 + 0``, else ``value``."""
    scaled = pieces.plus(value, 0.0)
    number, x = pieces.with_number(scaled, "mul") if scaled is not None else (None, value)
    return x if number == 1 else value


def _grouped(pieces: Pieces, value: Source) -> tuple[Source, Dim, bool] | None:
    """Return ``x``, groups, and whether ``x`` is reshaped to have a group as one channel."""
    y, _ = _unshaped(pieces, value)
    norm = pieces.op(y)
    if not isinstance(norm, GroupNorm) or (norm.affine and not pieces.is_plain(y)):
        return None
    (instance,) = pieces.inputs(y)
    batch, groups, *_ = pieces.tensor(y).shape
    x, reshaped = _unshaped(pieces, instance)
    shape = pieces.tensor(x).shape
    # Without reshapes, three axes may be groups of one channel; more are images as they were.
    fits = len(shape) >= 3 and same(shape[0], batch) and same(norm.groups, groups)
    return (x, groups, reshaped) if fits and (reshaped or len(shape) == 3) else None


def _unshaped(pieces: Pieces, value: Source) -> tuple[Source, bool]:
    reshaped = isinstance(pieces.op(value), Reshape)
    return (pieces.inputs(value)[0] if reshaped else value), reshaped
