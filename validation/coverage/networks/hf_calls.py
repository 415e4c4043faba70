"""How networks of transformers are made: from their configuration alone, with small sizes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..entry import Build, Call

LENGTH = 16
"""Tokens of a text. [1]"""
VOCABULARY = 128
PADDING = 2
"""Tokens that a mask hides, at the start, where decoders are padded. [1]"""
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
"""Sizes as most configurations call them."""
T5: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 64,
    "d_kv": 16,
    "d_ff": 128,
    "num_layers": 2,
    "num_heads": 4,
}
ENCODER_DECODER: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "d_model": 64,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 128,
    "decoder_ffn_dim": 128,
    "max_position_embeddings": 128,
}
"""Sizes as the relatives of BART call them."""
Inputs = Callable[[], dict[str, Any]]


def make(config: str, model: str, fields: dict[str, Any]) -> Any:
    """Return a model with random weights, in eval mode."""
    import transformers

    return getattr(transformers, model)(getattr(transformers, config)(**fields)).eval()


def ids(length: int = LENGTH) -> Any:
    """Return a text of one row."""
    import torch

    return torch.randint(3, VOCABULARY, (1, length))


def mask_of(tokens: Any) -> Any:
    """Return the mask of a text whose first tokens are padding."""
    import torch

    mask = torch.ones_like(tokens)
    mask[:, :PADDING] = 0
    return mask


def text(
    config: str, model: str, *, mask: bool = False, length: int = LENGTH, **fields: Any
) -> Build:
    """Return the entry of a network on a text."""
    return partial(_text, config, model, mask, length, fields)


def _text(config: str, model: str, mask: bool, length: int, fields: dict[str, Any]) -> Call:
    tokens = ids(length)
    extra = {"attention_mask": mask_of(tokens)} if mask else {}
    return Call(make(config, model, fields), (tokens,), extra)


def translation(config: str, model: str, **fields: Any) -> Build:
    """Return the entry of an encoder with a decoder."""
    return partial(_translation, config, model, fields)


def _translation(config: str, model: str, fields: dict[str, Any]) -> Call:
    return Call(make(config, model, fields), (ids(),), {"decoder_input_ids": ids(8)})


def decode(config: str, model: str, **fields: Any) -> Build:
    """Return the entry of one token behind a cache of all that came before."""
    return partial(_decode, config, model, fields)


def _decode(config: str, model: str, fields: dict[str, Any]) -> Call:
    import torch

    module = make(config, model, fields)
    with torch.no_grad():
        cache = module(ids(), use_cache=True).past_key_values
    return Call(module, (ids(1),), {"past_key_values": cache, "use_cache": True})


def takes(config: str, model: str, inputs: Inputs, **fields: Any) -> Build:
    """Return the entry of a network that takes ``inputs`` by name."""
    return partial(_takes, config, model, inputs, fields)


def _takes(config: str, model: str, inputs: Inputs, fields: dict[str, Any]) -> Call:
    return Call(make(config, model, fields), (), inputs())


def random(*shape: int, name: str = "pixel_values") -> Inputs:
    """Return a maker of one input of random numbers: an image, a clip, a wave."""
    return partial(_random, shape, name)


def _random(shape: tuple[int, ...], name: str) -> dict[str, Any]:
    import torch

    return {name: torch.randn(*shape)}
