"""Reads a TensorFlow Lite file and runs it by torch: nothing is shared with what writes it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

_NAMES = {0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D"}
_NAMES |= {9: "FULLY_CONNECTED", 14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU"}
_NAMES |= {21: "RELU6", 22: "RESHAPE", 25: "SOFTMAX", 28: "TANH", 34: "PAD", 39: "TRANSPOSE"}
_NAMES |= {40: "MEAN", 60: "PADV2", 65: "SLICE", 117: "HARD_SWISH"}


@dataclass
class _Table:
    """A table of FlatBuffers: fields are found by the offsets of its vtable."""

    data: bytes
    at: int

    def where(self, slot: int) -> int:
        vtable = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        size = struct.unpack_from("<H", self.data, vtable)[0]
        place = 4 + 2 * slot
        offset = struct.unpack_from("<H", self.data, vtable + place)[0] if place < size else 0
        return self.at + offset if offset else 0

    def number(self, slot: int, kind: str = "i", default: float = 0) -> Any:
        place = self.where(slot)
        return struct.unpack_from(f"<{kind}", self.data, place)[0] if place else default

    def table(self, slot: int) -> _Table:
        place = self.where(slot)
        return _Table(self.data, place + struct.unpack_from("<I", self.data, place)[0])

    def vector(self, slot: int) -> tuple[int, int]:
        place = self.where(slot)
        if not place:
            return 0, 0
        start = place + struct.unpack_from("<I", self.data, place)[0]
        return start + 4, struct.unpack_from("<I", self.data, start)[0]

    def ints(self, slot: int) -> list[int]:
        start, count = self.vector(slot)
        return list(struct.unpack_from(f"<{count}i", self.data, start))

    def tables(self, slot: int) -> list[_Table]:
        start, count = self.vector(slot)
        places = [start + 4 * i for i in range(count)]
        return [_Table(self.data, p + struct.unpack_from("<I", self.data, p)[0]) for p in places]


def run(content: bytes, inputs: list[np.ndarray]) -> tuple[list[np.ndarray], list[str]]:
    """Return the outputs of a file, and the kinds of its operators in the order of running."""
    assert content[4:8] == b"TFL3"
    model = _Table(content, struct.unpack_from("<I", content)[0])
    assert model.number(0, "I") == 3
    (graph,) = model.tables(2)
    codes = [_NAMES[code.number(3)] for code in model.tables(1)]
    tensors, shapes = graph.tables(0), []
    values: dict[int, torch.Tensor] = {}
    for index, tensor in enumerate(tensors):
        start, size = model.tables(4)[tensor.number(2, "I")].vector(0)
        shapes.append(tensor.ints(0))
        if size:
            assert start % 16 == 0
            kind = {0: "<f4", 2: "<i4"}[tensor.number(1, "b")]
            flat = np.frombuffer(content, kind, size // 4, start)
            values[index] = torch.tensor(flat.reshape(shapes[-1]))
    values |= dict(zip(graph.ints(1), map(torch.tensor, inputs), strict=True))
    kinds = []
    for operator in graph.tables(3):
        kind = codes[operator.number(0, "I")]
        kinds.append(kind)
        (out,) = operator.ints(2)
        options = operator.table(4) if operator.where(4) else None
        made = _run(kind, [values[i] for i in operator.ints(1)], options)
        assert list(made.shape) == shapes[out], (kind, made.shape, shapes[out])
        values[out] = made
    return [values[index].numpy() for index in graph.ints(2)], kinds


def _run(kind: str, x: list[torch.Tensor], options: Any) -> torch.Tensor:
    match kind:
        case "ADD" | "MUL":
            y = x[0] + x[1] if kind == "ADD" else x[0] * x[1]
            return _act(y, options.number(0, "b"))
        case "CONCATENATION":
            return torch.cat(x, options.number(0))
        case "FULLY_CONNECTED":
            return _act(F.linear(x[0], x[1], x[2]), options.number(0, "b"))
        case "CONV_2D" | "DEPTHWISE_CONV_2D":
            return _convolution(kind, x, options)
        case "MAX_POOL_2D" | "AVERAGE_POOL_2D":
            return _pool(kind, x[0], options)
        case "RESHAPE":
            return x[0].reshape(x[1].tolist())
        case "TRANSPOSE":
            return x[0].permute(x[1].tolist())
        case "MEAN":
            return x[0].mean(x[1].tolist())
        case "PAD" | "PADV2":
            around = [n for pair in x[1].flip(0).tolist() for n in pair]
            return F.pad(x[0], around, value=float(x[2]) if kind == "PADV2" else 0.0)
        case "SLICE":
            begin, size = x[1].tolist(), x[2].tolist()
            return x[0][tuple(slice(b, b + s) for b, s in zip(begin, size, strict=True))]
        case "SOFTMAX":
            return torch.softmax(options.number(0, "f") * x[0], -1)
    unary = {"LOGISTIC": torch.sigmoid, "TANH": torch.tanh, "HARD_SWISH": F.hardswish}
    return {**unary, "RELU": F.relu, "RELU6": F.relu6}[kind](x[0])


def _convolution(kind: str, x: list[torch.Tensor], options: Any) -> torch.Tensor:
    deep = kind.startswith("DEPTH")
    shift = int(deep)
    stride = (options.number(2), options.number(1))
    dilation = (options.number(5 + shift, default=1), options.number(4 + shift, default=1))
    filters = x[1].permute(3, 0, 1, 2) if deep else x[1].permute(0, 3, 1, 2)
    groups = x[0].shape[3] // filters.shape[1]
    image = x[0].permute(0, 3, 1, 2)
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, filters.shape[2:], strict=True)]
    if options.number(0, "b") == 0:
        image = F.pad(image, _same(image, spans, stride))
    y = F.conv2d(image, filters, x[2], stride, 0, dilation, groups).permute(0, 2, 3, 1)
    return _act(y, options.number(3 + shift, "b"))


def _pool(kind: str, x: torch.Tensor, options: Any) -> torch.Tensor:
    stride, window = (options.number(2), options.number(1)), (options.number(4), options.number(3))
    image, count = x.permute(0, 3, 1, 2), torch.ones(1, 1, *x.shape[1:3])
    if options.number(0, "b") == 0:
        around = _same(image, window, stride)
        fill = -torch.inf if kind.startswith("MAX") else 0.0
        image, count = F.pad(image, around, value=fill), F.pad(count, around)
    if kind.startswith("MAX"):
        return F.max_pool2d(image, window, stride).permute(0, 2, 3, 1)
    inside = F.avg_pool2d(count, window, stride)
    return (F.avg_pool2d(image, window, stride) / inside).permute(0, 2, 3, 1)


def _same(image: torch.Tensor, window: Any, stride: Any) -> list[int]:
    """Padding that ``SAME`` means, in torch's order: the last axis first."""
    found: list[int] = []
    for size, k, step in zip(image.shape[2:], window, stride, strict=True):
        missing = max(0, (-(-size // step) - 1) * step + k - size)
        found = [missing // 2, missing - missing // 2, *found]
    return found


def _act(y: torch.Tensor, number: int) -> torch.Tensor:
    return {0: lambda v: v, 1: F.relu, 3: F.relu6}[number](y)
