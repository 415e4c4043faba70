"""Every operator class: counting loops = numbers = arrays = symbols."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import ORACLES
from oracles.loops import size_of

from costmodel import testing
from costmodel.algebra.expressions import substitute
from costmodel.counting.cost import OpCost, op_cost
from costmodel.ops import OPERATORS, Op
from costmodel.ops.tensor import DTYPE_BYTES, Tensor

NAMES = sorted(OPERATORS)
BATCHED = [
    *("AdaptivePool", "BatchNorm", "ChannelShuffle", "Contiguous", "Conv", "ConvTranspose"),
    *("GroupNorm", "Linear", "PReLU", "Pool", "Resize"),
]


def figures(result: OpCost) -> dict[str, object]:
    cost = result.cost
    return {
        "multiply_adds": cost.multiply_adds,
        "elementwise": cost.elementwise,
        "reads": cost.reads,
        "weight_reads": cost.weight_reads,
        "writes": cost.writes,
        "bytes": cost.bytes,
        "items": result.items,
        "span": result.span,
        "params": result.params,
    }


def test_every_operator_has_a_strategy_and_counting_loops() -> None:
    testing.STRATEGIES.check_complete()
    ORACLES.check_complete()


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_counts_equal_the_counting_loops(name: str, data: st.DataObject) -> None:
    op, inputs = data.draw(testing.cases(name))
    assert type(op).__name__ == name
    counted = ORACLES[name](op, *(x.shape for x in inputs))
    cost = op_cost(op, inputs).cost
    assert [y.shape for y in op.infer(*inputs)] == counted.outputs
    assert cost.multiply_adds == counted.multiply_adds
    assert cost.elementwise == counted.elementwise
    whole = sum(size_of(x.shape) for x in inputs)
    assert cost.reads == (whole if counted.reads is None else counted.reads)
    for x, touched in zip(inputs, counted.touched, strict=False):
        assert len(touched) <= size_of(x.shape)
    learned = counted.weight_reads if counted.weight_reads is not None else len(counted.weights)
    assert cost.weight_reads == learned
    assert cost.writes == (len(counted.written) if counted.writes is None else counted.writes)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_symbols_and_arrays_equal_numbers(name: str, data: st.DataObject) -> None:
    template = data.draw(testing.templates(name))
    numbers = [template.concrete(i) for i in range(len(template.variants))]
    shapes = [[y.shape for y in case.op.infer(*case.inputs)] for case in numbers]
    results = [figures(op_cost(*case)) for case in numbers]
    assert all(isinstance(value, int) for result in results for value in result.values())

    case = template.arrays()
    arrays = figures(op_cost(*case))
    for key, value in arrays.items():
        expected = [result[key] for result in results]
        assert np.array_equal(np.broadcast_to(value, len(expected)), expected), key
    outputs = case.op.infer(*case.inputs)
    for i, shape in enumerate(shapes):
        found = [tuple(int(np.broadcast_to(d, len(shapes))[i]) for d in y.shape) for y in outputs]
        assert found == shape

    case = template.symbolic()
    symbolic = figures(op_cost(*case))
    outputs = case.op.infer(*case.inputs)
    for values, result, shape in zip(template.variants, results, shapes, strict=True):
        at = {key: substitute(value, dict(values)) for key, value in symbolic.items()}
        assert at == result
        assert [tuple(substitute(d, dict(values)) for d in y.shape) for y in outputs] == shape


@settings(max_examples=600)
@given(case=testing.cases())
def test_bytes_follow_from_elements_and_dtype(case: tuple[Op, tuple[Tensor, ...]]) -> None:
    op, inputs = case
    cost = op_cost(op, inputs).cost
    dtypes = {t.dtype for t in (*inputs, *op.weights(*inputs), *op.infer(*inputs))}
    sizes = [DTYPE_BYTES[d] for d in dtypes] or [1]
    assert min(sizes) * cost.mac <= cost.bytes <= max(sizes) * cost.mac


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
