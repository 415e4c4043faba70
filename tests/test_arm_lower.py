"""Op graphs on the ARM kernels: each operator, whole networks, memory reuse."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from arm_reference import reference_tensors

import costmodel as cm
from costmodel import zoo
from costmodel.errors import ShapeError, UnknownOperatorError
from costmodel.ops import (
    Conv,
    ConvTranspose,
    Elementwise,
    LayerNorm,
    Merge,
    Reduce,
    Transpose,
)
from costmodel.zoo.registry import NETWORKS
from costmodel_validation.arm.bench.program import Spec
from costmodel_validation.arm.bench.targets import emulated_target
from costmodel_validation.arm.checks.check import check
from costmodel_validation.arm.checks.reference import WEIGHT, uniform
from costmodel_validation.arm.simulator.core import load_core
from costmodel_validation.arm.simulator.count import count
from costmodel_validation.arm.simulator.distinct import footprint, shorten, simulate_distinct
from costmodel_validation.arm.simulator.simulate import Simulated, apply_core
from costmodel_validation.arm.translate.lower import lower
from costmodel_validation.arm.translate.reuse import reuse_memory

CELL = "|nor_conv_3x3~0|+|avg_pool_3x3~0|skip_connect~1|+|nor_conv_1x1~0|none~1|skip_connect~2|"
CORE = load_core("cortex-a57")


def simulate_all(spec: Spec) -> Simulated:
    """Simulate every operator of a network, in a pass after one that warms the caches."""
    warm = spec.timed(warmup=1, repeats=1, budget_ms=1000)
    return apply_core(CORE, spec, count(warm, CORE.l1, CORE.l2))


def kernels(graph: nx.DiGraph, **options: bool) -> list[str]:
    return [call.kernel for call in lower(graph, **options).calls]


def assert_right(graph: nx.DiGraph, fuse: bool = True) -> None:
    spec = lower(graph, fuse)
    result = emulated_target().run(spec.dumping(spec.written()))
    assert [d for d in check(spec, result.tensors) if not d.ok] == []


@pytest.mark.parametrize(
    ("network", "values"),
    [
        ("shufflenet_v2", {"width": 0.5}),
        ("shufflenet_v1", {"width": 0.5, "size": 128}),
        ("mobilenet_v2", {"width": 0.25, "size": 96}),
        ("mobilenet_v3", {"size": 96}),
        ("igcv3", {"size": 32}),
        ("efficientnet_b0", {"size": 64}),
        ("squeezenet", {"size": 96}),
        ("resnet18", {"size": 64}),
        ("densenet", {"size": 32}),
        ("googlenet", {"size": 64}),
        ("condensenet", {"size": 64}),
        ("vit", {"size": 32}),
        ("bert", {"layers": 1, "length": 9, "vocabulary": 100}),
        ("gpt2", {"layers": 1, "length": 12, "vocabulary": 100}),
        ("nasbench201", {"arch_str": CELL}),
    ],
)
def test_whole_networks_are_right_operator_by_operator(
    network: str, values: dict[str, Any]
) -> None:
    assert_right(zoo.build(network, **values))


def test_a_whole_network_ends_where_the_reference_ends() -> None:
    """Errors do not build up: the last tensor after 91 operators, against NumPy all the way."""
    spec = lower(zoo.shufflenet_v2(width=0.5, size=64))
    end = spec.written()[-1]
    actual = emulated_target().run(spec.dumping([end])).tensors[end]
    expected = reference_tensors(spec)[end]
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


def test_batches_and_unfused_graphs_are_right() -> None:
    assert_right(zoo.shufflenet_v2(width=0.5, size=64, batch=2), fuse=False)


def test_norms_are_folded_and_activations_fused() -> None:
    graph = zoo.shufflenet_v2(width=0.5)
    fused, plain = kernels(graph), kernels(graph, fuse=False)
    assert {"batchnorm", "relu"}.isdisjoint(fused)
    assert plain.count("batchnorm") == 56
    assert plain.count("relu") > 30
    assert len(plain) == len(fused) + plain.count("batchnorm") + plain.count("relu")


def test_an_activation_that_others_read_around_is_not_fused() -> None:
    builder = cm.Builder("fork")
    x = builder.input((1, 4, 6, 6))
    y = builder.add(Elementwise("add"), x, x)
    spec_kernels = kernels(builder.finish(y, builder.add(Elementwise("relu"), y)))
    assert spec_kernels == ["add", "relu"]


def test_operators_without_a_kernel_are_all_named() -> None:
    builder = cm.Builder("odd")
    x = builder.input((1, 4, 6, 6))
    odd = [builder.add(Elementwise(kind), x) for kind in ("log", "not")]
    z = builder.add(Reduce("argmax", (1,)), x)
    with pytest.raises(UnknownOperatorError) as caught:
        lower(builder.finish(*odd, z))
    for name in (
        "Elementwise (log)",
        "Elementwise (its tensors are bool",
        "Reduce (its tensors",
    ):
        assert name in str(caught.value)


def test_every_network_of_the_zoo_has_its_kernels() -> None:
    whole = list(NETWORKS)[: list(NETWORKS).index("pointwise")]
    assert len(whole) == 28
    for name in whole:
        values = {"arch_str": CELL} if name == "nasbench201" else {}
        assert lower(zoo.build(name, **values)).calls


def test_what_is_written_in_place_is_its_value_where_it_is_all_of_it() -> None:
    builder = cm.Builder("in place")
    x = builder.input((1, 4, 6, 6))
    y = builder.add(Elementwise("relu"), x)
    spec = lower(builder.finish(builder.add(Elementwise("neg"), builder.add(Merge(), x, y))))
    assert [call.kernel for call in spec.calls] == ["relu", "neg"]
    assert spec.calls[1].inputs == spec.calls[0].outputs
    part = builder.add(Merge(), x, builder.input((1, 1, 6, 6)))
    with pytest.raises(UnknownOperatorError, match="a part of a tensor is written in place"):
        lower(builder.finish(part))


@pytest.mark.parametrize(
    ("shape", "order", "kernel"),
    [
        ((1, 8, 7, 8, 7, 96), (0, 1, 3, 2, 4, 5), "transpose"),
        ((2, 3, 4), (0, 2, 1), "transpose"),
        ((2, 1, 3, 1, 4), (0, 3, 2, 1, 4), None),
        ((1, 64, 8, 7, 8, 7), (0, 2, 4, 3, 5, 1), "transpose"),
        ((2, 3, 4, 5, 6), (4, 2, 0, 3, 1), "transpose"),
    ],
)
def test_axes_that_stay_together_move_as_one(
    shape: tuple[int, ...], order: tuple[int, ...], kernel: str | None
) -> None:
    builder = cm.Builder("moved")
    y = builder.add(Transpose(order), builder.input(shape))
    graph = builder.finish(builder.add(Elementwise("relu"), y))
    spec = lower(graph)
    assert [call.kernel for call in spec.calls] == ([kernel] if kernel else []) + ["relu"]
    result = emulated_target().run(spec.dumping(spec.written()))
    values = uniform(1, WEIGHT, int(np.prod(shape))).reshape(shape).transpose(order)
    assert np.array_equal(result.tensors[spec.written()[-1]].ravel(), np.maximum(values, 0).ravel())


def test_symbols_must_be_given_numbers_first() -> None:
    c1 = cm.dim("c1")
    with pytest.raises(ShapeError, match=r"put numbers for its symbols with costmodel\.at"):
        lower(zoo.pointwise(8, 8, c1, 16))


def test_reused_memory_changes_nothing_but_the_memory() -> None:
    spec = lower(zoo.shufflenet_v2(width=0.5, size=64))
    end = spec.written()[-1]
    small = reuse_memory(spec.dumping([end]))
    plain = emulated_target().run(spec.dumping([end])).tensors[end]
    (again,) = emulated_target().run(small).tensors.values()
    assert np.array_equal(plain, again)
    owned = sum(b.elements for b in spec.buffers if b.base is None)
    assert sum(b.elements for b in small.buffers if b.base is None) < owned / 3


def test_distinct_operators_stand_for_the_whole_network() -> None:
    spec = reuse_memory(lower(zoo.shufflenet_v2(width=0.5, size=64)))
    short, source = shorten(spec)
    assert len(short.calls) < len(spec.calls) == len(source)
    whole = count(spec, CORE.l1, CORE.l2)
    distinct = simulate_distinct(spec)
    assert distinct.instructions == sum(op.instructions for op in whole.operators)
    assert distinct.seconds == pytest.approx(simulate_all(spec).seconds, rel=0.25)


@pytest.mark.parametrize(
    ("op", "shape", "weights"),
    [
        (Conv(8, (3, 3, 3), 2, 1, bias=False), (1, 4, 6, 7, 7), 8 * 4 * 27),
        (Conv(8, (3,), 1, 1, groups=2, bias=False), (1, 4, 9), 8 * 2 * 3),
        (LayerNorm(1), (1, 50, 16), 0),
        (ConvTranspose(6, (2, 2), 2, bias=False), (1, 4, 5, 5), 4 * 6 * 4),
    ],
)
def test_the_footprint_counts_weights_once(op: Any, shape: tuple[int, ...], weights: int) -> None:
    builder = cm.Builder("one")
    spec = lower(builder.finish(builder.add(op, builder.input(shape))))
    tensors = sum(b.elements for b in spec.buffers if b.base is None)
    assert footprint(spec) == 4 * (tensors + weights)


def test_simulated_stacks_show_guideline_1() -> None:
    """At equal multiply-adds 1x1 convolutions with unequal channels are slower, as in Table 1."""
    times = [
        simulate_all(reuse_memory(lower(zoo.g1_stack(c1=c1, c2=c2, size=14, blocks=1)))).seconds
        for c1, c2 in ((32, 32), (9, 108))
    ]
    assert times[1] > times[0]
