"""Plain torch modules on sequences."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..entry import Build, Call

FAMILY = "sequences"


class _Tied(nn.Module):
    """A language model whose words come in and go out by one table."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(100, 32)
        self.layers = nn.GRU(32, 32, batch_first=True)
        self.head = nn.Linear(32, 100, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layers(self.words(tokens))[0])


class _Translator(nn.Module):
    """Cells that are stepped by hand, with attention to what was read."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 16)
        self.read = nn.LSTM(16, 24, batch_first=True)
        self.cell = nn.LSTMCell(16 + 24, 24)
        self.query = nn.Linear(24, 24, bias=False)
        self.head = nn.Linear(48, 50)

    def forward(self, tokens: Tensor, steps: int = 5) -> Tensor:
        states, (h, c) = self.read(self.words(tokens))
        h, c = h[0], c[0]
        seen = torch.zeros_like(h)
        word = tokens[:, 0]
        out = []
        for _ in range(steps):
            h, c = self.cell(torch.cat([self.words(word), seen], dim=1), (h, c))
            share = torch.bmm(states, self.query(h).unsqueeze(2)).softmax(dim=1)
            seen = (share * states).sum(dim=1)
            out.append(self.head(torch.cat([h, seen], dim=1)))
            word = out[-1].argmax(dim=-1)
        return torch.stack(out, dim=1)


class _Causal(nn.Module):
    """A temporal convolutional network: dilated, cut at the end, with weight norm."""

    def __init__(self) -> None:
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.convs = nn.ModuleList(
            norm(nn.Conv1d(8 if i == 0 else 16, 16, 3, padding=2 * 2**i, dilation=2**i))
            for i in range(3)
        )
        self.across = nn.Conv1d(8, 16, 1)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i, conv in enumerate(self.convs):
            y = conv(y)[:, :, : -2 * 2**i].relu()
        return self.head((y + self.across(x)).relu()[:, :, -1])


class _Linear(nn.Module):
    """Attention without a softmax: keys times values first."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, 4, 8)).unbind(dim=-3)
        q, k = functional.elu(q) + 1, functional.elu(k) + 1
        context = torch.einsum("bnhd,bnhe->bhde", k, v)
        norm = torch.einsum("bnhd,bhd->bnh", q, k.sum(dim=1))
        y = torch.einsum("bnhd,bhde->bnhe", q, context) / norm.unsqueeze(-1)
        return self.out(y.flatten(-2))


class _LongConvolution(nn.Module):
    """A convolution as long as the sequence, by Fourier transforms (S4D)."""

    def __init__(self) -> None:
        super().__init__()
        self.poles = nn.Parameter(torch.randn(16, 8, dtype=torch.cfloat))
        self.gains = nn.Parameter(torch.randn(16, 8, dtype=torch.cfloat))
        self.direct = nn.Parameter(torch.randn(16))
        self.out = nn.Conv1d(16, 32, 1)

    def forward(self, u: Tensor) -> Tensor:
        steps = u.shape[-1]
        time = torch.arange(steps, device=u.device)
        decay = torch.exp(-self.poles.real.exp() + 1j * self.poles.imag)
        kernel = torch.einsum("hn,hnl->hl", self.gains, decay.unsqueeze(-1) ** time).real
        spectrum = torch.fft.rfft(u, n=2 * steps) * torch.fft.rfft(kernel, n=2 * steps)
        y = torch.fft.irfft(spectrum, n=2 * steps)[..., :steps] + u * self.direct[:, None]
        return functional.glu(self.out(functional.gelu(y)), dim=1)


