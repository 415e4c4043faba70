"""Counting mistakes of other tools, each as a test with exact numbers."""

from __future__ import annotations

import pytest

import costmodel as cm
from costmodel import ops
from costmodel.ops import Op
from costmodel.ops.tensor import Tensor

IMAGE = Tensor((1, 64, 56, 56))


@pytest.mark.parametrize(
    ("op", "inputs", "multiply_adds", "params"),
    [
        # Linear layers: every row counts, not the first axis only.
        (ops.Linear(3072), (Tensor((8, 197, 768)),), 3_718_250_496, 2_362_368),
        (ops.Linear(10), (Tensor((5,)),), 50, 60),
        # Convolutions: 1-d, 2-d, 3-d; stride, padding and dilation change outputs only.
        (ops.Conv(64, (3, 3), padding=1), (IMAGE,), 115_605_504, 36_864),
        (ops.Conv(64, (3, 3), stride=2, padding=1), (IMAGE,), 28_901_376, 36_864),
        (ops.Conv(64, (3, 3), padding=2, dilation=2), (IMAGE,), 115_605_504, 36_864),
        (ops.Conv(64, (3, 3), padding="same", stride=2), (IMAGE,), 28_901_376, 36_864),
        (ops.Conv(64, (3, 3)), (IMAGE,), 107_495_424, 36_864),  # 54 x 54 outputs: edges count
        (ops.Conv(16, (5,), stride=2), (Tensor((2, 8, 101)),), 62_720, 640),
        (ops.Conv(8, (3, 3, 3), padding=1), (Tensor((1, 4, 8, 16, 16)),), 1_769_472, 864),
        # Groups divide, also depthwise and transposed.
        (ops.Conv(64, (3, 3), padding=1, groups=8), (IMAGE,), 14_450_688, 4_608),
        (ops.Conv(64, (3, 3), padding=1, groups=64), (IMAGE,), 1_806_336, 576),
        (ops.Conv(128, (3, 3), padding=1, groups=64), (IMAGE,), 3_612_672, 1_152),
        # Transposed convolutions count input pixels; output pixels would be 4 times as many.
        (ops.ConvTranspose(32, (2, 2), stride=2), (IMAGE,), 25_690_112, 8_192),
        (ops.ConvTranspose(32, (2, 2), stride=2, groups=4), (IMAGE,), 6_422_528, 2_048),
        (ops.ConvTranspose(32, (4, 4), stride=2, padding=1), (IMAGE,), 102_760_448, 32_768),
        # Products of activations are work, too; broadcasting repeats work, not operands.
        (ops.MatMul(transpose_b=True), (Tensor((2, 8, 49, 64)),) * 2, 2_458_624, 0),
        (ops.MatMul(), (Tensor((16, 49, 64)), Tensor((64, 32))), 1_605_632, 0),
        # Attention: scores and mix; causal is the triangle with its diagonal; grouped queries.
        (ops.Attention(), (Tensor((1, 8, 128, 64)),) * 3, 16_777_216, 0),
        (ops.Attention(causal=True), (Tensor((1, 8, 128, 64)),) * 3, 8_454_144, 0),
        (
            ops.Attention(),
            (Tensor((1, 32, 16, 64)), Tensor((1, 8, 16, 64)), Tensor((1, 8, 16, 64))),
            1_048_576,
            0,
        ),
        # Recurrent layers are not free.
        (ops.Recurrent("lstm", 128), (Tensor((10, 1, 64)),), 983_040, 99_328),
        (ops.Recurrent("gru", 128), (Tensor((10, 1, 64)),), 737_280, 74_496),
        (ops.Recurrent("rnn", 128, bias=False), (Tensor((10, 1, 64)),), 245_760, 24_576),
        (ops.Recurrent("lstm", 128, 2, True), (Tensor((10, 1, 64)),), 5_898_240, 593_920),
        # Look-ups multiply nothing; the table has parameters.
        (ops.Embedding(50257, 768), (Tensor((1, 128), "int64"),), 0, 38_597_376),
        (ops.BatchNorm(), (IMAGE,), 0, 128),
        (ops.LayerNorm(), (Tensor((8, 197, 768)),), 0, 1_536),
        (ops.LayerNorm(rms=True), (Tensor((8, 197, 768)),), 0, 768),
        (ops.PReLU(), (IMAGE,), 0, 64),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Op) else "",
)
def test_multiply_adds_and_parameters(
    op: Op, inputs: tuple[Tensor, ...], multiply_adds: int, params: int
) -> None:
    assert cm.multiply_adds(op, *inputs) == multiply_adds
    assert cm.flops(op, *inputs) == 2 * multiply_adds
    assert cm.params(op, *inputs) == params


