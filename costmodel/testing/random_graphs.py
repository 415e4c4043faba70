"""Random valid op graphs: forks, joins, views, shared weights, several outputs."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from costmodel import ops
from costmodel.algebra.symbols import Dim, dim
from costmodel.graph.builder import Builder, Value


@st.composite
def graphs(draw: DrawFn, max_steps: int = 12) -> nx.DiGraph:
    """Draw a valid op graph of int sizes: forks, joins, views, shared weights, several outputs."""
    n, h, w = (draw(st.integers(low, most)) for low, most in ((0, 3), (1, 12), (1, 12)))
    return _grow(draw, (n, h, w), max_steps)


@st.composite
def symbolic_graphs(draw: DrawFn, max_steps: int = 12) -> tuple[nx.DiGraph, dict[str, int]]:
    """Draw a valid graph in the symbols ``n``, ``h`` and ``w``, and numbers for them."""
    values = {name: draw(st.integers(1, most)) for name, most in (("n", 3), ("h", 12), ("w", 12))}
    return _grow(draw, (dim("n"), dim("h"), dim("w")), max_steps), values


def _grow(draw: DrawFn, sizes: tuple[Dim, Dim, Dim], max_steps: int) -> nx.DiGraph:
    """Grow a graph of images by random steps; every step keeps the invariant that maps fit."""
    builder = Builder("random")
    n, h, w = sizes
    inputs = draw(st.integers(1, 2))
    maps = [builder.input((n, draw(st.sampled_from([2, 4, 6])), h, w)) for _ in range(inputs)]
    for _ in range(draw(st.integers(1, max_steps))):
        maps.extend(_STEPS[draw(st.sampled_from(sorted(_STEPS)))](draw, builder, maps))
    heads = st.lists(st.integers(0, len(maps) - 1), min_size=1, max_size=3, unique=True)
    ends = [maps[i] for i in draw(heads)]
    if draw(st.booleans()):
        pooled = builder.add(ops.Reduce("mean", (-2, -1)), ends[0])
        ends[0] = builder.add(ops.Softmax(), builder.add(ops.Linear(10), pooled))
    return builder.finish(*ends)


def _pick(draw: DrawFn, maps: list[Value]) -> Value:
    return draw(st.sampled_from(maps))


def _step_conv(draw: DrawFn, builder: Builder, maps: list[Value]) -> tuple[Value, ...]:
    x = _pick(draw, maps)
    k, stride = draw(st.sampled_from([1, 3])), draw(st.integers(1, 2))
    groups = x.shape[1] if draw(st.booleans()) else 1
    op = ops.Conv(
        groups * draw(st.integers(1, 3)), (k, k), stride, k // 2, 1, groups, draw(st.booleans())
    )
    return (builder.add(op, x),)


def _step_shared(draw: DrawFn, builder: Builder, maps: list[Value]) -> tuple[Value, ...]:
    x = _pick(draw, maps)
    op = ops.Conv(x.shape[1], (3, 3), padding=1, bias=True)
    first = builder.add(op, x)
    return (first, builder.add(op, first, weights=first.node))


def _step_unary(draw: DrawFn, builder: Builder, maps: list[Value]) -> tuple[Value, ...]:
    x = _pick(draw, maps)
    candidates: list[ops.Op] = [
        ops.BatchNorm(),
        ops.Elementwise("relu"),
        ops.Elementwise("mul", value=2.0),
        ops.Identity(),
        ops.Contiguous(),
        ops.PReLU(),
        ops.GroupNorm(1),
        ops.ChannelShuffle(1),
        ops.Pool("max", (3, 3), stride=2, padding=1),
        ops.Resize((3, 3)),
        ops.Slice(1, 0, 1),
        ops.Pad((0, 0, 1, (0, 2))),
    ]
    return (builder.add(draw(st.sampled_from(candidates)), x),)


def _step_binary(draw: DrawFn, builder: Builder, maps: list[Value]) -> tuple[Value, ...]:
    x = _pick(draw, maps)
    fitting = [y for y in maps if y.shape == x.shape]
    return (builder.add(ops.Elementwise("add"), x, _pick(draw, fitting)),)


def _step_concat(draw: DrawFn, builder: Builder, maps: list[Value]) -> tuple[Value, ...]:
    x = _pick(draw, maps)
    fitting = [y for y in maps if (y.shape[0], *y.shape[2:]) == (x.shape[0], *x.shape[2:])]
    more = draw(st.lists(st.sampled_from(fitting), max_size=2))
    return (builder.add(ops.Concat(1), x, *more),)


def _step_split(draw: DrawFn, builder: Builder, maps: list[Value]) -> tuple[Value, ...]:
    even = [x for x in maps if x.shape[1] % 2 == 0]
    if not even:
        return ()
    return builder.add_many(ops.Split(1, 2), _pick(draw, even))


def _step_gate(draw: DrawFn, builder: Builder, maps: list[Value]) -> tuple[Value, ...]:
    """Squeeze and excite: broadcast a small map over a large one."""
    x = _pick(draw, maps)
    gate = builder.add(ops.AdaptivePool("avg", (1, 1)), x)
    gate = builder.add(ops.Elementwise("sigmoid"), builder.add(ops.Conv(x.shape[1], (1, 1)), gate))
    return (builder.add(ops.Elementwise("mul"), x, gate),)


def _step_attention(draw: DrawFn, builder: Builder, maps: list[Value]) -> tuple[Value, ...]:
    x = _pick(draw, maps)
    causal = draw(st.booleans())
    return (builder.add(ops.Attention(causal), x, x, x),)


def _step_source(draw: DrawFn, builder: Builder, maps: list[Value]) -> tuple[Value, ...]:
    x = _pick(draw, maps)
    cls = draw(st.sampled_from([ops.Parameter, ops.Constant]))
    offset = builder.add(cls((1, x.shape[1], 1, 1)))
    return (builder.add(ops.Elementwise("add"), x, offset),)


_STEPS: dict[str, Callable[[DrawFn, Builder, list[Value]], tuple[Value, ...]]] = {
    "attention": _step_attention,
    "binary": _step_binary,
    "concat": _step_concat,
    "conv": _step_conv,
    "gate": _step_gate,
    "shared": _step_shared,
    "source": _step_source,
    "split": _step_split,
    "unary": _step_unary,
}
