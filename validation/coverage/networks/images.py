"""Plain torch modules on images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..entry import Build, Call

FAMILY = "images"


class _UNet(nn.Module):
    """Down, up, and across, in two or three dimensions."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        conv, pool = (nn.Conv2d, nn.MaxPool2d) if dims == 2 else (nn.Conv3d, nn.MaxPool3d)
        up = nn.ConvTranspose2d if dims == 2 else nn.ConvTranspose3d
        self.first, self.pool = conv(1, 8, 3, padding=1), pool(2)
        self.middle = conv(8, 16, 3, padding=1)
        self.up = up(16, 8, 2, stride=2)
        self.last = conv(16, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        kept = self.first(x).relu()
        x = self.up(self.middle(self.pool(kept)).relu())
        return self.last(torch.cat([kept, x], dim=1))


class _Capsules(nn.Module):
    """Routing by agreement between capsules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 16, 5, stride=2)
        self.weights = nn.Parameter(torch.randn(1, 5, 4 * 36, 8, 4) * 0.1)

    @staticmethod
    def _squash(x: Tensor) -> Tensor:
        norm = x.pow(2).sum(-1, keepdim=True)
        return x * norm / (1 + norm) / (norm.sqrt() + 1e-8)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv(image).relu()
        primary = self._squash(x.view(x.size(0), -1, 4))
        votes = torch.matmul(self.weights, primary[:, None, :, :, None]).squeeze(-1)
        logits = torch.zeros(votes.shape[:3])
        for _ in range(3):
            share = logits.softmax(dim=1)
            out = self._squash((share.unsqueeze(-1) * votes).sum(dim=2))
            logits = logits + torch.einsum("bjid,bjd->bji", votes, out)
        return out.norm(dim=-1)


class _Transformed(nn.Module):
    """A spatial transformer: where to look follows from the image."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(nn.Conv2d(1, 4, 7), nn.MaxPool2d(2, 2), nn.ReLU())
        self.where = nn.Linear(4 * 11 * 11, 6)
        self.see = nn.Sequential(nn.Conv2d(1, 8, 5), nn.Flatten(), nn.Linear(8 * 576, 10))

    def forward(self, image: Tensor) -> Tensor:
        theta = self.where(self.look(image).flatten(1)).view(-1, 2, 3)
        grid = functional.affine_grid(theta, image.size(), align_corners=False)
        return self.see(functional.grid_sample(image, grid, align_corners=False))


class _Involution(nn.Module):
    """Kernels that follow from the pixel, over unfolded windows."""

    def __init__(self) -> None:
        super().__init__()
        self.reduce, self.span = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 9 * 2, 1)
        self.head = nn.Conv2d(16, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        kernels = self.span(self.reduce(x)).view(b, 2, 1, 9, h, w)
        windows = functional.unfold(x, 3, padding=1).view(b, 2, c // 2, 9, h, w)
        return self.head((kernels * windows).sum(dim=3).view(b, c, h, w))


class _Masked(nn.Conv2d):
    """A convolution that sees only the pixels before it."""

    def __init__(self, cin: int, cout: int, first: bool) -> None:
        super().__init__(cin, cout, 5, padding=2)
        mask = torch.zeros(5, 5)
        mask[:2] = 1
        mask[2, : 2 + (not first)] = 1
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.weight * self.mask, self.bias)


class _Modulated(nn.Module):
    """The convolution of a style GAN: weights scaled by a style, then normalized."""

    def __init__(self) -> None:
        super().__init__()
        self.style = nn.Linear(8, 6)
        self.weight = nn.Parameter(torch.randn(1, 10, 6, 3, 3))
        self.constant = nn.Parameter(torch.randn(1, 6, 8, 8))

    def forward(self, z: Tensor) -> Tensor:
        b = z.shape[0]
        weight = self.weight * self.style(z).view(b, 1, 6, 1, 1)
        weight = weight * torch.rsqrt(weight.pow(2).sum((2, 3, 4), keepdim=True) + 1e-8)
        x = self.constant.expand(b, -1, -1, -1).reshape(1, b * 6, 8, 8)
        x = functional.conv2d(x, weight.view(b * 10, 6, 3, 3), padding=1, groups=b)
        return x.view(b, 10, 8, 8) + torch.zeros(b, 1, 8, 8)


class _Radiance(nn.Module):
    """A radiance field: waves of the position, a perceptron, a sum along the ray."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(27, 32), nn.Linear(32, 32), nn.Linear(59, 32)])
        self.density, self.colour = nn.Linear(32, 1), nn.Linear(32, 3)

    def forward(self, points: Tensor) -> Tensor:
        waves = 2.0 ** torch.arange(4, dtype=points.dtype, device=points.device)
        angles = (points[..., None] * waves).flatten(-2)
        encoded = x = torch.cat([points, angles.sin(), angles.cos()], dim=-1)
        for i, layer in enumerate(self.layers):
            x = layer(torch.cat([x, encoded], -1) if i == 2 else x).relu()
        alpha = 1 - torch.exp(-self.density(x).squeeze(-1).relu() * 0.1)
        through = torch.cumprod(1 - alpha + 1e-10, dim=-1)
        return ((alpha * through)[..., None] * self.colour(x).sigmoid()).sum(dim=-2)


class _NonLocal(nn.Module):
    """Attention among all pixels, with a squeeze and excitation of the channels."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.qkv = nn.Conv2d(16, 24, 1)
        self.out = nn.Conv2d(8, 16, 1)
        self.gate = nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        x = self.first(image)
        q, k, v = self.qkv(x).flatten(2).chunk(3, dim=1)
        weights = (q.transpose(1, 2) @ k).softmax(dim=-1)
        y = (v @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        x = x + self.out(y)
        return x * self.gate(x.mean((2, 3)))[:, :, None, None]


class _Bilinear(nn.Module):
    """Products of two networks on one image, averaged over the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 6, 3)
        self.head = nn.Linear(48, 4)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.einsum("bchw,bdhw->bcd", self.left(image), self.right(image))
        x = x.flatten(1)
        return self.head(functional.normalize(x.sign() * (x.abs() + 1e-10).sqrt()))


class _Offsets(nn.Module):
    """A deformable convolution of plain operators: samples, then one product."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Conv2d(8, 18, 3, padding=1)
        self.mix = nn.Conv2d(72, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, _, h, w = x.shape
        offset = self.offset(x).tanh().view(b, 9, 2, h, w).permute(0, 1, 3, 4, 2)
        ys, xs = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
        base = torch.stack([xs, ys], dim=-1)
        samples = [
            functional.grid_sample(x, base + offset[:, i], align_corners=True) for i in range(9)
        ]
        return self.mix(torch.cat(samples, dim=1))


def _call(module: nn.Module, *shape: int) -> Call:
    return Call(module.eval(), (torch.randn(*shape),))


NETWORKS: dict[str, Build] = {
    "bilinear_cnn": lambda: _call(_Bilinear(), 2, 3, 12, 12),
    "capsules": lambda: _call(_Capsules(), 1, 1, 15, 15),
    "gan generator": lambda: _call(
        nn.Sequential(
            nn.Unflatten(1, (16, 1, 1)),
            nn.ConvTranspose2d(16, 32, 4, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(True),
            nn.ConvTranspose2d(32, 16, 4, 2, 1, groups=2),
            nn.ConvTranspose2d(16, 3, 3, 2, 1, output_padding=1),
            nn.Tanh(),
        ),
        2,
        16,
    ),
    "grid_sample deformable": lambda: _call(_Offsets(), 1, 8, 10, 10),
    "involution": lambda: _call(_Involution(), 1, 16, 12, 12),
    "nerf": lambda: _call(_Radiance(), 4, 16, 3),
    "non_local": lambda: _call(_NonLocal(), 1, 3, 24, 24),
    "pixelcnn": lambda: _call(
        nn.Sequential(_Masked(1, 8, True), nn.ReLU(), _Masked(8, 8, False), nn.Conv2d(8, 4, 1)),
        1,
        1,
        16,
        16,
    ),
    "spatial transformer": lambda: _call(_Transformed(), 1, 1, 28, 28),
    "stylegan modulated": lambda: _call(_Modulated(), 2, 8),
    "sub-pixel": lambda: _call(
        nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.PReLU(16),
            nn.Conv2d(16, 36, 3, padding="same", padding_mode="reflect"),
            nn.PixelShuffle(3),
            nn.PixelUnshuffle(3),
            nn.Upsample(scale_factor=2, mode="bicubic"),
        ),
        1,
        1,
        16,
        16,
    ),
    "unet": lambda: _call(_UNet(2), 1, 1, 32, 32),
    "unet 3d": lambda: _call(_UNet(3), 1, 1, 8, 16, 16),
}
