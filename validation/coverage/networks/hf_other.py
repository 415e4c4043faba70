"""Networks of transformers on images, boxes and waves, from small configurations."""

from __future__ import annotations

from typing import Any

from ..entry import Build
from .hf_calls import SIZES, VOCABULARY, ids, mask_of, random, takes

FAMILY = "hf"
NEEDS = ("transformers",)

_PATCHES = {**{k: v for k, v in SIZES.items() if k != "vocab_size"}, "image_size": 32}
_RESNET = {
    "embedding_size": 16,
    "hidden_sizes": [16, 24, 32, 40],
    "depths": [1, 1, 1, 1],
    "out_features": ["stage2", "stage3", "stage4"],
}
_DETECTOR = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "use_timm_backbone": False,
    "use_pretrained_backbone": False,
    "backbone": None,
}


def _layout() -> dict[str, Any]:
    import torch

    tokens = ids()
    corners = torch.randint(0, 50, (1, tokens.shape[1], 2))
    boxes = torch.cat([corners, corners + 10], dim=-1)
    return {"input_ids": tokens, "bbox": boxes, "attention_mask": mask_of(tokens)}


def _pair() -> dict[str, Any]:
    import torch

    tokens = ids()
    return {
        "input_ids": tokens,
        "pixel_values": torch.randn(1, 3, 32, 32),
        "attention_mask": torch.ones_like(tokens),
    }


def _backbone(kind: str = "ResNetConfig", **fields: Any) -> Any:
    import transformers

    return getattr(transformers, kind)(**{**_RESNET, **fields})


def _deformable_detr() -> Any:
    fields = {**_DETECTOR, "num_queries": 10, "num_feature_levels": 3, "num_labels": 5}
    return takes(
        "DeformableDetrConfig",
        "DeformableDetrForObjectDetection",
        random(1, 3, 64, 64),
        **fields,
        backbone_config=_backbone(),
    )()


def _rt_detr() -> Any:
    fields = {
        "encoder_hidden_dim": 32,
        "d_model": 32,
        "encoder_in_channels": [24, 32, 40],
        "decoder_in_channels": [32, 32, 32],
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "decoder_layers": 2,
        "num_queries": 10,
        "num_denoising": 0,
        "num_labels": 5,
        "freeze_backbone_batch_norms": False,
    }
    return takes(
        "RTDetrConfig",
        "RTDetrForObjectDetection",
        random(1, 3, 64, 64),
        **fields,
        backbone_config=_backbone("RTDetrResNetConfig"),
    )()


def _detr() -> Any:
    return takes(
        "DetrConfig",
        "DetrForObjectDetection",
        random(1, 3, 64, 64),
        **_DETECTOR,
        num_queries=10,
        num_labels=5,
        backbone_config=_backbone(out_features=["stage4"]),
    )()


_VOICE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "ffn_dim": 64,
    "flow_size": 32,
    "spectrogram_bins": 65,
    "upsample_initial_channel": 32,
    "prior_encoder_num_wavenet_layers": 2,
    "posterior_encoder_num_wavenet_layers": 2,
    "noise_scale": 0.0,
    "noise_scale_duration": 0.0,
}
_WAVES = {
    "conv_dim": [16, 16, 16],
    "conv_stride": [5, 4, 4],
    "conv_kernel": [10, 4, 4],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}

NETWORKS: dict[str, Build] = {
    "clip": takes(
        "CLIPConfig",
        "CLIPModel",
        _pair,
        text_config=SIZES,
        vision_config={**_PATCHES, "patch_size": 8},
        projection_dim=32,
    ),
    "deformable_detr": _deformable_detr,
    "dinov2": takes("Dinov2Config", "Dinov2Model", random(1, 3, 56, 56), **_PATCHES, patch_size=8),
    "encodec": takes(
        "EncodecConfig",
        "EncodecModel",
        random(1, 1, 640, name="input_values"),
        num_filters=8,
        hidden_size=32,
        codebook_size=64,
        codebook_dim=32,
        num_lstm_layers=1,
    ),
    "layoutlm+mask": takes("LayoutLMConfig", "LayoutLMModel", _layout, **SIZES),
    "rt_detr": _rt_detr,
    "vits": takes("VitsConfig", "VitsModel", lambda: {"input_ids": ids()}, **_VOICE),
    # Of our own choice.
    "ast": takes(
        "ASTConfig",
        "ASTForAudioClassification",
        random(1, 64, 32, name="input_values"),
        **_PATCHES | {"max_length": 64, "num_mel_bins": 32},
    ),
    "beit": takes("BeitConfig", "BeitModel", random(1, 3, 32, 32), **_PATCHES, patch_size=8),
    "convnext": takes(
        "ConvNextConfig",
        "ConvNextModel",
        random(1, 3, 64, 64),
        hidden_sizes=[16, 24, 32, 40],
        depths=[1, 1, 2, 1],
    ),
    "deit": takes("DeiTConfig", "DeiTModel", random(1, 3, 32, 32), **_PATCHES, patch_size=8),
    "detr": _detr,
    "hubert": takes(
        "HubertConfig", "HubertModel", random(1, 1600, name="input_values"), **SIZES, **_WAVES
    ),
    "mobilevit": takes(
        "MobileViTConfig",
        "MobileViTModel",
        random(1, 3, 64, 64),
        image_size=64,
        hidden_sizes=[24, 32, 40],
        neck_hidden_sizes=[8, 16, 24, 32, 40, 48, 64],
        num_attention_heads=4,
    ),
    "segformer": takes(
        "SegformerConfig",
        "SegformerForSemanticSegmentation",
        random(1, 3, 64, 64),
        hidden_sizes=[16, 32, 40, 64],
        depths=[1, 1, 1, 1],
        decoder_hidden_size=32,
    ),
    "swinv2": takes(
        "Swinv2Config",
        "Swinv2Model",
        random(1, 3, 64, 64),
        image_size=64,
        patch_size=4,
        embed_dim=16,
        depths=[2, 2],
        num_heads=[2, 4],
        window_size=4,
    ),
    "timesformer": takes(
        "TimesformerConfig",
        "TimesformerModel",
        random(1, 4, 3, 32, 32),
        **_PATCHES,
        patch_size=8,
        num_frames=4,
    ),
    "videomae": takes(
        "VideoMAEConfig",
        "VideoMAEModel",
        random(1, 4, 3, 32, 32),
        **_PATCHES,
        patch_size=8,
        num_frames=4,
    ),
    "vit": takes("ViTConfig", "ViTModel", random(1, 3, 32, 32), **_PATCHES, patch_size=8),
    "wav2vec2": takes(
        "Wav2Vec2Config", "Wav2Vec2Model", random(1, 1600, name="input_values"), **SIZES, **_WAVES
    ),
    "yolos": takes(
        "YolosConfig",
        "YolosForObjectDetection",
        random(1, 3, 32, 32),
        **_PATCHES | {"image_size": [32, 32]},
        patch_size=8,
        num_detection_tokens=5,
    ),
}
