"""Convolutions, pooling and resizing with open sizes."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from costmodel import ops
from costmodel.algebra.symbols import Dim
from costmodel.ops.tensor import Tensor
from costmodel.testing.case import (
    BATCH,
    IMAGE,
    STRATEGIES,
    Bounds,
    Case,
    Sizes,
    Template,
    dtypes,
    fill,
    images,
)


@STRATEGIES.register("Conv")
@st.composite
def _conv(draw: DrawFn) -> Template:
    rank, bias, dtype = draw(st.integers(1, 3)), draw(st.booleans()), draw(dtypes())
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

    return fill(draw, BATCH | bounds | {"g": (1, 2), "a": (0, 2), "b": (1, 2)}, build)


@STRATEGIES.register("ConvTranspose")
@st.composite
def _conv_transpose(draw: DrawFn) -> Template:
    rank, bias, dtype = draw(st.integers(1, 3)), draw(st.booleans()), draw(dtypes())
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

    return fill(draw, BATCH | bounds | {"g": (1, 2), "a": (0, 2), "b": (1, 2)}, build)


@STRATEGIES.register("DeformConv")
@st.composite
def _deform_conv(draw: DrawFn) -> Template:
    modulated, bias = draw(st.booleans()), draw(st.booleans())
    bounds, axes = _window_bounds(2)
    bounds |= {"g": (1, 2), "a": (0, 2), "b": (1, 2)}

    def build(s: Sizes) -> Case:
        op = ops.DeformConv(
            s["g"] * s["b"],
            _named(s, "k", axes),
            stride=_named(s, "s", axes),
            padding=_named(s, "p", axes),
            dilation=_named(s, "e", axes),
            groups=s["g"],
            offset_groups=s["g"],
            modulated=modulated,
            bias=bias,
        )
        x = Tensor((s["n"], s["g"] * s["a"], *_named(s, "", axes)))
        conv = ops.Conv(op.out_channels, op.kernel, op.stride, op.padding, op.dilation, op.groups)
        sizes = conv.infer(x)[0].shape[2:]
        samples = s["g"] * s["kh"] * s["kw"]
        others = [x.with_shape(s["n"], c, *sizes) for c in (2 * samples, samples)]
        return Case(op, (x, *others[: 1 + modulated]))

    return fill(draw, BATCH | bounds, build)


@STRATEGIES.register("Pool")
@st.composite
def _pool(draw: DrawFn) -> Template:
    rank, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["max", "avg"]))
    ceil_mode, include_pad = draw(st.booleans()), draw(st.booleans())
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
            include_pad=include_pad,
        )
        return Case(op, (Tensor((s["n"], s["c"], *_named(s, "", axes))),))

    return fill(draw, BATCH | bounds | {"c": (0, 3)}, build)


@STRATEGIES.register("AdaptivePool")
@st.composite
def _adaptive_pool(draw: DrawFn) -> Template:
    kind, everything = draw(st.sampled_from(["max", "avg"])), draw(st.booleans())

    def build(s: Sizes) -> Case:
        output = (1, 1) if everything else (s["a"], s["b"])
        return Case(ops.AdaptivePool(kind, output), images(s))

    return fill(draw, IMAGE | {"a": (1, 4), "b": (1, 4)}, build)


@STRATEGIES.register("Resize")
@st.composite
def _resize(draw: DrawFn) -> Template:
    kind = draw(st.sampled_from(["nearest", "bilinear", "bicubic"]))

    def build(s: Sizes) -> Case:
        return Case(ops.Resize((s["a"], s["b"]), kind), images(s))

    return fill(draw, IMAGE | {"a": (1, 9), "b": (1, 9)}, build)


@STRATEGIES.register("RoiAlign")
@st.composite
def _roi_align(draw: DrawFn) -> Template:
    columns = draw(st.integers(4, 5))

    def build(s: Sizes) -> Case:
        boxes = [Tensor((s["k"], columns)), Tensor((s["k"],), "int64")][: 6 - columns]
        return Case(ops.RoiAlign((s["a"], s["b"]), s["r"]), (images(s)[0], *boxes))

    return fill(draw, IMAGE | {"k": (0, 3), "a": (1, 3), "b": (1, 3), "r": (1, 2)}, build)


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


@STRATEGIES.register("GridSample")
@st.composite
def _grid_sample(draw: DrawFn) -> Template:
    rank, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["nearest", "bilinear", "bicubic"]))
    sizes, outputs = ["h", "w", "d"][:rank], ["a", "b", "e"][:rank]

    def build(s: Sizes) -> Case:
        x = Tensor((s["n"], s["c"], *(s[name] for name in sizes)))
        grid = Tensor((s["n"], *(s[name] for name in outputs), rank))
        return Case(ops.GridSample(kind), (x, grid))

    bounds = BATCH | {"c": (0, 3)} | dict.fromkeys(sizes, (1, 4)) | dict.fromkeys(outputs, (0, 4))
    return fill(draw, bounds, build)
