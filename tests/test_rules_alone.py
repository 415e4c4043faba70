"""Rules whose effect on a whole network is small: each alone, with numbers by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.calibration.conditions import ENOUGH, POOR, check_fit
from costmodel.counting.needs import needs
from costmodel.counting.needs.base import Part
from costmodel.errors import DataError, ShapeError
from costmodel.kernels import lower
from costmodel.kernels.constants import _keeps_zero
from costmodel.kernels.work import work_of
from costmodel.ops.tensor import Tensor
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.timing import cpu
from costmodel.timing.cpu_products import attention
from costmodel.timing.cpu_ways import Way, either
from costmodel.timing.reuse import workloads

CPU = load_platform("raspberry-pi-4/ncnn", calibrated=False)


def test_one_of_two_ways_is_taken_whole() -> None:
    a, b = Way(1, 2, 3, 4, 5), Way(10, 20, 30, 40, 50)
    assert (either(a, b, 1), either(a, b, 0)) == (a, b)


def test_more_pieces_take_longer() -> None:
    (w,) = workloads(lower(cm.network("elementwise?shape=1x64x14x14"), CPU.runtime))
    machine = machine_for(CPU, w.dtype)
    few, many = (
        cpu.terms(replace(w, pieces=n), machine, CPU.fitted.theta).compute for n in (0, 10**6)
    )
    assert many > few


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"kernel": (np.array([3, 4]), 1)}, True),
        ({"kernel": (np.array([4, 5]), 1)}, False),
        ({"kernel": (3, 3), "stride": np.array([1, 2])}, True),
        ({"kernel": (1, 1), "stride": np.array([1, 2])}, False),
        ({"kernel": (3, 3), "dilation": np.array([1, 2])}, True),
    ],
)
def test_arrays_that_would_start_different_kernels(fields: dict, refused: bool) -> None:
    x = Tensor((1, 8, 32, 32))
    if refused:
        with pytest.raises(ShapeError, match="kernel"):
            work_of(ops.Conv(8, **fields), (x,))
    else:
        assert work_of(ops.Conv(8, **fields), (x,)).kind


def test_zeros_stay_zeros_where_nothing_is_added() -> None:
    kept = [
        ops.Pool("max", (2, 2)),
        ops.Contiguous(),
        ops.Elementwise("relu"),
        ops.Elementwise("mul"),
    ]
    lost = [ops.Elementwise("sigmoid"), ops.BatchNorm(), ops.Elementwise("add", value=1.0)]
    assert [_keeps_zero(op) for op in [*kept, *lost]] == [True] * len(kept) + [False] * len(lost)


def test_steps_that_nobody_wants_need_no_weights() -> None:
    op, x = ops.Recurrent("lstm", 16), Tensor((5, 2, 8))
    (y,) = op.infer(x)
    all_, none = (needs(op, (x,), (Part.of(n, *y.shape[1:]),)) for n in (5, 0))
    assert (all_.weights > 0, none.weights) == (True, 0)


def test_a_fit_is_judged_from_enough_rows_on() -> None:
    poor = np.full(ENOUGH, np.log(2 * POOR))
    check_fit(poor[1:])
    with pytest.raises(DataError, match="nothing fits these rows"):
        check_fit(poor)
    assert ENOUGH == 8


@pytest.mark.parametrize("rows", [[object()], iter(()), "rows", [cm.Measurement("linear", 1), 1]])
def test_what_is_not_a_list_of_measurements_is_refused(rows: object) -> None:
    with pytest.raises(DataError, match="must be a list of Measurement"):
        cm.calibrate(rows, "raspberry-pi-4/ncnn")  # type: ignore[arg-type]


def test_fewer_features_of_a_recurrent_layer_need_nothing_for_certain() -> None:
    op, x = ops.Recurrent("lstm", 16), Tensor((5, 2, 8))
    found = needs(op, (x,), (Part.of(5, 2, 15),))
    assert (found.weights, found.inputs[0].elements) == (0, 0)


def test_a_part_of_a_product_needs_rows_of_one_operand_and_columns_of_the_other() -> None:
    for transpose_a in (False, True):
        for transpose_b in (False, True):
            a = Tensor((7, 3) if transpose_a else (3, 7))
            b = Tensor((5, 7) if transpose_b else (7, 5))
            op = ops.MatMul(transpose_a=transpose_a, transpose_b=transpose_b)
            left, right = needs(op, (a, b), (Part.of(2, 4),)).inputs
            assert left.box == ((7, 2) if transpose_a else (2, 7))
            assert right.box == ((4, 7) if transpose_b else (7, 4))


def test_every_score_and_result_of_attention_fills_a_pipeline() -> None:
    g = cm.network("attention?n=1&heads=8&length=128&depth=64")
    host = load_platform("raspberry-pi-4/torch-eager", calibrated=False)
    (w,) = workloads(lower(g, host.runtime))
    machine, theta = machine_for(host, w.dtype), host.fitted.theta
    without, with_ = (attention(w, machine, {**theta, "fill": n}) for n in (0.0, 1.0))
    results = 8 * 128 * (128 + 64)
    rate = machine.multiply_adds * theta["gemm"] * theta["matmul"]
    assert with_ - without == pytest.approx(results / rate)


def test_rows_without_numbers_are_counted_from_the_second_line() -> None:
    spec = "pointwise?h=56&w=56&c1=64&c2=64"
    right = cm.latency(cm.network(spec), "raspberry-pi-4/ncnn").seconds
    rows = [cm.Measurement(spec, right)] * 6 + [cm.Measurement(spec, 1000 * right)] * 4
    with pytest.raises(DataError, match=r"rows? 8\b"):
        cm.calibrate(rows, "raspberry-pi-4/ncnn")
