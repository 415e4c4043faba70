"""A graph of TensorFlow Lite while it is built: tensors, operators, and what padding becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arm.bench.program import Shape
from .ncnn_words import is_vector
from .tflite_file import Operator, Tensor

SAME, VALID = 0, 1
Window = tuple[tuple[int, int], int]
"""Rows and columns that a window spans, and its step."""
Pads = tuple[int, int, int, int]
Options = Mapping[str, float]
PLAIN: Options = MappingProxyType({})


@dataclass
class TfliteGraph:
    """Tensors and operators so far. A tensor of one place is a vector, others are images.

    Parameters
    ----------
    tensors, operators
        In the order in which they are made.
    name : str
        Of the call whose operators are added: what its tensors are called.
    """

    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    name: str = ""

    def padded(
        self,
        read: int,
        x: Shape,
        y: Shape,
        window: Window,
        before: Pads,
        fill: float | None,
        allow_same: bool = True,
    ) -> tuple[int, int]:
        """Return what a window slides over, and the padding that is left to it."""
        top, left = before[:2]
        bottom, right = missing_padding(x, y, window, before)
        if (
            allow_same
            and (any(before) or bottom or right)
            and is_same_padding(x, y, window, before)
        ):
            return read, SAME
        if not (top or left or bottom or right):
            return read, VALID
        around = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], dtype=np.int32)
        shape = (x[0], x[1], x[2] + top + bottom, x[3] + left + right)
        reads = [read, self.constant(around)]
        if fill:
            return self.add("PADV2", [*reads, self.floats([fill])], shape, image=True), VALID
        return self.add("PAD", reads, shape, image=True), VALID

    def reordered(self, read: int, x: Shape, y: Shape) -> int:
        """Return the same elements, which count channel by channel, in another shape."""
        if x == y:
            return read
        if not is_vector(x) and x[1] > 1:  # channels last is another order
            n, c, h, w = x
            first = self.new((n, c, h, w))
            self.append("TRANSPOSE", [read, self.ints([0, 3, 1, 2])], first)
            read = first
        if is_vector(y) or y[1] == 1:
            return self.add("RESHAPE", [read, self.ints(channels_last(y))], y)
        turned = self.new(y)
        self.append("RESHAPE", [read, self.ints(y)], turned)
        return self.add("TRANSPOSE", [turned, self.ints([0, 2, 3, 1])], y)

    def image(self, read: int, shape: Shape) -> int:
        """Return a vector as an image of one place; images as they are."""
        if not is_vector(shape):
            return read
        n, c, h, w = shape
        return self.add("RESHAPE", [read, self.ints([n, h, w, c])], shape, image=True)

    def add(
        self,
        kind: str,
        reads: list[int],
        shape: Shape,
        options: Options = PLAIN,
        image: bool = False,
    ) -> int:
        """Add an operator that writes a tensor of the specification's ``shape``."""
        n, c, h, w = shape
        if kind.endswith(("CONV_2D", "POOL_2D")) and is_vector(shape):
            made = self.new((n, h, w, c))
            self.append(kind, reads, made, options)
            return self.add("RESHAPE", [made, self.ints([n, c])], shape)
        made = self.new((n, h, w, c) if image else channels_last(shape))
        self.append(kind, reads, made, options)
        return made

    def append(self, kind: str, reads: list[int], made: int, options: Options = PLAIN) -> None:
        """Add an operator that writes the tensor ``made``."""
        self.operators.append(Operator(kind, tuple(reads), (made,), options))

    def new(self, shape: tuple[int, ...], name: str = "") -> int:
        """Add a tensor that is computed or filled."""
        self.tensors.append(Tensor(name or self.name, shape))
        return len(self.tensors) - 1

    def constant(self, values: NDArray[Any]) -> int:
        """Add a constant."""
        self.tensors.append(Tensor(f"c{len(self.tensors)}", values.shape, values))
        return len(self.tensors) - 1

    def ints(self, values: Sequence[int]) -> int:
        """Add a constant vector of int32."""
        return self.constant(np.array(values, dtype=np.int32))

    def floats(self, values: Sequence[float]) -> int:
        """Add a constant vector of float32."""
        return self.constant(np.array(values, dtype=np.float32))


def channels_last(shape: Shape) -> tuple[int, ...]:
    """Return the shape with channels last; a tensor of one place has no other axes."""
    n, c, h, w = shape
    return (n, c) if is_vector(shape) else (n, h, w, c)


def missing_padding(x: Shape, y: Shape, window: Window, before: Pads) -> tuple[int, int]:
    """Return the rows and columns that the last window lacks; those that none reaches are none."""
    (kh, kw), stride = window
    return (
        max(0, (y[2] - 1) * stride + kh - x[2] - before[0]),
        max(0, (y[3] - 1) * stride + kw - x[3] - before[1]),
    )


def is_same_padding(x: Shape, y: Shape, window: Window, before: Pads) -> bool:
    """Return whether the padding is what ``SAME`` means: the least, its larger half at the end."""
    (kh, kw), stride = window
    for axis, k, first in ((2, kh, before[0]), (3, kw, before[1])):
        missing = max(0, (y[axis] - 1) * stride + k - x[axis])
        if y[axis] != -(-x[axis] // stride) or first != missing // 2:
            return False
    return True
