"""What a run without data makes of shapes equals what torch makes of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import costmodel as cm
from costmodel.importers import from_torch

torch = pytest.importorskip("torch")
F = torch.nn.functional
nn = torch.nn

from costmodel.importers.torch_module.kernels import Kernels  # noqa: E402
from costmodel.importers.torch_module.shapes import RULES  # noqa: E402


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(shape)


X = randn(2, 4, 6)
IMAGE = randn(2, 4, 6, 5)
PER_CHANNEL = (randn(4), randn(4))
STATISTICS = (torch.zeros(4), torch.ones(4))
OFFSETS = torch.tensor([3, 8], dtype=torch.int32)

OTHERS = (randn(2, 4, 6), 2.0, randn(6), randn(4, 1), torch.tensor(1.5), randn(3, 1, 1, 1))
BINARY: list[tuple] = [(X, other) for other in OTHERS]
CASES: dict[str, list[tuple]] = {
    **{name: [(X,), (IMAGE.transpose(1, 2),)] for name in RULES if name.split(".")[2] == "default"},
    **{name: BINARY for name in RULES if name.split(".")[2] == "Tensor"},
    "aten.batch_norm.default": [
        (IMAGE, *PER_CHANNEL, *STATISTICS, False, 0.1, 1e-5, True),
        (IMAGE, None, None, *STATISTICS, False, 0.1, 1e-5, True),
        (IMAGE, *PER_CHANNEL, *STATISTICS, True, 0.1, 1e-5, True),
    ],
    "aten.group_norm.default": [(IMAGE, 2, *PER_CHANNEL), (IMAGE, 4)],
    "aten.layer_norm.default": [(X, [6], randn(6), randn(6)), (X, [4, 6])],
    "aten.linear.default": [(X, randn(7, 6), randn(7)), (X, randn(7, 6)), (randn(6), randn(7, 6))],
    "aten._grouped_mm.default": [(randn(8, 8).bfloat16(), randn(2, 8, 8).bfloat16(), OFFSETS)],
}
WRONG: dict[str, tuple] = {
    "aten.batch_norm.default": (IMAGE, randn(3), randn(3), randn(3), randn(3), False, 0.1, 1, True),
    "aten.group_norm.default": (IMAGE, 3),
    "aten.layer_norm.default": (X, [6], randn(5)),
    "aten.linear.default": (X, randn(7, 5)),
    "aten.add.Tensor": (X, randn(5)),
}


def overload(name: str) -> Any:
    _, packet, kind = name.split(".")
    return getattr(getattr(torch.ops.aten, packet), kind)


def without_data(args: tuple) -> tuple[tuple, list[torch.Tensor]]:
    made = [a.to("meta") if torch.is_tensor(a) else a for a in args]
    made = [
        torch.empty_strided(a.shape, a.stride(), dtype=a.dtype, device="meta")
        if torch.is_tensor(a)
        else a
        for a in args
    ]
    return tuple(made), [a for a in made if torch.is_tensor(a)]


@pytest.mark.parametrize("name", RULES)
def test_rules_say_what_torch_makes(name: str) -> None:
    op = overload(name)
    for args in CASES[name]:
        metas, tensors = without_data(args)
        made, _ = Kernels().run(op, metas, {}, tensors, (name, str(metas)))
        right = op(*(a.clone() if torch.is_tensor(a) else a for a in args))
        assert (made.shape, made.dtype) == (right.shape, right.dtype)
        # Torch may make a result of one line as a view of more.
        assert made.stride() == right.stride() or 1 in made.shape
        if op._schema.is_mutable:
            assert made is tensors[0]


@pytest.mark.parametrize("name", WRONG)
def test_rules_leave_misfits_to_torch(name: str) -> None:
    metas, tensors = without_data(WRONG[name])
    with pytest.raises(RuntimeError):
        Kernels().run(overload(name), metas, {}, tensors, None)


VIEWS: list[Callable[[torch.Tensor], Any]] = [
    lambda x: x[1:, ::2],
    lambda x: x.transpose(1, 2),
    lambda x: x.reshape(2, 24),
    lambda x: x.transpose(1, 2).reshape(2, 24),
    lambda x: x.chunk(2, 1),
    lambda x: x.unbind(0),
    lambda x: x[0].expand(3, 4, 6),
    lambda x: x.view(torch.int32),
    lambda x: x.diagonal(0, 0, 1),
    lambda x: x.flatten(),
    lambda x: x.contiguous(),
    lambda x: x.permute(2, 0, 1).contiguous(),
]


@pytest.mark.parametrize("number", range(len(VIEWS)))
def test_views_share_memory_as_they_do_in_torch(number: int) -> None:
    """Twice, as the second time what is known from the first is used; and on a view."""
    seen: list = []

    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> object:
            seen.clear()
            for y in (x, x[:], torch.cat([x, x])[2:]):
                made = VIEWS[number](y)
                for part in made if isinstance(made, tuple) else (made,):
                    shared = part.untyped_storage()._cdata == y.untyped_storage()._cdata
                    offset = part.storage_offset() - y.storage_offset() if shared else 0
                    seen.append((part.shape, part.stride(), part.dtype, shared, offset))
            return x

    Net()(X)
    right = list(seen)
    for _ in range(2):
        from_torch(Net(), X, strict=False)
        assert seen == right
        from_torch(nn.Sequential(nn.Linear(6, 6), Net()), X, strict=False)
        assert seen == right


LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "heads first": lambda x: x.view(2, 3, 5, 8),
    "tokens first": lambda x: x.view(2, 5, 3, 8).transpose(1, 2),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("causal", [False, True])
def test_attention_lies_in_memory_as_fused_kernels_leave_it(name: str, causal: bool) -> None:
    def attend(x: torch.Tensor) -> torch.Tensor:
        q = LAYOUTS[name](x)
        return F.scaled_dot_product_attention(q, q, q, is_causal=causal).transpose(1, 2)

    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return attend(x).reshape(2, 5, 24)

    copies = 0 if attend(randn(2, 5, 24)).is_contiguous() else 1
    for net in (Net(), nn.Sequential(nn.Linear(24, 24), Net())):
        graph = from_torch(net, randn(2, 5, 24))
        assert sum("contiguous" in n for n in graph) == copies


def test_what_is_known_of_shapes_is_no_one_elses() -> None:
    """One network after the other: what is kept between imports changes nothing."""
    nets = [nn.Conv2d(4, 8, 3), nn.Conv2d(4, 8, 3, stride=2), nn.Conv2d(4, 8, 3, padding=1)]
    first = [cm.cost(from_torch(net, IMAGE)) for net in nets]
    again = [cm.cost(from_torch(net, IMAGE)) for net in reversed(nets)][::-1]
    assert first == again
    for dtype in (torch.float32, torch.float16):
        graph = from_torch(nn.ReLU(), X.to(dtype))
        assert graph.nodes["relu"]["outputs"][0].dtype == str(dtype).removeprefix("torch.")
    whole = from_torch(_Scaled(1), torch.ones(3, dtype=torch.int64))
    broken = from_torch(_Scaled(1.0), torch.ones(3, dtype=torch.int64))
    outputs = [g.nodes["mul"]["outputs"][0].dtype for g in (whole, broken)]
    assert outputs == ["int64", "int64"]
    finals = [cm.graph.inputs_of(g, "output")[0].dtype for g in (whole, broken)]
    assert finals == ["int64", "float32"]


class _Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.factor
