"""Hypothesis strategies for tests: operators with inputs that fit them, and random valid graphs.

``hypothesis`` is needed only by this module, and nothing in ``costmodel`` imports it.

A :class:`Template` is an operator whose sizes are left open. Filled with ints, arrays or symbols it
gives the same operator in the three worlds that the formulas are written for.

Examples
--------
>>> from hypothesis import given, settings
>>> import costmodel as cm
>>> @settings(max_examples=10, database=None)
... @given(case=cases("Conv"))
... def counts_are_whole_numbers(case):
...     assert isinstance(cm.mac(case.op, *case.inputs), int)
>>> counts_are_whole_numbers()
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import networkx as nx
import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from costmodel import ops
from costmodel.algebra.symbols import Dim, dim
from costmodel.graph.builder import Builder, Value
from costmodel.ops.elementwise import BINARY, UNARY
from costmodel.ops.reduction import REDUCTIONS
from costmodel.ops.tensor import DTYPE_BYTES, Tensor

Sizes = dict[str, Dim]
Bounds = dict[str, tuple[int, int]]


class Case(NamedTuple):
    """An operator and input tensors that it takes."""

    op: ops.Op
    inputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class Template:
    """An operator with open sizes.

    Parameters
    ----------
    build : callable
        Takes a size for each name and returns the operator with its inputs.
    variants : tuple of dict
        Some sizes that fit, by name.
    """

    build: Callable[[Sizes], Case]
    variants: tuple[dict[str, int], ...]

    def concrete(self, number: int = 0) -> Case:
        """Return the operator at the sizes of one variant, as ints."""
        return self.build(dict(self.variants[number]))

    def symbolic(self) -> Case:
        """Return the operator with one symbol for each size, named like it."""
        return self.build({name: dim(name) for name in self.variants[0]})

    def arrays(self) -> Case:
        """Return the operator at all variants at once, as arrays."""
        names = self.variants[0]
        return self.build({name: np.array([v[name] for v in self.variants]) for name in names})


def templates(name: str) -> SearchStrategy[Template]:
    """Return a strategy for operators of class ``name`` with open sizes.

    Raises
    ------
    KeyError
        If the class has no strategy; a test demands one for every operator.
    """
    return _TEMPLATES[name]()


def cases(name: str | None = None) -> SearchStrategy[Case]:
    """Return a strategy for operators (of class ``name``) with int sizes and fitting inputs."""
    chosen = templates(name) if name else st.sampled_from(sorted(_TEMPLATES)).flatmap(templates)
    return chosen.map(lambda template: template.concrete())


def symbolic_cases(name: str | None = None) -> SearchStrategy[tuple[Case, dict[str, int]]]:
    """Return a strategy for symbolic operators, each with numbers for its symbols that fit."""
    chosen = templates(name) if name else st.sampled_from(sorted(_TEMPLATES)).flatmap(templates)
    return chosen.map(lambda template: (template.symbolic(), template.variants[0]))


@st.composite
def graphs(draw: DrawFn, max_steps: int = 12) -> nx.DiGraph:
    """Draw a valid op graph with int sizes: forks, joins, views, shared weights, several ends."""
    n, h, w = (draw(st.integers(1, most)) for most in (3, 12, 12))
    return _grow(draw, (n, h, w), max_steps)


@st.composite
def symbolic_graphs(draw: DrawFn, max_steps: int = 12) -> tuple[nx.DiGraph, dict[str, int]]:
    """Draw a valid graph in the symbols ``n``, ``h`` and ``w``, and numbers for them."""
    values = {name: draw(st.integers(1, most)) for name, most in (("n", 3), ("h", 12), ("w", 12))}
    return _grow(draw, (dim("n"), dim("h"), dim("w")), max_steps), values


# --- templates, one for each operator class --------------------------------------------------

_BATCH: Bounds = {"n": (1, 2)}
_IMAGE: Bounds = {"n": (1, 2), "c": (1, 4), "h": (5, 7), "w": (5, 7)}


def _fill(draw: DrawFn, bounds: Bounds, build: Callable[[Sizes], Case]) -> Template:
    one = st.fixed_dictionaries({name: st.integers(*limits) for name, limits in bounds.items()})
    return Template(build, tuple(draw(st.lists(one, min_size=3, max_size=3))))


def _dtype() -> SearchStrategy[str]:
    return st.sampled_from(sorted(DTYPE_BYTES))


def _images(s: Sizes, dtype: str) -> tuple[Tensor, ...]:
    return (Tensor((s["n"], s["c"], s["h"], s["w"]), dtype),)


def _on_images(*makers: Callable[[Sizes], ops.Op]) -> Callable[[], SearchStrategy[Template]]:
    """Return a strategy for operators that take any image, made by one of ``makers``."""

    @st.composite
    def strategy(draw: DrawFn) -> Template:
        make, dtype = draw(st.sampled_from(makers)), draw(_dtype())
        return _fill(draw, _IMAGE, lambda s: Case(make(s), _images(s, dtype)))

    return strategy


def _window_bounds(rank: int) -> tuple[Bounds, list[str]]:
    """Return bounds of windows that always fit, and the names of the axes."""
    axes = ["h", "w", "d"][:rank]
    size = (3, 4) if rank == 3 else (5, 7)
    largest = 2 if rank == 3 else 3
    bounds = dict.fromkeys(axes, size)
    for axis in axes:
        bounds |= {f"k{axis}": (1, largest), f"s{axis}": (1, 3), f"e{axis}": (1, 2)}
        bounds |= {f"p{axis}": (1, 2)}
    return bounds, axes


def _named(s: Sizes, prefix: str, axes: list[str]) -> tuple[Dim, ...]:
    return tuple(s[prefix + axis] for axis in axes)


def _padding(draw: DrawFn, axes: list[str], same: bool) -> Callable[[Sizes], Dim]:
    kinds: list[Callable[[Sizes], Dim]] = [
        lambda s: 0,
        lambda s: _named(s, "p", axes),
        lambda s: tuple((0, s[f"p{axis}"]) for axis in axes),
    ]
    if same:
        kinds.append(lambda s: "same")
    return draw(st.sampled_from(kinds))


@st.composite
def _conv(draw: DrawFn) -> Template:
    rank, bias, dtype = draw(st.integers(1, 3)), draw(st.booleans()), draw(_dtype())
    bounds, axes = _window_bounds(rank)
    padding = _padding(draw, axes, same=True)

    def build(s: Sizes) -> Case:
        op = ops.Conv(
            s["g"] * s["b"],
            _named(s, "k", axes),
            stride=_named(s, "s", axes),
            padding=padding(s),
            dilation=_named(s, "e", axes),
            groups=s["g"],
            bias=bias,
        )
        return Case(op, (Tensor((s["n"], s["g"] * s["a"], *_named(s, "", axes)), dtype),))

    return _fill(draw, _BATCH | bounds | {"g": (1, 2), "a": (1, 2), "b": (1, 2)}, build)


@st.composite
def _conv_transpose(draw: DrawFn) -> Template:
    rank, bias, dtype = draw(st.integers(1, 3)), draw(st.booleans()), draw(_dtype())
    bounds, axes = _window_bounds(rank)
    bounds |= dict.fromkeys(axes, (2, 3))
    # A cut of at most one pixel leaves an output where the input has two.
    bounds |= {f"p{axis}": (1, 1) for axis in axes} | {f"s{axis}": (2, 3) for axis in axes}
    cut, extra = draw(st.booleans()), draw(st.integers(0, 1))

    def build(s: Sizes) -> Case:
        op = ops.ConvTranspose(
            s["g"] * s["b"],
            _named(s, "k", axes),
            stride=_named(s, "s", axes),
            padding=_named(s, "p", axes) if cut else 0,
            output_padding=extra,
            dilation=_named(s, "e", axes),
            groups=s["g"],
            bias=bias,
        )
        return Case(op, (Tensor((s["n"], s["g"] * s["a"], *_named(s, "", axes)), dtype),))

    return _fill(draw, _BATCH | bounds | {"g": (1, 2), "a": (1, 2), "b": (1, 2)}, build)


@st.composite
def _pool(draw: DrawFn) -> Template:
    rank, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["max", "avg"]))
    ceil_mode = draw(st.booleans())
    bounds, axes = _window_bounds(rank)
    padding = _padding(draw, axes, same=not ceil_mode)

    def build(s: Sizes) -> Case:
        op = ops.Pool(
            kind,
            _named(s, "k", axes),
            stride=_named(s, "s", axes),
            padding=padding(s),
            dilation=_named(s, "e", axes),
            ceil_mode=ceil_mode,
        )
        return Case(op, (Tensor((s["n"], s["c"], *_named(s, "", axes))),))

    return _fill(draw, _BATCH | bounds | {"c": (1, 3)}, build)


@st.composite
def _adaptive_pool(draw: DrawFn) -> Template:
    kind, everything = draw(st.sampled_from(["max", "avg"])), draw(st.booleans())

    def build(s: Sizes) -> Case:
        output = (1, 1) if everything else (s["a"], s["b"])
        return Case(ops.AdaptivePool(kind, output), _images(s, "float32"))

    return _fill(draw, _IMAGE | {"a": (1, 4), "b": (1, 4)}, build)


@st.composite
def _linear(draw: DrawFn) -> Template:
    names = ["a", "b", "c"][: draw(st.integers(0, 3))]
    bias, dtype = draw(st.booleans()), draw(_dtype())

    def build(s: Sizes) -> Case:
        x = Tensor((*(s[name] for name in names), s["i"]), dtype)
        return Case(ops.Linear(s["o"], bias=bias), (x,))

    return _fill(draw, dict.fromkeys([*names, "i", "o"], (1, 4)), build)


@st.composite
def _matmul(draw: DrawFn) -> Template:
    flip_a, flip_b = draw(st.booleans()), draw(st.booleans())
    left, right = draw(
        st.sampled_from(
            [((), ()), (("a",), ("a",)), (("a", "b"), ("b",)), (("a",), ()), (("a", 1), ("b",))]
        )
    )

    def build(s: Sizes) -> Case:
        batches = [tuple(1 if x == 1 else s[str(x)] for x in side) for side in (left, right)]
        m, k, n = s["m"], s["k"], s["l"]
        x = Tensor((*batches[0], *((k, m) if flip_a else (m, k))))
        y = Tensor((*batches[1], *((n, k) if flip_b else (k, n))))
        return Case(ops.MatMul(flip_a, flip_b), (x, y))

    return _fill(draw, dict.fromkeys("abmkl", (1, 4)), build)


_HEADS: Bounds = {"n": (1, 2), "v": (1, 2), "r": (1, 2)}
_PAIRS: Bounds = _HEADS | {"l": (1, 4), "m": (1, 4), "d": (1, 3), "e": (1, 3)}


@st.composite
def _attention(draw: DrawFn) -> Template:
    causal, grouped = draw(st.booleans()), draw(st.booleans())

    def build(s: Sizes) -> Case:
        heads = s["v"] * s["r"] if grouped else s["v"]
        q = Tensor((s["n"], heads, s["l"], s["d"]))
        k = Tensor((s["n"], s["v"], s["m"], s["d"]))
        v = Tensor((s["n"], s["v"], s["m"], s["e"]))
        return Case(ops.Attention(causal), (q, k, v))

    return _fill(draw, _PAIRS, build)


@st.composite
def _attention_scores(draw: DrawFn) -> Template:
    causal = draw(st.booleans())

    def build(s: Sizes) -> Case:
        q = Tensor((s["n"], s["v"] * s["r"], s["l"], s["d"]))
        return Case(ops.AttentionScores(causal), (q, Tensor((s["n"], s["v"], s["m"], s["d"]))))

    return _fill(draw, _PAIRS, build)


@st.composite
def _attention_mix(draw: DrawFn) -> Template:
    causal = draw(st.booleans())

    def build(s: Sizes) -> Case:
        a = Tensor((s["n"], s["v"] * s["r"], s["l"], s["m"]))
        return Case(ops.AttentionMix(causal), (a, Tensor((s["n"], s["v"], s["m"], s["e"]))))

    return _fill(draw, _PAIRS, build)


@st.composite
def _recurrent(draw: DrawFn) -> Template:
    kind = draw(st.sampled_from(["lstm", "gru", "rnn"]))
    layers, both, bias = draw(st.integers(1, 2)), draw(st.booleans()), draw(st.booleans())

    def build(s: Sizes) -> Case:
        op = ops.Recurrent(kind, s["o"], layers, both, bias)
        return Case(op, (Tensor((s["t"], s["n"], s["i"])),))

    return _fill(draw, _BATCH | {"t": (1, 3), "i": (1, 3), "o": (1, 3)}, build)


@st.composite
def _recurrent_steps(draw: DrawFn) -> Template:
    kind, bias = draw(st.sampled_from(["lstm", "gru", "rnn"])), draw(st.booleans())
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]

    def build(s: Sizes) -> Case:
        x = Tensor((s["t"], s["n"], gates * s["o"]))
        return Case(ops.RecurrentSteps(kind, s["o"], bias), (x,))

    return _fill(draw, _BATCH | {"t": (1, 3), "o": (1, 3)}, build)


@st.composite
def _elementwise(draw: DrawFn) -> Template:
    kind, dtype = draw(st.sampled_from([*UNARY, *BINARY, "where"])), draw(_dtype())
    form = draw(st.sampled_from(["same", "channel", "scalar", "value"]))

    def build(s: Sizes) -> Case:
        x = _images(s, dtype)[0]
        if kind in UNARY:
            return Case(ops.Elementwise(kind), (x,))
        if form == "value" and kind in BINARY:
            return Case(ops.Elementwise(kind, value=0.5), (x,))
        other = {"same": x.shape, "channel": (s["c"], 1, 1)}.get(form, ())
        operands: tuple[Tensor, ...] = (x, Tensor(other, dtype))
        if kind == "where":
            operands = (Tensor((s["n"], 1, s["h"], 1), "bool"), *operands)
        return Case(ops.Elementwise(kind), operands)

    return _fill(draw, _IMAGE, build)


@st.composite
def _cast(draw: DrawFn) -> Template:
    before, after = draw(_dtype()), draw(_dtype())
    return _fill(draw, _IMAGE, lambda s: Case(ops.Cast(after), _images(s, before)))


@st.composite
def _reduce(draw: DrawFn) -> Template:
    kind, keep = draw(st.sampled_from(sorted(REDUCTIONS))), draw(st.booleans())
    axes = tuple(draw(st.lists(st.integers(-4, 3), min_size=1, max_size=3)))
    op = ops.Reduce(kind, axes, keep)
    return _fill(draw, _IMAGE, lambda s: Case(op, _images(s, "float32")))


@st.composite
def _softmax(draw: DrawFn) -> Template:
    causal = draw(st.booleans())
    axis = -1 if causal else draw(st.integers(-4, 3))
    return _fill(draw, _IMAGE, lambda s: Case(ops.Softmax(axis, causal), _images(s, "float32")))


@st.composite
def _layer_norm(draw: DrawFn) -> Template:
    axes, affine, rms = draw(st.integers(1, 4)), draw(st.booleans()), draw(st.booleans())
    op = ops.LayerNorm(axes, affine, rms)
    return _fill(draw, _IMAGE, lambda s: Case(op, _images(s, "float32")))


@st.composite
def _group_norm(draw: DrawFn) -> Template:
    affine = draw(st.booleans())

    def build(s: Sizes) -> Case:
        x = Tensor((s["n"], s["g"] * s["c"], s["h"], s["w"]))
        return Case(ops.GroupNorm(s["g"], affine), (x,))

    return _fill(draw, _IMAGE | {"g": (1, 3)}, build)


@st.composite
def _shuffle(draw: DrawFn) -> Template:
    def build(s: Sizes) -> Case:
        x = Tensor((s["n"], s["g"] * s["c"], s["h"], s["w"]))
        return Case(ops.ChannelShuffle(s["g"]), (x,))

    return _fill(draw, _IMAGE | {"g": (1, 3)}, build)


@st.composite
def _pixel_shuffle(draw: DrawFn) -> Template:
    def build(s: Sizes) -> Case:
        x = Tensor((s["n"], s["f"] * s["f"] * s["c"], s["h"], s["w"]))
        return Case(ops.PixelShuffle(s["f"]), (x,))

    return _fill(draw, _IMAGE | {"f": (1, 2)}, build)


@st.composite
def _reshape(draw: DrawFn) -> Template:
    shape: Callable[[Sizes], tuple[Dim, ...]] = draw(
        st.sampled_from(
            [
                lambda s: (s["n"], -1),
                lambda s: (s["n"], s["c"], s["h"] * s["w"]),
                lambda s: (s["n"] * s["c"], 1, s["h"], s["w"]),
                lambda s: (-1,),
            ]
        )
    )
    return _fill(draw, _IMAGE, lambda s: Case(ops.Reshape(shape(s)), _images(s, "float32")))


@st.composite
def _transpose(draw: DrawFn) -> Template:
    order = tuple(draw(st.permutations(range(4))))
    return _fill(draw, _IMAGE, lambda s: Case(ops.Transpose(order), _images(s, "float32")))


@st.composite
def _broadcast_to(draw: DrawFn) -> Template:
    lead = draw(st.booleans())

    def build(s: Sizes) -> Case:
        x = Tensor((s["c"], 1, s["w"]))
        shape = (s["c"], s["h"], s["w"])
        return Case(ops.BroadcastTo((s["n"], *shape) if lead else shape), (x,))

    return _fill(draw, _IMAGE, build)


@st.composite
def _concat(draw: DrawFn) -> Template:
    axis, count = draw(st.integers(-4, 3)), draw(st.integers(1, 4))
    names = ["n", "c", "h", "w"]

    def build(s: Sizes) -> Case:
        shape = [s[name] for name in names]
        inputs = []
        for i in range(count):
            shape[axis] = s[names[axis]] + i
            inputs.append(Tensor(tuple(shape)))
        return Case(ops.Concat(axis), tuple(inputs))

    return _fill(draw, _IMAGE, build)


@st.composite
def _split(draw: DrawFn) -> Template:
    parts, equal = draw(st.integers(1, 3)), draw(st.booleans())

    def build(s: Sizes) -> Case:
        if equal:
            x = Tensor((s["n"], parts * s["c"], s["h"]))
            return Case(ops.Split(1, parts), (x,))
        x = Tensor((s["n"], s["c"] + s["w"], s["h"]))
        return Case(ops.Split(-2, (s["c"], s["w"])), (x,))

    return _fill(draw, _IMAGE, build)


@st.composite
def _slice(draw: DrawFn) -> Template:
    start, step = draw(st.integers(0, 2)), draw(st.integers(1, 2))

    def build(s: Sizes) -> Case:
        x = Tensor((s["n"], start + step * s["c"], s["h"]))
        return Case(ops.Slice(1, start, s["c"], step), (x,))

    return _fill(draw, _IMAGE, build)


@st.composite
def _pad(draw: DrawFn) -> Template:
    fixed = draw(st.integers(0, 2))

    def build(s: Sizes) -> Case:
        return Case(ops.Pad((0, fixed, (s["p"], 0), (fixed, s["p"]))), _images(s, "float32"))

    return _fill(draw, _IMAGE | {"p": (1, 2)}, build)


@st.composite
def _embedding(draw: DrawFn) -> Template:
    dtype, index = draw(_dtype()), draw(st.sampled_from(["int32", "int64"]))

    def build(s: Sizes) -> Case:
        return Case(ops.Embedding(s["v"], s["f"], dtype), (Tensor((s["n"], s["t"]), index),))

    return _fill(draw, _BATCH | {"v": (1, 9), "f": (1, 4), "t": (1, 4)}, build)


@st.composite
def _gather(draw: DrawFn) -> Template:
    axis = draw(st.integers(-2, 1))
    rank = draw(st.integers(0, 2))

    def build(s: Sizes) -> Case:
        indices = Tensor((s["i"], s["j"])[:rank], "int64")
        return Case(ops.Gather(axis), (Tensor((s["a"], s["b"])), indices))

    return _fill(draw, dict.fromkeys("abij", (1, 4)), build)


@st.composite
def _resize(draw: DrawFn) -> Template:
    kind = draw(st.sampled_from(["nearest", "bilinear", "bicubic"]))

    def build(s: Sizes) -> Case:
        return Case(ops.Resize((s["a"], s["b"]), kind), _images(s, "float32"))

    return _fill(draw, _IMAGE | {"a": (1, 9), "b": (1, 9)}, build)


@st.composite
def _local_response_norm(draw: DrawFn) -> Template:
    size = draw(st.integers(1, 5))
    op = ops.LocalResponseNorm(size)
    return _fill(draw, _IMAGE, lambda s: Case(op, _images(s, "float32")))


def _source(cls: type[ops.Input | ops.Constant | ops.Parameter]) -> SearchStrategy[Template]:
    @st.composite
    def strategy(draw: DrawFn) -> Template:
        dtype = draw(_dtype())
        return _fill(draw, _IMAGE, lambda s: Case(cls(_images(s, dtype)[0].shape, dtype), ()))

    return strategy()


_TEMPLATES: dict[str, Callable[[], SearchStrategy[Template]]] = {
    "AdaptivePool": _adaptive_pool,
    "Attention": _attention,
    "AttentionMix": _attention_mix,
    "AttentionScores": _attention_scores,
    "BatchNorm": _on_images(lambda s: ops.BatchNorm(), lambda s: ops.BatchNorm(affine=False)),
    "BroadcastTo": _broadcast_to,
    "Cast": _cast,
    "ChannelShuffle": _shuffle,
    "Concat": _concat,
    "Constant": lambda: _source(ops.Constant),
    "Contiguous": _on_images(lambda s: ops.Contiguous()),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Elementwise": _elementwise,
    "Embedding": _embedding,
    "Gather": _gather,
    "GroupNorm": _group_norm,
    "Identity": _on_images(lambda s: ops.Identity()),
    "Input": lambda: _source(ops.Input),
    "LayerNorm": _layer_norm,
    "Linear": _linear,
    "LocalResponseNorm": _local_response_norm,
    "MatMul": _matmul,
    "Output": _on_images(lambda s: ops.Output()),
    "PReLU": _on_images(lambda s: ops.PReLU()),
    "Pad": _pad,
    "Parameter": lambda: _source(ops.Parameter),
    "PixelShuffle": _pixel_shuffle,
    "Pool": _pool,
    "Recurrent": _recurrent,
    "RecurrentSteps": _recurrent_steps,
    "Reduce": _reduce,
    "Reshape": _reshape,
    "Resize": _resize,
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Transpose": _transpose,
}


# --- random graphs ---------------------------------------------------------------------------


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
