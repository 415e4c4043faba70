"""Plain torch modules that are written or called in uncommon ways."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..entry import Build, Call

FAMILY = "forms"


class _Slices(nn.Module):
    """Parts of a tensor are written in place, through views of views."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(8, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        out = x.new_zeros(x.shape[0], 12)
        out[:, :4] = self.left(x)
        out[:, 4:8].copy_(self.right(out[:, :4]))
        view = out[:, 8:]
        view.add_(out[:, :4]).mul_(2)
        out[out < 0] = 0
        x = x.clone()
        x[:, ::2] += out[:, 4:8]
        return torch.cat([out, x], dim=1)


class _Branches(nn.Module):
    """Which layer runs, and how often, depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.small, self.large = nn.Linear(8, 8), nn.Linear(8, 8)
        self.halt = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.large(x) if x.sum() > 0 else self.small(x)
        steps = 0
        while self.halt(x).sigmoid().mean().item() > 0.1 and steps < 3:
            x = x + self.small(x).tanh()
            steps += 1
        return x


class _Lazy(nn.Module):
    """Sizes follow from the first input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.LazyConv2d(6, 3), nn.LazyBatchNorm2d()
        self.head = nn.LazyLinear(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.conv(x)).relu().flatten(1))


@dataclass
class _Output:
    """The outputs of a network."""

    logits: Tensor
    hidden: dict[str, Tensor]
    loss: Tensor | None = None


class _Batch(NamedTuple):
    images: Tensor
    sizes: list[Tensor]


class _Nested(nn.Module):
    """Named tuples in, dataclasses out."""

    def __init__(self) -> None:
        super().__init__()
        self.see, self.size, self.head = nn.Conv2d(3, 8, 3), nn.Linear(2, 8), nn.Linear(8, 3)

    def forward(self, batch: _Batch, *, scale: float = 1.0) -> _Output:
        seen = self.see(batch.images).mean((2, 3))
        hidden = seen + self.size(torch.stack(batch.sizes)) * scale
        return _Output(self.head(hidden), {"seen": seen, "hidden": hidden})


class _Checkpointed(nn.Module):
    """Layers that are computed again in training."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=False).relu()
        return x


class _Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * 3 * x**2


class _Own(nn.Module):
    """A function with a gradient of its own, and hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 2)
        self.first.register_forward_hook(lambda _m, _a, y: y * 2)
        self.second.register_forward_pre_hook(lambda _m, a: (a[0] + 1,))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(_Cube.apply(self.first(x)))


class _Mapped(nn.Module):
    """One network for every row, by vmap, and a call with other weights."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 3)
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        rows = torch.func.vmap(lambda row: self.inner(row) * self.scale)(x)
        other = {"weight": self.inner.weight * 2, "bias": self.inner.bias + 1}
        return rows + torch.func.functional_call(self.inner, other, (x,))


class _Containers(nn.Module):
    """Layers in lists and dicts; an output that is an input, one that comes twice."""

    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Linear(4, 4, bias=False)})
        self.scales = nn.ParameterDict({"a": nn.Parameter(torch.ones(4))})
        self.steps = nn.ParameterList([nn.Parameter(torch.ones(4)) for _ in range(2)])

    def forward(self, x: Tensor, names: tuple[str, ...] = ("a", "b")) -> OrderedDict[str, Any]:
        out: OrderedDict[str, Any] = OrderedDict(input=x)
        for name, step in zip(names, self.steps, strict=True):
            out[name] = self.parts[name](x) * step
        out["again"] = out["a"]
        out["empty"] = torch.empty(0, 4) @ self.parts["b"].weight
        return out


class _Unused(nn.Module):
    """Results that nobody takes, a part that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused, self.never = (nn.Linear(6, 6) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.used(x)
        self.unused(y)
        return y.sort(dim=-1).values if y.ndim == 2 else self.never(y)


class _Compiled(nn.Module):
    """A part that is a script."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self._gate(self.first(x), 0.5))

    @staticmethod
    def _gate(x: Tensor, share: float) -> Tensor:
        return torch.where(x > share, x, torch.expm1(x)).logaddexp(torch.zeros_like(x))


def _nested() -> Call:
    batch = _Batch(torch.randn(2, 3, 8, 8), [torch.rand(2), torch.rand(2)])
    return Call(_Nested().eval(), (batch,), {"scale": 0.5})


def _call(module: nn.Module, *shape: int) -> Call:
    return Call(module.eval(), (torch.randn(*shape),))


NETWORKS: dict[str, Build] = {
    "autograd function and hooks": lambda: _call(_Own(), 3, 6),
    "checkpointing": lambda: _call(_Checkpointed(), 2, 8),
    "containers": lambda: Call(_Containers().eval(), (torch.randn(2, 4),), {"names": ("a", "b")}),
    "data-dependent branches": lambda: _call(_Branches(), 2, 8),
    "in-place slices": lambda: _call(_Slices(), 3, 8),
    "lazy modules": lambda: _call(_Lazy(), 1, 3, 8, 8),
    "nested inputs, dataclass output": _nested,
    "static functions": lambda: _call(_Compiled(), 2, 6),
    "unused results": lambda: _call(_Unused(), 2, 6),
    "vmap and functional call": lambda: _call(_Mapped(), 4, 6),
}
