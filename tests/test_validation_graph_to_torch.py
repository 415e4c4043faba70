"""Every operator as a torch module: shapes, values, and the number of kernels that eager runs."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from costmodel import ops, zoo  # noqa: E402
from costmodel.errors import GraphError  # noqa: E402
from costmodel.graph.builder import Builder  # noqa: E402
from costmodel.kernels.lowering import lower  # noqa: E402
from costmodel.ops import (  # noqa: E402
    AdaptivePool,
    Attention,
    AttentionMix,
    AttentionScores,
    BatchNorm,
    BroadcastTo,
    Cast,
    ChannelShuffle,
    Concat,
    Constant,
    Contiguous,
    Conv,
    ConvTranspose,
    Elementwise,
    Embedding,
    Gather,
    GroupNorm,
    Identity,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MatMul,
    Op,
    Pad,
    Parameter,
    PixelShuffle,
    Pool,
    PReLU,
    Recurrent,
    RecurrentSteps,
    Reduce,
    Reshape,
    Resize,
    Slice,
    Softmax,
    Split,
    Transpose,
)
from costmodel.ops.elementwise import BINARY, TERNARY, UNARY  # noqa: E402
from costmodel.ops.reduction import REDUCTIONS  # noqa: E402
from costmodel.ops.tensor import Tensor  # noqa: E402
from costmodel.runtimes import load_runtime  # noqa: E402
from costmodel_validation.backends.graph_to_torch import (  # noqa: E402
    check_outputs,
    random_inputs,
    to_torch,
)
from costmodel_validation.errors import MeasuringError  # noqa: E402

IMAGE = Tensor((2, 8, 9, 11))
QKV = (Tensor((2, 4, 5, 16)), Tensor((2, 4, 7, 16)), Tensor((2, 4, 7, 8)))
GROUPED = (Tensor((2, 4, 5, 16)), Tensor((2, 2, 7, 16)), Tensor((2, 2, 7, 16)))
BOOL = Tensor((3, 4), "bool")
INDICES = Tensor((3, 2), "int64")

CASES: list[tuple[Op, tuple[Tensor, ...]]] = [
    (Conv(6, (3,), padding=1, bias=True), (Tensor((2, 4, 9)),)),
    (Conv(6, (3, 5), (2, 1), ((0, 1), (2, 3)), groups=2), (IMAGE,)),
    (Conv(8, (3, 3), 2, "same", groups=8), (IMAGE,)),
    (Conv(8, (3, 3), padding=2, dilation=2), (IMAGE,)),
    (Conv(4, (3, 1, 3), padding=(1, 0, 1)), (Tensor((1, 2, 4, 5, 6)),)),
    (ConvTranspose(6, (3, 3), 2, 1, 1, bias=True), (IMAGE,)),
    (ConvTranspose(6, (4,), 2, ((1, 2),)), (Tensor((1, 4, 5)),)),
    (ConvTranspose(6, (3, 3), 1, 0, 2, groups=2), (IMAGE,)),
    (Linear(7), (Tensor((2, 3, 5)),)),
    (Linear(7, bias=False), (Tensor((5,)),)),
    (MatMul(), (Tensor((3, 1, 4, 5)), Tensor((2, 5, 6)))),
    (MatMul(True, True), (Tensor((5, 4)), Tensor((6, 5)))),
    (Attention(), QKV),
    (Attention(causal=True), GROUPED),
    (Attention(), tuple(Tensor(t.shape[1:]) for t in GROUPED)),
    (AttentionScores(), GROUPED[:2]),
    (AttentionMix(), (Tensor((2, 4, 5, 7)), GROUPED[2])),
    (Softmax(1), (IMAGE,)),
    (Softmax(causal=True), (Tensor((2, 4, 4)),)),
    *[(Recurrent(kind, 5, 2, True), (Tensor((4, 2, 3)),)) for kind in ("lstm", "gru", "rnn")],
    *[
        (RecurrentSteps(kind, 5, bias), (Tensor((4, 2, 5 * gates)),))
        for (kind, gates), bias in zip(
            (("lstm", 4), ("gru", 3), ("rnn", 1)), (True, False, True), strict=True
        )
    ],
    (BatchNorm(), (IMAGE,)),
    (BatchNorm(affine=False), (Tensor((3, 4)),)),
    (LayerNorm(2), (IMAGE,)),
    (LayerNorm(rms=True), (IMAGE,)),
    (GroupNorm(4), (IMAGE,)),
    (LocalResponseNorm(3), (IMAGE,)),
    (PReLU(), (IMAGE,)),
    *[(Pool(kind, (3, 2), 2, 1, ceil_mode=True), (IMAGE,)) for kind in ("max", "avg")],
    *[(Pool(kind, (2, 2), 2, ((0, 1), (0, 1))), (IMAGE,)) for kind in ("max", "avg")],
    (Pool("max", (3, 3), 2, "same"), (IMAGE,)),
    (Pool("max", (3,), 1, 0, 2), (Tensor((1, 2, 9)),)),
    (Pool("avg", (2, 2, 2), 2), (Tensor((1, 2, 4, 4, 4)),)),
    *[(AdaptivePool(kind, (2, 3)), (IMAGE,)) for kind in ("max", "avg")],
    *[(Reduce(kind, (1, -1), keep), (IMAGE,)) for kind in REDUCTIONS for keep in (False, True)],
    (Reduce("argmax", (1,)), (IMAGE,)),
    *[(Elementwise(kind), (IMAGE,)) for kind in UNARY],
    *[(Elementwise(kind), (IMAGE, Tensor((8, 1, 1)))) for kind in BINARY],
    *[(Elementwise(kind, 2.0), (IMAGE,)) for kind in BINARY],
    *[(Elementwise(kind), (BOOL, Tensor((3, 4)), Tensor((4,)))) for kind in TERNARY],
    (Cast("float16"), (IMAGE,)),
    (Cast("int64"), (IMAGE,)),
    (Identity(), (IMAGE,)),
    (Reshape((4, -1)), (IMAGE,)),
    (Transpose((0, 2, 3, 1)), (IMAGE,)),
    (BroadcastTo((2, 3, 4)), (Tensor((3, 1)),)),
    (Contiguous(), (IMAGE,)),
    (ChannelShuffle(4), (IMAGE,)),
    (ChannelShuffle(2), (Tensor((3, 8)),)),
    (Concat(1), (IMAGE, IMAGE, Tensor((2, 3, 9, 11)))),
    (Split(1, 4), (IMAGE,)),
    (Split(-1, (5, 6)), (IMAGE,)),
    (Slice(1, 2, 5), (IMAGE,)),
    (Slice(-1, 1, 4, 2), (IMAGE,)),
    (Pad((0, 0, 1, (2, 3))), (IMAGE,)),
    (PixelShuffle(2), (IMAGE,)),
    (Resize((5, 20)), (IMAGE,)),
    (Resize((18, 22), "bilinear"), (IMAGE,)),
    (Resize((18, 22), "bicubic"), (IMAGE,)),
    (Resize((5,), "bilinear"), (Tensor((1, 2, 9)),)),
    (Embedding(11, 6), (INDICES,)),
    (Gather(1), (IMAGE, INDICES)),
    (Gather(0), (Tensor((5, 4)), Tensor((7,), "int32"))),
]


def single(op: Op, inputs: tuple[Tensor, ...]):
    b = Builder("single")
    values = b.add_many(op, *[b.input(t.shape, t.dtype) for t in inputs])
    return b.finish(*values)


def run(graph, seed: int = 0):
    module = to_torch(graph, seed)
    with torch.inference_mode():
        return module(*random_inputs(graph, seed=seed))


@pytest.mark.parametrize(("op", "inputs"), CASES, ids=lambda value: str(value)[:60])
def test_an_operator_has_the_shapes_of_its_rule_and_finite_values(
    op: Op, inputs: tuple[Tensor, ...]
) -> None:
    graph = single(op, inputs)
    outputs = run(graph)
    made = [op for _, op in graph.nodes(data="op") if isinstance(op, ops.Output)]
    assert len(outputs) == len(made) >= 1
    check_outputs(graph, outputs)


def test_constants_and_parameters_are_values_of_the_module() -> None:
    b = Builder()
    x = b.input((2, 3))
    y = b.add(Elementwise("add"), x, b.add(Constant((2, 3))))
    graph = b.finish(b.add(Elementwise("mul"), y, b.add(Parameter((3,)))))
    module = to_torch(graph)
    assert [tuple(p.shape) for p in module.parameters()] == [(3,)]
    assert [tuple(p.shape) for p in module.buffers()] == [(2, 3)]
    check_outputs(graph, module(*random_inputs(graph)))


def test_nodes_that_share_weights_share_them_in_torch() -> None:
    b = Builder()
    x = b.input((2, 3))
    y = b.add(Linear(3), x, weights="w")
    module = to_torch(b.finish(b.add(Linear(3), y, weights="w")))
    assert len(list(module.parameters())) == 2


def test_padding_before_and_after_is_where_the_operator_puts_it() -> None:
    graph = single(Conv(1, (3,), padding=((2, 0),)), (Tensor((1, 1, 5)),))
    module = to_torch(graph)
    (x,) = random_inputs(graph)
    (y,) = module(x)
    (weight,) = module.parameters()
    padded = torch.nn.functional.pad(x, (2, 0))
    expected = (padded.unfold(2, 3, 1) * weight[0, 0]).sum(-1)
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_the_steps_are_those_of_torch(kind: str) -> None:
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    whole = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[kind](3, 5)
    module = to_torch(single(RecurrentSteps(kind, 5), (Tensor((4, 2, 5 * gates)),)))
    (steps,) = (m for m in module.modules() if hasattr(m, "product"))
    steps.product.weight.data = whole.weight_hh_l0.data
    steps.product.bias.data = whole.bias_hh_l0.data
    x = torch.randn(4, 2, 3)
    product = torch.nn.functional.linear(x, whole.weight_ih_l0, whole.bias_ih_l0)
    torch.testing.assert_close(module(product)[0], whole(x)[0])


@pytest.mark.parametrize("causal", [False, True])
def test_attention_is_its_expansion(causal: bool) -> None:
    b = Builder()
    q, k, v = (b.input(t.shape) for t in GROUPED)
    # A causal mask counts from the first key; torch's too.
    scores = b.add(AttentionScores(causal), q, k)
    mixed = b.add(AttentionMix(causal), b.add(Softmax(causal=causal), scores), v)
    (expanded,) = run(b.finish(mixed))
    (fused,) = run(single(Attention(causal), GROUPED))
    torch.testing.assert_close(fused, expanded)


def test_channel_shuffle_interleaves_groups() -> None:
    graph = single(ChannelShuffle(2), (Tensor((1, 4, 1, 1)),))
    (y,) = to_torch(graph)(torch.arange(4.0).reshape(1, 4, 1, 1))
    assert y.flatten().tolist() == [0, 2, 1, 3]


class Dispatched(TorchDispatchMode):
    """Counts the operators that torch dispatches, views apart."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.kernels += not (func.is_view or "empty" in str(func) or "unsafe_view" in str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "name", ["shufflenet_v2", "mobilenet_v2", "resnet18", "squeezenet", "shufflenet_v1", "densenet"]
)
def test_eager_torch_dispatches_the_kernels_that_lowering_counts(name: str) -> None:
    graph = zoo.NETWORKS[name](size=64)
    module, inputs = to_torch(graph), random_inputs(graph)
    with torch.no_grad(), Dispatched() as mode:
        module(*inputs)
    assert mode.kernels == len(lower(graph, load_runtime("torch-eager")))


