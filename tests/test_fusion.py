"""Fusion by the rules of a runtime made for it, on tiny graphs counted by hand."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.kernels import Kernel, Read, lower
from costmodel.ops import BatchNorm, Conv, Elementwise, Op
from costmodel.runtimes import Runtime, load_runtime

SHAPE = (1, 8, 4, 4)
TENSOR = 8 * 16 * 4  # bytes of SHAPE in float32
PLAIN, POOL, MOST = Conv(8, (1, 1)), ops.Pool("avg", (1, 1)), ops.Pool("max", (1, 1))
RELU, ADD = Elementwise("relu"), Elementwise("add")
RULES = """name = "mine"
title = "Mine"
source = "made up"
copies = ["Split"]

[[fusion]]
behind = ["convolution"]
takes = ["batch_norm", "sigmoid", "tanh", "add", "relu"]
source = "made up"

[[fusion]]
behind = ["pool"]
takes = ["sigmoid", "batch_norm"]
source = "made up"

[[fusion]]
behind = ["max_pool", "copy"]
takes = ["relu"]
source = "made up"
"""


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    file = tmp_path / "mine.toml"
    file.write_text(RULES, encoding="utf-8")
    return load_runtime(str(file))


def chain(*steps: Op) -> nx.DiGraph:
    b = cm.Builder()
    x = b.input(SHAPE)
    for step in steps:
        x = b.add(step, x)
    return b.finish(x)


def names(kernels: tuple[Kernel, ...]) -> list[tuple[str, ...]]:
    return [kernel.nodes for kernel in kernels]


def test_every_part_that_something_reads_is_written(runtime: Runtime) -> None:
    b = cm.Builder()
    first, second, third, _ = b.add_many(ops.Split(1, 4), b.input(SHAPE), name="parts")
    again = b.add_many(ops.Split(1, 2), second, name="again")
    parts, others = lower(b.finish(first, third, *again), runtime)
    assert (parts.nodes, others.nodes) == (("parts",), ("again",))
    assert parts.write_bytes == 3 * TENSOR / 4  # the last is read by nothing
    assert others.reads == (Read("parts", TENSOR / 4),)
    assert others.write_bytes == TENSOR / 4


def test_a_kernel_with_one_empty_result_runs(runtime: Runtime) -> None:
    b = cm.Builder()
    _, whole = b.add_many(ops.Split(1, (0, 8)), b.input(SHAPE), name="parts")
    (kernel,) = lower(b.finish(whole), runtime)
    assert (kernel.nodes, kernel.write_bytes) == (("parts",), TENSOR)


def test_only_the_last_result_of_a_kernel_is_taken_up(runtime: Runtime) -> None:
    for part, joined in ((0, True), (1, False)):
        b = cm.Builder()
        parts = b.add_many(ops.Split(1, 2), b.input(SHAPE), name="parts")
        found = names(lower(b.finish(b.add(RELU, parts[part], name="relu")), runtime))
        assert found == ([("parts", "relu")] if joined else [("parts",), ("relu",)])


def test_a_value_added_to_itself_is_taken_up(runtime: Runtime) -> None:
    b = cm.Builder()
    y = b.add(PLAIN, b.input(SHAPE))
    (kernel,) = lower(b.finish(b.add(ADD, y, y)), runtime)
    assert (kernel.nodes, kernel.read_bytes) == (("conv", "add"), TENSOR)


def test_a_batch_norm_is_folded_into_products_only(runtime: Runtime) -> None:
    (conv,) = lower(chain(PLAIN, BatchNorm()), runtime)
    # What is left of it is a bias of 8 channels, added to 128 elements.
    assert (conv.passes, conv.elementwise, conv.weight_bytes) == (0, 128, (8 * 8 + 8) * 4)
    for steps, passes in (
        ((POOL, BatchNorm()), 1),
        ((POOL, Elementwise("sigmoid"), BatchNorm()), 2),
    ):
        (pool,) = lower(chain(*steps), runtime)
        assert len(pool.nodes) == len(steps)
        assert (pool.passes, pool.weight_bytes) == (passes, 2 * 8 * 4)
    # Behind an activation it would be arithmetic, which nothing says that a convolution takes up.
    assert len(lower(chain(PLAIN, RELU, BatchNorm()), runtime)) == 2


def test_functions_of_all_that_is_taken_up_are_added(runtime: Runtime) -> None:
    steps = [Elementwise(kind) for kind in ("sigmoid", "tanh", "sigmoid", "relu")]
    (kernel,) = lower(chain(PLAIN, *steps), runtime)
    assert kernel.functions == (("sigmoid", 2 * 128), ("tanh", 128))
    assert (kernel.passes, kernel.elementwise) == (4, (3 + 1 + 3 + 1) * 128)


def test_a_rule_may_name_one_kind_of_a_group(runtime: Runtime) -> None:
    assert len(lower(chain(MOST, RELU), runtime)) == 1
    assert len(lower(chain(POOL, RELU), runtime)) == 2
    assert len(lower(chain(MOST, Elementwise("sigmoid")), runtime)) == 1


def test_parts_of_one_tensor_are_read_each() -> None:
    b = cm.Builder()
    left, right = b.add_many(ops.Split(1, 2), b.input(SHAPE))
    (kernel,) = lower(b.finish(b.add(ops.Concat(1), right, left)), load_runtime("torch-eager"))
    assert kernel.reads == (Read(None, TENSOR / 2), Read(None, TENSOR / 2))


def test_arithmetic_is_in_the_dtype_of_the_first_input() -> None:
    b = cm.Builder()
    picked = b.add(ops.Gather(), b.input((10, 4)), b.input((3,), dtype="int64"))
    graph = b.finish(b.add(ops.Cast("float16"), picked))
    found = lower(graph, load_runtime("torch-eager"))
    assert [(k.nodes, k.dtype) for k in found] == [
        (("gather",), "float32"),
        (("cast",), "float32"),
    ]


def test_what_a_kernel_of_its_own_adds_is_one_pass_of_each_sum() -> None:
    """A folded norm leaves a bias to the paper's engine; functions of one tensor join its pass."""
    norm, relu6 = BatchNorm(), Elementwise("relu6")
    chains: dict[tuple[Op, ...], tuple[list[int], list[int]]] = {
        (): ([1], [0]),  # on the GPU, every convolution ends in the pass that adds a bias
        (norm,): ([1], [1]),
        (norm, norm): ([1], [1]),
        (norm, RELU): ([1], [1]),
        (norm, relu6): ([1], [1, 0]),  # on ARM, no kernel adds a bias and applies ReLU6
        (RELU,): ([1], [1]),
    }
    for ops_behind, (gpu, arm) in chains.items():
        for bias in (False, True):
            b = cm.Builder("chain")
            x = b.add(Conv(8, (1, 1), bias=bias), b.input(SHAPE))
            for op in ops_behind:
                x = b.add(op, x)
            graph = b.finish(x)
            for platform, passes in (("gtx-1080-ti/paper", gpu), ("snapdragon-810/paper", arm)):
                found = [k.kernel.passes for k in cm.latency(graph, platform).kernels]
                assert found == ([1, *passes[1:]] if bias else passes)


def test_a_sum_of_two_images_is_a_pass_on_a_gpu_and_a_kernel_on_arm() -> None:
    b = cm.Builder("shortcut")
    x = b.input(SHAPE)
    y = b.add(BatchNorm(), b.add(Conv(8, (1, 1), bias=False), x))
    graph = b.finish(b.add(RELU, b.add(ADD, y, x)))
    passes = {
        platform: [k.kernel.passes for k in cm.latency(graph, platform).kernels]
        for platform in ("gtx-1080-ti/paper", "snapdragon-810/paper")
    }
    assert passes == {"gtx-1080-ti/paper": [2], "snapdragon-810/paper": [1, 1]}
