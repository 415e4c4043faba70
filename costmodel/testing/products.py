"""Linear layers, matrix products, attention and recurrent layers with open sizes."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from costmodel import ops
from costmodel.ops.tensor import Tensor
from costmodel.testing.case import (
    BATCH,
    STRATEGIES,
    Bounds,
    Case,
    Sizes,
    Template,
    dtypes,
    fill,
)

_HEADS: Bounds = {"n": (0, 2), "v": (1, 2), "r": (1, 2)}
_PAIRS: Bounds = _HEADS | {"l": (0, 4), "m": (0, 4), "d": (0, 3), "e": (0, 3)}


@STRATEGIES.register("Linear")
@st.composite
def _linear(draw: DrawFn) -> Template:
    names = ["a", "b", "c"][: draw(st.integers(0, 3))]
    bias, dtype = draw(st.booleans()), draw(dtypes())

    def build(s: Sizes) -> Case:
        x = Tensor((*(s[name] for name in names), s["i"]), dtype)
        return Case(ops.Linear(s["o"], bias=bias), (x,))

    return fill(draw, dict.fromkeys([*names, "i"], (0, 4)) | {"o": (1, 4)}, build)


@STRATEGIES.register("MatMul")
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

    return fill(draw, dict.fromkeys("abmkl", (0, 4)), build)


@STRATEGIES.register("Attention")
@st.composite
def _attention(draw: DrawFn) -> Template:
    causal, grouped = draw(st.booleans()), draw(st.booleans())

    def build(s: Sizes) -> Case:
        heads = s["v"] * s["r"] if grouped else s["v"]
        q = Tensor((s["n"], heads, s["l"], s["d"]))
        k = Tensor((s["n"], s["v"], s["m"], s["d"]))
        v = Tensor((s["n"], s["v"], s["m"], s["e"]))
        return Case(ops.Attention(causal), (q, k, v))

    return fill(draw, _PAIRS, build)


@STRATEGIES.register("AttentionScores")
@st.composite
def _attention_scores(draw: DrawFn) -> Template:
    causal = draw(st.booleans())

    def build(s: Sizes) -> Case:
        q = Tensor((s["n"], s["v"] * s["r"], s["l"], s["d"]))
        return Case(ops.AttentionScores(causal), (q, Tensor((s["n"], s["v"], s["m"], s["d"]))))

    return fill(draw, _PAIRS, build)


@STRATEGIES.register("AttentionMix")
@st.composite
def _attention_mix(draw: DrawFn) -> Template:
    causal = draw(st.booleans())

    def build(s: Sizes) -> Case:
        a = Tensor((s["n"], s["v"] * s["r"], s["l"], s["m"]))
        return Case(ops.AttentionMix(causal), (a, Tensor((s["n"], s["v"], s["m"], s["e"]))))

    return fill(draw, _PAIRS, build)


@STRATEGIES.register("Recurrent")
@st.composite
def _recurrent(draw: DrawFn) -> Template:
    kind = draw(st.sampled_from(["lstm", "gru", "rnn"]))
    layers, both, bias = draw(st.integers(1, 2)), draw(st.booleans()), draw(st.booleans())

    projects = kind == "lstm" and draw(st.booleans())

    def build(s: Sizes) -> Case:
        op = ops.Recurrent(kind, s["o"], layers, both, bias, s["p"] if projects else 0)
        return Case(op, (Tensor((s["t"], s["n"], s["i"])),))

    return fill(draw, BATCH | {"t": (0, 3), "i": (0, 3), "o": (2, 3), "p": (1, 1)}, build)


@STRATEGIES.register("RecurrentSteps")
@st.composite
def _recurrent_steps(draw: DrawFn) -> Template:
    kind, bias = draw(st.sampled_from(["lstm", "gru", "rnn"])), draw(st.booleans())
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    projects = kind == "lstm" and draw(st.booleans())

    def build(s: Sizes) -> Case:
        x = Tensor((s["t"], s["n"], gates * s["o"]))
        op = ops.RecurrentSteps(kind, s["o"], bias, s["p"] if projects else 0)
        return Case(op, (x,))

    return fill(draw, BATCH | {"t": (0, 3), "o": (2, 3), "p": (1, 1)}, build)


@STRATEGIES.register("GroupedLinear")
@st.composite
def _grouped_linear(draw: DrawFn) -> Template:
    def build(s: Sizes) -> Case:
        x, ends = Tensor((s["r"], s["i"])), Tensor((s["e"],), "int32")
        return Case(ops.GroupedLinear(s["e"], s["o"]), (x, ends))

    return fill(draw, {"r": (0, 5), "i": (0, 4), "e": (1, 4), "o": (1, 4)}, build)
