"""The additive record, and what is derived from nests and expansions."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from costmodel.counting.cost import Cost, op_cost, sum_costs
from costmodel.ops import Attention, BatchNorm, Conv, Linear, Recurrent
from costmodel.ops.tensor import Tensor

NUMBERS = st.integers(0, 10**12)
COSTS = st.builds(Cost, **{f.name: NUMBERS for f in fields(Cost)})


@given(a=COSTS, b=COSTS, times=st.integers(0, 100))
def test_costs_add_and_scale(a: Cost, b: Cost, times: int) -> None:
    assert sum_costs([a, b]) == a + b == b + a
    assert (a + b) * times == a * times + b * times
    assert (a + b).mac == a.mac + b.mac
    assert (a + b).work == a.work + b.work
    assert sum_costs([]) == Cost()


def test_span_and_items_of_a_convolution() -> None:
    result = op_cost(Conv(8, (3, 3), padding=1, bias=True), (Tensor((2, 4, 5, 5)),))
    assert result.items == 2 * 8 * 5 * 5
    assert result.span == 4 * 9 + 1  # the reduction in order, then the bias
    assert result.cost.multiply_adds == result.items * 36
    assert result.cost.elementwise == result.items


def test_span_of_a_recurrent_layer_grows_with_its_steps() -> None:
    spans = [
        op_cost(Recurrent("lstm", 8, bias=False), (Tensor((t, 1, 4)),)).span for t in (1, 2, 3)
    ]
    # Inputs: 4 in a chain. A step: 8 of the product, add, sigmoid 3, mul, add, tanh, mul.
    assert spans == [4 + t * (8 + 1 + 3 + 1 + 1 + 1 + 1) for t in (1, 2, 3)]


def test_span_of_attention_is_its_longest_chain() -> None:
    q = Tensor((1, 1, 6, 16))
    assert op_cost(Attention(), (q, q, q)).span == 16 + 5 * 6 + 6


def test_statistics_of_a_batch_norm_without_scale_have_bytes() -> None:
    x = Tensor((1, 8, 2, 2), "float16")
    assert op_cost(BatchNorm(affine=False), (x,)).cost.bytes == 2 * (32 + 16 + 32)
    assert op_cost(BatchNorm(), (x,)).cost.bytes == 2 * (32 + 32 + 32)


def test_equal_operators_share_one_result_and_arrays_need_none() -> None:
    x = Tensor((4, 16))
    assert op_cost(Linear(8), (x,)) is op_cost(Linear(8), (Tensor((4, 16)),))
    widths = np.array([8, 16])
    assert op_cost(Linear(widths), (x,)).cost.multiply_adds.tolist() == [512, 1024]
