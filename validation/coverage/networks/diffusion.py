"""Plain torch modules that make images out of noise."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..entry import Build, Call

FAMILY = "diffusion"


def _waves(step: Tensor, width: int) -> Tensor:
    rates = torch.exp(-math.log(1e4) * torch.arange(width // 2, device=step.device) / (width // 2))
    angles = step[:, None].float() * rates
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class _Residual(nn.Module):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.first, self.second = nn.GroupNorm(4, cin), nn.GroupNorm(4, cout)
        self.conv, self.again = nn.Conv2d(cin, cout, 3, 1, 1), nn.Conv2d(cout, cout, 3, 1, 1)
        self.time = nn.Linear(32, cout)
        self.across = nn.Conv2d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.conv(functional.silu(self.first(x)))
        y = y + self.time(functional.silu(time))[:, :, None, None]
        return self.across(x) + self.again(functional.silu(self.second(y)))


class _Crossed(nn.Module):
    """Attention of pixels to pixels, then to a text."""

    def __init__(self, width: int, text: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, width)
        self.own = nn.MultiheadAttention(width, 4, batch_first=True)
        self.q, self.kv = nn.Linear(width, width), nn.Linear(text, 2 * width)
        self.gate, self.out = nn.Linear(width, 4 * width), nn.Linear(2 * width, width)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        x = self.norm(image).flatten(2).transpose(1, 2)
        x = x + self.own(x, x, x)[0]
        q = self.q(x).unflatten(-1, (4, -1)).transpose(1, 2)
        k, v = self.kv(text).unflatten(-1, (2, 4, -1)).permute(2, 0, 3, 1, 4)
        x = x + functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        a, b = self.gate(x).chunk(2, dim=-1)
        x = x + self.out(a * functional.gelu(b))
        return image + x.transpose(1, 2).unflatten(2, image.shape[2:])


class _UNet(nn.Module):
    """The network of Stable Diffusion, small."""

    def __init__(self) -> None:
        super().__init__()
        self.time = nn.Sequential(nn.Linear(16, 32), nn.SiLU(), nn.Linear(32, 32))
        self.first = nn.Conv2d(4, 16, 3, 1, 1)
        self.down = nn.ModuleList([_Residual(16, 16), _Residual(16, 32)])
        self.smaller = nn.Conv2d(16, 16, 3, 2, 1)
        self.middle = _Crossed(32, 24)
        self.up = nn.ModuleList([_Residual(64, 16), _Residual(32, 16)])
        self.larger = nn.Conv2d(16, 16, 3, 1, 1)
        self.last = nn.Sequential(nn.GroupNorm(4, 16), nn.SiLU(), nn.Conv2d(16, 4, 3, 1, 1))

    def forward(self, sample: Tensor, timestep: Tensor, text: Tensor) -> dict[str, Tensor]:
        time = self.time(_waves(timestep, 16))
        kept = [self.down[0](self.first(sample), time)]
        kept.append(self.down[1](self.smaller(kept[0]), time))
        x = self.middle(kept[1], text)
        x = self.up[0](torch.cat([x, kept.pop()], dim=1), time)
        x = self.larger(functional.interpolate(x, scale_factor=2.0))
        x = self.up[1](torch.cat([x, kept.pop()], dim=1), time)
        return {"sample": self.last(x)}


class _Transformer(nn.Module):
    """DiT: layers whose norms are shifted and scaled by the time and the class."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(4, 32, 2, 2)
        self.places = nn.Parameter(torch.randn(1, 64, 32))
        self.time, self.classes = nn.Linear(16, 32), nn.Embedding(10, 32)
        self.shifts = nn.Linear(32, 6 * 32)
        self.qkv, self.o = nn.Linear(32, 96), nn.Linear(32, 32)
        self.mlp = nn.Sequential(nn.Linear(32, 64), nn.GELU("tanh"), nn.Linear(64, 32))
        self.last = nn.Linear(32, 2 * 2 * 8)

    def forward(self, x: Tensor, step: Tensor, label: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.places
        c = self.time(_waves(step, 16)) + self.classes(label)
        parts = self.shifts(functional.silu(c)).unsqueeze(1).chunk(6, dim=-1)
        y = functional.layer_norm(x, (32,)) * (1 + parts[1]) + parts[0]
        q, k, v = self.qkv(y).unflatten(-1, (3, 4, 8)).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + parts[2] * self.o(y)
        y = functional.layer_norm(x, (32,)) * (1 + parts[4]) + parts[3]
        x = self.last(x + parts[5] * self.mlp(y))
        x = x.view(-1, 8, 8, 2, 2, 8)
        return torch.einsum("nhwpqc->nchpwq", x).reshape(-1, 8, 16, 16)


class _Autoencoder(nn.Module):
    """A variational autoencoder at its mean, with attention in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(3, 16, 3, 1, 1), nn.SiLU(), nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(16, 8, 3, 2)
        )
        self.decode = nn.Sequential(
            nn.Conv2d(4, 16, 3, 1, 1), nn.SiLU(), nn.Upsample(scale_factor=2), nn.Conv2d(16, 3, 3)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(image).chunk(2, dim=1)
        scale = log_variance.clamp(-30, 20).mul(0.5).exp()
        return self.decode(mean), mean, scale


class _Flow(nn.Module):
    """Coupling layers with learned mixing of the channels (Glow)."""

    def __init__(self) -> None:
        super().__init__()
        self.mixes = nn.ParameterList(torch.linalg.qr(torch.randn(12, 12))[0] for _ in range(2))
        self.nets = nn.ModuleList(
            nn.Sequential(nn.Conv2d(6, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 12, 3, 1, 1))
            for _ in range(2)
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x, total = functional.pixel_unshuffle(image, 2), 0
        for mix, net in zip(self.mixes, self.nets, strict=True):
            x = functional.conv2d(x, mix[:, :, None, None])
            a, b = x.chunk(2, dim=1)
            scale, shift = net(a).chunk(2, dim=1)
            scale = torch.sigmoid(scale + 2)
            x = torch.cat([a, (b + shift) * scale], dim=1)
            total = total + scale.log().sum(dim=(1, 2, 3))
        return x, total


def _call(module: nn.Module, *inputs: Tensor) -> Call:
    return Call(module.eval(), inputs)


NETWORKS: dict[str, Build] = {
    "autoencoder": lambda: _call(_Autoencoder(), torch.randn(1, 3, 16, 16)),
    "dit": lambda: _call(
        _Transformer(), torch.randn(1, 4, 16, 16), torch.tensor([7]), torch.tensor([3])
    ),
    "glow": lambda: _call(_Flow(), torch.randn(1, 3, 16, 16)),
    "unet": lambda: _call(
        _UNet(), torch.randn(1, 4, 16, 16), torch.tensor([7]), torch.randn(1, 5, 24)
    ),
}
