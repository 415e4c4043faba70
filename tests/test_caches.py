"""Equal keys of other types, such as ``Integer(1)`` for 1, must not change what a cache returns."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import costmodel as cm
from costmodel import ops
from costmodel.counting.cost import op_cost
from costmodel.kernels.work import work_of
from costmodel.ops.reach import Axis, hits, landing, taps, touched
from costmodel.ops.tensor import Tensor

KINDS = {"sympy": sympy.Integer, "numpy": np.int64}
COUNTS = {
    "touched": touched,
    "hits": hits,
    "landing": landing,
    "taps": lambda axis: taps(axis, axis.windows),
}


@pytest.mark.parametrize("other", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("count", COUNTS.values(), ids=COUNTS)
@given(
    size=st.integers(8, 4000),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    dilation=st.integers(1, 2),
)
def test_counts_of_windows_are_ints_whatever_was_asked_before(
    count, other, size: int, kernel: int, stride: int, dilation: int
) -> None:
    numbers = (size, max((size - (kernel - 1) * dilation - 1) // stride + 1, 1), kernel, stride)
    asked = count(Axis(*map(other, (*numbers, dilation, 1, 1))))
    plain = count(Axis(*numbers, dilation, 1, 1))
    assert type(asked) is type(plain) is int
    assert asked == plain


@pytest.mark.parametrize("other", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(
    "make",
    [
        lambda n: ops.Conv(n(37), (n(3), n(5)), stride=n(2), padding=n(1), groups=n(1)),
        lambda n: ops.ConvTranspose(n(37), (n(4), n(4)), stride=n(2)),
        lambda n: ops.Pool("max", (n(3), n(3)), stride=n(2)),
        lambda n: ops.Slice(2, n(3), n(11)),
        lambda n: ops.Pad(((n(0), n(0)), (n(0), n(0)), (n(1), n(2)), (n(3), n(4)))),
        lambda n: ops.AdaptivePool("avg", (n(3), n(3))),
        lambda n: ops.Resize((n(46), n(46)), "nearest"),
    ],
    ids=["Conv", "ConvTranspose", "Pool", "Slice", "Pad", "AdaptivePool", "Resize"],
)
def test_costs_of_operators_are_ints_whatever_was_asked_before(make, other) -> None:
    x = Tensor((1, 8, 23, 29))
    try:
        before = make(other)
    except cm.CostModelError:
        before = None  # numbers of that type are refused
    if before is not None:
        op_cost(before, (x,))
        work_of(before, (x,))
    b = cm.Builder("net")
    b_out = b.add(make(int), b.input(x.shape))
    graph = b.finish(b_out)
    for metric in (cm.multiply_adds, cm.mac, cm.params, cm.span, cm.io_lower_bound, cm.work):
        assert type(metric(graph)) is int, metric.__name__
    assert all(type(part) is int for part in astuple(op_cost(make(int), (x,)).cost))
