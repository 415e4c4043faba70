"""Single bf16 kernels, replayed from a CUDA graph, on A100, H100, H200 and RTX PRO 6000.

NVIDIA's aiconfigurator measured what vLLM calls: products, fused attention of prefill, decode and
vision encoders, and a streaming kernel that scales and casts. No host takes part. Six weights are
used in turn, so that those of a product are cold and its input is hot. Attention of prefill and
decode includes the kernel that writes new keys and values to the pages of the cache
(collector/vllm/collect_attn.py: ``impl.forward``). Attention with a window
is left out: the operator has none, and also where all keys lie inside it the library runs another
kernel (FlashAttention-2, ``mha_varlen_fwd``: no queries are packed where ``window_size_left`` is
set), which takes up to three times as long on an RTX PRO 6000.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import networkx as nx

from costmodel.graph.builder import Builder
from costmodel.ops import Cast

from .dataset import DeviceSet, Row, read_csv

_SYSTEMS = {
    "a100_sxm": "a100-sxm-80gb",
    "h100_sxm": "h100-sxm",
    "h200_sxm": "h200",
    "rtx_pro_6000_server": "rtx-pro-6000",
}
_RUNTIME = "cuda-graphs"
_BYTES = 2
"""Of a number in bf16. [byte]"""
_OTHERS = 5
"""Products with other weights that run before the same comes again."""

Line = Mapping[str, str]


def device_sets() -> list[DeviceSet]:
    """Return the rows of each GPU and family: products, attention, streaming."""
    sets = []
    for family, (file, read) in _FAMILIES.items():
        lines = list(read_csv(f"silicon/{file}.csv"))
        for system, hardware in _SYSTEMS.items():
            rows = [row for line in lines if line["system"] == system for row in read(line)]
            if rows:
                name, platform = f"silicon {hardware} {family}", f"{hardware}/{_RUNTIME}"
                graphs = {r.network: scale(r.network) for r in rows if r.network.startswith(_SCALE)}
                sets.append(DeviceSet(name, platform, tuple(rows), graphs))
    return sets


def _seconds(line: Line) -> float:
    return float(line["latency_ms"]) / 1e3


def _linear(line: Line) -> list[Row]:
    m, n, k = (int(line[name]) for name in "mnk")
    spec = f"linear?n={m}&cin={k}&cout={n}&bias=false&dtype=bfloat16"
    between = _OTHERS * _BYTES * (n * k + m * n)
    return [Row(spec, _seconds(line), site=f"{n}x{k}", between=between)]


def _attention(line: Line, length: int, keys: int, causal: bool) -> list[Row]:
    if int(line.get("window_size") or 0):
        return []
    heads, depth = int(line["num_heads"]), int(line["head_dim"])
    shared = int(line.get("num_key_value_heads", heads))
    spec = (
        f"attention?n={line['batch_size']}&heads={heads}&kv_heads={shared}&length={length}"
        f"&keys={keys}&depth={depth}&causal={str(causal).lower()}&dtype=bfloat16"
    )
    return [Row(spec, _seconds(line), site=f"{heads}/{shared}x{depth}")]


def _prefill(line: Line) -> list[Row]:
    length = int(line["isl"])
    return _attention(line, length, length + int(line["step"]), True)


def _decode(line: Line) -> list[Row]:
    return _attention(line, 1, int(line["step"]), False)


def _encoder(line: Line) -> list[Row]:
    return _attention(line, int(line["isl"]), int(line["isl"]), False)


_SCALE = "scale "


def scale(name: str) -> nx.DiGraph:
    """Return the streaming kernel of ``"scale MxK"``: it reads bf16 and writes fp8.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(scale("scale 2x8"), unit="bytes")
    48
    """
    m, k = map(int, name.removeprefix(_SCALE).split("x"))
    b = Builder("scale")
    return b.finish(b.add(Cast("float8"), b.input((m, k), "bfloat16")))


def _stream(line: Line) -> list[Row]:
    size = f"{line['m']}x{line['k']}"
    return [Row(f"{_SCALE}{size}", _seconds(line), site=size)]


_FAMILIES: Mapping[str, tuple[str, Callable[[Line], list[Row]]]] = {
    "linear": ("gemm_bf16", _linear),
    "prefill": ("context_attention_bf16", _prefill),
    "decode": ("generation_attention_bf16", _decode),
    "encoder": ("encoder_attention_bf16", _encoder),
    "stream": ("elementwise_scale_fp8", _stream),
}
