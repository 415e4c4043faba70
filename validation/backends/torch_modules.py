"""Modules that torch does not have in the form of our operators."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class StatisticsNorm(nn.Module):  # type: ignore[misc]
    """Batch normalization with fixed statistics, of inputs of any rank.

    Parameters
    ----------
    channels : int
        Channels of the input.
    affine : bool
        Whether a scale and a shift are learned.
    """

    def __init__(self, channels: int, affine: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize ``x``."""
        return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias)


class Steps(nn.Module):  # type: ignore[misc]
    """The steps of a recurrent layer, given the product of all inputs (``[time, batch, gates]``).

    Parameters
    ----------
    kind : {"lstm", "gru", "rnn"}
        The cell.
    hidden : int
        Hidden features.
    bias : bool
        Whether the hidden product has a bias.
    """

    def __init__(self, kind: str, hidden: int, bias: bool) -> None:
        super().__init__()
        gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind] * hidden
        self.cell = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}[kind]
        self.hidden = hidden
        self.product = nn.Linear(hidden, gates, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run all steps from a zero state."""
        h = c = x.new_zeros(x.shape[1], self.hidden)
        steps = []
        for gates in x.unbind(0):
            h, c = self.cell(gates, self.product(h), h, c)
            steps.append(h)
        return torch.stack(steps)


_State = tuple[torch.Tensor, torch.Tensor]


def _rnn(new: torch.Tensor, old: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> _State:
    return torch.tanh(new + old), c


def _lstm(new: torch.Tensor, old: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> _State:
    i, f, g, o = (new + old).chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def _gru(new: torch.Tensor, old: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> _State:
    (r, z, n), (r2, z2, n2) = new.chunk(3, -1), old.chunk(3, -1)
    z = torch.sigmoid(z + z2)
    n = torch.tanh(n + torch.sigmoid(r + r2) * n2)
    return n + z * (h - n), c
