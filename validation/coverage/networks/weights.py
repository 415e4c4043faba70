"""Plain torch modules whose weights, products or numbers are uncommon."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..entry import Build, Call

FAMILY = "forms"


class _Hyper(nn.Module):
    """Weights that another network computes."""

    def __init__(self) -> None:
        super().__init__()
        self.weights, self.kernel = nn.Linear(5, 8 * 6 + 6), nn.Linear(5, 4 * 2 * 9)

    def forward(self, code: Tensor, x: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
        made = self.weights(code)
        y = functional.linear(x, made[:48].view(6, 8), made[48:])
        return y, functional.conv2d(image, self.kernel(code).view(4, 2, 3, 3), padding=1)


class _Normed(nn.Module):
    """Weights that are normalized, in the old way and in the new."""

    def __init__(self) -> None:
        super().__init__()
        self.old = nn.utils.weight_norm(nn.Linear(8, 8))
        self.new = nn.utils.parametrizations.weight_norm(nn.Conv1d(1, 4, 3))
        self.spectral = nn.utils.parametrizations.spectral_norm(nn.Linear(24, 5))
        self.turned = nn.utils.parametrizations.orthogonal(nn.Linear(5, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.turned(self.spectral(self.new(self.old(x).unsqueeze(1)).flatten(1)))


class _Sums(nn.Module):
    """Products of many kinds, by their index letters and by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Parameter(torch.randn(4, 5, 6)), nn.Parameter(torch.randn(6, 7))
        self.relation = nn.Bilinear(7, 7, 3)

    def forward(self, x: Tensor) -> list[Tensor]:
        y = torch.einsum("...i,hij,jk->...hk", x, self.a.transpose(1, 2)[:, :6, :5].mT, self.b)
        z = torch.tensordot(y, self.b, dims=([-1], [1]))
        row = y[0, 0, 0]
        return [
            z,
            torch.mv(self.b, row),
            torch.dot(row, row),
            torch.outer(row, row),
            torch.addmv(x[0, 0], self.a[0], z[0, 0, 0]),
            torch.addbmm(x.new_zeros(4, 4), y[0], y[0].mT),
            self.relation(y, y),
            torch.cdist(y[0], y[1]),
            torch.kron(row[:2], row[:3]),
            torch.linalg.multi_dot([x[0], self.a[0], self.b]),
        ]


class _Half(nn.Module):
    """Products in half precision, by autocast and by casts."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.first(x).relu()
        y = y.double() + y.float().mean()
        return self.second(y.to(self.second.weight.dtype))


def _same_state() -> nn.Module:
    """Return layers of which two are one, and a buffer that both read."""
    first = nn.Linear(6, 6)
    return nn.Sequential(first, nn.ReLU(), first, nn.LayerNorm(6), nn.Softmax(-1))


def _hyper() -> Call:
    return Call(_Hyper().eval(), (torch.randn(5), torch.randn(3, 8), torch.randn(1, 2, 9, 9)))


def _half() -> Call:
    return Call(_Half().eval(), (torch.randn(2, 8),))


def _bfloat() -> Call:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, dtype=torch.bfloat16)
    return Call(layer.eval(), (torch.randn(1, 7, 16, dtype=torch.bfloat16),))


def _call(module: nn.Module, *shape: int) -> Call:
    return Call(module.eval(), (torch.randn(*shape),))


NETWORKS: dict[str, Build] = {
    "autocast": _half,
    "bfloat16 layer": _bfloat,
    "hypernetwork": _hyper,
    "normed weights": lambda: _call(_Normed(), 2, 8),
    "one layer twice": lambda: _call(_same_state(), 2, 6),
    "products of many kinds": lambda: _call(_Sums(), 2, 3, 5),
}
