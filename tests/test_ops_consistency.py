"""Every operator class: counting loops = numbers = arrays = symbols, and what else holds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ORACLES

from costmodel import testing
from costmodel.counting.cost import op_cost
from costmodel.ops import OPERATORS, Op
from costmodel.ops.tensor import Tensor
from costmodel.testing.counting import count_problems
from costmodel.testing.opening import template_problems

NAMES = sorted(OPERATORS)
BATCHED = [
    *("AdaptivePool", "BatchNorm", "ChannelShuffle", "Contiguous", "Conv", "ConvTranspose"),
    *("GroupNorm", "Linear", "PReLU", "Pool", "Resize"),
]


def test_every_operator_has_a_strategy_and_counting_loops() -> None:
    testing.STRATEGIES.check_complete()
    ORACLES.check_complete()


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_counts_equal_the_counting_loops(name: str, data: st.DataObject) -> None:
    op, inputs = data.draw(testing.cases(name))
    assert count_problems(op, inputs, ORACLES[name](op, *(x.shape for x in inputs))) == []


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30)
@given(data=st.data())
def test_what_holds_for_every_operator(name: str, data: st.DataObject) -> None:
    op, inputs = data.draw(testing.cases(name))
    testing.assert_operator(op, *inputs, oracle=ORACLES[name])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=80)
@given(data=st.data())
def test_symbols_and_arrays_equal_numbers(name: str, data: st.DataObject) -> None:
    assert template_problems(data.draw(testing.templates(name))) == []


@given(case=st.sampled_from(BATCHED).flatmap(testing.cases))
def test_batch_scales_work_exactly(case: tuple[Op, tuple[Tensor, ...]]) -> None:
    """Three times the images: three times the work, input and output traffic; the same weights."""
    op, inputs = case
    if inputs[0].rank < 2:
        return
    more = (inputs[0].with_shape(3 * inputs[0].shape[0], *inputs[0].shape[1:]),)
    one, three = op_cost(op, inputs), op_cost(op, more)
    assert three.cost.multiply_adds == 3 * one.cost.multiply_adds
    assert three.cost.elementwise == 3 * one.cost.elementwise
    assert three.cost.reads == 3 * one.cost.reads
    assert three.cost.writes == 3 * one.cost.writes
    assert three.cost.weight_reads == one.cost.weight_reads
    assert three.params == one.params
    assert three.span == one.span
