"""From op graphs to kernels: every rule on a tiny graph, counted by hand; then whole networks."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.graph import Builder, nodes_in_order
from costmodel.kernels import KINDS, Kernel, Product, Read, lower
from costmodel.kernels.lowering import lower_nodes
from costmodel.kernels.work import follower_names
from costmodel.ops import BatchNorm, Conv, Elementwise
from costmodel.ops.elementwise import TRANSCENDENTAL
from costmodel.runtimes import load_runtime, runtime_names
from costmodel.timing.functions import costs, exponentials

SHAPE = (1, 8, 4, 4)
TENSOR = 8 * 16 * 4  # bytes of SHAPE in float32
WEIGHT = (8 * 8 + 8) * 4  # bytes of a pointwise convolution of 8 channels, with bias
RELU, ADD = Elementwise("relu"), Elementwise("add")
PLAIN = Conv(8, (1, 1))


def names(graph: nx.DiGraph, runtime: str) -> list[tuple[str, ...]]:
    return [kernel.nodes for kernel in lower(graph, load_runtime(runtime))]


def kernels(graph: nx.DiGraph, runtime: str) -> tuple[Kernel, ...]:
    return lower(graph, load_runtime(runtime))


def chain(*steps: ops.Op) -> nx.DiGraph:
    b = cm.Builder()
    x = b.input(SHAPE)
    for step in steps:
        x = b.add(step, x)
    return b.finish(x)


# One kernel.


def passes(op: ops.Op, runtime: str, hardware: str, dtype: str = "float32") -> int:
    b = Builder()
    graph = b.finish(b.add(op, b.input(SHAPE, dtype=dtype)))
    (kernel,) = lower_nodes(list(nodes_in_order(graph)), load_runtime(runtime), hardware=hardware)
    return kernel.passes


def test_a_librarys_convolution_leaves_its_bias_to_a_pass_on_a_gpu() -> None:
    biased, depthwise = Conv(8, (3, 3), bias=True), Conv(8, (3, 3), groups=8, bias=True)
    for runtime in ("torch-eager", "cuda-graphs"):
        assert passes(biased, runtime, "gpu") == 1
        assert passes(ops.ConvTranspose(8, (3, 3), bias=True), runtime, "gpu") == 1
        assert passes(Conv(8, (3, 3), bias=False), runtime, "gpu") == 0
        # PyTorch's own kernel adds it; float16 is a library's.
        assert passes(depthwise, runtime, "gpu") == 0
        assert passes(depthwise, runtime, "gpu", "float16") == 1
        assert passes(ops.Linear(8, bias=True), runtime, "gpu") == 0
    assert passes(biased, "torch-eager", "cpu") == 0
    assert passes(biased, "torch-compile", "gpu") == 0


def test_a_convolution_alone() -> None:
    (kernel,) = kernels(chain(Conv(8, (1, 1), bias=True)), "torch-eager")
    assert kernel == Kernel(
        name="conv",
        kind="pointwise",
        nodes=("conv",),
        multiply_adds=8 * 8 * 16,
        elementwise=8 * 16,  # the bias
        products=(Product(batch=1, m=8, n=16, k=8, height=4, width=4),),
        reads=(Read(None, TENSOR),),
        weight_bytes=WEIGHT,
        write_bytes=TENSOR,
        dtype="float32",
    )
    assert kernel.bytes == 2 * TENSOR + WEIGHT


@pytest.mark.parametrize(
    ("op", "kind"),
    [
        (Conv(8, (1, 1)), "pointwise"),
        (Conv(8, (3, 3), padding=1), "convolution"),
        (Conv(8, (1, 1), groups=2), "grouped"),
        (Conv(8, (3, 3), padding=1, groups=8), "depthwise"),
        (ops.Linear(3), "linear"),
        (RELU, "elementwise"),
        (BatchNorm(), "batch_norm"),
        (ops.LayerNorm(), "norm"),
        (ops.Softmax(), "softmax"),
        (ops.Pool("max", (2, 2), (2, 2)), "max_pool"),
        (ops.Pool("avg", (2, 2), (2, 2)), "pool"),
        (ops.ChannelShuffle(2), "copy"),
    ],
)
def test_kind_of_kernel(op: ops.Op, kind: str) -> None:
    (kernel,) = kernels(chain(op), "torch-eager")
    assert kernel.kind == kind
    assert kind in KINDS


@pytest.mark.parametrize(
    ("op", "size", "stride", "winograd"),
    [(Conv(8, (3, 3), padding=1), 4, 1, True), (Conv(8, (3, 3), 2, padding=1), 2, 2, False)],
)
def test_winograd_only_at_stride_one(op: Conv, size: int, stride: int, winograd: bool) -> None:
    (kernel,) = kernels(chain(op), "torch-eager")
    assert kernel.products == (
        Product(1, 8, size**2, 72, size, size, 9, winograd, fourier=winograd),
    )


def test_groups_are_products_of_their_own() -> None:
    (kernel,) = kernels(chain(Conv(8, (1, 1), groups=2)), "torch-eager")
    assert kernel.products == (Product(2, 4, 16, 4, 4, 4),)


def test_a_value_read_twice_is_moved_once() -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    (kernel,) = kernels(b.finish(b.add(ADD, x, x)), "torch-eager")
    assert (kernel.read_bytes, kernel.write_bytes) == (TENSOR, TENSOR)


@pytest.mark.parametrize("kind", ["relu", "sigmoid", "tanh", "gelu", "silu", "mish"])
def test_functions_of_an_elementwise_operator(kind: str) -> None:
    (kernel,) = kernels(chain(Elementwise(kind)), "torch-eager")
    each = {"relu": 0, "sigmoid": 1, "tanh": 5, "gelu": 1, "silu": 1, "mish": 2}[kind]
    assert kernel.functions == (((kind, 8 * 16),) if each else ())
    assert exponentials(kernel.functions) == each * 8 * 16


def test_functions_of_a_fused_activation_and_of_softmax() -> None:
    (fused,) = kernels(chain(PLAIN, Elementwise("sigmoid")), "ncnn")
    (softmax,) = kernels(chain(ops.Softmax()), "ncnn")
    assert fused.functions == (("sigmoid", 8 * 16),)
    assert softmax.functions == (("exp", 8 * 16),)


def test_costs_of_functions_are_complete() -> None:
    assert set(costs()) == TRANSCENDENTAL


@pytest.mark.parametrize(
    ("op", "names"),
    [
        (BatchNorm(), "batch_norm"),
        (RELU, "relu unary"),
        (ops.PReLU(), "prelu unary"),
        (ops.Cast("float16"), "cast unary"),
        (ADD, "add nary"),
        (Elementwise("where"), "where nary"),
        (Elementwise("add", 1.0), "scalar unary"),
        (ops.ChannelShuffle(2), "copy"),
        (PLAIN, ""),
        (ops.Softmax(), "softmax"),
        (ops.LayerNorm(), "norm"),
        (ops.Reduce("mean", (1,)), "reduction"),
        (ops.AdaptivePool("avg", (1, 1)), "reduction"),
        (ops.Pool("max", (3, 3)), ""),
        (ops.Embedding(8, 8), ""),
        (ops.Input((1,)), ""),
    ],
)
def test_names_by_which_a_rule_takes_an_operator_up(op: ops.Op, names: str) -> None:
    assert follower_names(op) == tuple(names.split())


# Dead code and constants.


def dead_branch() -> nx.DiGraph:
    b = cm.Builder()
    x = b.input(SHAPE)
    y = b.add(PLAIN, x, name="used")
    b.add(PLAIN, x, name="dead")
    return b.finish(y)


def test_dead_code_is_dropped_but_where_kernels_are_those_of_torch_eager() -> None:
    eager = {"torch-eager", "cuda-graphs", "cuda-library", "accelerator"}
    for runtime in runtime_names():
        found = names(dead_branch(), runtime)
        assert found == ([("used",), ("dead",)] if runtime in eager else [("used",)])


def test_a_graph_without_outputs_keeps_everything() -> None:
    b = cm.Builder()
    b.add(PLAIN, b.input(SHAPE))
    assert names(b.finish(), "tflite") == [("conv",)]


def test_arithmetic_on_constants_is_folded() -> None:
    b = cm.Builder()
    scale = b.add(RELU, b.add(ops.Constant(SHAPE)), name="scale")
    g = b.finish(b.add(Elementwise("mul"), b.input(SHAPE), scale))
    assert names(g, "torch-eager") == [("scale",), ("mul",)]
    (kernel,) = kernels(g, "tflite")
    assert kernel.nodes == ("mul",)
    assert kernel.reads == (Read(None, TENSOR), Read(None, TENSOR))


def test_products_of_constants_are_not_folded() -> None:
    b = cm.Builder()
    g = b.finish(b.add(PLAIN, b.add(ops.Constant(SHAPE))))
    assert names(g, "tflite") == [("conv",)]


def test_an_addition_of_zero_is_dropped() -> None:
    g = chain(PLAIN, Elementwise("add", 0.0), RELU)
    assert names(g, "torch-eager") == [("conv",), ("add",), ("relu",)]
    assert names(g, "tflite") == [("conv", "relu")]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_product_with_zero_is_folded_unless_strict(swapped: bool) -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    pair = b.add(Elementwise("mul", 0.0), x, name="none"), b.add(PLAIN, x)
    g = b.finish(b.add(ADD, *(reversed(pair) if swapped else pair)))
    assert names(g, "torch-eager") == [("none",), ("conv",), ("add",)]
    assert names(g, "tflite-strict") == [("none",), ("conv",), ("add",)]
    assert names(g, "tflite") == [("conv",)]


@pytest.mark.parametrize(("follower", "folded"), [("relu", True), ("exp", False), ("cos", False)])
def test_only_what_keeps_zero_stays_zero(follower: str, folded: bool) -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    zero = b.add(Elementwise(follower), b.add(Elementwise("mul", 0.0), x))
    g = b.finish(b.add(ADD, b.add(PLAIN, x), zero))
    assert names(g, "tflite") == ([("conv",)] if folded else [("conv",), ("add",)])


def test_none_edges_of_nasbench201() -> None:
    cell = "|none~0|+|none~0|nor_conv_1x1~1|+|nor_conv_3x3~0|none~1|none~2|"
    g = cm.network(f"nasbench201?arch_str={cell}")
    edges = [name for name in g if ".none" in name]
    assert len(edges) == 15 * 4
    seen = {r: {n for k in names(g, r) for n in k} for r in ("tflite", "tflite-strict")}
    eager = {n for k in names(g, "torch-eager") for n in k}
    assert set(edges) <= eager
    assert not set(edges) & seen["tflite"]
    assert set(edges) <= seen["tflite-strict"]
    # Node 1 is zero: so its convolution feeds node 2, which only a product with zero reads.
    assert "stage0.0.conv" in seen["tflite-strict"]
    assert "stage0.0.conv" not in seen["tflite"]
    assert "stage0.0.conv_2" in seen["tflite"]


# Fusion.


def test_batch_norm_and_activation_join_the_convolution() -> None:
    g = chain(PLAIN, BatchNorm(), RELU)
    assert names(g, "torch-eager") == [("conv",), ("batch_norm",), ("relu",)]
    assert names(g, "torch-compile") == [("conv", "batch_norm"), ("relu",)]
    for runtime in ("paper", "ncnn", "neon", "onnxruntime", "tflite", "tvm"):
        (kernel,) = kernels(g, runtime)
        assert kernel.nodes == ("conv", "batch_norm", "relu")
        assert (kernel.kind, kernel.passes) == ("pointwise", 1)  # batch norms cost nothing
        # The folded norm leaves a bias: one operation an output, one weight a channel.
        assert (kernel.multiply_adds, kernel.elementwise) == (1024, 128 + 128)
        assert (kernel.read_bytes, kernel.weight_bytes) == (TENSOR, 256 + 8 * 4)
        assert kernel.write_bytes == TENSOR


def test_slopes_of_a_fused_prelu_are_read() -> None:
    (kernel,) = kernels(chain(PLAIN, ops.PReLU()), "paper")
    assert kernel.nodes == ("conv", "prelu")
    assert kernel.weight_bytes == (8 * 8 + 8) * 4


def test_a_batch_norm_behind_an_activation_cannot_be_folded() -> None:
    g = chain(PLAIN, RELU, BatchNorm())
    for runtime in ("ncnn", "tflite", "onnxruntime"):
        assert names(g, runtime) == [("conv", "relu"), ("batch_norm",)]
    (kernel,) = kernels(g, "paper")  # takes it up as one more pass
    assert (kernel.nodes, kernel.passes) == (("conv", "relu", "batch_norm"), 2)


def residual_block() -> nx.DiGraph:
    b = cm.Builder()
    x = b.input(SHAPE)
    y = b.add(PLAIN, b.add(PLAIN, x, name="a"), name="b")
    return b.finish(b.add(RELU, b.add(ADD, y, x)))


@pytest.mark.parametrize("runtime", ["paper", "onnxruntime"])
def test_a_residual_is_fused(runtime: str) -> None:
    first, second = kernels(residual_block(), runtime)
    assert (first.nodes, second.nodes) == (("a",), ("b", "add", "relu"))
    assert second.reads == (Read("a", TENSOR), Read(None, TENSOR))
    assert (second.passes, second.write_bytes, second.elementwise) == (2, TENSOR, 256)


def test_a_residual_is_a_kernel_elsewhere() -> None:
    assert names(residual_block(), "ncnn") == [("a",), ("b",), ("add",), ("relu",)]
    assert names(residual_block(), "tflite") == [("a",), ("b",), ("add", "relu")]
    assert names(residual_block(), "torch-compile") == [("a",), ("b",), ("add", "relu")]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_residual_joins_the_latest_of_its_producers(swapped: bool) -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    pair = b.add(PLAIN, x, name="early"), b.add(PLAIN, x, name="late")
    g = b.finish(b.add(ADD, *(reversed(pair) if swapped else pair)))
    first, second = kernels(g, "paper")
    assert (first.nodes, second.nodes) == (("early",), ("late", "add"))
    assert set(second.reads) == {Read(None, TENSOR), Read("early", TENSOR)}


def test_a_residual_waits_for_a_latest_producer_that_takes_nothing() -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    early, late = b.add(PLAIN, x), b.add(ops.Softmax(), x)
    assert names(b.finish(b.add(ADD, early, late)), "paper") == [("conv",), ("softmax",), ("add",)]


@pytest.mark.parametrize("runtime", ["paper", "onnxruntime", "tvm"])
def test_a_gate_does_not_take_up_the_image_it_is_spread_over(runtime: str) -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    gate = b.add(PLAIN, b.add(ops.AdaptivePool("avg", (1, 1)), x), name="gate")
    g = b.finish(b.add(Elementwise("mul"), x, gate))
    *_, last = kernels(g, runtime)
    assert last.nodes == ("mul",)
    assert {read.bytes for read in last.reads} == {TENSOR, 8 * 4}


@pytest.mark.parametrize(
    ("op", "pieces"),
    [
        (BatchNorm(), 8),
        (ops.ChannelShuffle(2), 8),
        (ops.GroupNorm(4), 4),
        (ops.LayerNorm(), 8 * 4),
        (ops.Softmax(), 8 * 4),
        (ops.Softmax(1), 4 * 4),
        (RELU, 0),
    ],
)
def test_pieces_of_a_kernel(op: ops.Op, pieces: int) -> None:
    (kernel,) = kernels(chain(op), "torch-eager")
    assert kernel.pieces == pieces


def test_a_value_used_twice_is_written_and_fused_into_nothing() -> None:
    b = cm.Builder()
    y = b.add(PLAIN, b.input(SHAPE))
    g = b.finish(b.add(RELU, y), b.add(Elementwise("sigmoid"), y))
    for runtime in runtime_names():
        assert names(g, runtime) == [("conv",), ("relu",), ("sigmoid",)]


def test_a_value_that_is_also_an_output_is_not_fused_away() -> None:
    b = cm.Builder()
    y = b.add(PLAIN, b.input(SHAPE))
    assert names(b.finish(y, b.add(RELU, y)), "paper") == [("conv",), ("relu",)]


def test_chains_of_elementwise_operators() -> None:
    g = chain(RELU, Elementwise("sigmoid"), Elementwise("mul", 2.0))
    assert names(g, "ncnn") == [("relu",), ("sigmoid",), ("mul",)]
    (kernel,) = kernels(g, "torch-compile")
    assert kernel.nodes == ("relu", "sigmoid", "mul")
    assert (kernel.passes, kernel.functions) == (2, (("sigmoid", 128),))
    assert (kernel.read_bytes, kernel.write_bytes) == (TENSOR, TENSOR)


# Movement.


def shuffle_unit() -> nx.DiGraph:
    b = cm.Builder()
    x = b.input(SHAPE)
    y = b.add(ops.Concat(1), b.add(PLAIN, x, name="l"), b.add(PLAIN, x, name="r"))
    left, right = b.add_many(ops.Split(1, 2), b.add(ops.ChannelShuffle(2), y))
    return b.finish(left, b.add(PLAIN, right, name="next"))


def test_concat_shuffle_and_split_are_one_kernel_of_the_paper() -> None:
    *_, merged, after = kernels(shuffle_unit(), "paper")
    assert (merged.nodes, merged.kind) == (("concat", "channel_shuffle"), "copy")
    assert merged.reads == (Read("l", TENSOR), Read("r", TENSOR))
    assert (merged.write_bytes, merged.multiply_adds) == (2 * TENSOR, 0)
    assert after.reads == (Read("concat", TENSOR),)  # half of it, through the view


@pytest.mark.parametrize("runtime", ["torch-eager", "neon"])
def test_split_is_a_view(runtime: str) -> None:
    assert names(shuffle_unit(), runtime)[2:] == [("concat",), ("channel_shuffle",), ("next",)]


@pytest.mark.parametrize("runtime", ["ncnn", "tflite", "onnxruntime"])
def test_split_copies(runtime: str) -> None:
    *_, shuffle, split, after = kernels(shuffle_unit(), runtime)
    assert (shuffle.nodes, split.nodes, split.kind) == (("channel_shuffle",), ("split",), "copy")
    assert (split.read_bytes, split.write_bytes) == (2 * TENSOR, 2 * TENSOR)
    assert after.reads == (Read("split", TENSOR),)


def test_transpose_is_a_view_or_a_copy() -> None:
    g = chain(ops.Transpose((0, 2, 3, 1)), ops.Linear(8))
    assert names(g, "torch-eager") == [("linear",)]
    assert names(g, "tflite") == [("transpose",), ("linear",)]


def test_a_copy_of_what_was_just_copied_is_dropped() -> None:
    g = chain(ops.Transpose((0, 2, 3, 1)), ops.Contiguous(), ops.Linear(8))
    assert names(g, "torch-eager") == [("contiguous",), ("linear",)]
    assert names(g, "tflite") == [("transpose",), ("linear",)]
    plain = chain(RELU, ops.Contiguous())
    assert names(plain, "tflite") == [("relu",), ("contiguous",)]


def test_a_folded_norm_is_the_bias_that_an_exporter_would_leave() -> None:
    for runtime in ("paper", "ncnn", "neon", "onnxruntime", "tflite", "tvm"):
        (folded,) = kernels(chain(PLAIN, BatchNorm(), RELU), runtime)
        (exported,) = kernels(chain(Conv(8, (1, 1), bias=True), RELU), runtime)
        (both,) = kernels(chain(Conv(8, (1, 1), bias=True), BatchNorm(), RELU), runtime)
        for name in ("multiply_adds", "elementwise", "read_bytes", "weight_bytes", "write_bytes"):
            assert getattr(folded, name) == getattr(exported, name) == getattr(both, name)


# Attention.


def attention() -> nx.DiGraph:
    b = cm.Builder()
    q, k, v = (b.input((1, 2, 4, 8), name=name) for name in "qkv")
    return b.finish(b.add(ops.Attention(), q, k, v))


def test_attention_is_one_kernel() -> None:
    (kernel,) = kernels(attention(), "torch-eager")
    assert (kernel.kind, kernel.multiply_adds) == ("attention", 2 * 2 * 4 * 4 * 8)
    assert (kernel.read_bytes, kernel.write_bytes) == (3 * 64 * 4, 64 * 4)
    assert kernel.products == (Product(2, 4, 4, 8, sets=2), Product(2, 4, 8, 4))
    assert kernel.functions == (("exp", 2 * 4 * 4),)


@pytest.mark.parametrize("runtime", ["tflite", "ncnn"])
def test_attention_expanded(runtime: str) -> None:
    scores, softmax, mix = kernels(attention(), runtime)
    assert [k.kind for k in (scores, softmax, mix)] == ["matmul", "softmax", "matmul"]
    assert (scores.nodes, mix.nodes) == (("attention.0",), ("attention.2",))
    assert scores.multiply_adds == mix.multiply_adds == 2 * 4 * 4 * 8
    assert scores.write_bytes == softmax.read_bytes == softmax.write_bytes == 2 * 4 * 4 * 4
    assert set(mix.reads) == {Read(softmax.name, 128), Read(None, 256)}
    assert scores.functions == mix.functions == ()
    assert softmax.functions == (("exp", 2 * 4 * 4),)


# Whole networks.

NETWORKS = {
    "shufflenet_v2": cm.zoo.shufflenet_v2(),
    "resnet18": cm.network("resnet18"),
    "vit": cm.network("vit"),
    "mobilenet_v3": cm.network("mobilenet_v3"),
}


@pytest.mark.parametrize("runtime", runtime_names())
@pytest.mark.parametrize("network", NETWORKS)
def test_every_node_is_in_one_kernel(network: str, runtime: str) -> None:
    rules, graph = load_runtime(runtime), NETWORKS[network]
    found = lower(graph, rules)
    computed = [node for kernel in found for node in kernel.nodes]
    assert len(computed) == len(set(computed))
    done: set[str | None] = {None}
    for kernel in found:
        assert {read.maker for read in kernel.reads} <= done
        assert kernel.name not in done
        assert kernel.kind in KINDS
        assert kernel.write_bytes > 0
        done.add(kernel.name)
    expected = {
        node.name
        for node in nodes_in_order(graph)
        if not isinstance(node.op, ops.Input | ops.Output | ops.Constant | ops.Parameter)
        and (not node.op.is_view or type(node.op).__name__ in rules.copies)
    }
    ops_of = {node.name: type(node.op).__name__ for node in nodes_in_order(graph)}
    expected -= {  # copies of what was just copied
        node.name
        for node in nodes_in_order(graph)
        if isinstance(node.op, ops.Contiguous) and ops_of[node.sources[0][0]] in rules.copies
    }
    split_up = {n.name for n in nodes_in_order(graph) if isinstance(n.op, ops.Attention)} - set(
        computed
    )
    steps = {f"{name}.{i}" for name in split_up for i in range(3)}
    assert bool(split_up) == (network == "vit" and not rules.fused_attention)
    assert set(computed) == expected - split_up | steps


@pytest.mark.parametrize("runtime", runtime_names())
@pytest.mark.parametrize("network", NETWORKS)
def test_multiply_adds_are_conserved(network: str, runtime: str) -> None:
    found = kernels(NETWORKS[network], runtime)
    folded = sum(
        cm.cost(node.op, *node.inputs).multiply_adds
        for node in nodes_in_order(NETWORKS[network])
        if isinstance(node.op, BatchNorm)
    )
    total = cm.cost(NETWORKS[network]).multiply_adds
    assert total - folded <= sum(k.multiply_adds for k in found) <= total


# Symbols and arrays.


def test_symbolic_graphs_lower() -> None:
    first, second, third = cm.symbols("c h w")
    b = cm.Builder()
    x = b.input((1, first, second, third))
    (kernel,) = kernels(b.finish(b.add(RELU, b.add(PLAIN, x))), "paper")
    assert kernel.nodes == ("conv", "relu")
    assert kernel.multiply_adds == 8 * first * second * third
    assert kernel.read_bytes == 4 * first * second * third
    assert kernel.weight_bytes == 32 * first


def test_graphs_of_arrays_lower_as_each_of_their_graphs() -> None:
    channels = np.array([8, 24, 64])
    many = kernels(cm.zoo.pointwise(7, 7, channels, 2 * channels), "paper")
    for i, c in enumerate(channels):
        one = kernels(cm.zoo.pointwise(7, 7, int(c), 2 * int(c)), "paper")
        assert [k.nodes for k in many] == [k.nodes for k in one]
        for a, b in zip(many, one, strict=True):
            for name in ("multiply_adds", "read_bytes", "weight_bytes", "write_bytes"):
                assert np.broadcast_to(getattr(a, name), 3)[i] == getattr(b, name)


# Part of a tensor


@pytest.mark.parametrize("runtime", ["ncnn", "torch-eager"])
def test_a_copy_of_a_part_loads_that_part(runtime: str) -> None:
    b = cm.Builder()
    x, rows = b.input((1000, 64)), b.input((3,), dtype="int64")
    (gather,) = kernels(b.finish(b.add(ops.Gather(0), x, rows)), runtime)
    assert gather.read_bytes == 3 * 64 * 4 + 3 * 8
    slices = kernels(chain(ops.Slice(1, 0, 2)), runtime)
    assert [kernel.read_bytes for kernel in slices] == [TENSOR // 4] * (runtime == "ncnn")


def test_a_tensor_that_a_view_repeats_is_read_as_it_lies() -> None:
    b = cm.Builder()
    gate = b.add(ops.BroadcastTo(SHAPE), b.input((1, 8, 1, 1)))
    (kernel,) = kernels(b.finish(b.add(ADD, b.input(SHAPE), gate)), "torch-eager")
    assert sorted(read.bytes for read in kernel.reads) == [8 * 4, TENSOR]


def test_two_views_of_a_whole_tensor_are_read_once() -> None:
    b = cm.Builder()
    x = b.input(SHAPE)
    rows, columns = b.add(ops.Reshape((8, 16)), x), b.add(ops.Reshape((16, 8)), x)
    (kernel,) = kernels(b.finish(b.add(ops.MatMul(), rows, columns)), "torch-eager")
    assert kernel.read_bytes == TENSOR


def test_onnx_runtime_transposes_for_a_softmax_over_another_axis() -> None:
    for axis, kinds in ((1, ["copy", "softmax", "copy"]), (-1, ["softmax"])):
        b = Builder("attention")
        x = b.input((1, 8, 14, 14))
        g = b.finish(b.add(ops.Softmax(axis), x))
        found = kernels(g, "onnxruntime")
        assert [k.kind for k in found] == kinds
        assert found[-1].write_bytes == 4 * 8 * 14 * 14
    assert [k.kind for k in kernels(g, "torch-eager")] == ["softmax"]


def test_onnx_runtime_computes_half_precision_in_float32_between_two_casts() -> None:
    b = Builder("half")
    x = b.input((1, 32, 14, 14), "float16")
    y = b.add(Elementwise("relu"), b.add(Conv(32, (3, 3), padding=1), x))
    g = b.finish(b.add(Conv(32, (1, 1)), y))
    found = kernels(g, "onnxruntime")
    assert [k.kind for k in found] == [
        "elementwise", "convolution", "elementwise", "pointwise", "elementwise",
    ]  # fmt: skip
    assert [k.dtype for k in found[1:4]] == ["float32"] * 3
    pixels = 32 * 14 * 14
    assert (found[0].write_bytes, found[-1].write_bytes) == (4 * pixels, 2 * pixels)
    assert found[1].weight_bytes == 4 * 32 * (32 * 9)
    assert {k.dtype for k in kernels(g, "ncnn")} == {"float16"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "device",
    ["xeon-gold-6240?threads=1", "xeon-gold-6240?threads=8", "ryzen-9-7950x?threads=4"],
)
def test_half_precision_is_never_faster_where_a_runtime_has_no_kernels(
    device: str, dtype: str
) -> None:
    hardware, _, threads = device.partition("?")
    specs = [
        *("mobilenet_v1", "resnet18", "shufflenet_v2", "vit"),
        *("linear?n=1&cin=1024&cout=1024", "conv2d", "depthwise", "attention", "bmm"),
        *("elementwise", "softmax", "layer_norm", "pool", "concat", "channel_shuffle"),
    ]
    graphs = [cm.network(spec) for spec in specs]
    where = f"{hardware}/onnxruntime?{threads}"
    half, full = (cm.latencies(graphs, f"{where}{d}") for d in (f"&dtype={dtype}", ""))
    faster = [s for s, h, f in zip(specs, half, full, strict=True) if h.seconds <= f.seconds]
    assert faster == []
    # A runtime that has kernels gains by them.
    arm = cm.network("mobilenet_v1")
    fast, slow = (cm.latency(arm, f"snapdragon-855/ncnn{d}") for d in ("?dtype=float16", ""))
    assert fast.seconds < slow.seconds


def test_a_compiler_computes_once_what_is_asked_for_twice() -> None:
    b = Builder()
    x = b.add(Conv(8, (1, 1)), b.input(SHAPE))
    branches = [b.add(Conv(8, (3, 3), padding=1), b.add(RELU, x)) for _ in range(3)]
    pools = [b.add(ops.Pool("max", (2, 2), 2), x) for _ in range(2)]
    joined = b.add(ops.Concat(1), *branches)
    graph = b.finish(joined, b.add(ADD, *pools))
    eager, compiled = (
        [k.kind for k in kernels(graph, r)] for r in ("torch-eager", "torch-compile")
    )
    assert (eager.count("elementwise"), compiled.count("elementwise")) == (4, 2)
    assert (eager.count("max_pool"), compiled.count("max_pool")) == (2, 1)
    # Convolutions on the same tensor have weights of their own.
    assert eager.count("convolution") == compiled.count("convolution") == 3


def test_a_compiler_lets_a_kernel_wait_for_the_other_inputs_of_its_follower() -> None:
    """Scaled scores, and a bias of positions computed behind them, go into one softmax."""
    b = Builder()
    scores, positions = b.input((8, 4, 64, 64)), b.input((4, 64, 64))
    scaled = b.add(Elementwise("mul", 0.125), scores, name="scaled")
    bias = b.add(Elementwise("sigmoid"), positions, name="bias")
    y = b.add(ADD, scaled, bias, name="sum")
    graph = b.finish(b.add(ops.Softmax(), y, name="softmax"))
    assert names(graph, "torch-compile") == [("bias",), ("scaled", "sum", "softmax")]
    _, softmax = kernels(graph, "torch-compile")
    assert [read.maker for read in softmax.reads] == [None, "bias"]
    assert len(names(graph, "torch-eager")) == 4


def test_a_kernel_that_others_have_read_does_not_wait() -> None:
    b = Builder()
    big = b.add(RELU, b.input(SHAPE), name="big")
    small = b.add(ops.Reduce("max", (2, 3), keepdims=True), big, name="gate")
    graph = b.finish(b.add(Elementwise("mul"), big, small, name="gated"))
    assert names(graph, "torch-compile") == [("big", "gate"), ("gated",)]


def test_a_change_of_dtype_does_not_keep_a_compiler_from_fusing() -> None:
    b = Builder()
    x, y = b.input(SHAPE), b.input(SHAPE)
    mask = b.add(Elementwise("greater"), b.add(RELU, x, name="relu"), y, name="mask")
    graph = b.finish(b.add(Elementwise("where"), mask, x, y, name="chosen"))
    assert names(graph, "torch-compile") == [("relu", "mask", "chosen")]
