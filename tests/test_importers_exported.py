"""One network is one graph: what torch exports to ONNX comes back as what it was in torch."""

from __future__ import annotations

import collections
from collections.abc import Callable
from pathlib import Path

import pytest
from exported import EXPORTERS, export, operators, randomized

import costmodel as cm
from costmodel.importers import from_onnx, from_torch
from costmodel.kernels import lower
from costmodel.ops import BatchNorm, Elementwise, GroupNorm, LayerNorm, Op, PReLU
from costmodel.runtimes import load_runtime

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
nn = torch.nn


def activation(kind: str) -> Op:
    return Elementwise(kind)


IMAGE = torch.zeros(1, 8, 6, 6)
TOKENS = torch.zeros(2, 5, 16)
# For each module the operator that it is, by either way. Clippings stand apart: exporters join
# neighbours.
ACTIVATIONS: list[tuple[object, Op]] = [
    (nn.SiLU(), activation("silu")),
    (nn.Hardswish(), activation("hard_swish")),
    (nn.Hardsigmoid(), activation("hard_sigmoid")),
    (nn.Mish(), activation("mish")),
    (nn.GELU(), activation("gelu")),
    (nn.GELU("tanh"), activation("gelu_tanh")),
    (nn.ReLU(), activation("relu")),
    (nn.Softplus(), activation("softplus")),
    (nn.Softplus(beta=2), activation("softplus")),
    (nn.ReLU6(), activation("relu6")),
    (nn.LogSigmoid(), activation("softplus")),
    (nn.Hardtanh(), activation("hard_tanh")),
    (nn.LeakyReLU(), activation("leaky_relu")),
    (nn.ELU(), activation("elu")),
    (nn.Hardtanh(-2, 2), activation("clamp")),
    (nn.SELU(), activation("elu")),
    (nn.Sigmoid(), activation("sigmoid")),
    (nn.PReLU(8), PReLU()),
    (nn.PReLU(), PReLU(shared=True)),
]
IMAGE_NORMS: list[tuple[object, Op]] = [
    (nn.GroupNorm(2, 8), GroupNorm(2)),
    (nn.GroupNorm(8, 8), GroupNorm(8)),
    (nn.GroupNorm(1, 8), GroupNorm(1)),
    (nn.InstanceNorm2d(8, affine=True), GroupNorm(8)),
    (nn.InstanceNorm2d(8), GroupNorm(8, affine=False)),
    (nn.BatchNorm2d(8), BatchNorm()),
    (nn.LayerNorm((6, 6)), LayerNorm(2)),
    (nn.LayerNorm((8, 6, 6)), LayerNorm(3)),
]
TOKEN_NORMS: list[tuple[object, Op]] = [
    (nn.LayerNorm(16), LayerNorm()),
    (nn.LayerNorm((5, 16)), LayerNorm(2)),
    (nn.LayerNorm(16, bias=False), LayerNorm(bias=False)),
    (nn.LayerNorm(16, elementwise_affine=False), LayerNorm(affine=False, bias=False)),
    (nn.GroupNorm(5, 5), GroupNorm(5)),
]
# The TorchScript exporter knows none of these.
ROOT_MEAN_SQUARES: list[tuple[object, Op]] = [
    (nn.RMSNorm(16), LayerNorm(rms=True, bias=False)),
    (nn.RMSNorm((5, 16), eps=1e-6), LayerNorm(2, rms=True, bias=False)),
    (nn.RMSNorm(16, elementwise_affine=False), LayerNorm(affine=False, rms=True, bias=False)),
]
GROUPS = {
    "activations": (ACTIVATIONS, IMAGE),
    "norms of images": (IMAGE_NORMS, IMAGE),
    "norms of tokens": (TOKEN_NORMS, TOKENS),
}


def check(modules: list[tuple[object, Op]], example: object, path: Path, how: dict) -> None:
    net = nn.Sequential(*(module for module, _ in modules))
    right = collections.Counter(op for _, op in modules)
    traced, read = from_torch(net, example), from_onnx(export(net, example, path, **how))
    cm.validate(read)
    assert operators(traced) == right
    assert operators(read) == right
    assert cm.cost(read) == cm.cost(traced)


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("group", GROUPS)
def test_modules_come_back_as_what_they_were(group: str, exporter: str, tmp_path: Path) -> None:
    modules, example = GROUPS[group]
    for module, _ in modules:
        randomized(module)
    check(modules, example, tmp_path / "net.onnx", EXPORTERS[exporter])


@pytest.mark.parametrize("exporter", ["dynamo 18", "dynamo 23"])
def test_root_mean_squares_come_back(exporter: str, tmp_path: Path) -> None:
    check(ROOT_MEAN_SQUARES, TOKENS, tmp_path / "net.onnx", EXPORTERS[exporter])


