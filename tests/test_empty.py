"""Tensors that are empty: shapes follow, nothing is counted, and what is undefined is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import costmodel as cm
from costmodel import ops, zoo
from costmodel.errors import CostModelError, ShapeError
from costmodel.graph.serialize import from_json, to_json
from costmodel.ops.tensor import Tensor


def one(op: ops.Op, *shapes: tuple[Any, ...]) -> Any:
    b = cm.Builder()
    return b.finish(*b.add_many(op, *(b.input(shape) for shape in shapes)))


METRICS: dict[str, Callable[[Any], Any]] = {
    "flops": cm.multiply_adds,
    "mac": cm.mac,
    "bytes": lambda g: cm.mac(g, unit="bytes"),
    "work": cm.work,
    "span": cm.span,
    "mac bound": cm.mac_lower_bound,
    "io bound": cm.io_lower_bound,
    "cache bound": lambda g: cm.cache_lower_bound(g, capacity=64),
}
EMPTY = {
    "linear": one(ops.Linear(8), (0, 4)),
    "convolution": one(ops.Conv(8, (3, 3), padding=1, groups=2, bias=True), (0, 4, 7, 7)),
    "transposed": one(ops.ConvTranspose(8, (3, 3), bias=True), (0, 4, 7, 7)),
    "pooling": one(ops.Pool("max", (3, 3), 2), (1, 0, 7, 7)),
    "matrix": one(ops.MatMul(), (0, 3), (3, 5)),
    "batched": one(ops.MatMul(), (0, 2, 3), (0, 3, 5)),
    "attention": one(ops.Attention(causal=True), *[(2, 4, 0, 8)] * 3),
    "no heads": one(ops.Attention(), *[(2, 0, 5, 8)] * 3),
    "sum": one(ops.Elementwise("add"), (0, 8, 7), (8, 1)),
    "softmax": one(ops.Softmax(), (4, 0)),
    "norm": one(ops.LayerNorm(), (0, 8)),
    "recurrent": one(ops.Recurrent("gru", 8, 2, bidirectional=True), (0, 2, 4)),
    "embedding": one(ops.Embedding(10, 4), (0,)),
    "mean": one(ops.Reduce("mean", (0,)), (3, 0)),
    "join": one(ops.Concat(0), (0, 4), (0, 4)),
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_operator_with_nothing_to_make_costs_nothing(name: str) -> None:
    graph = EMPTY[name]
    cm.validate(graph)
    assert {what: metric(graph) for what, metric in METRICS.items()} == dict.fromkeys(METRICS, 0)
    with pytest.raises(CostModelError, match="undefined: the network computes nothing"):
        cm.parallelism(graph)
    with pytest.raises(CostModelError, match="undefined: the network moves nothing"):
        cm.intensity(graph)
    assert cm.brent(graph, processors=4) == (0, 0)
    assert from_json(to_json(graph)).nodes["input"]["op"] == graph.nodes["input"]["op"]


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2", "vit", "bert", "googlenet", "gpt2"])
def test_a_network_of_no_images_costs_nothing_and_keeps_its_parameters(name: str) -> None:
    graph = zoo.build(name, batch=0)
    assert {what: metric(graph) for what, metric in METRICS.items()} == dict.fromkeys(METRICS, 0)
    assert cm.params(graph) == cm.params(zoo.build(name))


def test_an_array_of_batches_may_hold_an_empty_one() -> None:
    batches = np.array([0, 3, 1])
    graph = zoo.resnet18(size=64, batch=batches)
    one_by_one = [zoo.resnet18(size=64, batch=int(n)) for n in batches]
    for what, metric in METRICS.items():
        assert np.allclose(metric(graph), [metric(g) for g in one_by_one]), what
    with pytest.raises(CostModelError, match="computes nothing"):
        cm.parallelism(graph)
    with pytest.raises(CostModelError, match="moves nothing"):
        cm.intensity(graph)


@pytest.mark.parametrize(
    ("graph", "mac"),
    [
        (one(ops.Reduce("mean", (0,)), (0, 4)), 4),  # four results of nothing
        (one(ops.Linear(8), (4, 0)), 8 + 32),  # the bias is read, the results are written
        (one(ops.MatMul(), (4, 0), (0, 5)), 20),
        (one(ops.Concat(0), (0, 4), (3, 4)), 24),
        (one(ops.Attention(), (1, 2, 5, 8), (1, 2, 0, 8), (1, 2, 0, 8)), 80),
    ],
)
def test_results_of_nothing_are_written_and_bounds_stay_below(graph: Any, mac: int) -> None:
    assert (cm.multiply_adds(graph), cm.mac(graph)) == (0, mac)
    assert cm.mac_lower_bound(graph) <= mac
    assert cm.io_lower_bound(graph) <= mac
    assert cm.cache_lower_bound(graph, capacity=4) <= mac


@pytest.mark.parametrize(
    "op",
    [
        ops.Conv(8, (1, 1)),
        ops.Conv(8, (1, 1), padding="same"),
        ops.Conv(8, (1, 1), padding=5),
        ops.ConvTranspose(8, (5, 5)),
        ops.Pool("avg", (2, 2)),
        ops.AdaptivePool("avg"),
        ops.Resize((7, 7)),
    ],
    ids=lambda op: type(op).__name__,
)
@pytest.mark.parametrize("size", [0, np.array([4, 0])], ids=repr)
def test_windows_need_an_image(op: ops.Op, size: Any) -> None:
    with pytest.raises(ShapeError, match=f"{type(op).__name__} needs an image with at least one"):
        op.infer(Tensor((1, 3, 8, size)))


def test_shapes_of_empty_tensors_follow() -> None:
    x = Tensor((0, 8))
    assert ops.Reshape((0, 2, 4)).infer(x)[0].shape == (0, 2, 4)
    assert ops.Reshape((-1, 4)).infer(x)[0].shape == (0, 4)
    assert ops.BroadcastTo((0, 8)).infer(Tensor((1, 8)))[0].shape == (0, 8)
    assert [y.shape for y in ops.Split(1, (0, 8)).infer(x)] == [(0, 0), (0, 8)]
    assert ops.Slice(1, 8, 0).infer(x)[0].shape == (0, 0)
    with pytest.raises(ShapeError, match="outside axis 1"):
        ops.Slice(1, 9, 0, step=5).infer(x)
    for shape, size in (((0, -1), 0), ((np.array([1, 0]), -1), np.array([1, 0]))):
        with pytest.raises(ShapeError, match="leaves -1 open beside a size of 0; write the size"):
            ops.Reshape(shape).infer(Tensor((size, 8)))
    with pytest.raises(ShapeError, match="Attention query heads 4 is not divisible by 0"):
        ops.Attention().infer(Tensor((4, 5, 8)), Tensor((0, 5, 8)), Tensor((0, 5, 8)))
