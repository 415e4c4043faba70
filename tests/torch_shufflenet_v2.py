"""ShuffleNet v2 as a plain torch module, as users write it: the subject of the importer tests."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = {
    0.5: (24, 48, 96, 192, 1024),
    1.0: (24, 116, 232, 464, 1024),
    1.5: (24, 176, 352, 704, 1024),
    2.0: (24, 244, 488, 976, 2048),
}


def shuffle(x: Tensor, groups: int) -> Tensor:
    batch, channels, height, width = x.shape
    x = x.view(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).contiguous().view(batch, channels, height, width)


def conv_bn(c1: int, c2: int, k: int = 1, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(c1, c2, k, stride, k // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c2),
    ]


class Unit(nn.Module):
    def __init__(self, c1: int, c2: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        middle = c2 // 2
        taken = c1 if stride == 2 else middle
        given = c2 - c1 if stride == 2 else middle
        self.main = nn.Sequential(
            *conv_bn(taken, middle),
            nn.ReLU(inplace=True),
            *conv_bn(middle, middle, 3, stride, middle),
            *conv_bn(middle, given),
            nn.ReLU(inplace=True),
        )
        self.projection = nn.Sequential(
            *(
                [*conv_bn(c1, c1, 3, 2, c1), *conv_bn(c1, c1), nn.ReLU(inplace=True)]
                if stride == 2
                else []
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 2:
            joined = torch.cat((self.projection(x), self.main(x)), 1)
        else:
            kept, worked = x.chunk(2, dim=1)
            joined = torch.cat((kept, self.main(worked)), 1)
        return shuffle(joined, 2)


class ShuffleNetV2(nn.Module):
    def __init__(self, width: float = 1.0, classes: int = 1000) -> None:
        super().__init__()
        stem, *stages, last = CHANNELS[width]
        self.conv1 = nn.Sequential(*conv_bn(3, stem, 3, 2), nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        c1 = stem
        for number, (c2, repeats) in enumerate(zip(stages, (4, 8, 4), strict=True), 2):
            units = [Unit(c1 if i == 0 else c2, c2, 2 if i == 0 else 1) for i in range(repeats)]
            setattr(self, f"stage{number}", nn.Sequential(*units))
            c1 = c2
        self.conv5 = nn.Sequential(*conv_bn(c1, last), nn.ReLU(inplace=True))
        self.fc = nn.Linear(last, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(x.mean([2, 3]))
