"""Networks of pytorchcv, with random weights."""

from __future__ import annotations

from functools import partial

from ..entry import Build, Call

FAMILY = "pcv"
NEEDS = ("pytorchcv",)

_WANTED = """
channelnet diracnet18v2 fishnet99 ibnb_resnet50 menet228_12x1_g3 preresnet18
pyramidnet101_a360
"""
_CHOSEN = """
bagnet9 condensenet74_c4_g4 darknet53 dicenet_wd5 igcv3_wd4 mixnet_s octresnet10_ad2 peleenet
rir_cifar10=32 shufflenet_g3_wd4 squeezenet_v1_0
"""


def _model(name: str, size: int) -> Call:
    import torch
    from pytorchcv.model_provider import get_model

    return Call(get_model(name, pretrained=False).eval(), (torch.randn(1, 3, size, size),))


NETWORKS: dict[str, Build] = {
    name: partial(_model, name, int(size or 224))
    for name, _, size in (word.partition("=") for word in (_WANTED + _CHOSEN).split())
}
