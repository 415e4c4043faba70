"""Elementwise operators, reductions and normalizations with open sizes."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from costmodel import ops
from costmodel.ops.elementwise import BINARY, UNARY
from costmodel.ops.reduction import REDUCTIONS
from costmodel.ops.tensor import Tensor
from costmodel.testing.case import (
    IMAGE,
    STRATEGIES,
    Case,
    Sizes,
    Template,
    dtypes,
    fill,
    images,
    on_images,
)


@STRATEGIES.register("Elementwise")
@st.composite
def _elementwise(draw: DrawFn) -> Template:
    kind, dtype = draw(st.sampled_from([*UNARY, *BINARY, "where"])), draw(dtypes())
    form = draw(st.sampled_from(["same", "channel", "scalar", "value"]))

    def build(s: Sizes) -> Case:
        x = images(s, dtype)[0]
        if kind in UNARY:
            return Case(ops.Elementwise(kind), (x,))
        if form == "value" and kind in BINARY:
            return Case(ops.Elementwise(kind, value=0.5), (x,))
        other = {"same": x.shape, "channel": (s["c"], 1, 1)}.get(form, ())
        operands: tuple[Tensor, ...] = (x, Tensor(other, dtype))
        if kind == "where":
            operands = (Tensor((s["n"], 1, s["h"], 1), "bool"), *operands)
        return Case(ops.Elementwise(kind), operands)

    return fill(draw, IMAGE, build)


@STRATEGIES.register("Cast")
@st.composite
def _cast(draw: DrawFn) -> Template:
    before, after = draw(dtypes()), draw(dtypes())
    return fill(draw, IMAGE, lambda s: Case(ops.Cast(after), images(s, before)))


@STRATEGIES.register("Reduce")
@st.composite
def _reduce(draw: DrawFn) -> Template:
    kind, keep = draw(st.sampled_from(sorted(REDUCTIONS))), draw(st.booleans())
    axes = st.lists(st.integers(-4, 3), min_size=1, max_size=3, unique_by=lambda axis: axis % 4)
    op = ops.Reduce(kind, tuple(draw(axes)), keep)
    return fill(draw, IMAGE, lambda s: Case(op, images(s)))


@STRATEGIES.register("Softmax")
@st.composite
def _softmax(draw: DrawFn) -> Template:
    causal = draw(st.booleans())
    axis = -1 if causal else draw(st.integers(-4, 3))
    return fill(draw, IMAGE, lambda s: Case(ops.Softmax(axis, causal), images(s)))


@STRATEGIES.register("LayerNorm")
@st.composite
def _layer_norm(draw: DrawFn) -> Template:
    axes, affine, rms = draw(st.integers(1, 4)), draw(st.booleans()), draw(st.booleans())
    op = ops.LayerNorm(axes, affine, rms)
    return fill(draw, IMAGE, lambda s: Case(op, images(s)))


@STRATEGIES.register("GroupNorm")
@st.composite
def _group_norm(draw: DrawFn) -> Template:
    affine = draw(st.booleans())

    def build(s: Sizes) -> Case:
        x = Tensor((s["n"], s["g"] * s["c"], s["h"], s["w"]))
        return Case(ops.GroupNorm(s["g"], affine), (x,))

    return fill(draw, IMAGE | {"g": (1, 3)}, build)


@STRATEGIES.register("LocalResponseNorm")
@st.composite
def _local_response_norm(draw: DrawFn) -> Template:
    size = draw(st.integers(1, 5))
    op = ops.LocalResponseNorm(size)
    return fill(draw, IMAGE, lambda s: Case(op, images(s)))


STRATEGIES.register("BatchNorm")(
    on_images(lambda s: ops.BatchNorm(), lambda s: ops.BatchNorm(affine=False))
)
STRATEGIES.register("PReLU")(on_images(lambda s: ops.PReLU(), lambda s: ops.PReLU(shared=True)))
