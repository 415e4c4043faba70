"""Plain torch modules that make one token after the other, with a cache."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..entry import Build, Call

FAMILY = "decode"
_HEADS, _SHARED, _DEPTH, _WIDTH = 4, 2, 8, 32
_PAST = 20


def _turned(x: Tensor, places: Tensor) -> Tensor:
    """Return ``x`` with rotary positions."""
    rates = 1.0 / 100 ** (torch.arange(0, _DEPTH, 2, device=x.device) / _DEPTH)
    angles = places[:, None].float() * rates
    angles = torch.cat([angles, angles], dim=-1)
    half = torch.cat([-x[..., _DEPTH // 2 :], x[..., : _DEPTH // 2]], dim=-1)
    return x * angles.cos() + half * angles.sin()


class _Block(nn.Module):
    """One layer of a Llama, with grouped queries."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.after = nn.RMSNorm(_WIDTH), nn.RMSNorm(_WIDTH)
        self.q = nn.Linear(_WIDTH, _HEADS * _DEPTH, bias=False)
        self.k, self.v = (nn.Linear(_WIDTH, _SHARED * _DEPTH, bias=False) for _ in range(2))
        self.o = nn.Linear(_HEADS * _DEPTH, _WIDTH, bias=False)
        self.gate, self.up = (nn.Linear(_WIDTH, 64, bias=False) for _ in range(2))
        self.down = nn.Linear(64, _WIDTH, bias=False)

    def heads(self, x: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values."""
        b, n, _ = x.shape
        q, k, v = (
            layer(x).view(b, n, -1, _DEPTH).transpose(1, 2) for layer in (self.q, self.k, self.v)
        )
        return _turned(q, places), _turned(k, places), v

    def finish(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the sum with what attention and the perceptron make."""
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = self.after(x)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))


