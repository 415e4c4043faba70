"""Networks of timm, with random weights."""

from __future__ import annotations

from functools import partial

from ..entry import Build, Call

FAMILY = "timm"
NEEDS = ("timm",)

_SMALL = 128
"""Height and width of the images of networks that take any. [pixel]"""
_WANTED = """
bat_resnext26ts=256 cait_xxs24_224=224 coatnet_nano_rw_224=224 crossvit_9_dagger_240=240 csatv2=512
deit3_small_patch16_224=224 densenet121 efficientnet_b0 inception_v3=160 levit_128s=224
mixer_s32_224=224 mobilenetv1_100 mobilenetv2_100 mobilenetv3_large_100 mobilenetv4_conv_small
mobileone_s0 mobilevitv2_050 poolformer_s12 regnetz_b16 repvit_m1 resnet18 resnet50
resnetv2_50x1_bit shvit_s1 swiftformer_xs swin_tiny_patch4_window7_224=224 tf_efficientnetv2_b0
tiny_vit_5m_224=224 vit_relpos_small_patch16_224=224 vit_tiny_r_s16_p8_224=224
"""
_CHOSEN = """
convnext_atto convit_tiny=224 davit_tiny=224 dla34 edgenext_xx_small efficientformer_l1=224
efficientvit_b0 eva02_tiny_patch14_224=224 fastvit_t8 ghostnet_100 gmlp_s16_224=224
halonet26t=256 hgnetv2_b0 hrnet_w18_small lambda_resnet26t=256 maxvit_pico_rw_256=256
nfnet_l0 pit_ti_224=224 pvt_v2_b0=224 rexnet_100 sequencer2d_s=224 skresnet18 starnet_s1
twins_pcpvt_small=224 vit_tiny_patch16_224=224 volo_d1_224=224 xcit_nano_12_p16_224=224
"""


def _model(name: str, size: int = _SMALL, batch: int = 1) -> Call:
    import timm
    import torch

    return Call(timm.create_model(name).eval(), (torch.randn(batch, 3, size, size),))


def _entries(text: str) -> dict[str, Build]:
    pairs = [word.partition("=") for word in text.split()]
    return {name: partial(_model, name, int(size or _SMALL)) for name, _, size in pairs}


NETWORKS: dict[str, Build] = {
    **_entries(_WANTED),
    "resnet18@b8": partial(_model, "resnet18", batch=8),
    **_entries(_CHOSEN),
}
