"""More networks of transformers on texts, waves and series, of our own choice."""

from __future__ import annotations

from typing import Any

from ..entry import Build
from .hf_calls import (
    ENCODER_DECODER,
    SIZES,
    T5,
    VOCABULARY,
    decode,
    ids,
    random,
    takes,
    text,
    translation,
)

FAMILY = "hf"
NEEDS = ("transformers",)

_GQA = {**SIZES, "num_key_value_heads": 2}


def _speech() -> dict[str, Any]:
    import torch

    return {"input_features": torch.randn(1, 20, 32), "decoder_input_ids": ids(4)}


def _log_mel() -> dict[str, Any]:
    import torch

    return {"input_features": torch.randn(1, 20, 40), "decoder_input_ids": ids(4)}


def _bytes() -> dict[str, Any]:
    return {"inputs": ids(32)}


NETWORKS: dict[str, Build] = {
    "bert+mask": text("BertConfig", "BertForSequenceClassification", mask=True, **SIZES),
    "canine": text(
        "CanineConfig",
        "CanineModel",
        length=32,
        **{k: v for k, v in SIZES.items() if k != "vocab_size"},
        num_hash_buckets=64,
        local_transformer_stride=8,
        downsampling_rate=4,
    ),
    "convbert": text("ConvBertConfig", "ConvBertModel", **SIZES, embedding_size=64),
    "distilbert+mask": text(
        "DistilBertConfig",
        "DistilBertForMaskedLM",
        mask=True,
        vocab_size=VOCABULARY,
        dim=64,
        hidden_dim=128,
        n_layers=2,
        n_heads=4,
    ),
    "electra": text("ElectraConfig", "ElectraForPreTraining", **SIZES, embedding_size=32),
    "falcon": text("FalconConfig", "FalconForCausalLM", **SIZES, ffn_hidden_size=128),
    "fnet": text("FNetConfig", "FNetModel", **SIZES, pad_token_id=0),
    "gemma2": text("Gemma2Config", "Gemma2ForCausalLM", **_GQA, head_dim=16, sliding_window=8),
    "gpt_oss": text(
        "GptOssConfig",
        "GptOssForCausalLM",
        **_GQA,
        head_dim=16,
        num_local_experts=4,
        num_experts_per_tok=2,
        sliding_window=8,
    ),
    "gptj": text(
        "GPTJConfig",
        "GPTJForCausalLM",
        vocab_size=VOCABULARY,
        n_embd=64,
        n_layer=2,
        n_head=4,
        rotary_dim=8,
        n_positions=64,
    ),
    "granitemoe": text(
        "GraniteMoeConfig",
        "GraniteMoeForCausalLM",
        **_GQA,
        num_local_experts=4,
        num_experts_per_tok=2,
    ),
    "jamba": text(
        "JambaConfig",
        "JambaForCausalLM",
        **_GQA,
        num_experts=4,
        num_experts_per_tok=2,
        attn_layer_period=2,
        attn_layer_offset=1,
        expert_layer_period=2,
        expert_layer_offset=1,
        mamba_d_state=8,
        use_mamba_kernels=False,
    ),
    "llama decode": decode("LlamaConfig", "LlamaForCausalLM", **_GQA),
    "mobilebert": text(
        "MobileBertConfig",
        "MobileBertModel",
        **SIZES,
        embedding_size=32,
        intra_bottleneck_size=32,
        true_hidden_size=32,
    ),
    "mpnet": text("MPNetConfig", "MPNetModel", **SIZES),
    "mt5": translation("MT5Config", "MT5ForConditionalGeneration", **T5),
    "nystromformer": text(
        "NystromformerConfig",
        "NystromformerModel",
        **SIZES,
        num_landmarks=8,
        segment_means_seq_len=16,
    ),
    "olmoe": text("OlmoeConfig", "OlmoeForCausalLM", **_GQA, num_experts=4, num_experts_per_tok=2),
    "opt": text(
        "OPTConfig",
        "OPTForCausalLM",
        **{k: v for k, v in SIZES.items() if k != "intermediate_size"},
        ffn_dim=128,
        word_embed_proj_dim=32,
    ),
    "patchtst": takes(
        "PatchTSTConfig",
        "PatchTSTForPrediction",
        random(1, 32, 3, name="past_values"),
        num_input_channels=3,
        context_length=32,
        patch_length=8,
        patch_stride=8,
        d_model=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=64,
        prediction_length=8,
    ),
    "perceiver": takes(
        "PerceiverConfig",
        "PerceiverForMaskedLM",
        _bytes,
        vocab_size=VOCABULARY,
        num_latents=8,
        d_latents=32,
        d_model=32,
        num_self_attends_per_block=2,
        num_self_attention_heads=4,
        num_cross_attention_heads=4,
        max_position_embeddings=32,
        qk_channels=32,
        v_channels=32,
    ),
    "phi": text("PhiConfig", "PhiForCausalLM", **SIZES),
    "qwen3_moe": text(
        "Qwen3MoeConfig",
        "Qwen3MoeForCausalLM",
        **_GQA,
        head_dim=16,
        moe_intermediate_size=32,
        num_experts=4,
        num_experts_per_tok=2,
    ),
    "roformer": text("RoFormerConfig", "RoFormerModel", **SIZES, embedding_size=64),
    "speech_to_text": takes(
        "Speech2TextConfig",
        "Speech2TextForConditionalGeneration",
        _speech,
        **{k: v for k, v in ENCODER_DECODER.items() if k != "max_position_embeddings"},
        input_feat_per_channel=32,
        conv_channels=64,
    ),
    "t5 encoder+mask": text("T5Config", "T5EncoderModel", mask=True, **T5),
    "whisper": takes(
        "WhisperConfig",
        "WhisperForConditionalGeneration",
        _log_mel,
        **{k: v for k, v in ENCODER_DECODER.items() if k != "max_position_embeddings"},
        num_mel_bins=20,
        max_source_positions=20,
        max_target_positions=16,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    ),
}
