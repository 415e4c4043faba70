"""Plain torch modules that rank items for a user."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..entry import Build, Call

FAMILY = "ranking"


class _Factors(nn.Module):
    """A factorisation machine beside a perceptron (DeepFM)."""

    def __init__(self) -> None:
        super().__init__()
        self.factors, self.weights = nn.Embedding(60, 8), nn.Embedding(60, 1)
        self.deep = nn.Sequential(nn.Linear(40, 16), nn.ReLU(), nn.Dropout(), nn.Linear(16, 1))
        self.register_buffer("offsets", torch.arange(5) * 12)

    def forward(self, fields: Tensor) -> Tensor:
        fields = fields + self.offsets
        x = self.factors(fields)
        square, squares = x.sum(dim=1) ** 2, (x**2).sum(dim=1)
        pairs = 0.5 * (square - squares).sum(dim=1, keepdim=True)
        return (self.weights(fields).sum(dim=1) + pairs + self.deep(x.flatten(1))).sigmoid()


class _Interest(nn.Module):
    """Items that a user has seen, weighted by how near each is to the item at hand (DIN)."""

    def __init__(self) -> None:
        super().__init__()
        self.items = nn.Embedding(50, 8, padding_idx=0)
        self.near = nn.Sequential(nn.Linear(32, 16), nn.PReLU(), nn.Linear(16, 1))
        self.head = nn.Linear(16, 1)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        seen, item = self.items(batch["seen"]), self.items(batch["item"]).unsqueeze(1)
        item_each = item.expand_as(seen)
        pairs = torch.cat([item_each, seen, item_each - seen, item_each * seen], dim=-1)
        scores = self.near(pairs).squeeze(-1)
        scores = scores.masked_fill(batch["seen"] == 0, -1e9).softmax(dim=-1)
        user = torch.einsum("bn,bnd->bd", scores, seen)
        return self.head(torch.cat([user, item.squeeze(1)], dim=-1))


class _Towers(nn.Module):
    """A tower for users and one for items; every user meets every item."""

    def __init__(self) -> None:
        super().__init__()
        self.users = nn.EmbeddingBag(50, 16, mode="mean")
        self.user = nn.Sequential(nn.Linear(16, 16), nn.GELU(), nn.Linear(16, 8))
        self.item = nn.Sequential(nn.Linear(10, 16), nn.GELU(), nn.Linear(16, 8))

    def forward(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        a = functional.normalize(self.user(self.users(users)), dim=-1)
        b = functional.normalize(self.item(items), dim=-1)
        return torch.topk(a @ b.t() / 0.07, 3)


class _Crosses(nn.Module):
    """Products of features layer by layer, through a thin middle (DCN v2)."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Linear(24, 6, bias=False) for _ in range(2))
        self.up = nn.ModuleList(nn.Linear(6, 24) for _ in range(2))
        self.head = nn.Linear(24, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = x
        for down, up in zip(self.down, self.up, strict=True):
            x = first * up(down(x)) + x
        return self.head(x).sigmoid()


def _interest() -> Call:
    seen = torch.randint(1, 50, (2, 7))
    seen[:, 5:] = 0
    return Call(_Interest().eval(), ({"seen": seen, "item": torch.tensor([3, 9])},))


NETWORKS: dict[str, Build] = {
    "dcn v2": lambda: Call(_Crosses().eval(), (torch.randn(3, 24),)),
    "deepfm": lambda: Call(_Factors().eval(), (torch.randint(0, 12, (3, 5)),)),
    "din": _interest,
    "two towers": lambda: Call(
        _Towers().eval(), (torch.randint(0, 50, (2, 6)), torch.randn(9, 10))
    ),
}
