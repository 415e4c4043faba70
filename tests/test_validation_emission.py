"""Every operator of the strategies in torch: it runs, with the tensors of its shape rule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import costmodel as cm  # noqa: E402
from costmodel import ops, testing  # noqa: E402
from costmodel.ops import OPERATORS, GridSample, Op, Pool, PReLU  # noqa: E402
from costmodel.ops.tensor import Tensor  # noqa: E402
from costmodel.testing import Case  # noqa: E402
from costmodel_validation.backends.emission import check_emission  # noqa: E402
from costmodel_validation.backends.torch_ops import EMIT  # noqa: E402
from costmodel_validation.errors import MeasuringError  # noqa: E402

WIDE = Pool("max", (2,), padding=2, ceil_mode=True)


def known(case: Case) -> bool:
    """Say whether torch has the operator; the tests below have one of each of the others."""
    if any(0 in x.shape for x in case.inputs):
        return False  # torch refuses most operators on empty tensors
    match case.op:
        case Pool(kind="avg", dilation=dilation) if any(d != 1 for d in dilation):
            return False
        case ops.EmbeddingBag(mean=True, weighted=True) | ops.EmbeddingBag(dtype="float8"):
            return False
        case GridSample(kind=kind):
            rank = case.inputs[0].rank
            return rank == 4 or (rank == 5 and kind != "bicubic")
    return True


def in_torch(case: Case, dtype: str) -> Case:
    """Return the case in a dtype that torch computes in on every device, where it computes."""
    op, inputs = case
    match op:
        case ops.Embedding(rows=rows, features=features):
            return Case(ops.Embedding(rows, features, dtype), inputs)
        case ops.EmbeddingBag():
            weights = [Tensor(x.shape, dtype) for x in inputs[1:] if x.dtype != "int64"]
            indices = [x for x in inputs if x.dtype == "int64"]
            return Case(op.with_fields(dtype=dtype), (*indices[: 3 - op.weighted], *weights))
        case ops.Gather() | ops.FourierTransform():
            return case
        case ops.Scatter() | ops.GroupedLinear() | ops.RoiAlign():
            index = ("int64", "int32")
            kept = (x if x.dtype in index else Tensor(x.shape, dtype) for x in inputs)
            return Case(op, tuple(kept))
    if cm.work(op, *inputs) == 0:
        return case
    return Case(op, tuple(Tensor(x.shape, dtype) for x in inputs))


@pytest.mark.parametrize("name", sorted(OPERATORS))
@settings(max_examples=20)
@given(data=st.data(), dtype=st.sampled_from(["float32", "float64"]))
def test_torch_makes_what_the_rules_of_the_operator_say(
    name: str, data: st.DataObject, dtype: str
) -> None:
    op, inputs = in_torch(data.draw(testing.cases(name).filter(known)), dtype)
    testing.assert_operator(op, *inputs, emit=check_emission)


def test_what_torch_does_not_have_is_said() -> None:
    x = Tensor((1, 2, 6))
    with pytest.raises(MeasuringError, match="torch has no average pooling with dilation"):
        check_emission(Pool("avg", (2,), dilation=2), (x,))
    with pytest.raises(MeasuringError, match="torch samples images, and volumes linearly"):
        check_emission(GridSample("bilinear"), (x, Tensor((1, 3, 1))))


@pytest.mark.parametrize(
    ("op", "shape"), [(PReLU(shared=True), (1, 3, 4)), (WIDE, (1, 2, 6))], ids=["slope", "padding"]
)
def test_torch_has_one_slope_for_all_channels_and_no_window_too_many(
    op: Op, shape: tuple[int, ...]
) -> None:
    check_emission(op, (Tensor(shape),))


# ---- faults


class Wrong:
    """Emissions of a rectifier that are faulty."""

    def shape(e, node, x):
        return e.method("flatten", x)

    def dtype(e, node, x):
        return e.method("double", x)

    def weights(e, node, x):
        return e.module(lambda: torch.nn.Linear(4, 4), x)

    def call(e, node, x):
        return e.call(torch.matmul, x, e.tensor(torch.ones(3)))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("shape", r"torch makes float32\[8\] where the shape rule says float32\[2, 4\]"),
        ("dtype", r"torch makes float64\[2, 4\] where the shape rule says float32\[2, 4\]"),
        ("weights", "torch has 20 learned elements where the rule says 0"),
        ("call", "torch does not run it: size mismatch"),
    ],
)
def test_a_wrong_emission_is_reported(fault: str, message: str, monkeypatch) -> None:
    monkeypatch.setitem(EMIT, ops.Contiguous, getattr(Wrong, fault))
    with pytest.raises(MeasuringError, match=message):
        check_emission(ops.Contiguous(), (Tensor((2, 4)),))
    with pytest.raises(AssertionError, match="\n- emission: MeasuringError: "):
        testing.assert_operator(ops.Contiguous(), Tensor((2, 4)), emit=check_emission)


def test_an_operator_without_emission_is_told_where_it_goes(monkeypatch) -> None:
    monkeypatch.delitem(EMIT, ops.Contiguous)
    with pytest.raises(MeasuringError, match="Contiguous is not written in torch: enter it in the"):
        check_emission(ops.Contiguous(), (Tensor((2, 4)),))
