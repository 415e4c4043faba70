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
from costmodel.kernels.lowering import _keeps_zero
from costmodel.kernels.work import work_of
from costmodel.ops.tensor import Tensor
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.timing import cpu
from costmodel.timing.cpu_products import Way, _either
from costmodel.timing.workload import workloads

CPU = load_platform("raspberry-pi-4/ncnn", calibrated=False)


def test_one_of_two_ways_is_taken_whole() -> None:
    a, b = Way(1, 2, 3, 4, 5), Way(10, 20, 30, 40, 50)
    assert (_either(a, b, 1), _either(a, b, 0)) == (a, b)


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
