"""Shapes at their edges, defaults, and operations an element, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

import costmodel as cm
from costmodel import ops
from costmodel.counting.cost import op_cost
from costmodel.ops import Op
from costmodel.ops.tensor import Tensor

IMAGE = Tensor((1, 64, 56, 56))


@pytest.mark.parametrize(
    ("op", "size"),
    [
        (ops.Slice(0, 0, 3, 2), 5),  # takes 0, 2, 4
        (ops.Slice(0, 1, 3, 2), 6),
        (ops.Slice(0, 0, 4), 4),
        (ops.Slice(0, 3, 1, 5), 4),
        (ops.Slice(0, 4, 0, 3), 4),  # nothing, behind the last
        (ops.Slice(0, np.int64(2), 2), 4),
    ],
)
def test_a_slice_reaches_to_its_last_element_and_no_further(op: ops.Slice, size: int) -> None:
    assert op.infer(Tensor((size,)))[0].shape == (op.size,)
    with pytest.raises(cm.CostModelError, match="outside axis 0"):
        op.infer(Tensor((size - 1,)))
    sizes = np.array([size, size + 3])
    assert op.infer(Tensor((sizes,)))[0].shape == (op.size,)
    with pytest.raises(cm.CostModelError, match="outside axis 0"):
        op.infer(Tensor((sizes - 1,)))


def test_a_slice_of_symbols_is_refused_only_where_it_cannot_fit() -> None:
    h = cm.dim("h")
    for start, size in ((0, h), (1, h - 1), (2, 7)):
        (y,) = ops.Slice(0, start, size).infer(Tensor((h,)))
        assert cm.algebra.symbols.same(y.shape[0], size)
    for start, size in ((0, h + 1), (1, h), (5, h)):
        with pytest.raises(cm.CostModelError, match="outside axis 0"):
            ops.Slice(0, start, size).infer(Tensor((h,)))
    with pytest.raises(cm.CostModelError, match="outside axis 0"):
        ops.Slice(0, 0, h + 1, 2).infer(Tensor((h + 1,)))


def test_defaults_of_operators() -> None:
    """As in the frameworks: the first axis, one result an image, a scale and a shift."""
    assert ops.Gather().infer(Tensor((10, 64)), Tensor((3,), "int64"))[0].shape == (3, 64)
    assert ops.AdaptivePool("avg").infer(IMAGE)[0].shape == (1, 64, 1, 1)
    assert ops.Reduce("sum", (1,)).infer(IMAGE)[0].shape == (1, 56, 56)
    assert ops.Slice(1, 0, 8) == ops.Slice(1, 0, 8, 1)
    assert ops.Pool("max", (2, 2)).infer(IMAGE)[0].shape == (1, 64, 55, 55)
    assert cm.params(ops.GroupNorm(4), IMAGE) == 128
    assert cm.params(ops.GroupNorm(4, affine=False), IMAGE) == 0


@pytest.mark.parametrize(
    ("kind", "operations"),
    [
        *((kind, 1) for kind in ("all", "any", "argmax", "argmin", "cumsum")),
        *((kind, 1) for kind in ("max", "mean", "min", "prod", "sum")),
        ("norm", 2),  # a square and a sum
        ("var", 4),  # the mean, a difference, a square and a sum
    ],
)
def test_operations_of_reductions(kind: str, operations: int) -> None:
    assert cm.work(ops.Reduce(kind, (1, 2)), Tensor((5, 3, 7))) == operations * 5 * 3 * 7


@pytest.mark.parametrize(
    ("op", "operations"),
    [
        (ops.GroupNorm(2), 7),  # mean, difference, square and sum, scale; learned scale and shift
        (ops.GroupNorm(2, affine=False), 5),
        (ops.LayerNorm(), 7),
        (ops.LayerNorm(bias=False), 6),
        (ops.LayerNorm(affine=False), 5),
        (ops.LayerNorm(rms=True), 4),
        (ops.LayerNorm(affine=False, rms=True), 3),
        (ops.BatchNorm(), 2),
        (ops.LocalResponseNorm(3), 9),
        (ops.Softmax(), 5),
    ],
)
def test_operations_of_normalizations(op: Op, operations: int) -> None:
    assert cm.work(op, Tensor((2, 8, 3, 5))) == operations * 2 * 8 * 3 * 5


def test_a_last_window_must_start_inside_the_image_or_the_padding_before_it() -> None:
    def size(image: int, kernel: int, stride: int, padding: object, dilation: int = 1) -> object:
        op = ops.Pool("max", (kernel,), stride, padding, dilation, ceil_mode=True)
        return op.infer(Tensor((1, 1, image)))[0].shape[2]

    assert size(2, 1, 2, 0) == 1  # a second window would start behind the image
    assert size(3, 2, 2, 0) == 2  # the second holds one pixel
    assert size(4, 2, 2, ((0, 1),)) == 2  # a third would start in the padding behind
    assert size(4, 2, 2, ((1, 0),)) == 3
    assert size(2, 1, 2, ((1, 0),)) == 2  # padding before the image counts as inside
    assert size(5, 2, 3, 1) == 2
    assert size(5, 2, 3, ((1, 2),)) == 2
    assert size(9, 2, 2, ((0, 4),), 3) == 5


def test_a_rule_that_never_decides_is_not_written_into_a_formula() -> None:
    h = cm.dim("h")
    for kernel, stride, dilation, decides in ((1, 2, 1, True), (3, 2, 1, False), (2, 3, 3, False)):
        op = ops.Pool("max", (kernel,), stride, 0, dilation, ceil_mode=True)
        assert op.infer(Tensor((1, 1, h)))[0].shape[2].has(sympy.Min) == decides


def test_a_split_has_between_one_and_65536_parts() -> None:
    (whole,) = ops.Split(0, 1).infer(Tensor((3,)))
    assert whole.shape == (3,)
    assert len(ops.Split(0, 2**16).infer(Tensor((2**16,)))) == 2**16
    for parts in (0, 2**16 + 1, (), (1,) * (2**16 + 1)):
        with pytest.raises(cm.CostModelError, match="between 1 and 65536"):
            ops.Split(0, parts)


def test_what_a_reduction_keeps() -> None:
    x = Tensor((5, 3, 7))
    assert ops.Reduce("sum", (0, -1)).infer(x)[0].shape == (3,)
    assert ops.Reduce("sum", (0, -1), keepdims=True).infer(x)[0].shape == (1, 3, 1)
    assert ops.Reduce("mean", (1,)).infer(x)[0].shape == (5, 7)
    assert ops.Reduce("cumsum", (1,)).infer(x)[0] == x


def test_a_pool_takes_one_operation_a_tap() -> None:
    x = Tensor((2, 3, 9, 10))
    assert cm.work(ops.Pool("max", (3, 2), 3), x) == 2 * 3 * 3 * 3 * 6
    # Windows of an adaptive pool that does not divide the image are as large as the largest.
    assert cm.work(ops.AdaptivePool("avg", (2, 5)), x) == 2 * 3 * 2 * 5 * (5 * 2)
    assert cm.mac(ops.BatchNorm(affine=False), x) == 2 * 2 * 3 * 90 + 2 * 3
    assert cm.mac(ops.BatchNorm(), x) == 2 * 2 * 3 * 90 + 4 * 3


@pytest.mark.parametrize(
    ("op", "shapes"),
    [
        (ops.Scatter(accumulate=True, copies=False), ((5, 1), (0, 1))),
        (ops.DeformConv(1, (1, 1), padding=((1, 1), (1, 1))), ((1, 0, 5, 5), (1, 2, 7, 7))),
    ],
)
def test_no_work_has_no_span(op: Op, shapes: tuple[tuple[int, ...], ...]) -> None:
    inputs = tuple(map(Tensor, shapes))
    arrays = tuple(Tensor(tuple(np.array([size, size]) for size in shape)) for shape in shapes)
    assert op_cost(op, inputs).span == 0
    assert np.all(np.equal(op_cost(op, arrays).span, 0))