class _Grown(nn.Module):
    """Keys and values are joined to the cache, which is given back."""

    def __init__(self, layers: int = 2) -> None:
        super().__init__()
        self.words = nn.Embedding(100, _WIDTH)
        self.blocks = nn.ModuleList(_Block() for _ in range(layers))
        self.norm = nn.RMSNorm(_WIDTH)
        self.head = nn.Linear(_WIDTH, 100, bias=False)

    def forward(
        self, tokens: Tensor, cache: list[tuple[Tensor, Tensor]] | None = None
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        x, kept = self.words(tokens), []
        past = 0 if cache is None else cache[0][0].shape[2]
        places = torch.arange(past, past + tokens.shape[1], device=tokens.device)
        for i, block in enumerate(self.blocks):
            q, k, v = block.heads(block.norm(x), places)
            if cache is not None:
                k = torch.cat([cache[i][0], k], dim=2)
                v = torch.cat([cache[i][1], v], dim=2)
            kept.append((k, v))
            y = functional.scaled_dot_product_attention(
                q, k, v, is_causal=cache is None, enable_gqa=True
            )
            x = block.finish(x, y)
        return self.head(self.norm(x[:, -1:])), kept


class _Static(nn.Module):
    """A cache of fixed length that is a buffer, written in place, read behind a mask."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.block = nn.Embedding(100, _WIDTH), _Block()
        self.head = nn.Linear(_WIDTH, 100, bias=False)
        self.register_buffer("keys", torch.zeros(1, _SHARED, _PAST, _DEPTH), persistent=False)
        self.register_buffer("values", torch.zeros(1, _SHARED, _PAST, _DEPTH), persistent=False)

    def forward(self, token: Tensor, place: Tensor) -> Tensor:
        x = self.words(token)
        q, k, v = self.block.heads(self.block.norm(x), place)
        self.keys.index_copy_(2, place, k)
        self.values.index_copy_(2, place, v)
        seen = torch.arange(_PAST, device=token.device)[None, :] <= place[:, None]
        keys, values = (c.repeat_interleave(2, dim=1) for c in (self.keys, self.values))
        y = functional.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
        return self.head(self.block.finish(x, y))


class _Sliding(nn.Module):
    """A window of the last tokens: the oldest is dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.block = _Block()

    def forward(self, x: Tensor, cache: dict[str, Tensor]) -> dict[str, Tensor]:
        place = torch.full((1,), _PAST, device=x.device)
        q, k, v = self.block.heads(self.block.norm(x), place)
        keys = torch.cat([cache["keys"], k], dim=2)[:, :, 1:]
        values = torch.cat([cache["values"], v], dim=2)[:, :, 1:]
        groups = q.view(1, _SHARED, -1, _DEPTH)
        weights = (groups @ keys.transpose(2, 3) / _DEPTH**0.5).softmax(dim=-1)
        y = (weights @ values).view(1, _HEADS, 1, _DEPTH)
        return {"hidden": self.block.finish(x, y), "keys": keys, "values": values}


@dataclass
class _Step:
    """Logits and states of one step of a recurrent decoder."""

    logits: Tensor
    state: tuple[Tensor, ...]


class _Recurrent(nn.Module):
    """One step of stacked cells whose states go around."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(60, 16)
        self.cells = nn.ModuleList([nn.GRUCell(16, 24), nn.RNNCell(24, 24)])
        self.head = nn.Linear(24, 60)

    def forward(self, token: Tensor, state: tuple[Tensor, ...]) -> _Step:
        x, kept = self.words(token), []
        for cell, h in zip(self.cells, state, strict=True):
            x = cell(x, h)
            kept.append(x)
        return _Step(self.head(x), tuple(kept))


class _Crossed(nn.Module):
    """A decoder that reads what an encoder has made, by keys that are made once."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(_WIDTH, _HEADS, 64, batch_first=True)
        self.head = nn.Linear(_WIDTH, 50)

    def forward(self, target: Tensor, memory: Tensor) -> Tensor:
        length = target.shape[1]
        later = torch.ones(length, length, dtype=torch.bool, device=target.device).triu(1)
        return self.head(self.layer(target, memory, tgt_mask=later)[:, -1])


class _Greedy(nn.Module):
    """Several steps in one pass: the best word goes in again."""

    def __init__(self) -> None:
        super().__init__()
        self.model = _Grown(1)

    def forward(self, tokens: Tensor) -> Tensor:
        logits, cache = self.model(tokens)
        words = [logits.argmax(-1)]
        for _ in range(3):
            logits, cache = self.model(words[-1], cache)
            words.append(logits.argmax(-1))
        return torch.cat(words, dim=1)


def _cache(layers: int) -> list[tuple[Tensor, Tensor]]:
    return [
        (torch.randn(1, _SHARED, _PAST, _DEPTH), torch.randn(1, _SHARED, _PAST, _DEPTH))
        for _ in range(layers)
    ]


def _token(length: int = 1) -> Tensor:
    return torch.randint(0, 100, (1, length))


def _sliding() -> Call:
    keys, values = _cache(1)[0]
    cache = {"keys": keys, "values": values}
    return Call(_Sliding().eval(), (torch.randn(1, 1, _WIDTH),), {"cache": cache})


NETWORKS: dict[str, Build] = {
    "crossed": lambda: Call(
        _Crossed().eval(), (torch.randn(1, 5, _WIDTH), torch.randn(1, 9, _WIDTH))
    ),
    "greedy steps": lambda: Call(_Greedy().eval(), (_token(6),)),
    "llama prefill": lambda: Call(_Grown().eval(), (_token(10),)),
    "llama step": lambda: Call(_Grown().eval(), (_token(), _cache(2))),
    "recurrent step": lambda: Call(
        _Recurrent().eval(),
        (torch.randint(0, 60, (2,)), (torch.randn(2, 24), torch.randn(2, 24))),
    ),
    "sliding window": _sliding,
    "static cache": lambda: Call(_Static().eval(), (_token(), torch.tensor([7]))),
}
