"""Plain torch modules that find things in images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..entry import Build, Call

FAMILY = "detection"


def _conv(cin: int, cout: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout), nn.SiLU(inplace=True)
    )


class _Yolo(nn.Module):
    """Three levels; anchors are made when the first image comes, over a class attribute."""

    anchors = torch.empty(0)
    strides = torch.empty(0)
    shape: tuple[int, ...] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleList([_conv(3, 16, 4), _conv(16, 24, 2), _conv(24, 32, 2)])
        self.heads = nn.ModuleList(nn.Conv2d(c, 4 * 8 + 5, 1) for c in (16, 24, 32))
        self.bins = nn.Conv2d(8, 1, 1, bias=False)

    def forward(self, image: Tensor) -> Tensor:
        x, levels = image, []
        for body, head in zip(self.body, self.heads, strict=True):
            x = body(x)
            levels.append(head(x))
        if self.shape != image.shape:
            self.anchors, self.strides = (t.transpose(0, 1) for t in self._anchors(levels))
            self.shape = image.shape
        b = image.shape[0]
        box, scores = torch.cat([y.view(b, 37, -1) for y in levels], dim=2).split((32, 5), dim=1)
        n = box.shape[-1]
        far = self.bins(box.view(b, 4, 8, n).transpose(2, 1).softmax(dim=1)).view(b, 4, n)
        low, high = far.chunk(2, dim=1)
        start, end = self.anchors[None] - low, self.anchors[None] + high
        boxes = torch.cat([(start + end) / 2, end - start], dim=1) * self.strides
        return torch.cat([boxes, scores.sigmoid()], dim=1)

    @staticmethod
    def _anchors(levels: list[Tensor]) -> tuple[Tensor, Tensor]:
        points, strides = [], []
        for level, stride in zip(levels, (4, 8, 16), strict=True):
            h, w = level.shape[-2:]
            ys, xs = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
            points.append(torch.stack([xs, ys], dim=-1).view(-1, 2))
            strides.append(torch.full((h * w, 1), float(stride)))
        return torch.cat(points), torch.cat(strides)


class _Pyramid(nn.Module):
    """A feature pyramid with one head for all levels, then the best boxes of each."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.ModuleList([_conv(3, 16, 4), _conv(16, 32, 2), _conv(32, 64, 2)])
        self.sides = nn.ModuleList(nn.Conv2d(c, 16, 1) for c in (16, 32, 64))
        self.classes, self.boxes = nn.Conv2d(16, 9, 3, padding=1), nn.Conv2d(16, 12, 3, padding=1)

    def forward(self, image: Tensor) -> list[tuple[Tensor, Tensor]]:
        x, levels, found = image, [], []
        for body in self.body:
            x = body(x)
            levels.append(x)
        above = None
        for level, side in zip(reversed(levels), reversed(self.sides), strict=True):
            y = side(level)
            if above is not None:
                y = y + functional.interpolate(above, size=y.shape[-2:], mode="nearest")
            above = y
            scores = self.classes(y).permute(0, 2, 3, 1).flatten(1).sigmoid()
            boxes = self.boxes(y).permute(0, 2, 3, 1).reshape(y.shape[0], -1, 4)
            best, places = scores.topk(min(10, scores.shape[1]), dim=1)
            rows = torch.div(places, 3, rounding_mode="floor")
            found.append((best, boxes.gather(1, rows[..., None].expand(-1, -1, 4))))
        return found


class _Queries(nn.Module):
    """Learned questions to an image (DETR)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(3, 16, 4), nn.Conv2d(16, 32, 3, 2, 1))
        self.body_to = nn.Transformer(32, 4, 1, 2, 64)
        self.queries = nn.Parameter(torch.rand(7, 32))
        self.rows, self.columns = (nn.Parameter(torch.rand(20, 16)) for _ in range(2))
        self.classes, self.boxes = nn.Linear(32, 6), nn.Linear(32, 4)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = self.body(image)
        h, w = x.shape[-2:]
        places = torch.cat(
            [
                self.columns[:w].unsqueeze(0).repeat(h, 1, 1),
                self.rows[:h].unsqueeze(1).repeat(1, w, 1),
            ],
            dim=-1,
        )
        x = x.flatten(2).permute(2, 0, 1) + places.flatten(0, 1).unsqueeze(1)
        y = self.body_to(x, self.queries.unsqueeze(1)).transpose(0, 1)
        return {"logits": self.classes(y), "boxes": self.boxes(y).sigmoid()}


class _Centres(nn.Module):
    """Peaks of a map of heat, found by a pooling that keeps where it was largest."""

    def __init__(self) -> None:
        super().__init__()
        self.body = _conv(3, 16, 2)
        self.heat, self.size = nn.Conv2d(16, 4, 1), nn.Conv2d(16, 2, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.body(image)
        heat = self.heat(x).sigmoid()
        peaks, places = functional.max_pool2d(heat, 3, 1, 1, return_indices=True)
        heat = heat * (peaks == heat).float()
        scores, order = heat.flatten(1).topk(8)
        pixel = order % (heat.shape[2] * heat.shape[3])
        sizes = self.size(x).flatten(2).transpose(1, 2)
        return scores, sizes.gather(1, pixel[..., None].expand(-1, -1, 2)), places


class _Suppressed(nn.Module):
    """Boxes above a threshold; those that overlap a better one are left out, in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.body = _conv(3, 8, 4)
        self.head = nn.Conv2d(8, 5, 1)
        self.again = nn.Linear(4, 4)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        y = self.head(self.body(image)).flatten(2)[0].t()
        scores, boxes = y[:, 0].sigmoid(), y[:, 1:].sigmoid()
        boxes = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)
        above = scores > scores.mean()
        scores, boxes = scores[above], boxes[above]
        order, kept = scores.argsort(descending=True), []
        while order.numel() > 0:
            best, order = order[0], order[1:]
            kept.append(best)
            low = torch.maximum(boxes[best, :2], boxes[order, :2])
            high = torch.minimum(boxes[best, 2:], boxes[order, 2:])
            both = (high - low).clamp(min=0).prod(dim=1)
            area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
            order = order[both / (area[best] + area[order] - both + 1e-9) <= 0.3]
        rows = torch.stack(kept)
        return scores[rows], self.again(boxes[rows])


class _Masks(nn.Module):
    """Masks as products of prototypes and coefficients (YOLACT)."""

    def __init__(self) -> None:
        super().__init__()
        self.body = _conv(3, 16, 4)
        self.prototypes = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(16, 8, 3, padding=1), nn.ReLU()
        )
        self.coefficients = nn.Conv2d(16, 8, 4, 4)

    def forward(self, image: Tensor) -> Tensor:
        x = self.body(image)
        base = self.prototypes(x).permute(0, 2, 3, 1)
        each = self.coefficients(x).flatten(2).tanh()
        return (base @ each.unsqueeze(1)).sigmoid().permute(0, 3, 1, 2) > 0.5


def _call(module: nn.Module, size: int = 64) -> Call:
    return Call(module.eval(), (torch.randn(1, 3, size, size),))


NETWORKS: dict[str, Build] = {
    "centernet": lambda: _call(_Centres(), 32),
    "detr": lambda: _call(_Queries()),
    "non-maximum suppression": lambda: _call(_Suppressed(), 32),
    "retinanet": lambda: _call(_Pyramid()),
    "yolact": lambda: _call(_Masks()),
    "yolo v8": lambda: _call(_Yolo()),
}
