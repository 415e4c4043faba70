"""Plain torch modules on clips."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..entry import Build, Call

FAMILY = "video"


class _Memory(nn.Module):
    """A recurrent network whose products are convolutions (ConvLSTM)."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Conv2d(3 + 8, 32, 3, padding=1)
        self.head = nn.Conv2d(8, 3, 1)

    def forward(self, clip: Tensor) -> Tensor:
        b, _, _, h, w = clip.shape
        state = cell = clip.new_zeros(b, 8, h, w)
        for frame in clip.unbind(dim=1):
            i, f, o, g = self.gates(torch.cat([frame, state], dim=1)).chunk(4, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            state = o.sigmoid() * cell.tanh()
        return self.head(state)


class _Shifted(nn.Module):
    """Channels that are shifted along time, in place, before a flat convolution (TSM)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 2, 1)
        self.head = nn.Linear(16, 7)

    def forward(self, clip: Tensor) -> Tensor:
        b, t = clip.shape[:2]
        x = self.first(clip.flatten(0, 1)).relu().unflatten(0, (b, t))
        y = torch.zeros_like(x)
        y[:, :-1, :2] = x[:, 1:, :2]
        y[:, 1:, 2:4] = x[:, :-1, 2:4]
        y[:, :, 4:] = x[:, :, 4:]
        x = self.second(y.flatten(0, 1)).relu().mean((2, 3)).view(b, t, 16)
        return self.head(x.mean(dim=1))


class _Paths(nn.Module):
    """A slow path of few frames and a fast path of all, joined on the way (SlowFast)."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = nn.ModuleList([nn.Conv3d(3, 16, (1, 3, 3), (1, 2, 2), (0, 1, 1))])
        self.fast = nn.Conv3d(3, 4, (5, 3, 3), (1, 2, 2), (2, 1, 1))
        self.across = nn.Conv3d(4, 8, (5, 1, 1), (4, 1, 1), (2, 0, 0))
        self.slow.append(nn.Conv3d(24, 16, 3, padding=1))
        self.head = nn.Linear(20, 5)

    def forward(self, clip: Tensor) -> Tensor:
        fast = self.fast(clip).relu()
        slow = self.slow[0](clip[:, :, ::4]).relu()
        slow = self.slow[1](torch.cat([slow, self.across(fast)], dim=1)).relu()
        return self.head(torch.cat([slow.mean((2, 3, 4)), fast.mean((2, 3, 4))], dim=1))


class _Tubes(nn.Module):
    """Tokens of small tubes, attention over space, then over time (ViViT)."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Conv3d(3, 32, (2, 8, 8), (2, 8, 8))
        self.places = nn.Parameter(torch.randn(1, 4, 16, 32))
        self.space = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.time = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.head = nn.Linear(32, 6)

    def forward(self, clip: Tensor) -> Tensor:
        x = self.tokens(clip).flatten(3).permute(0, 2, 3, 1) + self.places
        b, t, n, d = x.shape
        x = self.space(x.reshape(b * t, n, d)).view(b, t, n, d)
        x = self.time(x.transpose(1, 2).reshape(b * n, t, d))
        return self.head(x.view(b, n, t, d).mean((1, 2)))


class _Pixels(nn.Module):
    """Frames that are warped by a flow, with the costs of small moves (PWC-Net)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, 2, 1)
        self.flow = nn.Conv2d(25 + 8, 2, 3, padding=1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        a, b = self.body(first).relu(), self.body(second).relu()
        h, w = a.shape[-2:]
        around = functional.pad(b, (2, 2, 2, 2))
        moves = [
            (a * around[:, :, i : i + h, j : j + w]).mean(1, keepdim=True)
            for i in range(5)
            for j in range(5)
        ]
        return functional.interpolate(
            self.flow(torch.cat([*moves, a], dim=1)), scale_factor=2.0, mode="bilinear"
        )


def _call(module: nn.Module, *shape: int) -> Call:
    return Call(module.eval(), (torch.randn(*shape),))


NETWORKS: dict[str, Build] = {
    "c3d": lambda: _call(
        nn.Sequential(
            nn.Conv3d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool3d((1, 2, 2)),
            nn.Conv3d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d(1),
            nn.Flatten(),
            nn.Linear(16, 9),
        ),
        1,
        3,
        4,
        16,
        16,
    ),
    "convlstm": lambda: _call(_Memory(), 1, 4, 3, 12, 12),
    "optical flow": lambda: Call(
        _Pixels().eval(), (torch.randn(1, 3, 24, 24), torch.randn(1, 3, 24, 24))
    ),
    "slowfast": lambda: _call(_Paths(), 1, 3, 8, 16, 16),
    "temporal shift": lambda: _call(_Shifted(), 1, 4, 3, 16, 16),
    "vivit": lambda: _call(_Tubes(), 1, 3, 8, 32, 32),
}
