"""Networks of transformers on texts, from small configurations."""

from __future__ import annotations

from typing import Any

from ..entry import Build
from .hf_calls import (
    ENCODER_DECODER,
    SIZES,
    T5,
    VOCABULARY,
    decode,
    text,
    translation,
)

FAMILY = "hf"
NEEDS = ("transformers",)

_GQA = {**SIZES, "num_key_value_heads": 2}
_GPT2: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "n_positions": 128,
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 4,
}
_XLNET: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 64,
    "n_layer": 2,
    "n_head": 4,
    "d_inner": 128,
}
_EXPERTS = {**_GQA, "num_local_experts": 4, "num_experts_per_tok": 2}
_MLA: dict[str, Any] = {
    "moe_intermediate_size": 32,
    "n_routed_experts": 8,
    "n_group": 2,
    "topk_group": 1,
    "num_experts_per_tok": 2,
    "kv_lora_rank": 16,
    "q_lora_rank": 32,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "first_k_dense_replace": 1,
}
_STATES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "state_size": 8,
}


def _lm(kind: str, mask: bool = False, length: int = 16, **fields: Any) -> Build:
    """Return a causal language model whose sizes have the usual names."""
    sizes = {**_GQA, **fields}
    return text(f"{kind}Config", f"{kind}ForCausalLM", mask=mask, length=length, **sizes)


def _encoder(kind: str, mask: bool = False, length: int = 16, **fields: Any) -> Build:
    """Return an encoder whose sizes have the usual names."""
    sizes = {**SIZES, **fields}
    return text(f"{kind}Config", f"{kind}Model", mask=mask, length=length, **sizes)


NETWORKS: dict[str, Build] = {
    "albert+mask": _encoder("Albert", True, embedding_size=32),
    "bart": translation("BartConfig", "BartForConditionalGeneration", **ENCODER_DECODER),
    "big_bird+mask": _encoder("BigBird", True, 64, block_size=4, num_random_blocks=1),
    "bloom": text(
        "BloomConfig",
        "BloomForCausalLM",
        vocab_size=VOCABULARY,
        hidden_size=64,
        n_layer=2,
        n_head=4,
    ),
    "deberta_v2": _encoder(
        "DebertaV2", relative_attention=True, pos_att_type=["p2c", "c2p"], position_buckets=16
    ),
    "deepseek_v3": _lm("DeepseekV3", **{**_MLA, "num_key_value_heads": 4}),
    "funnel+mask": text(
        "FunnelConfig",
        "FunnelModel",
        mask=True,
        vocab_size=VOCABULARY,
        block_sizes=[1, 1, 1],
        d_model=64,
        n_head=4,
        d_head=16,
        d_inner=128,
    ),
    "gemma+mask": _lm("Gemma", True, head_dim=16, num_key_value_heads=1),
    "gpt2": text("GPT2Config", "GPT2LMHeadModel", **_GPT2),
    "gpt2 decode": decode("GPT2Config", "GPT2LMHeadModel", **_GPT2),
    "gpt_neo": text(
        "GPTNeoConfig",
        "GPTNeoForCausalLM",
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_layers=2,
        num_heads=4,
        attention_types=[[["global", "local"], 1]],
        window_size=8,
        max_position_embeddings=128,
    ),
    "gpt_neox": text("GPTNeoXConfig", "GPTNeoXForCausalLM", **SIZES),
    "llama plain (cache out)": _lm("Llama", use_cache=True),
    "llama+mask": _lm("Llama", True),
    "longformer+mask": _encoder(
        "Longformer", True, 32, attention_window=[8, 8], max_position_embeddings=64
    ),
    "mamba": text("MambaConfig", "MambaForCausalLM", **_STATES),
    "mamba2": text(
        "Mamba2Config",
        "Mamba2ForCausalLM",
        **_STATES,
        num_heads=8,
        head_dim=16,
        n_groups=1,
        chunk_size=8,
    ),
    "mistral+mask": _lm("Mistral", True, sliding_window=8),
    "mixtral": text("MixtralConfig", "MixtralForCausalLM", **_EXPERTS),
    "mixtral decode": decode("MixtralConfig", "MixtralForCausalLM", **_EXPERTS),
    "modernbert+mask": _encoder("ModernBert", True, pad_token_id=0, local_attention=8),
    "qwen2": _lm("Qwen2"),
    "qwen2+mask": _lm("Qwen2", True),
    "qwen3": _lm("Qwen3", head_dim=16),
    "recurrent_gemma": _lm("RecurrentGemma", num_hidden_layers=3, lru_width=64, head_dim=16),
    "roberta": _encoder("Roberta"),
    "roberta+mask": _encoder("Roberta", True),
    "squeezebert": _encoder("SqueezeBert", embedding_size=64),
    "squeezebert+mask": _encoder("SqueezeBert", True, embedding_size=64),
    "switch_transformers": translation(
        "SwitchTransformersConfig",
        "SwitchTransformersForConditionalGeneration",
        **T5,
        num_decoder_layers=2,
        num_sparse_encoder_layers=1,
        num_sparse_decoder_layers=1,
        num_experts=4,
    ),
    "t5": translation("T5Config", "T5ForConditionalGeneration", **T5),
    "xlnet": text("XLNetConfig", "XLNetModel", **_XLNET),
    "xlnet+mask": text("XLNetConfig", "XLNetModel", mask=True, **_XLNET),
}
