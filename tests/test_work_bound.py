"""Products, functions and bytes that operators bring into kernels, and bounds, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import costmodel as cm
from costmodel import ops, zoo
from costmodel.errors import DataError
from costmodel.graph import nodes_in_order
from costmodel.graph.convert import converted, in_dtype
from costmodel.kernels.work import work_of
from costmodel.kinds import KINDS
from costmodel.ops import Op
from costmodel.ops.elementwise import TRANSCENDENTAL
from costmodel.ops.product import Product
from costmodel.ops.tensor import Tensor
from costmodel.platforms.machine import machine_for
from costmodel.timing import functions
from costmodel.timing.bound import least_multiply_adds, least_seconds
from costmodel.timing.functions import costs, exponentials
from costmodel.timing.workload import Moved, Workload

IMAGE = Tensor((2, 8, 14, 10))

# Products


@pytest.mark.parametrize(
    ("op", "inputs", "products"),
    [
        (
            ops.Conv(16, (3, 3), padding=1),
            (IMAGE,),
            [Product(1, 16, 2 * 140, 72, 14, 10, 9, winograd=True, fourier=True)],
        ),
        (ops.Conv(16, (3, 3), 2, 1), (IMAGE,), [Product(1, 16, 2 * 35, 72, 7, 5, 9)]),
        (
            ops.Conv(16, (3, 3), padding=2, dilation=2),
            (IMAGE,),
            [Product(1, 16, 2 * 140, 72, 14, 10, 9)],
        ),
        (
            ops.Conv(16, (3, 3), padding=1, groups=4),
            (IMAGE,),
            [Product(4, 4, 2 * 140, 18, 14, 10, 9, winograd=True)],
        ),
        (ops.Conv(16, (3, 1)), (IMAGE,), [Product(1, 16, 2 * 120, 24, 12, 10, 3, fourier=True)]),
        # Of other ranks, all axes but the last are the height.
        (
            ops.Conv(4, (3,)),
            (Tensor((2, 8, 12)),),
            [Product(1, 4, 20, 24, 1, 10, 3, fourier=True, axes=1)],
        ),
        (
            ops.Conv(4, (3, 3, 3)),
            (Tensor((2, 8, 4, 5, 6)),),
            [Product(1, 4, 2 * 24, 8 * 27, 6, 4, 27, fourier=True, axes=3)],
        ),
        (ops.ConvTranspose(4, (2, 2), 2, groups=2), (IMAGE,), [Product(2, 8, 2 * 140, 4)]),
        (
            ops.DeformConv(16, (3, 3), padding=1),
            (IMAGE, Tensor((2, 18, 14, 10))),
            [Product(1, 16, 2 * 140, 72, 14, 10, 9)],
        ),
        (ops.Linear(5), (Tensor((2, 3, 7)),), [Product(1, 5, 6, 7)]),
        (
            ops.MatMul(transpose_b=True),
            (Tensor((4, 1, 2, 3)), Tensor((5, 7, 3))),
            [Product(20, 2, 7, 3)],
        ),
        (ops.MatMul(transpose_a=True), (Tensor((3, 2)), Tensor((3, 7))), [Product(1, 2, 7, 3)]),
        # Queries, keys, depth; a causal mask leaves 1 + 2 + 3 + 3 + 3 pairs.
        (
            ops.AttentionScores(),
            (Tensor((2, 5, 7)), Tensor((2, 3, 7))),
            [Product(2, 5, 3, 7, sets=2)],
        ),
        (
            ops.AttentionScores(causal=True),
            (Tensor((2, 5, 7)), Tensor((2, 3, 7))),
            [Product(2, 5, 3, 7, needed=2 * 12 * 7, sets=2)],
        ),
        (
            ops.AttentionMix(causal=True),
            (Tensor((2, 5, 3)), Tensor((2, 3, 9))),
            [Product(2, 5, 9, 3, needed=2 * 12 * 9)],
        ),
        (
            ops.Attention(causal=True),
            (Tensor((2, 5, 7)), Tensor((2, 3, 7)), Tensor((2, 3, 9))),
            [Product(2, 5, 3, 7, needed=168, sets=2), Product(2, 5, 9, 3, needed=216)],
        ),
        (ops.Elementwise("mul"), (IMAGE, IMAGE), []),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Op) else "",
)
def test_products_of_operators(op: Op, inputs: tuple[Tensor, ...], products: list[Product]) -> None:
    assert list(op.products(*inputs)) == products


class Repeated(Op):
    """A program of ten causal scores one after the other."""

    kernel_kinds = ("recurrent",)
    arity = 2

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return ops.AttentionScores(causal=True).infer(*inputs)

    def expand(self, *inputs: Tensor) -> ops.base.Expansion:
        program = ops.base.Program(list(inputs))
        once = program.add(ops.AttentionScores(causal=True), 0, 1)
        soft = program.add(ops.Elementwise("exp"), once)
        return program.finish(program.add(ops.Elementwise("exp"), soft), times=10)


def test_a_program_that_repeats_repeats_its_products_and_functions() -> None:
    inputs = Tensor((2, 4, 7)), Tensor((2, 4, 7))
    (found,) = Repeated().products(*inputs)
    assert found == Product(2, 4, 4, 7, times=10, needed=10 * 2 * 10 * 7, sets=2)
    assert found.share == 10 / 16
    assert Repeated().functions(*inputs) == {"exp": 2 * 10 * 2 * 4 * 4}


def test_runs_of_a_product_multiply_and_an_empty_one_has_no_share() -> None:
    p = Product(2, 3, 5, 7, times=11)
    assert (p.dense, p.multiply_adds, p.share) == (2310, 2310, 1)
    part = replace(p, needed=231)
    assert (part.dense, part.multiply_adds, part.share) == (2310, 231, 0.1)
    assert Product(1, 1, 1, 1, needed=1).share == 1
    assert Product(0, 3, 5, 7, needed=0).share == 0
    sizes = replace(p, batch=np.array([0, 2]), needed=np.array([0, 231]))
    assert sizes.share.tolist() == [0, 0.1]


# Functions and learned bytes


def test_costs_of_functions_in_exponentials() -> None:
    dear = {"gelu_tanh": 5, "tanh": 5, "mish": 2, "softplus": 2}
    assert dict(costs()) == {**dict.fromkeys(costs(), 1), **dear}
    assert exponentials([("tanh", 3), ("exp", 4), ("softplus", 10)]) == 5 * 3 + 4 + 2 * 10


@pytest.mark.parametrize("known", [TRANSCENDENTAL | {"tan"}, TRANSCENDENTAL - {"sin"}])
def test_a_file_of_costs_that_lacks_a_function_or_has_others_is_refused(
    known: frozenset[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "TRANSCENDENTAL", known)
    (odd,) = known ^ TRANSCENDENTAL
    with pytest.raises(LookupError, match=f"differ in {odd}$"):
        costs.__wrapped__()


@pytest.mark.parametrize(
    ("op", "x", "size"),
    [
        (ops.Conv(16, (3, 3), bias=True), IMAGE, 4 * (16 * 72 + 16)),
        (ops.Embedding(1000, 16, "float16"), Tensor((5,), "int64"), 2 * 5 * 16),  # rows looked up
        (ops.Embedding(3, 16), Tensor((5,), "int64"), 4 * 3 * 16),  # no more than there are
        (ops.BatchNorm(), IMAGE, 4 * 2 * 8),
        (ops.RecurrentSteps("rnn", 8), Tensor((10, 1, 8)), 4 * (64 + 8)),  # once, not at each step
        (ops.Elementwise("relu"), IMAGE, 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Op) else "",
)
def test_learned_tensors_that_one_run_reads(op: Op, x: Tensor, size: int) -> None:
    assert work_of(op, (x,)).weight_bytes == size


@pytest.mark.parametrize(
    ("op", "pieces"),
    [
        (ops.BatchNorm(), 2 * 8),
        (ops.ChannelShuffle(2), 2 * 8),
        (ops.GroupNorm(4), 2 * 4),
        (ops.LayerNorm(), 2 * 8 * 14),
        (ops.LayerNorm(2), 2 * 8),
        (ops.Softmax(), 2 * 8 * 14),
        (ops.Softmax(1), 2 * 14 * 10),
        (ops.Conv(4, (1, 1)), 0),
    ],
)
def test_pieces_of_a_batch_of_two(op: Op, pieces: int) -> None:
    assert work_of(op, (IMAGE,)).pieces == pieces


# Kinds


def test_what_holds_for_the_kinds_of_kernel() -> None:
    """By the guidelines and Figure 2 of the ShuffleNet V2 paper."""

    def of(field: str, value: object) -> set[str]:
        return {name for name, kind in KINDS.items() if getattr(kind, field) == value}

    convolutions = {"pointwise", "convolution", "grouped", "depthwise"}
    products = {"linear", "matmul", "attention", "recurrent"}
    assert of("product", True) == convolutions | products
    assert of("part", "Conv") == convolutions | {"linear"}
    assert of("part", "Elemwise") == {"elementwise", "batch_norm"}
    assert of("part", "Shuffle") == {"copy"}
    assert of("elementwise", True) == {
        *("depthwise", "elementwise", "batch_norm", "norm", "softmax", "copy")
    }
    groups = {group: of("group", group) for group in {kind.group for kind in KINDS.values()}}
    assert {group: names for group, names in groups.items() if names != {group}} == {
        "convolution": convolutions,
        "elementwise": {"elementwise", "batch_norm"},
        "norm": {"norm", "softmax"},
        "pool": {"pool", "max_pool"},
    }


# Bounds

GPU = cm.load_platform("gtx-1080-ti/paper", calibrated=False)
MACHINE = replace(
    machine_for(GPU, "float32"),
    multiply_adds=100.0,
    ceiling=200.0,
    bandwidth=10.0,
    interfaces=((0.0, 40.0), (50.0, 10.0)),
)


def work(*products: Product, reads: int = 0, weights: int = 0, writes: int = 0) -> Workload:
    moved = [Moved(size, 0) for size in (reads, writes, weights)]
    none = Workload("linear", "float32", 0, 0, 0, 0, (), 0, (), moved[1], moved[2], 0)
    return replace(none, products=products, reads=(moved[0], moved[0]))


def test_the_bound_is_the_longest_of_arithmetic_and_every_level() -> None:
    layer = Product(1, 10, 10, 10)
    assert least_seconds(work(layer), MACHINE) == 1000 / 200
    assert least_seconds(work(layer, layer), MACHINE) == 2000 / 200
    assert least_seconds(work(replace(layer, needed=600)), MACHINE) == 600 / 200
    # Loads of all tensors cross the interface of the cache, which may hold what is written.
    assert least_seconds(work(reads=40, weights=20, writes=50), MACHINE) == (40 + 40 + 20) / 40
    # Of each tensor, 50 bytes may lie nearer than memory.
    assert least_seconds(work(reads=70, weights=90, writes=170), MACHINE) == (
        (20 + 20 + 40 + 120) / 10
    )
    assert least_seconds(work(layer, reads=70, weights=90, writes=170), MACHINE) == 20
    assert least_seconds(work(layer, layer, layer, layer, layer, reads=70), MACHINE) == 25


def test_the_cheapest_algorithm_of_a_convolution() -> None:
    p = Product(1, 2, 16, 9 * 3, 4, 4, 9, winograd=True)
    assert least_multiply_adds(p, MACHINE) == 36 * 2 * 3
    # 2 x 2 outputs: one block either way, of 16 products or of 36; direct, 9 times 4.
    small = replace(p, n=4, height=2, width=2)
    assert least_multiply_adds(small, MACHINE) == 16 * 2 * 3
    # 6 x 6 outputs: 9 blocks of 16 products, or 4 of 36.
    middle = replace(p, n=36, height=6, width=6)
    assert least_multiply_adds(middle, MACHINE) == 144 * 2 * 3
    long = replace(p, n=12, height=2, width=6)
    assert least_multiply_adds(long, MACHINE) == 3 * 16 * 2 * 3
    images = replace(p, n=5 * 16)
    assert least_multiply_adds(images, MACHINE) == 5 * 36 * 2 * 3


# Other dtypes


def lookup(dtype: str = "float32") -> cm.Builder:
    b = cm.Builder()
    x = b.add(ops.Embedding(10, 4, dtype), b.input((3,), dtype="int64"), name="table")
    b.add(ops.Elementwise("greater"), x, b.add(ops.Constant((4,), dtype)))
    return b


def test_only_floating_point_tensors_are_converted() -> None:
    graph = lookup("float64").finish()
    half = in_dtype(nodes_in_order(graph), "float16")
    dtypes = {node.name: node.outputs[0].dtype for node in half if node.outputs}
    assert dtypes == {
        "input": "int64",
        "table": "float16",
        "constant": "float16",
        "greater": "bool",
    }
    taken = {node.name: [x.dtype for x in node.inputs] for node in half}
    assert taken["greater"] == ["float16", "float16"]
    assert graph.nodes["table"]["op"].dtype == "float64"
    other = converted(graph, "float16")
    assert other.nodes["table"]["op"] == ops.Embedding(10, 4, "float16")
    assert other.nodes["table"]["outputs"][0].dtype == "float16"
    assert graph.nodes["table"]["outputs"][0].dtype == "float64"
    assert cm.params(other, unit="bytes") == 10 * 4 * 2


def test_a_network_of_low_precision_is_not_converted_to_another() -> None:
    graph = lookup("float16").finish()
    assert cm.cost(converted(graph, "float16")) == cm.cost(graph)
    with pytest.raises(DataError, match="node 'table' is already in float16"):
        converted(graph, "bfloat16")


def test_a_kernel_in_another_dtype_moves_as_many_bytes() -> None:
    graph = zoo.pointwise(7, 7, 8, 16)
    names = ("gtx-1080-ti/paper?dtype=float16", "gtx-1080-ti/paper?transfers=no")
    half, full = (cm.latency(graph, name).kernels[0].kernel for name in names)
    assert (half.dtype, full.dtype) == ("float16", "float32")
    assert 2 * half.bytes == full.bytes == 4 * (49 * 24 + 8 * 16)
