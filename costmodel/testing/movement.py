"""Views, copies, look-ups, and the ends of a graph with open sizes."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

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
    on_images,
)


@STRATEGIES.register("ChannelShuffle")
@st.composite
def _shuffle(draw: DrawFn) -> Template:
    def build(s: Sizes) -> Case:
        x = Tensor((s["n"], s["g"] * s["c"], s["h"], s["w"]))
        return Case(ops.ChannelShuffle(s["g"]), (x,))

    return fill(draw, IMAGE | {"g": (1, 3)}, build)


@STRATEGIES.register("PixelShuffle")
@st.composite
def _pixel_shuffle(draw: DrawFn) -> Template:
    def build(s: Sizes) -> Case:
        x = Tensor((s["n"], s["f"] * s["f"] * s["c"], s["h"], s["w"]))
        return Case(ops.PixelShuffle(s["f"]), (x,))

    return fill(draw, IMAGE | {"f": (1, 2)}, build)


@STRATEGIES.register("Reshape")
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
    # An inferred size is not possible with an empty batch.
    bounds = IMAGE | {"n": (1, 2)}
    return fill(draw, bounds, lambda s: Case(ops.Reshape(shape(s)), images(s)))


@STRATEGIES.register("Transpose")
@st.composite
def _transpose(draw: DrawFn) -> Template:
    order = tuple(draw(st.permutations(range(4))))
    return fill(draw, IMAGE, lambda s: Case(ops.Transpose(order), images(s)))


@STRATEGIES.register("BroadcastTo")
@st.composite
def _broadcast_to(draw: DrawFn) -> Template:
    lead = draw(st.booleans())

    def build(s: Sizes) -> Case:
        x = Tensor((s["c"], 1, s["w"]))
        shape = (s["c"], s["h"], s["w"])
        return Case(ops.BroadcastTo((s["n"], *shape) if lead else shape), (x,))

    return fill(draw, IMAGE, build)


@STRATEGIES.register("Concat")
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

    return fill(draw, IMAGE, build)


@STRATEGIES.register("Split")
@st.composite
def _split(draw: DrawFn) -> Template:
    parts, equal = draw(st.integers(1, 3)), draw(st.booleans())

    def build(s: Sizes) -> Case:
        if equal:
            x = Tensor((s["n"], parts * s["c"], s["h"]))
            return Case(ops.Split(1, parts), (x,))
        x = Tensor((s["n"], s["c"] + s["w"], s["h"]))
        return Case(ops.Split(-2, (s["c"], s["w"])), (x,))

    return fill(draw, IMAGE, build)


@STRATEGIES.register("Slice")
@st.composite
def _slice(draw: DrawFn) -> Template:
    start, step = draw(st.integers(0, 2)), draw(st.integers(1, 2))

    def build(s: Sizes) -> Case:
        x = Tensor((s["n"], start + step * s["c"], s["h"]))
        return Case(ops.Slice(1, start, s["c"], step), (x,))

    return fill(draw, IMAGE, build)


@STRATEGIES.register("Pad")
@st.composite
def _pad(draw: DrawFn) -> Template:
    fixed = draw(st.integers(0, 2))

    def build(s: Sizes) -> Case:
        return Case(ops.Pad((0, fixed, (s["p"], 0), (fixed, s["p"]))), images(s))

    return fill(draw, IMAGE | {"p": (1, 2)}, build)


@STRATEGIES.register("Embedding")
@st.composite
def _embedding(draw: DrawFn) -> Template:
    dtype, index = draw(dtypes()), draw(st.sampled_from(["int32", "int64"]))

    def build(s: Sizes) -> Case:
        return Case(ops.Embedding(s["v"], s["f"], dtype), (Tensor((s["n"], s["t"]), index),))

    return fill(draw, BATCH | {"v": (1, 9), "f": (1, 4), "t": (0, 4)}, build)


@STRATEGIES.register("Gather")
@st.composite
def _gather(draw: DrawFn) -> Template:
    axis = draw(st.integers(-2, 1))
    rank = draw(st.integers(0, 2))

    def build(s: Sizes) -> Case:
        indices = Tensor((s["i"], s["j"])[:rank], "int64")
        return Case(ops.Gather(axis), (Tensor((s["a"], s["b"])), indices))

    return fill(draw, dict.fromkeys("ab", (1, 4)) | dict.fromkeys("ij", (0, 4)), build)


@STRATEGIES.register("Merge")
@st.composite
def _merge(draw: DrawFn) -> Template:
    lines = draw(st.integers(1, 3))

    def build(s: Sizes) -> Case:
        shape = (s["n"], s["c"], s["w"])
        return Case(ops.Merge(), (Tensor((lines, *shape)), Tensor(shape)))

    return fill(draw, IMAGE, build)


def _source(
    cls: type[ops.Input | ops.Constant | ops.Parameter],
) -> Callable[[], SearchStrategy[Template]]:
    @st.composite
    def strategy(draw: DrawFn) -> Template:
        dtype = draw(dtypes())
        return fill(draw, IMAGE, lambda s: Case(cls(images(s)[0].shape, dtype), ()))

    return strategy


STRATEGIES.register("Constant")(_source(ops.Constant))
STRATEGIES.register("Input")(_source(ops.Input))
STRATEGIES.register("Parameter")(_source(ops.Parameter))
STRATEGIES.register("Contiguous")(on_images(lambda s: ops.Contiguous()))
STRATEGIES.register("Identity")(on_images(lambda s: ops.Identity()))
STRATEGIES.register("Output")(on_images(lambda s: ops.Output()))
