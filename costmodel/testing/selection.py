"""Sorting, searching and writing, and memory taken in another way, with open sizes."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from costmodel import ops
from costmodel.algebra.symbols import Dim
from costmodel.ops.tensor import Tensor
from costmodel.testing.case import (
    BATCH,
    IMAGE,
    STRATEGIES,
    Case,
    Sizes,
    Template,
    dtypes,
    fill,
    images,
)


@STRATEGIES.register("Sort")
@st.composite
def _sort(draw: DrawFn) -> Template:
    whole = draw(st.booleans())

    def build(s: Sizes) -> Case:
        size = s["k"] if whole else s["k"] + s["h"]
        return Case(ops.Sort(s["k"], 1), (Tensor((s["n"], size, s["c"])),))

    return fill(draw, IMAGE | {"k": (1, 5)}, build)


@STRATEGIES.register("NonZero")
@st.composite
def _non_zero(draw: DrawFn) -> Template:
    def build(s: Sizes) -> Case:
        return Case(ops.NonZero(s["k"]), (Tensor((s["n"], s["k"] + s["h"]), "bool"),))

    return fill(draw, {"n": (1, 3), "k": (0, 4), "h": (0, 3)}, build)


@STRATEGIES.register("SearchSorted")
@st.composite
def _search_sorted(draw: DrawFn) -> Template:
    def build(s: Sizes) -> Case:
        return Case(ops.SearchSorted(), (Tensor((s["e"],)), Tensor((s["n"], s["w"]))))

    return fill(draw, BATCH | {"e": (0, 9), "w": (0, 4)}, build)


@STRATEGIES.register("NonMaxSuppression")
@st.composite
def _non_max_suppression(draw: DrawFn) -> Template:
    def build(s: Sizes) -> Case:
        boxes = s["k"] + s["n"]
        return Case(ops.NonMaxSuppression(s["k"]), (Tensor((boxes, 4)), Tensor((boxes,))))

    return fill(draw, {"k": (0, 3), "n": (0, 5)}, build)


@STRATEGIES.register("EmbeddingBag")
@st.composite
def _embedding_bag(draw: DrawFn) -> Template:
    mean, weighted, dtype = draw(st.booleans()), draw(st.booleans()), draw(dtypes())
    offsets = draw(st.booleans())

    def build(s: Sizes) -> Case:
        op = ops.EmbeddingBag(s["v"], s["f"], s["n"], mean, weighted, dtype)
        shape = (s["n"] * s["t"],) if offsets else (s["n"], s["t"])
        inputs = [Tensor(shape, "int64")]
        inputs += [Tensor((s["n"],), "int64")] * offsets + [Tensor(shape, dtype)] * weighted
        return Case(op, tuple(inputs))

    return fill(draw, {"v": (1, 9), "f": (1, 4), "n": (1, 3), "t": (0, 4)}, build)


@STRATEGIES.register("Scatter")
@st.composite
def _scatter(draw: DrawFn) -> Template:
    op = ops.Scatter(draw(st.booleans()), draw(st.booleans()))
    indexed, dtype = draw(st.booleans()), draw(dtypes())

    def build(s: Sizes) -> Case:
        inputs = [Tensor((s["n"] + s["h"], s["c"]), dtype), Tensor((s["n"], s["c"]), dtype)]
        inputs[1:1] = [Tensor((s["n"],), "int64")] * indexed
        return Case(op, tuple(inputs))

    return fill(draw, IMAGE, build)


@STRATEGIES.register("StridedView")
@st.composite
def _strided_view(draw: DrawFn) -> Template:
    def build(s: Sizes) -> Case:
        return Case(ops.StridedView((s["n"], s["w"], s["c"])), images(s))

    return fill(draw, IMAGE, build)


@STRATEGIES.register("Bitcast")
@st.composite
def _bitcast(draw: DrawFn) -> Template:
    pairs = [("complex64", "float32"), ("float32", "complex64"), ("float32", "int8")]
    before, after = draw(st.sampled_from(pairs))

    def build(s: Sizes) -> Case:
        last: Dim = 2 * s["w"] if after == "complex64" else s["w"]
        return Case(ops.Bitcast(after), (Tensor((s["n"], s["c"], last), before),))

    return fill(draw, IMAGE, build)


@STRATEGIES.register("FourierTransform")
@st.composite
def _fourier_transform(draw: DrawFn) -> Template:
    axes = draw(st.sampled_from([(-1,), (1,), (2, 3), (-1, -2)]))
    kind = draw(st.sampled_from(["complex", "real", "inverse_real"]))

    def build(s: Sizes) -> Case:
        shape = [s["n"], s["c"], s["h"], s["w"]]
        if kind != "inverse_real":
            x = Tensor(tuple(shape), "float32" if kind == "real" else "complex64")
            return Case(ops.FourierTransform(axes, kind), (x,))
        last = shape[axes[-1]]
        shape[axes[-1]] = last + 1
        x = Tensor(tuple(shape), "complex64")
        return Case(ops.FourierTransform(axes, kind, 2 * last), (x,))

    return fill(draw, IMAGE | {"c": (1, 4)}, build)