@pytest.mark.parametrize(
    ("op", "inputs", "elements"),
    [
        (ops.Conv(64, (3, 3), padding=1), (IMAGE,), 200_704 + 36_864 + 200_704),
        (ops.Conv(64, (1, 1), stride=2), (IMAGE,), 200_704 + 4_096 + 50_176),
        # A residual addition moves three tensors, and one that adds a tensor to itself, too.
        (ops.Elementwise("add"), (IMAGE, IMAGE), 3 * 200_704),
        (ops.Elementwise("relu"), (IMAGE,), 2 * 200_704),
        (ops.Elementwise("mul"), (IMAGE, Tensor((1, 64, 1, 1))), 2 * 200_704 + 64),
        # Views are free; copies are one read and one write and no work.
        (ops.Reshape((1, -1)), (IMAGE,), 0),
        (ops.Transpose((0, 2, 3, 1)), (IMAGE,), 0),
        (ops.Split(1, 2), (IMAGE,), 0),
        (ops.Slice(1, 0, 32), (IMAGE,), 0),
        (ops.BroadcastTo((8, 64, 56, 56)), (IMAGE,), 0),
        (ops.Identity(), (IMAGE,), 0),
        (ops.Contiguous(), (IMAGE,), 2 * 200_704),
        (ops.ChannelShuffle(2), (IMAGE,), 2 * 200_704),
        (ops.Concat(1), (IMAGE, IMAGE), 4 * 200_704),
        (ops.Pad((0, 0, 1, 1)), (IMAGE,), 200_704 + 64 * 58 * 58),
        # A table moves by the rows that are looked up.
        (ops.Embedding(50257, 768), (Tensor((1, 128), "int64"),), 128 + 2 * 128 * 768),
        (ops.Gather(0), (Tensor((1000, 64)), Tensor((3,), "int64")), 3 * 64 + 3 + 3 * 64),
        # Keys and values of grouped queries are read once, not once for each query head.
        (
            ops.AttentionScores(),
            (Tensor((1, 32, 16, 64)), Tensor((1, 8, 16, 64))),
            32_768 + 8_192 + 8_192,
        ),
        # Causal softmax moves the triangle.
        (ops.Softmax(causal=True), (Tensor((1, 8, 128, 128)),), 2 * 8 * 8256),
        (ops.Softmax(), (Tensor((1, 8, 128, 128)),), 2 * 8 * 16384),
        # The hidden weights of a recurrent layer are read at every step.
        (
            ops.RecurrentSteps("rnn", 8, bias=False),
            (Tensor((10, 1, 8)),),
            10 * ((8 + 64 + 8) + (8 + 8 + 8) + (8 + 8)),
        ),
        (ops.Input((1, 3)), (), 0),
        (ops.Parameter((1, 3)), (), 0),
        (ops.Output(), (IMAGE,), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Op) else "",
)
def test_memory_access_cost(op: Op, inputs: tuple[Tensor, ...], elements: int) -> None:
    assert cm.mac(op, *inputs) == elements


def test_bytes_go_by_dtype() -> None:
    conv = ops.Conv(64, (1, 1))
    half = Tensor(IMAGE.shape, "float16")
    assert cm.mac(conv, IMAGE, unit="bytes") == 4 * cm.mac(conv, IMAGE)
    assert cm.mac(conv, half, unit="bytes") == 2 * cm.mac(conv, half)
    assert cm.params(conv, half, unit="bytes") == 2 * 4096
    lookup = ops.Embedding(100, 16, "float16")
    assert cm.mac(lookup, Tensor((5,), "int64"), unit="bytes") == 5 * 8 + 2 * 5 * 16 * 2
    assert cm.mac(ops.Cast("float16"), IMAGE, unit="bytes") == 200_704 * (4 + 2)
    assert cm.mac(ops.Elementwise("equal"), IMAGE, IMAGE, unit="bytes") == 200_704 * (4 + 4 + 1)


def test_a_reduction_has_the_dtype_of_its_results() -> None:
    for kind, dtype in [
        ("all", "bool"),
        ("any", "bool"),
        ("argmax", "int64"),
        ("argmin", "int64"),
        ("sum", "float16"),
    ]:
        (y,) = ops.Reduce(kind, (1,)).infer(Tensor((2, 3), "float16"))
        assert y == Tensor((2,), dtype), kind
    assert cm.mac(ops.Reduce("any", (0,)), IMAGE, unit="bytes") == 200_704 * (4 + 1)


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bias", [True, False])
def test_the_steps_have_the_hidden_weights_of_the_layer(kind: str, bias: bool) -> None:
    """A layer is the product of all inputs, a linear layer, and the steps."""
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    whole = cm.params(ops.Recurrent(kind, 8, bias=bias), Tensor((10, 1, 5)))
    product = cm.params(ops.Linear(8 * gates, bias=bias), Tensor((10, 1, 5)))
    steps = ops.RecurrentSteps(kind, 8, bias)
    assert cm.params(steps, Tensor((10, 1, 8 * gates))) == whole - product > 0


def test_batch_norm_relu_and_residual_count_as_elementwise_not_as_multiply_adds() -> None:
    b = cm.Builder()
    x = b.input(IMAGE.shape)
    y = b.add(ops.Elementwise("relu"), b.add(ops.BatchNorm(), x))
    g = b.finish(b.add(ops.Elementwise("add"), x, y))
    assert cm.multiply_adds(g) == 0
    assert cm.cost(g).elementwise == cm.work(g) == (2 + 1 + 1) * 200_704
    assert cm.mac(g) == (2 + 2 + 3) * 200_704 + 4 * 64


@pytest.mark.parametrize(
    ("op", "inputs", "message"),
    [
        (ops.Conv(8, (3, 3), groups=3), (IMAGE,), "input channels 64 is not divisible by 3"),
        (ops.Conv(9, (3, 3), groups=2), (IMAGE,), "output channels 9 is not divisible by 2"),
        (ops.Conv(8, (3, 3)), (Tensor((1, 64, 56)),), "needs a 4-d input"),
        (ops.Conv(8, (7, 7)), (Tensor((1, 3, 4, 9)),), "does not fit into size 4"),
        (ops.MatMul(), (Tensor((2, 3)), Tensor((4, 5))), "inner sizes 3 and 4"),
        (ops.MatMul(), (Tensor((3,)), Tensor((3, 5))), "at least two axes"),
        (ops.Elementwise("add"), (Tensor((2, 3)), Tensor((2,))), "3 against 2"),
        (ops.Elementwise("add"), (Tensor((2, 3)),), "takes 2 inputs, got 1"),
        (ops.Concat(1), (Tensor((1, 2, 3)), Tensor((1, 2, 4))), "cannot join"),
        (ops.Split(1, (3, 4)), (Tensor((1, 8)),), "do not add up to 8"),
        (ops.Split(1, 3), (Tensor((1, 8)),), "8 is not divisible by 3"),
        (ops.Slice(1, 4, 5), (Tensor((1, 8)),), "outside axis 1"),
        (ops.Slice(0, -1, 1), (Tensor((4,)),), "outside axis 0"),
        (ops.Reshape((3, -1)), (Tensor((4,)),), "4 is not divisible by 3"),
        (ops.Reshape((-1, -1)), (Tensor((4,)),), "more than one -1"),
        (ops.Reshape((5,)), (Tensor((4,)),), "changes the number"),
        (ops.Transpose((0, 0)), (Tensor((4, 5)),), "must permute the axes"),
        (ops.Transpose((0, 7)), (Tensor((4, 5)),), "axis 7 is outside"),
        (ops.BroadcastTo((3, 5)), (Tensor((2, 5)),), "cannot repeat"),
        (ops.Softmax(causal=True), (Tensor((4,)),), "at least two"),
        (ops.Softmax(0, causal=True), (Tensor((4, 4)),), "last axis"),
        (ops.GroupNorm(3), (IMAGE,), "64 is not divisible by 3"),
        (ops.LayerNorm(5), (IMAGE,), "does not fit"),
        (ops.AttentionScores(), (Tensor((1,)), Tensor((1,))), "rank >= 3"),
        (ops.AttentionMix(), (Tensor((1, 2, 3, 4)), Tensor((1, 2, 5, 6))), "AttentionMix needs"),
        (ops.Attention(), (Tensor((1, 3, 4, 8)),) + (Tensor((1, 2, 4, 8)),) * 2, "3 is not div"),
        (ops.RecurrentSteps("lstm", 8), (Tensor((3, 1, 16)),), "4 times as many gates"),
        (ops.Recurrent("gru", 8), (Tensor((3, 1)),), "needs a 3-d input"),
        (ops.PixelShuffle(2), (Tensor((1, 6, 2, 2)),), "6 is not divisible by 4"),
        (ops.ConvTranspose(4, (1, 1), padding=3), (Tensor((1, 4, 2, 2)),), "output size"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Op) else "",
)  # fmt: skip
def test_misfits_are_refused_with_the_numbers(
    op: Op, inputs: tuple[Tensor, ...], message: str
) -> None:
    with pytest.raises(cm.CostModelError, match=message):
        cm.multiply_adds(op, *inputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ops.Conv(0, (3, 3)), "Conv out_channels must lie between 1"),
        (lambda: ops.Conv(8, (3, 3), stride=(1, 2, 3)), "3 sizes for 2 axes"),
        (lambda: ops.Conv(8, (3, 3), padding=-1), "a padding must lie between 0"),
        (lambda: ops.Conv(8, (3, 3), padding="valid"), "'same'"),
        (lambda: ops.ConvTranspose(8, (3, 3), padding="same"), "not 'same'"),
        (lambda: ops.GroupNorm(0), "GroupNorm groups"),
        (lambda: ops.LocalResponseNorm(0), "LocalResponseNorm size"),
        (lambda: ops.Elementwise("rleu"), "unknown elementwise kind 'rleu'; did you mean relu"),
        (lambda: ops.Elementwise("relu", value=1.0), "takes no value"),
        (lambda: ops.Reduce("median", (0,)), "unknown reduction"),
        (lambda: ops.Pool("sum", (2, 2)), "'max' or 'avg'"),
        (lambda: ops.Resize((2, 2), "lanczos"), "unknown resize"),
        (lambda: ops.Recurrent("lstmm", 8), "unknown cell"),
        (lambda: ops.Recurrent("lstm", 8, layers=10**9), "between 1 and 1000"),
        (lambda: ops.RecurrentSteps("x", 8), "unknown cell"),
        (lambda: ops.Split(0, 2**40), "Split parts"),
        (lambda: ops.Split(0, 0), "Split parts"),
        (lambda: ops.Split(0, (2, -1)), "Split size"),
        (lambda: ops.Reshape((-2,)), "Reshape size"),
        (lambda: ops.AdaptivePool("avg", (0, 1)), "between 1"),
    ],
)
def test_impossible_fields_are_refused(make: object, message: str) -> None:
    with pytest.raises(cm.CostModelError, match=message):
        make()  # type: ignore[operator]


def test_ceil_mode_is_the_same_for_numbers_and_symbols() -> None:
    """The last window must start inside: a rule that is easily lost for symbols."""
    h = cm.dim("h")
    for kernel, stride in ((1, 2), (2, 3), (3, 2), (2, 2)):
        op = ops.Pool("max", (kernel,), stride=stride, ceil_mode=True)
        g = _one(op, Tensor((1, 1, h)))
        for size in range(kernel, 12):
            expected = op.infer(Tensor((1, 1, size)))[0]
            assert cm.at(g, h=size).nodes["max"]["outputs"][0] == expected


def _one(op: Op, x: Tensor) -> object:
    b = cm.Builder()
    return b.finish(b.add(op, b.input(x.shape)))
