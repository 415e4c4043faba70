"""Networks of torchvision, with random weights."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..entry import Build, Call

FAMILY = "tv"
NEEDS = ("torchvision",)

_FEW = {"rpn_post_nms_top_n_test": 30, "box_detections_per_img": 5}
"""Boxes of detectors that do much for each: at first, and in the end. [1]"""


def _images(name: str, *shape: int, group: str = "", **options: Any) -> Call:
    """Return a network on a batch of images (or clips)."""
    import torch
    from torchvision import models

    place = getattr(models, group) if group else models
    module = getattr(place, name)(weights=None, **options)
    return Call(module.eval(), (torch.randn(1, 3, *shape),))


def _segments(name: str, size: int = 64) -> Call:
    return _images(name, size, size, group="segmentation", weights_backbone=None)


def _detects(name: str, size: int = 96, **options: Any) -> Call:
    """Return a detector, which takes a list of images."""
    import torch
    from torchvision.models import detection

    fields = {"weights": None, "weights_backbone": None, "min_size": size, "max_size": size}
    module = getattr(detection, name)(**fields, **options)
    return Call(module.eval(), ([torch.rand(3, size, size)],))


def _ssdlite() -> Call:
    import torch
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    module = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    return Call(module.eval(), ([torch.rand(3, 320, 320)],))


def _flow() -> Call:
    import torch
    from torchvision.models.optical_flow import raft_small

    frames = (torch.randn(1, 3, 128, 128), torch.randn(1, 3, 128, 128))
    return Call(raft_small(weights=None).eval(), frames, {"num_flow_updates": 2})


def _googlenet() -> Call:
    """Return GoogLeNet as it is trained: with its two heads on the side."""
    return _images("googlenet", 96, 96, aux_logits=True, init_weights=False)


NETWORKS: dict[str, Build] = {
    "deeplabv3_resnet50": partial(_segments, "deeplabv3_resnet50"),
    "efficientnet_v2_s": partial(_images, "efficientnet_v2_s", 96, 96),
    "fasterrcnn_mobilenet_v3_large_320_fpn": partial(
        _detects, "fasterrcnn_mobilenet_v3_large_320_fpn"
    ),
    "googlenet_aux": _googlenet,
    "inception_v3": partial(_images, "inception_v3", 128, 128, aux_logits=True, init_weights=False),
    "mc3_18": partial(_images, "mc3_18", 8, 48, 48, group="video"),
    "mvit_v2_s": partial(_images, "mvit_v2_s", 16, 224, 224, group="video"),
    "regnet_y_400mf": partial(_images, "regnet_y_400mf", 128, 128),
    "retinanet_resnet50_fpn": partial(_detects, "retinanet_resnet50_fpn"),
    "s3d": partial(_images, "s3d", 16, 224, 224, group="video"),
    "ssdlite320_mobilenet_v3_large": _ssdlite,
    "vit_b_32": partial(_images, "vit_b_32", 224, 224),
    # Of our own choice.
    "alexnet": partial(_images, "alexnet", 96, 96),
    "convnext_tiny": partial(_images, "convnext_tiny", 64, 64),
    "fcn_resnet50": partial(_segments, "fcn_resnet50"),
    "fcos_resnet50_fpn": partial(_detects, "fcos_resnet50_fpn"),
    "keypointrcnn_resnet50_fpn": partial(_detects, "keypointrcnn_resnet50_fpn", **_FEW),
    "lraspp_mobilenet_v3_large": partial(_segments, "lraspp_mobilenet_v3_large"),
    "maskrcnn_resnet50_fpn": partial(_detects, "maskrcnn_resnet50_fpn", **_FEW),
    "maxvit_t": partial(_images, "maxvit_t", 224, 224),
    "r2plus1d_18": partial(_images, "r2plus1d_18", 8, 48, 48, group="video"),
    "raft_small": _flow,
    "shufflenet_v2_x1_0": partial(_images, "shufflenet_v2_x1_0", 128, 128),
    "squeezenet1_1": partial(_images, "squeezenet1_1", 128, 128),
    "swin3d_t": partial(_images, "swin3d_t", 8, 64, 64, group="video"),
    "swin_v2_t": partial(_images, "swin_v2_t", 128, 128),
}
