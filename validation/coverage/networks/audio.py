"""Plain torch modules on sound."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from ..entry import Build, Call

FAMILY = "audio"


class _Wavenet(nn.Module):
    """Gated dilated convolutions with a sum on the side."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 16, 1)
        self.gates = nn.ModuleList(nn.Conv1d(16, 32, 2, dilation=2**i) for i in range(4))
        self.mixes = nn.ModuleList(nn.Conv1d(16, 16 + 24, 1) for _ in range(4))
        self.last = nn.Sequential(nn.ReLU(), nn.Conv1d(24, 24, 1), nn.ReLU(), nn.Conv1d(24, 32, 1))

    def forward(self, wave: Tensor) -> Tensor:
        x, side = self.first(wave), None
        for gate, mix in zip(self.gates, self.mixes, strict=True):
            a, b = gate(functional.pad(x, (gate.dilation[0], 0))).chunk(2, dim=1)
            kept, skip = mix(a.tanh() * b.sigmoid()).split([16, 24], dim=1)
            x = x + kept
            side = skip if side is None else side + skip
        return self.last(side)


class _Separator(nn.Module):
    """Conv-TasNet: learned filters, depthwise blocks, a mask for each speaker."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Conv1d(1, 32, 16, stride=8, bias=False)
        self.norm, self.inner = nn.GroupNorm(1, 32), nn.Conv1d(32, 16, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(16, 32, 1),
                nn.PReLU(),
                nn.GroupNorm(1, 32),
                nn.Conv1d(32, 32, 3, padding=2**i, dilation=2**i, groups=32),
                nn.PReLU(),
                nn.Conv1d(32, 16, 1),
            )
            for i in range(3)
        )
        self.masks = nn.Conv1d(16, 64, 1)
        self.decode = nn.ConvTranspose1d(32, 1, 16, stride=8, bias=False)

    def forward(self, wave: Tensor) -> Tensor:
        heard = self.encode(wave).relu()
        x = self.inner(self.norm(heard))
        for block in self.blocks:
            x = x + block(x)
        masks = self.masks(x).unflatten(1, (2, 32)).sigmoid()
        each = masks * heard.unsqueeze(1)
        return self.decode(each.flatten(0, 1)).view(wave.shape[0], 2, -1)


class _Spectrogram(nn.Module):
    """A short-time Fourier transform, filters, logarithms, then a recurrent network."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(64))
        self.register_buffer("filters", torch.rand(33, 20))
        self.layers = nn.GRU(20, 24, bidirectional=True, batch_first=True)
        self.head = nn.Linear(48, 5)

    def forward(self, wave: Tensor) -> Tensor:
        spectrum = torch.stft(
            wave, 64, hop_length=32, window=self.window, center=True, return_complex=True
        )
        mel = torch.matmul(spectrum.abs().pow(2).transpose(1, 2), self.filters)
        x = torch.log(mel.clamp(min=1e-5))
        x = (x - x.mean(dim=1, keepdim=True)) / (x.std(dim=1, keepdim=True) + 1e-5)
        return self.head(self.layers(x)[0].mean(dim=1)).log_softmax(dim=-1)


class _Vocoder(nn.Module):
    """HiFi-GAN: enlarged in steps, kernels of several sizes, weight norm."""

    def __init__(self) -> None:
        super().__init__()
        self.first = weight_norm(nn.Conv1d(20, 32, 7, padding=3))
        self.ups = nn.ModuleList(
            weight_norm(nn.ConvTranspose1d(32 // 2**i, 16 // 2**i, 8, 4, 2)) for i in range(2)
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(
                weight_norm(nn.Conv1d(16 // 2**i, 16 // 2**i, k, padding=k // 2)) for k in (3, 7)
            )
            for i in range(2)
        )
        self.last = weight_norm(nn.Conv1d(8, 1, 7, padding=3))

    def forward(self, mel: Tensor) -> Tensor:
        x = self.first(mel)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(functional.leaky_relu(x, 0.1))
            x = sum(block(functional.leaky_relu(x, 0.1)) for block in blocks) / len(blocks)
        return self.last(functional.leaky_relu(x)).tanh()


class _Conformer(nn.Module):
    """Half steps of a perceptron around attention and a gated depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.halves = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 64), nn.SiLU(), nn.Linear(64, 32))
            for _ in range(2)
        )
        self.norm = nn.LayerNorm(32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.wide, self.narrow = nn.Conv1d(32, 64, 1), nn.Conv1d(32, 32, 1)
        self.deep = nn.Conv1d(32, 32, 7, padding=3, groups=32)
        self.batch, self.last = nn.BatchNorm1d(32), nn.LayerNorm(32)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.halves[0](x) / 2
        y = self.norm(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        y = functional.glu(self.wide(x.transpose(1, 2)), dim=1)
        y = functional.silu(self.batch(self.deep(y)))
        x = x + self.narrow(y).transpose(1, 2)
        return self.last(x + self.halves[1](x) / 2)


class _Waves(nn.Module):
    """SincNet: filters computed from two learned frequencies each."""

    def __init__(self) -> None:
        super().__init__()
        self.low, self.band = nn.Parameter(torch.rand(8) * 50), nn.Parameter(torch.rand(8) * 50)
        self.register_buffer("time", torch.arange(-15, 16) / 400.0)
        self.head = nn.Sequential(nn.Conv1d(8, 12, 5, stride=4), nn.ReLU(), nn.AdaptiveMaxPool1d(4))

    def forward(self, wave: Tensor) -> Tensor:
        low = self.low.abs()[:, None]
        high = low + self.band.abs()[:, None]
        filters = 2 * high * torch.sinc(2 * high * self.time)
        filters = filters - 2 * low * torch.sinc(2 * low * self.time)
        return self.head(functional.conv1d(wave, filters.unsqueeze(1), padding=15).abs())


def _call(module: nn.Module, *shape: int) -> Call:
    return Call(module.eval(), (torch.randn(*shape),))


NETWORKS: dict[str, Build] = {
    "conformer": lambda: _call(_Conformer(), 1, 20, 32),
    "conv_tasnet": lambda: _call(_Separator(), 1, 1, 160),
    "hifigan": lambda: _call(_Vocoder(), 1, 20, 8),
    "sincnet": lambda: _call(_Waves(), 1, 1, 200),
    "spectrogram gru": lambda: _call(_Spectrogram(), 1, 320),
    "wavenet": lambda: _call(_Wavenet(), 1, 1, 48),
}
