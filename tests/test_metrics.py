"""Totals of graphs: closed forms, invariances, shared weights, units."""

from __future__ import annotations

import numpy as np
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.ops.tensor import Tensor

COUNTS = (cm.multiply_adds, cm.flops, cm.mac, cm.params, cm.work)
EVERY = (*COUNTS, cm.span, cm.activation_memory, cm.mac_lower_bound)


def test_closed_forms_of_the_paper() -> None:
    h, w, c1, c2, g = cm.symbols("h w c1 c2 g")
    pointwise = cm.zoo.pointwise(h, w, c1, c2)
    assert str(cm.mac(pointwise)) == "c1*c2 + h*w*(c1 + c2)"
    assert cm.mac(pointwise) == h * w * (c1 + c2) + c1 * c2
    assert cm.multiply_adds(pointwise) == h * w * c1 * c2
    assert cm.params(pointwise) == c1 * c2
    grouped = cm.zoo.pointwise(h, w, c1, c2, groups=g)
    assert (cm.mac(grouped) - (h * w * (c1 + c2) + c1 * c2 / g)).expand() == 0


def test_units_and_conventions_are_spelled_out() -> None:
    g = cm.zoo.pointwise(56, 56, 128, 128)
    assert cm.flops(g) == 2 * cm.multiply_adds(g) == 2 * 51_380_224
    assert cm.flops(g, per_multiply_add=1) == cm.multiply_adds(g)
    assert cm.mac(g, unit="bytes") == 4 * cm.mac(g) == 4 * 819_200
    assert cm.params(g, unit="bytes") == 4 * 16_384
    assert cm.intensity(g) == 2 * 51_380_224 / (4 * 819_200)
    assert cm.intensity(g, per_multiply_add=1, unit="elements") == 51_380_224 / 819_200
    for wrong in (
        lambda: cm.mac(g, unit="B"),
        lambda: cm.flops(g, per_multiply_add=3),
        lambda: cm.params(g, unit="GB"),
        lambda: cm.activation_memory(g, unit="x"),
    ):
        with pytest.raises(cm.CostModelError, match="must be"):
            wrong()
    with pytest.raises(cm.CostModelError, match="moves nothing"):
        cm.intensity(ops.Identity(), Tensor((1, 2)))
    with pytest.raises(cm.CostModelError, match="not with a graph"):
        cm.multiply_adds(g, Tensor((1, 2)))


def test_shared_weights_count_once_and_their_traffic_twice() -> None:
    b = cm.Builder()
    x = b.input((1, 16))
    first = b.add(ops.Linear(16), x, name="shared")
    second = b.add(ops.Linear(16), first, weights="shared")
    g = b.finish(b.add(ops.Linear(16), second, name="own"))
    assert cm.params(g) == 2 * (256 + 16)
    assert cm.multiply_adds(g) == 3 * 256
    assert cm.cost(g).weight_reads == 3 * (256 + 16)


def test_calls_leave_no_state_behind() -> None:
    g = cm.zoo.pointwise(7, 7, 8, 8)
    before = [f(g) for f in EVERY]
    with pytest.raises(cm.CostModelError):
        cm.multiply_adds(ops.Linear(3), Tensor(()))
    assert [f(g) for f in EVERY] == before
    g.nodes["conv"]["op"] = ops.Conv(8, (1, 1), groups=2)
    assert cm.multiply_adds(g) == 7 * 7 * 8 * 8 // 2  # a graph that is edited is read anew


def test_a_million_variants_in_one_call() -> None:
    h, w, c1, c2 = cm.symbols("h w c1 c2")
    graph = cm.zoo.pointwise(h, w, c1, c2)
    widths = np.arange(1, 1_000_001)
    space = cm.at(graph, h=56, w=56, c1=widths, c2=np.full_like(widths, 64))
    assert cm.mac(space)[127] == cm.mac(cm.zoo.pointwise(56, 56, 128, 64))
    assert cm.multiply_adds(space).shape == (1_000_000,)


def test_by_module_splits_the_total() -> None:
    b = cm.Builder()
    x = b.input((1, 8))
    for stage in ("a", "b"):
        with b.module(stage), b.module("inner"):
            x = b.add(ops.Linear(8), b.add(ops.Linear(8), x))
    rows = cm.by_module(b.finish(b.add(ops.Softmax(), x)))
    assert [(r.module, r.operators, r.cost.multiply_adds) for r in rows] == [
        ("a", 2, 128), ("b", 2, 128), ("", 1, 0),
    ]  # fmt: skip
