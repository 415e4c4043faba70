"""Modules that torch does not have in the form of our operators."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from costmodel.ops import DeformConv


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
    projection : int
        Features that the hidden state is projected to; 0 for none.
    """

    def __init__(self, kind: str, hidden: int, bias: bool, projection: int = 0) -> None:
        super().__init__()
        gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind] * hidden
        self.cell = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}[kind]
        self.hidden, state = hidden, projection or hidden
        self.product = nn.Linear(state, gates, bias=bias)
        self.projection = nn.Linear(hidden, projection, bias=False) if projection else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Run all steps from a zero state."""
        h = x.new_zeros(x.shape[1], self.product.in_features)
        c = x.new_zeros(x.shape[1], self.hidden)
        steps = []
        for gates in x.unbind(0):
            h, c = self.cell(gates, self.product(h), h, c)
            h = h if self.projection is None else self.projection(h)
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


class Deformed(nn.Module):  # type: ignore[misc]
    """Deformable convolution without torchvision: samples by ``grid_sample``, then one product.

    Parameters
    ----------
    op : DeformConv
        The operator.
    channels : int
        Channels of the input.
    """

    def __init__(self, op: DeformConv, channels: int) -> None:
        super().__init__()
        self.op = op
        shape = (op.out_channels, channels // op.groups, *op.kernel)
        self.weight = nn.Parameter(torch.randn(shape) / math.sqrt(math.prod(shape[1:])))
        self.bias = nn.Parameter(torch.zeros(op.out_channels)) if op.bias else None

    def forward(
        self, x: torch.Tensor, offsets: torch.Tensor, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Sample ``x`` where ``offsets`` move the taps to, and convolve the samples."""
        n, channels, height, width = x.shape
        parts, taps = self.op.offset_groups, math.prod(self.op.kernel)
        out = offsets.shape[2:]
        moved = offsets.view(n, parts, taps, 2, *out)
        base = self._positions(out, x)
        rows, columns = (base[axis] + moved[:, :, :, axis] for axis in (0, 1))
        grid = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], -1)
        images = x.reshape(n * parts, channels // parts, height, width)
        samples = functional.grid_sample(
            images, grid.view(n * parts, taps * out[0], out[1], 2), align_corners=False
        ).view(n, parts, channels // parts, taps, *out)
        if weights is not None:
            samples = samples * weights.view(n, parts, 1, taps, *out)
        groups = self.op.groups
        rows_of = samples.reshape(n, groups, channels // groups * taps, out[0] * out[1])
        matrix = self.weight.reshape(groups, -1, channels // groups * taps)
        y = (matrix @ rows_of).reshape(n, -1, *out)
        return y if self.bias is None else y + self.bias.view(1, -1, 1, 1)

    def _positions(self, out: torch.Size, x: torch.Tensor) -> torch.Tensor:
        """Return the row and column of every tap and output pixel, ``[2, taps, *out]``."""
        op = self.op
        steps = [
            torch.arange(k, device=x.device)[:, None] * d
            + torch.arange(size, device=x.device)[None] * s
            - before
            for k, d, s, (before, _), size in zip(
                op.kernel, op.dilation, op.stride, op.padding, out, strict=True
            )
        ]
        rows = steps[0][:, None, :, None].expand(*op.kernel, *out)
        columns = steps[1][None, :, None, :].expand(*op.kernel, *out)
        return torch.stack([rows, columns]).reshape(2, -1, *out).to(x.dtype)
