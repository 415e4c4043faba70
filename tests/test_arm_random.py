"""Random layers without weights: the ARM kernels against torch on the operators as they came."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import costmodel as cm
from costmodel import ops
from costmodel.errors import CostModelError, UnknownOperatorError
from costmodel_validation.arm.bench.targets import emulated_target
from costmodel_validation.arm.checks.check import TOLERANCE, relative_error
from costmodel_validation.arm.checks.reference import WEIGHT, uniform
from costmodel_validation.arm.translate.lower import lower
from costmodel_validation.arm.translate.products import UNARY

torch = pytest.importorskip("torch")

LAYERS = 200
SCALE = 5
_POSITIVE = ("sqrt", "rsqrt", "reciprocal")
Layer = tuple[ops.Op, list[tuple[int, ...]]]


def image(r: random.Random) -> tuple[int, ...]:
    return r.randint(1, 2), r.randint(1, 9), r.randint(3, 17), r.randint(3, 17)


def tensor(r: random.Random) -> tuple[int, ...]:
    return tuple(r.randint(1, 7) for _ in range(r.randint(2, 5)))


def pool(r: random.Random) -> Layer:
    kernel = (r.randint(1, 3), r.randint(1, 3))
    padding = tuple((r.randint(0, k // 2), r.randint(0, k // 2)) for k in kernel)
    kind, counted = r.choice(["max", "avg"]), r.random() < 0.5
    ceil = r.random() < 0.5
    op = ops.Pool(kind, kernel, r.randint(1, 3), padding, ceil_mode=ceil, include_pad=counted)
    return op, [image(r)]


def adaptive(r: random.Random) -> Layer:
    return ops.AdaptivePool(r.choice(["max", "avg"]), (r.randint(1, 6), r.randint(1, 6))), [
        image(r)
    ]


def unary(r: random.Random) -> Layer:
    kind = r.choice([kind for kind in UNARY if kind not in _POSITIVE])
    return ops.Elementwise(kind), [tensor(r)]


def binary(r: random.Random) -> Layer:
    shape = tensor(r)
    other = tuple(size if r.random() < 0.6 else 1 for size in shape)[r.randint(0, len(shape) - 1) :]
    shapes = [shape, other]
    r.shuffle(shapes)
    return ops.Elementwise(r.choice(["add", "sub", "mul", "max", "min"])), shapes


def softmax(r: random.Random) -> Layer:
    shape = tensor(r)
    return ops.Softmax(r.randrange(-1, len(shape) - 1)), [shape]


def transpose(r: random.Random) -> Layer:
    shape = tensor(r)
    return ops.Transpose(tuple(r.sample(range(len(shape)), len(shape)))), [shape]


def concat(r: random.Random) -> Layer:
    shape = tensor(r)
    axis = r.randrange(len(shape))
    parts = [(*shape[:axis], r.randint(1, 5), *shape[axis + 1 :]) for _ in range(r.randint(2, 4))]
    return ops.Concat(axis), parts


def sliced(r: random.Random) -> Layer:
    shape = tensor(r)
    axis, step = r.randrange(len(shape)), r.randint(1, 2)
    start = r.randrange(shape[axis])
    size = r.randint(1, (shape[axis] - 1 - start) // step + 1)
    return ops.Slice(axis, start, size, step), [shape]


def norm(r: random.Random) -> Layer:
    shape = (*tensor(r), r.randint(4, 40))
    return ops.LayerNorm(1, affine=False, rms=False), [shape]


def attention(r: random.Random) -> Layer:
    heads, length, keys, depth = (r.randint(1, 20) for _ in range(4))
    q, k = (1, heads, length, depth), (1, heads, keys, depth)
    return ops.Attention(), [q, k, (1, heads, keys, r.randint(1, 20))]


def matmul(r: random.Random) -> Layer:
    m, k, n, batch = (r.randint(1, 20) for _ in range(4))
    a, b = r.random() < 0.5, r.random() < 0.5
    left = (batch, k, m) if a else (batch, m, k)
    right = (n, k) if b else (k, n)
    return ops.MatMul(a, b), [left, right if r.random() < 0.5 else (batch, *right)]


def resize(r: random.Random) -> Layer:
    shape, factor = image(r), r.randint(1, 3)
    size = (shape[2] * factor, shape[3] * factor)
    return ops.Resize(size, r.choice(["nearest", "bilinear"])), [shape]


def shuffle(r: random.Random) -> Layer:
    groups = r.randint(1, 4)
    n, c, h, w = image(r)
    return ops.ChannelShuffle(groups), [(n, c * groups, h, w)]


MAKERS: list[Callable[[random.Random], Layer]] = [
    *(pool, adaptive, unary, binary, softmax, transpose, concat, sliced),
    *(norm, attention, matmul, resize, shuffle),
]


def compare_one(number: int) -> str:
    """Return the name of the operator, with a sign before it where it was refused."""
    r = random.Random(number)
    op, shapes = MAKERS[number % len(MAKERS)](r)
    builder = cm.Builder("layer")
    try:
        graph = builder.finish(builder.add(op, *(builder.input(shape) for shape in shapes)))
    except CostModelError:
        return "-"  # no such layer
    name = type(op).__name__
    try:
        spec = lower(graph)
    except UnknownOperatorError as error:
        assert name in str(error)
        return f"!{name}"
    if not spec.calls:
        return f"={name}"  # nothing moves
    buffers = [replace(b, scale=SCALE) if b.seed is not None else b for b in spec.buffers]
    spec = replace(spec, buffers=tuple(buffers))
    end = spec.written()[-1]
    found = emulated_target().run(spec.dumping([end])).tensors[end]
    expected = by_torch(graph, op, spec, shapes)
    error = relative_error(found.ravel(), expected.ravel())
    assert error <= TOLERANCE, f"layer {number}: {op} of {shapes}: {error:.1e}"
    return name


def by_torch(graph: Any, op: ops.Op, spec: Any, shapes: list[tuple[int, ...]]) -> Any:
    from costmodel_validation.backends.graph_to_torch import to_torch

    seeds = [buffer.seed for buffer in spec.buffers if buffer.seed is not None]
    values = [
        torch.from_numpy(SCALE * uniform(seed, WEIGHT, int(np.prod(shape))).reshape(shape))
        for seed, shape in zip(seeds, shapes, strict=True)
    ]
    with torch.no_grad():
        made = to_torch(graph)(*values)
    return (made[0] if isinstance(made, tuple | list) else made).numpy()


def test_random_layers_are_those_of_torch_or_refused_by_name() -> None:
    told = [compare_one(number) for number in range(LAYERS)]
    right = {name for name in told if name[0] not in "-!="}
    assert len(right) >= 12
    assert sum(name[0] == "!" for name in told) < LAYERS / 10
    assert sum(name[0] == "-" for name in told) < LAYERS / 10
