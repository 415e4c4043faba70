"""Layers of eight language models in fp16 on A100 and H100, by tokens and tensor-parallel degree.

Vidur timed the kernels of eager PyTorch by the profiler: no host takes part. Times are printed in
whole or half microseconds, so that rows shorter than :data:`SHORTEST` are left out; so are rope and
the gather of embeddings, which the zoo lacks as single operators.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import networkx as nx

from costmodel.graph.builder import Builder
from costmodel.ops import Elementwise

from .dataset import DeviceSet, Row, read_csv

_PLATFORMS = {"a100": "a100-sxm-80gb/cuda-graphs", "h100": "h100-sxm/cuda-graphs"}
_DTYPE = "dtype=float16"
_GATE = "gate "
SHORTEST = 5e-6
"""Least time that is read: its rounding is a tenth at most. [s]"""

Line = Mapping[str, str]


def device_sets() -> list[DeviceSet]:
    """Return the layers of each GPU; rows are grouped by family, no layer comes twice."""
    found: dict[str, dict[str, Row]] = {gpu: {} for gpu in _PLATFORMS}
    for line in read_csv("transformer_layers/layers.csv"):
        for row in _rows(line):
            if row.seconds >= SHORTEST:
                found[line["gpu"]].setdefault(row.network, row)
    return [
        DeviceSet(
            f"transformer_layers {_PLATFORMS[gpu].partition('/')[0]}",
            _PLATFORMS[gpu],
            tuple(rows.values()),
            {name: gate(name) for name in rows if name.startswith(_GATE)},
        )
        for gpu, rows in found.items()
    ]


def _rows(line: Line) -> Iterator[Row]:
    """Yield the layers of a line."""
    workers, tokens = int(line["num_tensor_parallel_workers"]), int(line["num_tokens"])
    width, wide = int(line["n_embd"]), int(line["n_expanded_embd"]) // workers
    heads, shared = int(line["n_head"]), int(line["n_kv_head"])
    depth, gated = width // heads, line["use_gated_mlp"] == "True"
    for name, cin, cout in (
        ("attn_pre_proj", width, (heads + 2 * shared) * depth // workers),
        ("attn_post_proj", heads * depth // workers, width),
        ("mlp_up_proj", width, wide * (2 if gated else 1)),
        ("mlp_down_proj", wide, width),
    ):
        spec = f"linear?n={tokens}&cin={cin}&cout={cout}&bias=false&{_DTYPE}"
        yield Row(spec, _seconds(line, name), "linear", f"{cout}x{cin}")
    shape, site = f"shape={tokens}x{width}", f"{width}"
    rms = "true" if gated else "false"
    norm = f"layer_norm?{shape}&rms={rms}&{_DTYPE}"
    yield Row(norm, _seconds(line, "input_layernorm"), "norm", f"norm {site}")
    added = f"elementwise?kind=add&{shape}&{_DTYPE}"
    yield Row(added, _seconds(line, "add"), "add", f"add {site}")
    plain = f"elementwise?kind=gelu&shape={tokens}x{wide}&{_DTYPE}"
    act = f"{_GATE}{tokens}x{wide}" if gated else plain
    yield Row(act, _seconds(line, "mlp_act"), "act", f"act {wide}")


def gate(name: str) -> nx.DiGraph:
    """Return the gate of ``"gate TxN"``: a SiLU, and the product of it and a second tensor.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.mac(gate("gate 2x8"))
    80
    """
    shape = tuple(map(int, name.removeprefix(_GATE).split("x")))
    b = Builder("gate")
    gated, rest = b.input(shape, "float16"), b.input(shape, "float16")
    return b.finish(b.add(Elementwise("mul"), b.add(Elementwise("silu"), gated), rest))


def _seconds(line: Line, name: str) -> float:
    return float(line[f"{name}_ms"]) / 1e3
