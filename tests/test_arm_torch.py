"""Networks and random layers with weights: the ARM program against torch, from end to end."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

import costmodel as cm
from costmodel import ops
from costmodel.errors import CostModelError
from costmodel.zoo.registry import NETWORKS

torch = pytest.importorskip("torch")
from arm_torch import deviation  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

TOLERANCE = 1e-5
LAYERS = 120


class Windows(nn.Module):  # type: ignore[misc]
    """Attention inside of shifted windows with a bias of positions, as in both forms of Swin.

    The mask and the bias are made of constants and parameters alone.
    """

    def __init__(self, cosine: bool) -> None:
        super().__init__()
        self.norm, self.qkv, self.out = nn.LayerNorm(12), nn.Linear(12, 36), nn.Linear(12, 12)
        self.table = nn.Parameter(torch.randn(9, 3))
        self.register_buffer("index", torch.randint(0, 9, (16,)))
        self.scale = nn.Parameter(torch.zeros(3, 1, 1))
        self.cosine = cosine

    def forward(self, x: Any) -> Any:
        n, h, w, c = x.shape
        x = functional.pad(self.norm(x), (0, 0, 0, -w % 2, 0, -h % 2))
        _, h, w, _ = x.shape
        x = x.view(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
        qkv = self.qkv(x).reshape(-1, 4, 3, 3, c // 3).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        if self.cosine:
            q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
            scores = q @ k.transpose(-2, -1) * self.scale.exp()
        else:
            scores = (q * 0.5) @ k.transpose(-2, -1)
        bias = self.table[self.index].view(4, 4, 3).permute(2, 0, 1).contiguous()
        scores = scores + bias[None]
        mask = x.new_zeros((h, w))
        mask[: h // 2, : w // 2] = 1
        mask = mask.view(h // 2, 2, w // 2, 2).permute(0, 2, 1, 3).reshape(-1, 4)
        mask = mask[:, None] - mask[:, :, None]
        mask = mask.masked_fill(mask != 0, -100.0)
        places = mask.shape[0]
        scores = scores.view(-1, places, 3, 4, 4) + mask[None, :, None]
        mixed = functional.softmax(scores.view(-1, 3, 4, 4), -1) @ v
        y = self.out(mixed.transpose(1, 2).reshape(-1, 4, c))
        y = y.view(n, h // 2, w // 2, 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        return torch.cat([y[:, 0::2, 0::2], y[:, 1::2, 0::2], y[:, 1::2, 1::2]], -1)


class Grid(nn.Module):  # type: ignore[misc]
    """A partition of six axes and attention over tensors of five, as in MaxViT."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.bias = nn.Linear(8, 24), nn.Parameter(torch.randn(2, 9, 9))

    def forward(self, x: Any) -> Any:
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 3, 3, w // 3, 3).permute(0, 2, 4, 3, 5, 1).reshape(n, -1, 9, c)
        heads = [part.reshape(n, -1, 9, 2, 4).transpose(2, 3) for part in self.qkv(x).chunk(3, -1)]
        q, k, v = heads
        scores = torch.einsum("BGHID,BGHJD->BGHIJ", q, k * 0.5) + self.bias[None]
        y = torch.einsum("BGHIJ,BGHJD->BGHID", scores.softmax(-1), v).transpose(2, 3)
        y = y.reshape(n, h // 3, w // 3, 3, 3, c).permute(0, 5, 1, 3, 2, 4)
        return y.reshape(n, c, h, w)


def volumes() -> Any:
    """Return convolutions, norms and pooling of three axes, one of them apart in time and space."""
    return nn.Sequential(
        nn.Conv3d(3, 8, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2), bias=False),
        nn.BatchNorm3d(8),
        nn.ReLU(),
        nn.Conv3d(8, 8, (1, 3, 3), padding=(0, 1, 1), groups=4),
        nn.MaxPool3d(3, 2, 1),
        nn.Conv3d(8, 6, (3, 1, 1), padding=(1, 0, 0)),
        nn.AvgPool3d(2, 1, 1, count_include_pad=False),
        nn.Conv3d(6, 4, 1),
        nn.AdaptiveAvgPool3d((2, 2, 1)),
    )


