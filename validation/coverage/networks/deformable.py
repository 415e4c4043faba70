"""Networks whose windows move: operators of torchvision in plain code."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..entry import Build, Call

FAMILY = "plain"
NEEDS = ("torchvision",)


class _Deformed(nn.Module):
    """Convolutions whose taps are moved, with a mask and without."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision.ops import DeformConv2d

        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.offset = nn.Conv2d(8, 18, 3, padding=1)
        self.mask = nn.Conv2d(8, 9, 3, padding=1)
        self.masked = DeformConv2d(8, 16, 3, padding=1)
        self.strided = nn.Conv2d(16, 36, 3, stride=2, padding=1)
        self.grouped = DeformConv2d(16, 16, 3, stride=2, padding=1, groups=2)

    def forward(self, image: Tensor) -> Tensor:
        x = self.first(image).relu()
        x = self.masked(x, self.offset(x), self.mask(x).sigmoid()).relu()
        return self.grouped(x, self.strided(x))


class _Regions(nn.Module):
    """Heads of a detector on regions that are given."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=4, padding=1)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 9, 16), nn.ReLU(), nn.Linear(16, 5))

    def forward(self, image: Tensor, boxes: list[Tensor]) -> Tensor:
        from torchvision.ops import nms, roi_align

        x = self.body(image).relu()
        scores = self.head(roi_align(x, boxes, (3, 3), spatial_scale=0.25, sampling_ratio=2))
        kept = nms(boxes[0], scores.softmax(-1).amax(-1), 0.5)
        return scores[kept]


def _regions() -> Call:
    corners = torch.randint(0, 30, (6, 2)).float()
    boxes = torch.cat([corners, corners + 20], dim=1)
    return Call(_Regions().eval(), (torch.randn(1, 3, 64, 64), [boxes]))


NETWORKS: dict[str, Build] = {
    "deform_conv": lambda: Call(_Deformed().eval(), (torch.randn(1, 3, 32, 32),)),
    "roi_align and nms": _regions,
}
