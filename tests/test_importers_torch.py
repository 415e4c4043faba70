"""from_torch: exact counts of the forms in which networks hide their work, and whole networks."""

from __future__ import annotations

import collections
from collections.abc import Callable

import pytest
from exported import operators

import costmodel as cm
from costmodel.errors import DataError, UnknownOperatorError
from costmodel.importers import from_torch
from costmodel.importers.registry import Registry
from costmodel.ops import ChannelShuffle, Contiguous, Conv, Elementwise, Linear, Reshape, Split

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn

from torch_shufflenet_v2 import ShuffleNetV2  # noqa: E402


class Of(nn.Module):
    """A module around a function; what it is given besides becomes its children."""

    def __init__(self, function: Callable, *parts: object) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ParameterList(p for p in parts if isinstance(p, nn.Parameter))
        self.children_ = nn.ModuleList(p for p in parts if isinstance(p, nn.Module))

    def forward(self, *inputs: torch.Tensor) -> object:
        return self.function(*inputs, *self.parts, *self.children_)


class TwoParents(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        shared = nn.Linear(32, 32)
        self.left, self.right = nn.Sequential(shared), nn.Sequential(shared, nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.left(x) + self.right(x)


class Frozen(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(64, 4, batch_first=True)
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


def zeros(*shape: int) -> torch.Tensor:
    return torch.zeros(shape)


def attend(attention: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return attention(x, x, x)[0]


def mlp(x: torch.Tensor, w1: torch.Tensor, w2: torch.Tensor) -> torch.Tensor:
    return F.linear(F.gelu(F.linear(x, w1)), w2)


def gqa(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(q, k, k, enable_gqa=True)


def causal(q: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(q, q, q, is_causal=True)


MHA = 4 * 20 * 64 * 64 + 2 * 20 * 20 * 64
"""Three projections and the last one, scores and mix: 20 tokens of 64 features."""

# Case: module, inputs, multiply-adds written out by hand, parameters.
CASES: dict[str, tuple[Callable[[], nn.Module], tuple, int, int]] = {
    "linear on 3-d input": (lambda: nn.Linear(64, 32), (zeros(2, 49, 64),), 2 * 49 * 64 * 32, 2080),
    "root module is a leaf": (lambda: nn.Linear(64, 32), (zeros(8, 64),), 8 * 64 * 32, 2080),
    "grouped conv g=8": (
        lambda: nn.Conv2d(64, 64, 3, padding=1, groups=8, bias=False),
        (zeros(1, 64, 14, 14),),
        14 * 14 * 64 * 8 * 9,
        64 * 8 * 9,
    ),
    "depthwise conv": (
        lambda: nn.Conv2d(32, 32, 3, stride=2, padding=1, groups=32),
        (zeros(1, 32, 15, 15),),
        8 * 8 * 32 * 9,
        32 * 9 + 32,
    ),
    "transposed conv s2": (
        lambda: nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),
        (zeros(1, 16, 7, 7),),
        7 * 7 * 16 * 8 * 16,
        16 * 8 * 16 + 8,
    ),
    "transposed conv grouped g=4": (
        lambda: nn.ConvTranspose2d(16, 8, 2, stride=2, groups=4, bias=False),
        (zeros(1, 16, 7, 7),),
        7 * 7 * 16 * 2 * 4,
        16 * 2 * 4,
    ),
    "F.conv2d with own weight": (
        lambda: Of(F.conv2d, parameter(8, 3, 5, 5)),
        (zeros(1, 3, 12, 12),),
        8 * 8 * 8 * 3 * 25,
        600,
    ),
    "x @ W parameter": (
        lambda: Of(lambda x, w: x @ w, parameter(64, 10)),
        (zeros(4, 7, 64),),
        4 * 7 * 64 * 10,
        640,
    ),
    "batched q @ k.T": (
        lambda: Of(lambda q, k: q @ k.transpose(-1, -2)),
        (zeros(2, 4, 10, 16), zeros(2, 4, 12, 16)),
        2 * 4 * 10 * 12 * 16,
        0,
    ),
    "einsum bhid,bhjd->bhij": (
        lambda: Of(lambda q, k: torch.einsum("bhid,bhjd->bhij", q, k)),
        (zeros(2, 4, 10, 16), zeros(2, 4, 12, 16)),
        2 * 4 * 10 * 12 * 16,
        0,
    ),
    "scaled_dot_product_attention": (
        lambda: Of(lambda q, k, v: F.scaled_dot_product_attention(q, k, v)),
        (zeros(2, 4, 10, 16), zeros(2, 4, 12, 16), zeros(2, 4, 12, 8)),
        2 * 4 * 10 * 12 * (16 + 8),
        0,
    ),
    "sdpa causal": (lambda: Of(causal), (zeros(2, 4, 10, 16),), 2 * 4 * 55 * 32, 0),
    "sdpa grouped queries": (
        lambda: Of(gqa),
        (zeros(2, 8, 10, 16), zeros(2, 2, 12, 16)),
        2 * 8 * 10 * 12 * 32,
        0,
    ),
    "sdpa with mask": (
        lambda: Of(lambda q, m: F.scaled_dot_product_attention(q, q, q, attn_mask=m)),
        (zeros(2, 4, 10, 16), zeros(10, 10)),
        2 * 4 * 10 * 10 * 32,
        0,
    ),
    "MultiheadAttention eval": (
        lambda: Of(
            lambda x, a: attend(a, x), nn.MultiheadAttention(64, 4, batch_first=True).eval()
        ),
        (zeros(1, 20, 64),),
        MHA,
        4 * 64 * 64 + 4 * 64,
    ),
    "MultiheadAttention train": (
        lambda: Of(
            lambda x, a: attend(a, x), nn.MultiheadAttention(64, 4, batch_first=True)
        ).train(),
        (zeros(1, 20, 64),),
        MHA,
        4 * 64 * 64 + 4 * 64,
    ),
    "MultiheadAttention frozen": (Frozen, (zeros(1, 20, 64),), MHA, 4 * 64 * 64 + 4 * 64),
    "MultiheadAttention, other keys": (
        lambda: Of(lambda x, y, a: a(x, y, y)[0], nn.MultiheadAttention(64, 4, batch_first=True)),
        (zeros(1, 20, 64), zeros(1, 20, 64)),
        MHA,
        4 * 64 * 64 + 4 * 64,
    ),
    "one Linear called 3 times": (
        lambda: Of(lambda x, f: f(f(f(x))), nn.Linear(32, 32)),
        (zeros(5, 32),),
        3 * 5 * 32 * 32,
        32 * 32 + 32,
    ),
    "one Linear under two parents": (TwoParents, (zeros(5, 32),), 2 * 5 * 32 * 32, 32 * 32 + 32),
    "child via .forward()": (
        lambda: Of(lambda x, f: f.forward(x), nn.Linear(32, 16)),
        (zeros(5, 32),),
        5 * 32 * 16,
        32 * 16 + 16,
    ),
    "LSTM 64->128, T=10": (
        lambda: nn.LSTM(64, 128),
        (zeros(10, 1, 64),),
        10 * 4 * 128 * (64 + 128),
        4 * 128 * (64 + 128 + 2),
    ),
    "GRU, two layers, both ways, batch first": (
        lambda: nn.GRU(8, 16, num_layers=2, bidirectional=True, batch_first=True),
        (zeros(3, 5, 8),),
        3 * 5 * 2 * 3 * 16 * ((8 + 16) + (32 + 16)),
        2 * 3 * 16 * ((8 + 16 + 2) + (32 + 16 + 2)),
    ),
    "GELU MLP of F.linear": (
        lambda: Of(mlp, parameter(128, 64), parameter(64, 128)),
        (zeros(7, 64),),
        2 * 7 * 64 * 128,
        2 * 64 * 128,
    ),
    "tied embedding and output layer": (
        lambda: Of(lambda i, e: F.linear(e(i), e.weight), nn.Embedding(50, 16)),
        (torch.zeros(1, 6, dtype=torch.int64),),
        6 * 16 * 50,
        50 * 16,
    ),
    "conv1d and conv3d": (
        lambda: Of(
            lambda x, a, b: (a(x), b(x[:, :, None, None])),
            nn.Conv1d(4, 6, 3),
            nn.Conv3d(4, 2, (1, 1, 3)),
        ),
        (zeros(1, 4, 12),),
        10 * 6 * 4 * 3 + 10 * 2 * 4 * 3,
        (72 + 6) + (24 + 2),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_micro_models_are_exact(name: str) -> None:
    make, inputs, multiply_adds, params = CASES[name]
    graph = from_torch(make(), *inputs)
    cm.validate(graph)
    assert cm.multiply_adds(graph) == multiply_adds
    assert cm.params(graph) == params
    assert graph.graph["coverage"] == 1.0
    assert graph.graph["unknown"] == ()


def test_batch_norm_relu_residual_counts_elements() -> None:
    net = Of(lambda x, bn: F.relu(bn(x)) + x, nn.BatchNorm2d(8))
    graph = from_torch(net, zeros(1, 8, 7, 7))
    elements = 8 * 7 * 7
    assert cm.multiply_adds(graph) == 0
    assert cm.cost(graph).elementwise == (2 + 1 + 1) * elements
    # Norm and ReLU read and write one map, the addition reads two; four numbers a channel.
    assert cm.mac(graph) == (2 + 2 + 3) * elements + 4 * 8


def test_traffic_of_shared_weights_counts_each_time() -> None:
    once = from_torch(nn.Linear(32, 32), zeros(5, 32))
    thrice = from_torch(Of(lambda x, f: f(f(f(x))), nn.Linear(32, 32)), zeros(5, 32))
    assert cm.mac(thrice) == 3 * cm.mac(once)


def test_tied_weights_keep_their_own_bias() -> None:
    a, b = nn.Linear(8, 8), nn.Linear(8, 8)
    b.weight = a.weight
    assert cm.params(from_torch(nn.Sequential(a, b), zeros(1, 8))) == 64 + 8 + 8


# Forms that should come out as one operator.
def shuffled_by_reshape(x: torch.Tensor) -> torch.Tensor:
    n, c, h, w = x.shape
    return x.reshape(n, 4, c // 4, h, w).transpose(1, 2).reshape(n, c, h, w)


def shuffled_by_permute(x: torch.Tensor) -> torch.Tensor:
    n, c, h, w = x.shape
    return x.view(n, 4, c // 4, h, w).permute(0, 2, 1, 3, 4).contiguous().view(n, -1, h, w)


CANONICAL: dict[str, tuple[Callable, list[object]]] = {
    "shuffle, reshape": (shuffled_by_reshape, [ChannelShuffle(4)]),
    "shuffle, permute": (shuffled_by_permute, [ChannelShuffle(4)]),
    "nn.ChannelShuffle": (nn.ChannelShuffle(4).forward, [ChannelShuffle(4)]),
    "chunk": (lambda x: x.chunk(2, 1), [Split(1, 2)]),
    "split in unequal parts": (lambda x: x.split((2, 6), 1), [Split(1, (2, 6))]),
    "flatten": (lambda x: x.flatten(1), [Reshape((1, 8 * 36))]),
    "copying reshape": (
        lambda x: x.transpose(2, 3).reshape(1, -1),
        ["Transpose", Contiguous(), Reshape((1, 288))],
    ),
    "contiguous of contiguous is free": (lambda x: x.contiguous(), []),
    "mean of pixels": (lambda x: x.mean((2, 3)), ["AdaptivePool", Reshape((1, 8))]),
    "dropout": (nn.Dropout().forward, ["Identity"]),
    "in place": (
        lambda x: (x * 1).relu_().add_(1),
        [Elementwise("mul", 1.0), "Elementwise", "Elementwise"],
    ),
    "scalar": (lambda x: 2 * x - 1, [Elementwise("mul", 2.0), Elementwise("sub", 1.0)]),
    "hardswish": (F.hardswish, [Elementwise("hard_swish")]),
    "relu6": (F.relu6, [Elementwise("relu6")]),
    "silu": (F.silu, [Elementwise("silu")]),
    "silu of a user": (
        lambda x: x * torch.sigmoid(x),
        [Elementwise("sigmoid"), Elementwise("mul")],
    ),
    "hard-swish of a user": (
        lambda x: x * F.relu6(x + 3) / 6,
        [
            Elementwise("add", 3.0),
            Elementwise("relu6"),
            Elementwise("mul"),
            Elementwise("div", 6.0),
        ],
    ),
    "clamp to 0, 6": (lambda x: x.clamp(0, 6), [Elementwise("relu6")]),
    "clamp from below": (lambda x: x.clamp(min=1e-5), [Elementwise("relu")]),
    "clamp to 0, 1": (lambda x: x.clamp(0, 1), [Elementwise("clamp")]),
    "clamp to a tensor": (
        lambda x: x.clamp(torch.zeros(()), x.sum()),
        ["Reduce", Elementwise("clamp")],
    ),
    "hard tanh": (F.hardtanh, [Elementwise("hard_tanh")]),
    "hard tanh to 2": (lambda x: F.hardtanh(x, -2, 2), [Elementwise("clamp")]),
    "square": (lambda x: x**2, [Elementwise("square")]),
    "power of two": (lambda x: 2**x, [Elementwise("pow", 2.0)]),
    "cast": (lambda x: x.half(), ["Cast"]),
    "buffer": (lambda x: x + torch.ones(8, 1, 1), ["Constant", Elementwise("add")]),
}


@pytest.mark.parametrize("name", CANONICAL)
def test_forms_become_canonical_operators(name: str) -> None:
    function, expected = CANONICAL[name]
    net = Of(function)
    # The mode of a bound method's module does not matter: dropout is traced through F.
    if name == "dropout":
        net = Of(lambda x, drop: drop(x), nn.Dropout())
    graph = from_torch(net, zeros(1, 8, 6, 6))
    cm.validate(graph)
    ops = [op for _, op in graph.nodes(data="op")][1:]
    ops = [op for op in ops if type(op).__name__ != "Output"]
    assert [
        type(op).__name__ if isinstance(e, str) else op for op, e in zip(ops, expected, strict=True)
    ] == expected


ONE_CALL = (
    *(nn.SiLU(), nn.SiLU(inplace=True), nn.Hardswish(), nn.Hardsigmoid(), nn.Mish(), nn.GELU()),
    *(nn.GELU("tanh"), nn.ReLU6(), nn.Softplus(), nn.ELU(inplace=True), nn.PReLU(), nn.LeakyReLU()),
    *(nn.LayerNorm(6), nn.GroupNorm(2, 8), nn.InstanceNorm2d(8), nn.BatchNorm2d(8), nn.RMSNorm(6)),
    *(nn.Linear(6, 6), nn.Conv2d(8, 8, 1), nn.Softmax(1), nn.AdaptiveAvgPool2d(1)),
    *(nn.Dropout(), nn.Dropout2d(), nn.PixelShuffle(2), nn.Upsample(scale_factor=2)),
)


@pytest.mark.parametrize("module", ONE_CALL, ids=lambda m: type(m).__name__)
def test_what_torch_takes_apart_elsewhere_changes_nothing(module: nn.Module) -> None:
    """Torch takes the Hardshrink apart, and with it nothing else."""
    alone = operators(from_torch(module, zeros(1, 8, 6, 6)))
    behind = operators(from_torch(nn.Sequential(nn.Hardshrink(), module), zeros(1, 8, 6, 6)))
    assert len(alone) <= 1
    assert behind - operators(from_torch(nn.Hardshrink(), zeros(1, 8, 6, 6))) == alone


def test_computed_kernels_count_their_parameter_once() -> None:
    class Standardized(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weight = (self.weight - self.weight.mean()) / (self.weight.std() + 1e-5)
            return F.conv2d(x, weight, self.bias)

    graph = from_torch(Standardized(4, 8, 3), zeros(1, 4, 6, 6))
    assert cm.multiply_adds(graph) == 4 * 4 * 8 * 4 * 9
    assert cm.params(graph) == 8 * 4 * 9 + 8


def test_fixed_kernels_are_no_parameters() -> None:
    class Blur(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("kernel", torch.ones(4, 1, 3, 3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.conv2d(x, self.kernel, groups=4)

    graph = from_torch(Blur(), zeros(1, 4, 6, 6))
    assert cm.multiply_adds(graph) == 4 * 4 * 4 * 9
    assert cm.params(graph) == 0


class WithLinalg(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(8, 8), Of(lambda x: torch.linalg.qr(x)[0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.inv(self.inner(x)) + 1


def test_unknown_operators_are_listed_at_once() -> None:
    with pytest.raises(UnknownOperatorError) as caught:
        from_torch(WithLinalg(), zeros(8, 8))
    message = str(caught.value)
    assert "2 operators" in message
    assert "aten.linalg_qr.default" in message
    assert "aten.linalg_inv_ex.default" in message
    assert "inner.1/" in message


def test_data_dependent_sizes_are_those_of_the_input() -> None:
    net = Of(lambda x: torch.linalg.qr(x)[0] + x.nonzero().sum())
    with pytest.raises(UnknownOperatorError, match=r"linalg_qr"):
        from_torch(net, zeros(8, 8))
    with pytest.raises(UnknownOperatorError, match="depends on data: nothing can stand in"):
        from_torch(net, zeros(8, 8), strict=False, dynamic={"n": 0})
    graph = from_torch(net, zeros(8, 8), strict=False)
    assert graph.graph["along"] == ("nonzero in the network",)


def test_lenient_import_reports_coverage() -> None:
    graph = from_torch(WithLinalg(), zeros(8, 8), strict=False)
    cm.validate(graph)
    assert cm.multiply_adds(graph) == 8 * 8 * 8
    assert [name.split(" at ")[0] for name in graph.graph["unknown"]] == [
        "aten.linalg_qr.default",
        "aten.linalg_inv_ex.default",
    ]
    assert "float32[8, 8] -> float32[8, 8]" in graph.graph["unknown"][1]
    # Each may hide a product of 8 for each of its results, 128 and 65 (an inverse and its status).
    hidden = 8 * 128 + 8 * (64 + 1)
    counted = cm.cost(graph).work
    assert graph.graph["coverage"] == pytest.approx(counted / (counted + hidden))
    # What is unknown costs nothing and keeps the graph connected.
    (source,) = (n for n, op in graph.nodes(data="op") if isinstance(op, Linear))
    import networkx as nx

    assert "output" in nx.descendants(graph, source)


def test_kernels_computed_from_an_input_are_no_parameters() -> None:
    net = Of(lambda x, z, f: F.conv2d(x, f(z).view(8, 3, 3, 3)), nn.Linear(4, 8 * 27))
    graph = from_torch(net, zeros(1, 3, 6, 6), zeros(4))
    assert cm.multiply_adds(graph) == 4 * 4 * 8 * 27 + 4 * 8 * 27
    assert cm.params(graph) == 5 * 8 * 27
    # The kernel is an output as well, so that what makes it is not dead code.
    assert [n for n in graph if n.startswith("output")] == ["output", "output_2"]


def test_scale_without_shift_is_one_parameter_a_channel() -> None:
    net = Of(lambda x, w: F.layer_norm(F.group_norm(x, 2, w), (6,), x[0, 0, 0]), parameter(4))
    graph = from_torch(net, zeros(1, 4, 6, 6))
    assert cm.params(graph) == 4
    assert cm.params(from_torch(nn.LayerNorm(6, bias=False), zeros(2, 6))) == 6
    assert cm.params(from_torch(nn.PReLU(), zeros(1, 8, 2, 2))) == 1
    assert cm.params(from_torch(nn.RMSNorm(6), zeros(2, 6))) == 6


def test_repeat_of_longer_axes_is_a_copy() -> None:
    graph = from_torch(Of(lambda x: x.repeat(2, 3)), zeros(4, 5))
    assert cm.mac(graph) == 2 * (2 * 4 * 3 * 5)


def test_shuffle_net_equals_the_zoo() -> None:
    for width in (1.0,):
        net = ShuffleNetV2(width)
        graph = from_torch(net, zeros(1, 3, 224, 224))
        zoo = cm.zoo.shufflenet_v2(width=width)
        assert cm.cost(graph) == cm.cost(zoo)
        assert cm.params(graph) == cm.params(zoo) == sum(p.numel() for p in net.parameters())
        assert kinds(graph) == kinds(zoo)
        assert cm.activation_memory(graph) == cm.activation_memory(zoo)
        assert cm.span(graph) == cm.span(zoo)


def kinds(graph: object) -> collections.Counter:
    return collections.Counter(type(op).__name__ for _, op in graph.nodes(data="op"))


def test_modules_and_weights_are_named() -> None:
    graph = from_torch(front(), zeros(1, 3, 64, 64))
    conv = graph.nodes["2.1.main.0.conv"]
    assert conv["op"] == Conv(24, (1, 1))
    assert conv["module"] == "2.1.main.0"
    assert conv["weights"] == "2.1.main.0.weight"
    assert [m.module for m in cm.by_module(graph)] == ["0", "1", "2"]


def front() -> nn.Module:
    """Return the first half of a ShuffleNet v2, which has all its forms."""
    net = ShuffleNetV2(0.5)
    return nn.Sequential(net.conv1, net.maxpool, net.stage2)


def test_symbolic_batch_and_size() -> None:
    net = front()
    symbolic = from_torch(net, zeros(1, 3, 64, 64), dynamic={"n": 0, "h": 2, "w": 3})
    assert {s.name for s in cm.mac(symbolic).free_symbols} == {"n", "h", "w"}
    odd = from_torch(net, zeros(3, 3, 75, 99))
    assert cm.cost(cm.at(symbolic, n=3, h=75, w=99)) == cm.cost(odd)
    assert cm.multiply_adds(symbolic).subs(
        {cm.dim("n"): 3, cm.dim("h"): 75, cm.dim("w"): 99}
    ) == cm.multiply_adds(odd)


def test_symbolic_tokens() -> None:
    class Patches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Conv2d(3, 16, 8, 8)
            self.qkv = nn.Linear(16, 48)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.embed(x).flatten(2).transpose(1, 2)
            n, t, c = x.shape
            q, k, v = self.qkv(x).reshape(n, t, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
            return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c)

    symbolic = from_torch(Patches(), zeros(2, 3, 64, 64), dynamic={"n": 0, "s": ((0, 2), (0, 3))})
    for n, s in ((2, 64), (1, 44)):
        assert cm.cost(cm.at(symbolic, n=n, s=s)) == cm.cost(
            from_torch(Patches(), zeros(n, 3, s, s))
        )


@pytest.mark.parametrize(
    ("dynamic", "message"),
    [
        ({"h": 7}, "axis 7 of input 0, which has 2 axes"),
        ({"h": 1}, "the network fixes its size to 8"),
    ],
)
def test_impossible_symbols_are_refused(dynamic: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        from_torch(nn.Linear(8, 8), zeros(4, 8), dynamic=dynamic)


def test_module_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout()).train()
    net[1].eval()
    before = net[0].running_mean.clone()
    from_torch(net, zeros(2, 3, 4, 4) + 5)
    assert [net.training, net[0].training, net[1].training] == [True, True, False]
    assert torch.equal(net[0].running_mean, before)
    assert torch.backends.mha.get_fastpath_enabled()


def test_weights_may_be_on_the_meta_device() -> None:
    with torch.device("meta"):
        net = front()
    graph = from_torch(net, zeros(1, 3, 64, 64))
    assert cm.cost(graph) == cm.cost(from_torch(front(), zeros(1, 3, 64, 64)))


def test_no_module_and_no_trace_are_one_sentence() -> None:
    with pytest.raises(DataError, match=r"takes a torch\.nn\.Module, got int"):
        from_torch(3)
    with pytest.raises(DataError, match="Linear does not run on these inputs: RuntimeError: mat1"):
        from_torch(nn.Linear(8, 8), zeros(4, 9))
    for shape in ((1, 3, 8, 8), [1, 3, 8, 8]):
        with pytest.raises(
            DataError, match=r"an input is a tensor, such as torch\.zeros\(1, 3, 8, 8\)$"
        ):
            from_torch(nn.Conv2d(3, 4, 3), shape)
    with pytest.raises(DataError, match=r"got \(str, .*int\)$"):
        from_torch(nn.Conv2d(3, 4, 3), "1x3x8x8")


def test_graph_survives_json() -> None:
    from costmodel.graph.serialize import from_json, to_json

    graph = from_torch(front(), zeros(1, 3, 64, 64), dynamic={"n": 0})
    again = from_json(to_json(graph))
    assert cm.cost(again) == cm.cost(graph)


def test_registry_refuses_duplicates() -> None:
    table: Registry = Registry("ATen")
    table.register("relu")(print)
    with pytest.raises(ValueError, match="ATen operator 'relu' is registered twice"):
        table.register("gelu", "relu")(print)


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(100, 32)
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.head = nn.Linear(32, 100)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(self.embed(tokens)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.GroupNorm(2, 8), nn.SiLU())
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)
        self.out = nn.Conv2d(11, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.interpolate(self.up(self.down(x)), size=x.shape[2:], mode="bilinear")
        return self.out(torch.cat([x, y], 1))


@pytest.mark.parametrize(
    ("make", "example"),
    [
        (front, zeros(2, 3, 64, 64)),
        (Transformer, torch.zeros(2, 9, dtype=torch.int64)),
        (UNet, zeros(1, 3, 17, 23)),
    ],
    ids=["cnn", "transformer", "u-net"],
)
def test_agrees_with_torchs_own_counter(
    make: Callable[[], nn.Module], example: torch.Tensor
) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    net = make().train()  # its fast path in eval mode hides products from the counter
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(example)
    assert cm.flops(from_torch(net, example)) == counter.get_total_flops()