def rows() -> Any:
    """Return layers of one axis."""
    return nn.Sequential(
        nn.Conv1d(5, 20, 7, stride=2, padding=3),
        nn.BatchNorm1d(20),
        nn.ReLU(),
        nn.MaxPool1d(3, 2, 1),
        nn.Conv1d(20, 20, 3, padding=2, dilation=2, groups=20),
        nn.Conv1d(20, 9, 1),
        nn.ConvTranspose1d(9, 4, 4, stride=2, padding=1),
        nn.AdaptiveAvgPool1d(5),
    )


def uneven() -> Any:
    """Return windows whose strides and dilations differ along the axes."""
    return nn.Sequential(
        nn.Conv2d(3, 18, 3, stride=(1, 2), padding=1),
        nn.Conv2d(18, 18, 3, padding=(1, 2), dilation=(1, 2)),
        nn.Conv2d(18, 18, (3, 5), stride=(2, 1), padding=(1, 2), groups=18),
        nn.LocalResponseNorm(5),
        nn.AvgPool2d((2, 3), (1, 2), padding=(1, 1)),
        nn.MaxPool2d(3, (2, 1), padding=1, dilation=(1, 1)),
        nn.ConvTranspose2d(18, 12, (2, 3), stride=(2, 1), padding=(0, 1)),
        nn.PixelShuffle(2),
        nn.GroupNorm(3, 3),
        nn.PReLU(3),
    )


MODULES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
    "windows": (lambda: Windows(False), (1, 7, 8, 12)),
    "cosine windows": (lambda: Windows(True), (2, 8, 8, 12)),
    "grid": (Grid, (1, 8, 6, 9)),
    "volumes": (volumes, (2, 3, 6, 13, 14)),
    "rows": (rows, (2, 5, 40)),
    "uneven": (uneven, (2, 3, 14, 15)),
}


@pytest.mark.parametrize("name", MODULES)
def test_networks_end_where_torch_ends(name: str) -> None:
    make, shape = MODULES[name]
    assert deviation(cm.from_torch(make().eval(), torch.zeros(shape))) <= TOLERANCE


@pytest.mark.parametrize(
    ("network", "values"),
    [
        ("shufflenet_v2", {"width": 0.5, "size": 64}),
        ("mobilenet_v3", {"size": 64}),
        ("resnet18", {"size": 32}),
        ("vit", {"size": 32}),
    ],
)
def test_networks_of_the_zoo_end_where_torch_ends(network: str, values: dict[str, Any]) -> None:
    assert deviation(NETWORKS[network](**values)) <= TOLERANCE


Layer = tuple[ops.Op, tuple[int, ...]]


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize("shared", [1, 2, 4])
def test_attention_in_parts_is_that_of_torch(lead: tuple[int, ...], shared: int) -> None:
    """Scores and mixtures apart, as where a mask or a bias comes between; heads share keys."""
    builder = cm.Builder("attention")
    q = builder.input((*lead, 4, 9, 8))
    k, v = builder.input((*lead, shared, 7, 8)), builder.input((*lead, shared, 7, 5))
    scores = builder.add(ops.AttentionScores(), q, k)
    weights = builder.add(ops.Softmax(), scores)
    assert deviation(builder.finish(builder.add(ops.AttentionMix(), weights, v))) <= TOLERANCE


def _sizes(r: random.Random, rank: int) -> tuple[int, ...]:
    return tuple(r.randint(5, 11) for _ in range(rank))