def test_indices_stay_inside_their_tables() -> None:
    b = Builder()
    x = b.input((64,), "int64")
    graph = b.finish(b.add(Embedding(3, 4), b.add(Reshape((8, 8)), x)))
    (indices,) = random_inputs(graph)
    assert set(indices.tolist()) == {0, 1, 2}


def test_inputs_hold_no_zeros_and_follow_the_seed() -> None:
    graph = zoo.pointwise(7, 7, 8, 8)
    (a,), (b,), (c,) = (random_inputs(graph, seed=s) for s in (0, 0, 1))
    assert a.min() >= 0.5
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert random_inputs(graph, torch.bfloat16)[0].dtype is torch.bfloat16


def test_what_goes_into_a_maximum_is_half_zeros_as_behind_a_relu() -> None:
    (x,) = random_inputs(zoo.pool("max", c=64, size=56))
    assert 0.45 < (x == 0).float().mean() < 0.55
    assert ((x[..., 1:] > 0) == (x[..., :-1] > 0)).float().mean() > 0.65  # neighbours are alike
    (y,) = random_inputs(zoo.pool("avg", c=64, size=56))
    assert y.min() >= 0.5


def test_symbols_are_refused_by_name() -> None:
    from costmodel.algebra.symbols import symbols

    h, w = symbols("h w")
    with pytest.raises(GraphError, match="has the symbols h, w: give them numbers"):
        to_torch(zoo.pointwise(h, w, 8, 8))


def test_nan_and_wrong_shapes_are_refused() -> None:
    graph = zoo.pointwise(7, 7, 8, 8)
    (y,) = run(graph)
    with pytest.raises(MeasuringError, match="NaN or infinity"):
        check_outputs(graph, [y * float("nan")])
    with pytest.raises(MeasuringError, match="torch returns shapes"):
        check_outputs(graph, [y[:, :4]])


def test_average_pooling_with_dilation_names_the_node() -> None:
    with pytest.raises(MeasuringError, match="node 'avg': torch has no average pooling with dil"):
        to_torch(single(Pool("avg", (2, 2), dilation=2), (IMAGE,)))


@pytest.mark.parametrize("name", ["shufflenet_v2", "mobilenet_v3", "googlenet", "vit"])
def test_from_torch_reads_back_the_same_counts(name: str) -> None:
    import costmodel as cm
    from costmodel.importers import from_torch

    graph = zoo.NETWORKS[name](size=64) if name != "googlenet" else zoo.googlenet(size=128)
    again = from_torch(to_torch(graph), *random_inputs(graph))
    assert cm.multiply_adds(again) == cm.multiply_adds(graph)
    assert cm.mac(again) == cm.mac(graph)