@pytest.mark.parametrize("exporter", ["torchscript 13", "torchscript 17", "dynamo 18"])
def test_untrained_norms_have_their_parameters(exporter: str, tmp_path: Path) -> None:
    """A scale of ones is a parameter as well: only what the exporter puts in is none."""
    modules = [(nn.LayerNorm((6, 6)), LayerNorm(2)), (nn.InstanceNorm2d(8), IMAGE_NORMS[4][1])]
    modules += [(nn.GroupNorm(4, 8), GroupNorm(4))]
    check(modules, IMAGE, tmp_path / "net.onnx", EXPORTERS[exporter])


@pytest.mark.parametrize("exporter", ["torchscript 13", "dynamo 18"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["half", "bfloat16"])
def test_low_precision_comes_back(dtype: object, exporter: str, tmp_path: Path) -> None:
    """Numbers are rounded, and norms are computed in a wider type."""
    modules = ACTIVATIONS[:6]
    norms = [(nn.LayerNorm(6), LayerNorm()), (nn.GroupNorm(2, 8), GroupNorm(2))]
    if "dynamo" in exporter:
        norms += [(nn.RMSNorm(6), LayerNorm(rms=True, bias=False))]
    modules += [(randomized(module).to(dtype), op) for module, op in norms]
    check(modules, IMAGE.to(dtype), tmp_path / "net.onnx", EXPORTERS[exporter])


class Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int, act: Callable, gate: Callable) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, 8, 1), act())
        self.excite = nn.Sequential(nn.Conv2d(8, channels, 1), gate())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.excite(self.squeeze(x))


class Bottleneck(nn.Module):
    def __init__(self, act: Callable, gate: Callable, norm: Callable) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(16, 64, 1), norm(64), act()),
            *(nn.Conv2d(64, 64, 3, padding=1, groups=64), norm(64), act()),
            *(Gate(64, act, gate), nn.Conv2d(64, 16, 1), norm(16)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


def squeezing(act: Callable, gate: Callable, norm: Callable = nn.Identity) -> nn.Module:
    blocks = [Bottleneck(act, gate, norm) for _ in range(2)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(16, 10)]
    return nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), act(), *blocks, *head)


class Mixer(nn.Module):
    """A transformer block with a product in the place of its attention."""

    def __init__(self, act: Callable) -> None:
        super().__init__()
        self.mix = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64))
        self.mlp = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 256), act(), nn.Linear(256, 64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.mix(x)
        return x + self.mlp(x)


PATCHES = torch.zeros(1, 49, 64)
PIXELS = torch.zeros(1, 3, 64, 64)
NETWORKS = {
    "SE, SiLU": (lambda: squeezing(nn.SiLU, nn.Sigmoid), PIXELS),
    "SE, hard-swish": (lambda: squeezing(nn.Hardswish, nn.Hardsigmoid), PIXELS),
    "SE, Mish, group norm": (
        lambda: squeezing(nn.Mish, nn.Sigmoid, lambda c: nn.GroupNorm(4, c)),
        PIXELS,
    ),
    "GELU, layer norm": (lambda: nn.Sequential(Mixer(nn.GELU), Mixer(nn.GELU)), PATCHES),
    "tanh GELU": (lambda: Mixer(lambda: nn.GELU("tanh")), PATCHES),
}


def same_on_every_runtime(traced: object, read: object) -> None:
    for name in ("ncnn", "tflite", "onnxruntime", "paper"):
        ways = [
            collections.Counter((k.kind, k.multiply_adds, k.bytes) for k in lower(graph, runtime))
            for runtime in [load_runtime(name)]
            for graph in (traced, read)
        ]
        assert ways[0] == ways[1], name
    for name in ("ncnn", "tflite", "onnxruntime"):
        platform = f"raspberry-pi-4/{name}?threads=4"
        seconds = [cm.latency(graph, platform).seconds for graph in (traced, read)]
        assert seconds[1] == pytest.approx(seconds[0], rel=0.01), name


@pytest.mark.parametrize("exporter", ["torchscript 13", "dynamo 18"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_one_latency(name: str, exporter: str, tmp_path: Path) -> None:
    make, example = NETWORKS[name]
    net = randomized(make())
    read = from_onnx(export(net, example, tmp_path / "net.onnx", **EXPORTERS[exporter]))
    same_on_every_runtime(from_torch(net, example), read)


def test_a_network_with_batch_norms_has_one_latency(tmp_path: Path) -> None:
    net = randomized(squeezing(nn.SiLU, nn.Sigmoid, nn.BatchNorm2d))
    how = {"training": torch.onnx.TrainingMode.PRESERVE}  # the batch norms stay
    path = export(net, PIXELS, tmp_path / "net.onnx", dynamo=False, opset_version=13, **how)
    read = from_onnx(path)
    assert operators(read)[BatchNorm()] == 6
    same_on_every_runtime(from_torch(net, PIXELS), read)