def _pairs(r: random.Random, kernel: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((r.randint(0, k // 2), r.randint(0, k // 2)) for k in kernel)


def conv(r: random.Random) -> Layer:
    rank, groups = r.randint(1, 3), r.choice([1, 1, 2, 4])
    kernel = tuple(r.randint(1, 3) for _ in range(rank))
    how = [tuple(r.randint(1, 2) for _ in range(rank)) for _ in range(2)]
    cin, cout = groups * r.randint(1, 5), groups * r.randint(1, 5)
    op = ops.Conv(cout, kernel, how[0], _pairs(r, kernel), how[1], groups, r.random() < 0.5)
    return op, (r.randint(1, 2), cin, *_sizes(r, rank))


def depthwise(r: random.Random) -> Layer:
    channels, rank = r.randint(2, 9), r.randint(1, 2)
    kernel = tuple(r.choice([3, 5, 2]) for _ in range(rank))
    strides = tuple(r.randint(1, 3) for _ in range(rank))
    op = ops.Conv(channels, kernel, strides, _pairs(r, kernel), groups=channels, bias=True)
    return op, (1, channels, *_sizes(r, rank))


def deconv(r: random.Random) -> Layer:
    rank, groups = r.randint(1, 2), r.randint(1, 2)
    kernel = tuple(r.randint(1, 4) for _ in range(rank))
    strides = tuple(r.randint(1, 3) for _ in range(rank))
    op = ops.ConvTranspose(groups * r.randint(1, 4), kernel, strides, groups=groups)
    return op, (1, groups * r.randint(1, 4), *_sizes(r, rank))


def pool(r: random.Random) -> Layer:
    rank, kind = r.randint(1, 3), r.choice(["max", "avg"])
    kernel = tuple(r.randint(1, 3) for _ in range(rank))
    strides = tuple(r.randint(1, 3) for _ in range(rank))
    padding = tuple((p, p) for p in (r.randint(0, k // 2) for k in kernel))
    apart = tuple(r.randint(1, 2) for _ in range(rank)) if kind == "max" else 1
    flags = {"ceil_mode": r.random() < 0.5, "include_pad": r.random() < 0.5}
    return ops.Pool(kind, kernel, strides, padding, apart, **flags), (2, 3, *_sizes(r, rank))


def adaptive(r: random.Random) -> Layer:
    rank = r.randint(1, 3)
    to = tuple(r.randint(1, 6) for _ in range(rank))
    return ops.AdaptivePool(r.choice(["max", "avg"]), to), (2, 3, *_sizes(r, rank))


def resize(r: random.Random) -> Layer:
    rank = r.randint(1, 3)
    sizes = _sizes(r, rank)
    to = tuple(size * r.randint(1, 2) for size in sizes)
    kinds = ["nearest", "bilinear", *(["bicubic"] if rank == 2 else [])]
    return ops.Resize(to, r.choice(kinds)), (1, 3, *sizes)


def pad(r: random.Random) -> Layer:
    shape = tuple(r.randint(1, 6) for _ in range(r.randint(1, 6)))
    return ops.Pad(tuple(r.choice([(0, 0), (1, 0), (2, 3)]) for _ in shape)), shape


def reduce(r: random.Random) -> Layer:
    shape = tuple(r.randint(2, 6) for _ in range(r.randint(2, 5)))
    axes = tuple(r.sample(range(len(shape)), r.randint(1, 2)))
    kind = r.choice(["sum", "mean", "max", "min", "norm", "var", "prod", "cumsum"])
    axes = axes[:1] if kind == "cumsum" else axes
    return ops.Reduce(kind, axes, r.random() < 0.5), shape


def norm(r: random.Random) -> Layer:
    shape = (2, 6, *_sizes(r, r.randint(0, 3)))
    choices = [ops.BatchNorm(), ops.GroupNorm(3), ops.PReLU(), ops.LocalResponseNorm(4)]
    return r.choice(choices) if len(shape) > 2 else ops.BatchNorm(), shape


def softmax(r: random.Random) -> Layer:
    shape = tuple(r.randint(2, 7) for _ in range(r.randint(2, 5)))
    return ops.Softmax(-1, causal=True), shape


def number(r: random.Random) -> Layer:
    kind, value = r.choice([("pow", 2.0), ("pow", 3.0), ("div", 3.0), ("max", 0.25), ("sub", -1.5)])
    return ops.Elementwise(kind, value), (3, 5, 7)


MAKERS = (conv, depthwise, deconv, pool, adaptive, resize, pad, reduce, norm, softmax, number)


def test_random_layers_with_weights_are_those_of_torch() -> None:
    """Nothing of these kinds is refused: with one axis, two or three."""
    seen: dict[str, int] = {}
    for seed in range(LAYERS):
        op, shape = MAKERS[seed % len(MAKERS)](random.Random(seed))
        builder = cm.Builder("layer")
        try:
            graph = builder.finish(builder.add(op, builder.input(shape)))
        except CostModelError:
            continue  # no such layer
        error = deviation(graph, scale=3)
        assert error <= TOLERANCE, f"layer {seed}: {op} of {shape}: {error:.1e}"
        seen[type(op).__name__] = seen.get(type(op).__name__, 0) + 1
    assert sum(seen.values()) >= 0.9 * LAYERS
    assert len(seen) >= 10
