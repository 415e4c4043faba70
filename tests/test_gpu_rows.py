"""Normalizations and softmax on a GPU, row by row, on a machine of round numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy

from costmodel import latency, ops
from costmodel.kernels import lower
from costmodel.ops.tensor import Tensor
from costmodel.platforms import load_platform
from costmodel.platforms.machine import machine_for
from costmodel.specs import network
from costmodel.timing.gpu_rows import merging, read_twice
from costmodel.timing.reuse import workloads
from costmodel.timing.workload import Moved, Workload
from costmodel_validation.scores.protocols import READERS
from tests.test_gpu_time import GENERATION, MACHINE, time, work

# 2 multiprocessors of 256 threads have 4 rows at once.
Q = {"norm_row": 6.0, "norm_feed": 4.0}


def rows(count: int, length: int, kind: str = "norm", merged: int = 1) -> Workload:
    """Return a kernel over rows of float32, all tensors in the cache."""
    near = Moved(4 * count * length, 0)
    fields = {"pieces": count, "merged": count * merged, "special": count * length}
    return work(kind, reads=(near,), writes=near, **fields)


def test_rows_that_fit_at_once_take_as_long_as_one() -> None:
    for count, waves in ((1, 1), (4, 1), (8, 2), (6, 1.5)):
        assert merging(rows(count, 10), MACHINE, Q) == pytest.approx(waves * (6 + 40 / 4))


def test_without_a_mean_nothing_is_merged_and_without_rows_nothing_waits() -> None:
    assert merging(rows(8, 10, merged=0), MACHINE, Q) == pytest.approx(2 * 40 / 4)
    assert merging(work("norm", writes=Moved(400, 0)), MACHINE, Q) == 0
    fast = replace(MACHINE, clock=10.0)
    assert merging(rows(8, 10), fast, Q) == pytest.approx(2 * 16 / 10)


def test_what_rows_take_hides_behind_nothing() -> None:
    q = {"norm_row": 6.0, "norm_feed": 4.0}
    w = rows(8, 10)
    far = replace(w, reads=(Moved(320, 10**9),))
    assert time(far, **q).model == pytest.approx(2 * 16 + 320 / 10 + 320 / 100)


def test_rows_in_flight_that_the_cache_does_not_hold_are_read_from_memory_again() -> None:
    # 4 rows of 400 bytes are 1600: beyond one and a half times the cache of 1000.
    assert read_twice(rows(8, 100), MACHINE) == Moved(3200, 1600)
    assert read_twice(rows(2, 100), MACHINE) == Moved(800, 800)
    short, long = (time(rows(8, n)).memory for n in (100, 10))
    assert short == pytest.approx(6400 / 100 + 3200 / 10)
    assert long == pytest.approx(640 / 100)


def test_a_softmax_beyond_1024_elements_has_two_sweeps_and_twice_its_exponentials() -> None:
    q = {"softmax_traffic": 1.5, "exponential": 3.0}
    short, long = (time(rows(8, n, "softmax"), **q) for n in (1024, 1025))
    assert short.memory == pytest.approx(8 * 8 * 1024 / 100)
    assert long.memory == pytest.approx(1.5 * 8 * 8 * 1025 / 100)
    assert short.compute == pytest.approx(8 * 1024 * 3 / (16 * 2))
    assert long.compute == pytest.approx(2 * 8 * 1025 * 3 / (16 * 2))


def test_a_generation_may_move_short_rows_as_often_as_long_ones() -> None:
    old = replace(MACHINE, generation=replace(GENERATION, softmax_once=1.0))
    short, long = (time(rows(8, n, "softmax"), old, softmax_traffic=1.5) for n in (64, 2048))
    assert short.memory / 64 == pytest.approx(long.memory / 2048)
    assert short.memory == pytest.approx(1.5 * 8 * 8 * 64 / 100)


def test_arrays_and_symbols_give_what_numbers_give() -> None:
    lengths, n = np.array([512, 1024, 1025, 4096]), sympy.Symbol("n", integer=True, positive=True)
    q = {"softmax_traffic": 1.5, "exponential": 3.0, **Q}
    for kind in ("norm", "softmax"):
        numbers = [time(rows(9, s, kind), **q).model for s in lengths.tolist()]
        assert time(rows(9, lengths, kind), **q).model == pytest.approx(numbers)  # type: ignore[arg-type]
        formula = time(rows(9, n, kind), **q).model  # type: ignore[arg-type]
        assert [float(formula.subs(n, s)) for s in lengths.tolist()] == pytest.approx(numbers)


@pytest.mark.parametrize(
    ("op", "merged"),
    [
        (ops.LayerNorm(), 2 * 8 * 14),
        (ops.LayerNorm(2), 2 * 8),
        (ops.LayerNorm(rms=True), 0),
        (ops.GroupNorm(4), 2 * 4),
        (ops.BatchNorm(), 0),
        (ops.Softmax(), 0),
        (ops.LocalResponseNorm(), 0),
    ],
)
def test_rows_whose_mean_and_variance_are_merged(op: ops.Op, merged: int) -> None:
    assert op.merged(Tensor((2, 8, 14, 10))) == merged


def test_a_normalization_waits_for_its_rows_on_a_real_device() -> None:
    where = load_platform("h200/cuda-graphs", calibrated=False)
    theta = where.fitted.theta
    times = {}
    for rms in ("true", "false"):
        graph = network(f"layer_norm?shape=65536x512&rms={rms}")
        (w,) = workloads(lower(graph, where.runtime))
        times[rms] = merging(w, machine_for(where, "float32"), theta)
    assert times["false"] > 3 * times["true"]


@pytest.mark.parametrize(
    ("group", "limit"),
    [("conv2d", 0.25), ("depthwise", 0.06), ("layer_norm", 0.08), ("softmax", 0.25)],
)
def test_rows_that_set_these_priors_are_reproduced(group: str, limit: float) -> None:
    (found,) = (s for s in READERS["h200"]() if s.name == "h200 graphs bfloat16 operators")
    errors = []
    for row in found.rows:
        if row.network.startswith(group + "?"):
            predicted = latency(found.graphs[row.network], found.platform).seconds
            errors.append(abs(predicted / row.seconds - 1))
    assert len(errors) >= 5
    assert np.mean(errors) < limit
