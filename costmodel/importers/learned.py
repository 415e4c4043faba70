"""Products and convolutions with weights that are stored, shared, computed or given."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, same
from costmodel.errors import ShapeError
from costmodel.graph.builder import Value
from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.ops import (
    Conv,
    ConvTranspose,
    DeformConv,
    Elementwise,
    GroupedLinear,
    Linear,
    MatMul,
    Op,
)


def linear(
    emit: Emitter, x: Operand, weight: Operand, bias: Operand | None, transposed: bool = True
) -> Value:
    """Emit the product of ``x`` with a matrix: a linear layer if the matrix is stored.

    Parameters
    ----------
    emit : Emitter
        The graph.
    x, weight, bias : Operand
        The factors and the addend.
    transposed : bool
        Whether ``weight`` is ``[out, in]`` as in torch, else ``[in, out]``.
    """
    if not isinstance(weight, Stored) or len(weight.shape) != 2:
        y = emit.add(MatMul(transpose_b=transposed), x, weight)
        return y if bias is None else emit.add(Elementwise("add"), y, bias)
    name = emit.weight_name(weight)
    fused = emit.owns_bias(name, bias)
    op = Linear(weight.shape[0 if transposed else 1], fused)
    _check(op, x, weight.shape if transposed else weight.shape[::-1])
    y = emit.add(op, x, weights=name)
    return y if bias is None or fused else emit.add(Elementwise("add"), y, bias)


def grouped(emit: Emitter, x: Operand, weight: Operand, ends: Operand) -> Value:
    """Emit the product of each row of ``x`` with the matrix of its group.

    Parameters
    ----------
    emit : Emitter
        The graph.
    x, weight, ends : Operand
        The rows ``[rows, in]``, the matrices ``[groups, in, out]``, and where each group ends.
    """
    groups, _, out = weight.shape
    op = GroupedLinear(taken(groups), taken(out))
    return emit.add(op, x, ends, weights=emit.weight_name(weight))


def convolve(
    emit: Emitter,
    op: Conv | ConvTranspose | DeformConv,
    x: Operand,
    weight: Operand,
    bias: Operand | None,
    *others: Operand,
) -> Value:
    """Emit ``op`` with weights named after ``weight``; adds the bias if ``op`` has none.

    ``others`` are the inputs behind ``x``: the offsets of a deformable convolution.
    """
    name = emit.weight_name(weight)
    fused = emit.owns_bias(name, bias)
    _check(op, x, weight.shape, *others)
    y = emit.add(op.with_fields(bias=fused), x, *others, weights=name)
    if bias is None or fused:
        return y
    spatial = len(op.kernel)
    return emit.add(Elementwise("add"), y, emit.reshape(bias, (*bias.shape, *([1] * spatial))))


def _check(op: Op, x: Operand, stored: tuple[Dim, ...], *others: Operand) -> None:
    """Raise ``ShapeError`` unless the stored weight is the one that ``op`` needs on ``x``."""
    op.infer(x.tensor, *(other.tensor for other in others))
    needed = op.weights(x.tensor)[0].shape
    if len(needed) != len(stored) or not all(map(same, needed, stored)):
        raise ShapeError(
            f"{type(op).__name__} on {x.tensor} needs a weight of shape {needed}, got {stored}"
        )
