"""Automatic mixed precision: every listed operator returns the dtype that PyTorch returns.

The kernels of the lists for GPUs are found without a GPU: by tensors that have no data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from costmodel import ops
from costmodel.kernels.autocast import LISTS
from costmodel.ops import Attention, Conv, Elementwise, Linear, MatMul, Reduce, Softmax
from costmodel.ops.elementwise import UNARY
from tests.test_autocast import output

torch = pytest.importorskip("torch")
from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.nn import functional as f  # noqa: E402

LOW = {"gpu": "float16", "cpu": "bfloat16"}
SHAPE = (2, 8, 16, 16)
Function = Callable[..., Any]


@contextlib.contextmanager
def under_autocast(hardware: str) -> Iterator[str]:
    """Yield the device of fake tensors while autocast is on for it."""
    device = {"gpu": "cuda", "cpu": "cpu"}[hardware]
    with FakeTensorMode():
        torch.set_autocast_enabled(device, True)
        torch.set_autocast_dtype(device, getattr(torch, LOW[hardware]))
        try:
            yield device
        finally:
            torch.set_autocast_enabled(device, False)


def unary_functions() -> dict[str, Function]:
    named = {
        "clamp": lambda x: x.clamp(-1, 1),
        "gelu_tanh": lambda x: f.gelu(x, approximate="tanh"),
        "hard_sigmoid": f.hardsigmoid,
        "hard_swish": f.hardswish,
        "hard_tanh": f.hardtanh,
        "not": torch.logical_not,
    }
    modules = (torch, f)
    for kind in UNARY:
        if kind not in named and kind != "special":
            named[kind] = next(getattr(m, kind) for m in modules if hasattr(m, kind))
    return named


@pytest.mark.parametrize("hardware", ["gpu", "cpu"])
@pytest.mark.parametrize("kind", sorted(set(UNARY) - {"special"}))
def test_functions_of_one_tensor_return_the_dtype_that_torch_returns(
    hardware: str, kind: str
) -> None:
    with under_autocast(hardware) as device:
        x = torch.empty(SHAPE, dtype=getattr(torch, LOW[hardware]), device=device)
        reference = str(unary_functions()[kind](x).dtype)[6:]
    assert output(Elementwise(kind), (LOW[hardware],), hardware, (SHAPE,)) == reference


def one_tensor() -> dict[str, tuple[ops.Op, Function]]:
    def to(x: Any, *shape: int) -> Any:
        return torch.empty(*shape, device=x.device)

    channels = lambda x: [to(x, 8)] * 4  # noqa: E731
    return {
        "softmax": (Softmax(), lambda x: x.softmax(-1)),
        "sum": (Reduce("sum", (1,)), lambda x: x.sum(1)),
        "mean": (Reduce("mean", (1,)), lambda x: x.mean(1)),
        "max": (Reduce("max", (1,)), lambda x: x.amax(1)),
        "prod": (Reduce("prod", (1,)), lambda x: x.prod(1)),
        "cumsum": (Reduce("cumsum", (1,)), lambda x: x.cumsum(1)),
        "var": (Reduce("var", (1,)), lambda x: x.var(1)),
        "layer_norm": (ops.LayerNorm(1), lambda x: f.layer_norm(x, [16])),
        "rms_norm": (ops.LayerNorm(1, rms=True), lambda x: f.rms_norm(x, [16])),
        "group_norm": (ops.GroupNorm(2), lambda x: f.group_norm(x, 2)),
        "instance_norm": (ops.GroupNorm(8), f.instance_norm),
        "batch_norm": (ops.BatchNorm(), lambda x: f.batch_norm(x, *channels(x))),
        "response_norm": (ops.LocalResponseNorm(5), lambda x: f.local_response_norm(x, 5)),
        "max_pool": (ops.Pool("max", (2, 2), 2), lambda x: f.max_pool2d(x, 2)),
        "avg_pool": (ops.Pool("avg", (2, 2), 2), lambda x: f.avg_pool2d(x, 2)),
        "adaptive": (ops.AdaptivePool("avg", (1, 1)), lambda x: f.adaptive_avg_pool2d(x, 1)),
        "resize": (ops.Resize((32, 32)), lambda x: f.interpolate(x, scale_factor=2)),
        "pad": (ops.Pad(((0, 0), (0, 0), (1, 1), (1, 1))), lambda x: f.pad(x, (1, 1, 1, 1))),
        "shuffle": (ops.PixelShuffle(2), lambda x: f.pixel_shuffle(x, 2)),
        "conv": (Conv(4, (3, 3)), lambda x: f.conv2d(x, to(x, 4, 8, 3, 3))),
        "transposed": (
            ops.ConvTranspose(4, (3, 3)),
            lambda x: f.conv_transpose2d(x, to(x, 8, 4, 3, 3)),
        ),
        "linear": (Linear(4), lambda x: f.linear(x, to(x, 4, 16))),
        "prelu": (ops.PReLU(), lambda x: f.prelu(x, to(x, 8))),
        "square_by_power": (Elementwise("pow", 2.0), lambda x: x**2),
        "number": (Elementwise("add", 1.0), lambda x: x + 1.0),
    }


@pytest.mark.parametrize("hardware", ["gpu", "cpu"])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", sorted(one_tensor()))
def test_layers_return_the_dtype_that_torch_returns(hardware: str, wide: bool, name: str) -> None:
    op, reference = one_tensor()[name]
    dtype = "float32" if wide else LOW[hardware]
    with under_autocast(hardware) as device:
        x = torch.empty(SHAPE, dtype=getattr(torch, dtype), device=device)
        found = str(reference(x).dtype)[6:]
    assert output(op, (dtype,), hardware, (SHAPE,)) == found


@pytest.mark.parametrize("hardware", ["gpu", "cpu"])
@pytest.mark.parametrize("first", ["low", "float32"])
@pytest.mark.parametrize("second", ["low", "float32"])
@pytest.mark.parametrize(
    "name", ["add", "mul", "max", "pow", "where", "cat", "matmul", "attention"]
)
def test_two_dtypes_become_what_torch_makes_of_them(
    hardware: str, first: str, second: str, name: str
) -> None:
    dtypes = tuple(LOW[hardware] if d == "low" else d for d in (first, second))
    functions: dict[str, tuple[ops.Op, Function]] = {
        "add": (Elementwise("add"), torch.add),
        "mul": (Elementwise("mul"), torch.mul),
        "max": (Elementwise("max"), torch.maximum),
        "pow": (Elementwise("pow"), torch.pow),
        "cat": (ops.Concat(1), lambda a, b: torch.cat([a, b], 1)),
        "matmul": (MatMul(), torch.matmul),
        "where": (
            Elementwise("where"),
            lambda a, b: torch.where(torch.empty(SHAPE, dtype=torch.bool, device=a.device), a, b),
        ),
        "attention": (
            Attention(),
            lambda a, b: f.scaled_dot_product_attention(a, b, b),
        ),
    }
    op, reference = functions[name]
    with under_autocast(hardware) as device:
        tensors = [torch.empty(SHAPE, dtype=getattr(torch, d), device=device) for d in dtypes]
        found = str(reference(*tensors).dtype)[6:]
    given = {"where": ("bool", *dtypes), "attention": (*dtypes, dtypes[1])}.get(name, dtypes)
    assert output(op, given, hardware, (SHAPE,) * 3) == found


def test_every_listed_operator_is_compared_above() -> None:
    compared = {type(op).__name__ for op, _ in one_tensor().values()}
    compared |= {"Elementwise", "MatMul", "Attention", "Reduce"}
    apart = {"AttentionScores", "AttentionMix", "Recurrent", "RecurrentSteps", "GridSample"}
    listed = {name.partition(".")[0] for lists in LISTS.values() for name in lists}
    assert listed - compared == apart


def test_recurrent_and_sampling_layers_on_the_cpu() -> None:
    cells = {"lstm": torch.nn.LSTM, "rnn": torch.nn.RNN}
    for kind, cell in cells.items():
        with under_autocast("cpu"):
            found = str(cell(16, 8)(torch.empty(3, 4, 16))[0].dtype)[6:]
        assert output(ops.Recurrent(kind, 8), ("float32",), "cpu", ((3, 4, 16),)) == found
        assert output(ops.Recurrent(kind, 8), ("float32",), "gpu", ((3, 4, 16),)) == "float16"
    for hardware in ("cpu", "gpu"):
        given = ((1, 2, 8, 8), (1, 8, 8, 2))
        dtypes = (LOW[hardware], "float32")
        assert output(ops.GridSample(), dtypes, hardware, given) == "float32"
