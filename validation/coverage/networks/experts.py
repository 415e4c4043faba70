"""Plain torch modules of which only a part works on each token."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..entry import Build, Call

FAMILY = "moe"
_EXPERTS, _WIDTH, _INNER = 4, 16, 32


def _perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(_WIDTH, _INNER), nn.GELU(), nn.Linear(_INNER, _WIDTH))


class _Sorted(nn.Module):
    """The tokens of each expert are found, worked on, and added back (Mixtral in plain code)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(_WIDTH, _EXPERTS, bias=False)
        self.experts = nn.ModuleList(_perceptron() for _ in range(_EXPERTS))

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)
        share, chosen = self.gate(rows).softmax(dim=-1).topk(2, dim=-1)
        share = share / share.sum(dim=-1, keepdim=True)
        out = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            row, place = torch.where(chosen == number)
            if row.numel() == 0:
                continue
            out.index_add_(0, row, expert(rows[row]) * share[row, place, None])
        return out.view_as(x)


class _Dispatched(nn.Module):
    """A place for every token in the queue of its expert (Switch, GShard)."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(_WIDTH, _EXPERTS, bias=False)
        self.into = nn.Parameter(torch.randn(_EXPERTS, _WIDTH, _INNER))
        self.back = nn.Parameter(torch.randn(_EXPERTS, _INNER, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        share = self.gate(x).softmax(dim=-1)
        best, chosen = share.max(dim=-1)
        mask = functional.one_hot(chosen, _EXPERTS)
        place = (mask.cumsum(dim=0) * mask).sum(dim=-1) - 1
        room = 6
        queue = functional.one_hot(place.clamp(max=room - 1), room) * (place < room)[:, None]
        dispatch = mask[:, :, None] * queue[:, None, :]
        taken = torch.einsum("nec,nd->ecd", dispatch.to(x.dtype), x)
        made = torch.bmm(torch.bmm(taken, self.into).relu(), self.back)
        return torch.einsum("nec,ecd->nd", dispatch * best[:, None, None], made)


class _Soft(nn.Module):
    """Every expert works on mixtures of all tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = nn.Parameter(torch.randn(_WIDTH, _EXPERTS, 3))
        self.experts = nn.ModuleList(_perceptron() for _ in range(_EXPERTS))

    def forward(self, x: Tensor) -> Tensor:
        logits = torch.einsum("bnd,des->bnes", x, self.slots)
        taken = torch.einsum("bnes,bnd->besd", logits.softmax(dim=1), x)
        made = torch.stack([e(taken[:, i]) for i, e in enumerate(self.experts)], dim=1)
        share = logits.flatten(2).softmax(dim=-1).view_as(logits)
        return torch.einsum("bnes,besd->bnd", share, made)


class _Chosen(nn.Module):
    """The experts choose the tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(_WIDTH, _EXPERTS, bias=False)
        self.into = nn.Parameter(torch.randn(_EXPERTS, _WIDTH, _INNER))
        self.back = nn.Parameter(torch.randn(_EXPERTS, _INNER, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        share, rows = self.gate(x).softmax(dim=-1).t().topk(5, dim=-1)
        made = functional.gelu(x[rows] @ self.into) @ self.back
        out = x.clone()
        return out.index_put_((rows.flatten(),), (made * share[..., None]).flatten(0, 1), True)


class _Depth(nn.Module):
    """Only tokens above a threshold take the layer (mixture of depths)."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(_WIDTH, 1)
        self.layer = nn.TransformerEncoderLayer(_WIDTH, 2, 32, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        wanted = self.score(x).squeeze(-1).sigmoid() > 0.5
        out = x.clone()
        out[wanted] = self.layer(x[wanted].unsqueeze(0)).squeeze(0)
        return out


class _Grouped(nn.Module):
    """Expert weights are gathered for every token."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(_WIDTH, _EXPERTS)
        self.weight = nn.Parameter(torch.randn(_EXPERTS, _WIDTH, _WIDTH))
        self.bias = nn.Parameter(torch.randn(_EXPERTS, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.gate(x).argmax(dim=-1)
        return torch.baddbmm(
            self.bias[chosen].unsqueeze(1), x.unsqueeze(1), self.weight[chosen]
        ).squeeze(1)


def _call(module: nn.Module, *shape: int) -> Call:
    return Call(module.eval(), (torch.randn(*shape),))


NETWORKS: dict[str, Build] = {
    "expert choice": lambda: _call(_Chosen(), 10, _WIDTH),
    "gathered weights": lambda: _call(_Grouped(), 10, _WIDTH),
    "mixture of depths": lambda: _call(_Depth(), 1, 10, _WIDTH),
    "soft": lambda: _call(_Soft(), 1, 10, _WIDTH),
    "switch dispatch": lambda: _call(_Dispatched(), 12, _WIDTH),
    "top-2 sorted": lambda: _call(_Sorted(), 1, 10, _WIDTH),
}