class _Selective(nn.Module):
    """A selective state space, scanned step by step (Mamba in plain code)."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(16, 64)
        self.conv = nn.Conv1d(32, 32, 4, groups=32, padding=3)
        self.select, self.step = nn.Linear(32, 2 + 8), nn.Linear(2, 32)
        self.rates = nn.Parameter(torch.rand(32, 4).log())
        self.skip = nn.Parameter(torch.ones(32))
        self.out = nn.Linear(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        u, gate = self.inner(x).chunk(2, dim=-1)
        u = functional.silu(self.conv(u.transpose(1, 2))[..., :length].transpose(1, 2))
        low, b, c = self.select(u).split([2, 4, 4], dim=-1)
        delta = functional.softplus(self.step(low))
        keep = torch.exp(delta.unsqueeze(-1) * -self.rates.exp())
        added = delta.unsqueeze(-1) * b.unsqueeze(2) * u.unsqueeze(-1)
        state, out = torch.zeros_like(added[:, 0]), []
        for i in range(length):
            state = keep[:, i] * state + added[:, i]
            out.append(torch.einsum("bdn,bn->bd", state, c[:, i]))
        y = torch.stack(out, dim=1) + u * self.skip
        return self.out(y * functional.silu(gate))


class _Receptance(nn.Module):
    """The time mixing of RWKV, with a running maximum for safety."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Parameter(torch.rand(3, 16))
        self.decay, self.first = nn.Parameter(torch.rand(16)), nn.Parameter(torch.rand(16))
        self.k, self.v, self.r, self.out = (nn.Linear(16, 16, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        before = functional.pad(x, (0, 0, 1, -1))
        k, v, r = (
            layer(x * m + before * (1 - m))
            for layer, m in zip((self.k, self.v, self.r), self.mix, strict=True)
        )
        above = below = torch.zeros_like(k[:, 0])
        largest, out = torch.full_like(above, -1e30), []
        for i in range(x.shape[1]):
            top = torch.maximum(largest, self.first + k[:, i])
            a, b = (largest - top).exp(), (self.first + k[:, i] - top).exp()
            out.append((a * above + b * v[:, i]) / (a * below + b))
            top = torch.maximum(largest - self.decay, k[:, i])
            a, b = (largest - self.decay - top).exp(), (k[:, i] - top).exp()
            above, below, largest = a * above + b * v[:, i], a * below + b, top
        return self.out(r.sigmoid() * torch.stack(out, dim=1))


class _Relative(nn.Module):
    """Attention with learned distances, shifted into place."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(32, 96), nn.Linear(32, 32)
        self.distances = nn.Parameter(torch.randn(4, 2 * 12 - 1, 8))

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, 4, 8).permute(2, 0, 3, 1, 4)
        far = torch.matmul(q, self.distances.transpose(1, 2))
        far = functional.pad(far, (0, 1)).flatten(2)
        far = functional.pad(far, (0, n - 1)).view(b, 4, n + 1, 2 * n - 1)[:, :, :n, n - 1 :]
        weights = ((q @ k.transpose(-1, -2) + far) / math.sqrt(8)).softmax(dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, 32))


class _Captioner(nn.Module):
    """An nn.Transformer with masks for padding and for what comes later."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 32)
        self.body = nn.Transformer(32, 4, 2, 2, 64, batch_first=True)
        self.head = nn.Linear(32, 50)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        later = nn.Transformer.generate_square_subsequent_mask(target.shape[1])
        padding = source == 0
        y = self.body(
            self.words(source),
            self.words(target),
            tgt_mask=later,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
            tgt_is_causal=True,
        )
        return self.head(y)


class _Shared(nn.Module):
    """One layer that is applied three times."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)

    def forward(self, x: Tensor) -> Tensor:
        for step in range(3):
            x = self.layer(x + step)
        return x.mean(dim=1)


def _tokens(*shape: int) -> Tensor:
    return torch.randint(1, 50, shape)


def _padded() -> Tensor:
    source = _tokens(2, 10)
    source[:, 8:] = 0
    return source


def _call(module: nn.Module, *shape: int) -> Call:
    return Call(module.eval(), (torch.randn(*shape),))


NETWORKS: dict[str, Build] = {
    "attention captioner": lambda: Call(_Captioner().eval(), (_padded(), _tokens(2, 6))),
    "gru_lm tied": lambda: Call(_Tied().eval(), (_tokens(1, 12),)),
    "linear attention": lambda: _call(_Linear(), 1, 20, 32),
    "long convolution": lambda: _call(_LongConvolution(), 1, 16, 24),
    "lstm translator": lambda: Call(_Translator().eval(), (_tokens(2, 7),), {"steps": 4}),
    "relative attention": lambda: _call(_Relative(), 1, 12, 32),
    "rwkv": lambda: _call(_Receptance(), 1, 8, 16),
    "selective scan": lambda: _call(_Selective(), 1, 8, 16),
    "shared layer": lambda: _call(_Shared(), 1, 9, 32),
    "tcn": lambda: _call(_Causal(), 1, 8, 40),
    "transformer encoder": lambda: _call(
        nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 2), 1, 10, 32
    ),
}
