"""Plain torch modules of kinds that are hard to import."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..entry import Build, Call

FAMILY = "plain"
NEEDS = ()


class _LanguageModel(nn.Module):
    """A recurrent language model: embedding, layers over time, words."""

    def __init__(self, cell: type[nn.Module], **options: Any) -> None:
        super().__init__()
        self.words = nn.Embedding(100, 32)
        self.layers = cell(32, 48, num_layers=2, **options)
        width = (options.get("proj_size") or 48) * (2 if options.get("bidirectional") else 1)
        self.head = nn.Linear(width, 100)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.layers(self.words(tokens))
        return self.head(states)


def _language_model(cell: type[nn.Module], **options: Any) -> Build:
    def build() -> Call:
        module = _LanguageModel(cell, batch_first=True, **options).eval()
        return Call(module, (torch.randint(0, 100, (1, 12)),))

    return build


class _DeepSpeech(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ears = nn.Sequential(
            nn.Conv2d(1, 8, (11, 5), (2, 2), (5, 2)),
            nn.BatchNorm2d(8),
            nn.Hardtanh(0, 20),
            nn.Conv2d(8, 8, (5, 5), (2, 1), (2, 2)),
            nn.BatchNorm2d(8),
            nn.Hardtanh(0, 20),
        )
        self.layers = nn.ModuleList(
            nn.GRU(64 if i == 0 else 48, 48, bidirectional=True) for i in range(2)
        )
        self.norm = nn.BatchNorm1d(48)
        self.head = nn.Linear(48, 29, bias=False)

    def forward(self, sound: Tensor) -> Tensor:
        x = self.ears(sound)
        x = x.flatten(1, 2).permute(2, 0, 1)
        for layer in self.layers:
            x, _ = layer(x)
            x = x.view(x.size(0), x.size(1), 2, -1).sum(2)
        steps, batch = x.shape[:2]
        x = self.norm(x.reshape(steps * batch, -1)).view(steps, batch, -1)
        return self.head(x).transpose(0, 1).softmax(-1)


class _Recommender(nn.Module):
    """DLRM: bags of embeddings, products of every pair, two perceptrons."""

    def __init__(self) -> None:
        super().__init__()
        self.bags = nn.ModuleList(nn.EmbeddingBag(50, 16, mode="sum") for _ in range(4))
        self.bottom = nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU())
        self.top = nn.Sequential(nn.Linear(26, 32), nn.ReLU(), nn.Linear(32, 1), nn.Sigmoid())

    def forward(self, dense: Tensor, indices: list[Tensor], offsets: list[Tensor]) -> Tensor:
        x = self.bottom(dense)
        bags = [bag(i, o) for bag, i, o in zip(self.bags, indices, offsets, strict=True)]
        features = torch.stack([x, *bags], dim=1)
        products = torch.bmm(features, features.transpose(1, 2))
        rows, columns = torch.tril_indices(5, 5, offset=-1)
        return self.top(torch.cat([x, products[:, rows, columns]], dim=1))


def _dlrm() -> Call:
    indices = [torch.randint(0, 50, (6,)) for _ in range(4)]
    offsets = [torch.tensor([0, 2]) for _ in range(4)]
    return Call(_Recommender().eval(), (torch.randn(2, 13), indices, offsets))


class _DenseBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(16 + 8 * i, 8, 3, padding=1) for i in range(4))
        self.last = nn.Conv2d(48, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for conv in self.convs:
            parts.append(functional.leaky_relu(conv(torch.cat(parts, 1)), 0.2))
        return self.last(torch.cat(parts, 1)) * 0.2 + x


class _Esrgan(nn.Module):
    """Super resolution: dense blocks in dense blocks, then enlarged twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.body = nn.Sequential(*(_DenseBlock() for _ in range(3)))
        self.ups = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(2))
        self.last = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        x = self.first(image)
        x = self.body(x) * 0.2 + x
        for up in self.ups:
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = functional.leaky_relu(up(x), 0.2)
        return self.last(x)


class _Spectral(nn.Module):
    """Products of the lowest modes of a Fourier transform with complex weights."""

    def __init__(self, channels: int, modes: int) -> None:
        super().__init__()
        self.modes = modes
        self.weights = nn.Parameter(
            torch.randn(2, channels, channels, modes, modes, dtype=torch.cfloat) / channels
        )

    def forward(self, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(x)
        out = torch.zeros_like(spectrum)
        m = self.modes
        for i, rows in enumerate((slice(0, m), slice(-m, None))):
            out[:, :, rows, :m] = torch.einsum(
                "bixy,ioxy->boxy", spectrum[:, :, rows, :m], self.weights[i]
            )
        return torch.fft.irfft2(out, s=x.shape[-2:])


class _Operator(nn.Module):
    """Fourier neural operator."""

    def __init__(self) -> None:
        super().__init__()
        self.lift = nn.Linear(3, 8)
        self.spectral = nn.ModuleList(_Spectral(8, 4) for _ in range(2))
        self.local = nn.ModuleList(nn.Conv2d(8, 8, 1) for _ in range(2))
        self.project = nn.Linear(8, 1)

    def forward(self, field: Tensor) -> Tensor:
        x = self.lift(field).permute(0, 3, 1, 2)
        for spectral, local in zip(self.spectral, self.local, strict=True):
            x = functional.gelu(spectral(x) + local(x))
        return self.project(x.permute(0, 2, 3, 1))


class _Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(100, 16, padding_idx=0)
        self.layers = nn.LSTM(16, 24, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(48, 3)

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        packed = pack_padded_sequence(
            self.words(tokens), lengths, batch_first=True, enforce_sorted=False
        )
        states, (last, _) = self.layers(packed)
        padded, _ = pad_packed_sequence(states, batch_first=True)
        return self.head(padded), self.head(torch.cat([last[-2], last[-1]], dim=1))


def _packed() -> Call:
    return Call(_Packed().eval(), (torch.randint(1, 100, (3, 9)), torch.tensor([9, 4, 7])))


class _VectorQuantiser(nn.Module):
    """VQ-VAE: an encoder, the nearest of some vectors for every pixel, a decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Conv2d(3, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 8, 4, 2, 1))
        self.book = nn.Embedding(32, 8)
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(8, 16, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(image).permute(0, 2, 3, 1)
        rows = z.reshape(-1, 8)
        book = self.book.weight
        far = rows.pow(2).sum(1, keepdim=True) + book.pow(2).sum(1) - 2 * rows @ book.t()
        nearest = far.argmin(1)
        quantised = self.book(nearest).view(z.shape)
        quantised = z + (quantised - z).detach()
        return self.decode(quantised.permute(0, 3, 1, 2)), nearest


NETWORKS: dict[str, Build] = {
    "LSTM_bi_lm": _language_model(nn.LSTM, bidirectional=True),
    "LSTM_proj_lm": _language_model(nn.LSTM, proj_size=20),
    "RNN_bi_lm": _language_model(nn.RNN, bidirectional=True),
    "deepspeech2": lambda: Call(_DeepSpeech().eval(), (torch.randn(1, 1, 32, 40),)),
    "dlrm_embeddingbag": _dlrm,
    "esrgan": lambda: Call(_Esrgan().eval(), (torch.randn(1, 3, 16, 16),)),
    "fno_fft": lambda: Call(_Operator().eval(), (torch.randn(1, 16, 16, 3),)),
    "packed_lstm": _packed,
    "vqvae": lambda: Call(_VectorQuantiser().eval(), (torch.randn(1, 3, 32, 32),)),
}
