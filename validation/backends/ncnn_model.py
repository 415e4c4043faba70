"""An op graph as an ncnn model: the text of its layers, and the bytes of its weights.

It starts from the specification that the project's own kernels run
(:mod:`validation.arm.translate.lower`): batch norms are folded there and activations fused, as
ncnn's converters do, and the numbers are those of :mod:`validation.arm.checks.reference`, which
the outputs can be checked against.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arm.bench.program import Call, Shape, Spec
from ..arm.checks.operands import SCALE, SHIFT, uniform, weights
from ..errors import MeasuringError
from .ncnn_words import (
    ACTIVATIONS,
    CONVOLUTIONS,
    IMAGES,
    TAG,
    UNARY,
    bias_bytes,
    bias_term,
    extents,
    image_extents,
    is_vector,
    pads,
    pooling,
    strange,
)

_MAGIC = 7767517


_LAYERS = frozenset(
    {
        *("linear", "conv1x1", "maxpool", "avgpool", "globalpool", "add", "mul", "batchnorm"),
        *("bias", "shuffle", "concat", "copy"),
    }
)


@dataclass(frozen=True)
class NcnnModel:
    """A model as ncnn reads it.

    Parameters
    ----------
    param : str
        The layers, as in a ``.param`` file.
    weights : bytes
        As in a ``.bin`` file.
    inputs : mapping
        Blobs to be filled: the seed of their numbers, their shape and their scale.
    outputs : mapping
        Blobs that nothing reads: their number in the specification, and their shape.
    """

    param: str
    weights: bytes
    inputs: dict[str, tuple[int, Shape, int]]
    outputs: dict[str, tuple[int, Shape]]


@dataclass
class _Layer:
    kind: str
    inputs: list[str]
    outputs: list[str]
    params: str

    def line(self, number: int) -> str:
        counts = f"{len(self.inputs)} {len(self.outputs)}"
        return f"{self.kind} l{number} {counts} {' '.join([*self.inputs, *self.outputs])} " + (
            self.params
        )


def to_ncnn(spec: Spec) -> NcnnModel:
    """Write a specification of batch 1 as an ncnn model.

    Raises
    ------
    MeasuringError
        If it has another batch: a blob of ncnn has none.
    """
    if any(buffer.shape[0] != 1 for buffer in spec.buffers):
        raise MeasuringError("ncnn runs batch 1 only")
    writer = _Writer(spec)
    for call in spec.calls:
        writer.call(call)
    ends = spec.unread()
    outputs = {writer.blob(number): (number, spec.buffers[number].shape) for number in ends}
    layers = _with_splits(writer.layers)
    blobs = sum(len(layer.outputs) for layer in layers)
    lines = [str(_MAGIC), f"{len(layers)} {blobs}"]
    lines += [layer.line(number) for number, layer in enumerate(layers)]
    return NcnnModel("\n".join([*lines, ""]), bytes(writer.content), writer.filled, outputs)


@dataclass
class _Writer:
    """Layers and weights so far. A tensor of one place is a vector, others are images."""

    spec: Spec
    layers: list[_Layer] = field(default_factory=list)
    content: bytearray = field(default_factory=bytearray)
    filled: dict[str, tuple[int, Shape, int]] = field(default_factory=dict)
    _blobs: dict[int, str] = field(default_factory=dict)
    _made: int = 0

    def blob(self, number: int) -> str:
        """Return the blob of a tensor; inputs and views are made when they are first read."""
        if number not in self._blobs:
            buffer = self.spec.buffers[number]
            if buffer.base is None:
                name = self._add("Input", [], extents(buffer.shape))
                self.filled[name] = (buffer.seed or 0, buffer.shape, buffer.scale)
            else:
                name = self._view(number)
            self._blobs[number] = name
        return self._blobs[number]

    def call(self, call: Call) -> None:
        """Add the layers of one operator.

        Raises
        ------
        MeasuringError
            If none is known to do the same.
        """
        self._refuse(call)
        shapes = [self.spec.buffers[number].shape for number in call.inputs]
        reads = [self.blob(number) for number in call.inputs]
        grouped = call.kernel == "conv1x1" and int(call.params.get("groups", 1)) > 1
        image = call.kernel in IMAGES or grouped
        if image and is_vector(shapes[0]):
            reads = [self._add("Reshape", reads, image_extents(shapes[0]))]
        shape = self.spec.buffers[call.outputs[0]].shape
        made = self._operator(call, reads, shapes[0], shape)
        if (
            is_vector(shape)
            and not (is_vector(shapes[0]) and not image)
            and (call.kernel not in ("linear", "globalpool"))
        ):
            made = self._add("Reshape", [made], f"0={shape[1]}")
        self._blobs[call.outputs[0]] = made

    def _refuse(self, call: Call) -> None:
        """Refuse what was never translated, rather than run something else."""
        known = call.kernel in UNARY or call.kernel in CONVOLUTIONS or call.kernel in _LAYERS
        shapes = [self.spec.buffers[number].shape for number in call.inputs]
        if call.kernel in ("add", "mul"):
            known = shapes[1] in (shapes[0], (*shapes[0][:2], 1, 1))
        if not known or int(call.params.get("axis", 1)) != 1:
            raise MeasuringError(
                f"ncnn has no layer here for {call.name or call.kernel} ({call.kernel} of "
                f"{' and '.join(map(str, shapes))})"
            )
        if strange(call):
            raise MeasuringError(
                f"ncnn has no layer here for {call.name or call.kernel}: {call.kernel} with "
                f"{strange(call)}"
            )

    def _operator(self, call: Call, reads: list[str], x: Shape, y: Shape) -> str:
        p = call.params
        ungrouped = call.kernel == "conv1x1" and int(p.get("groups", 1)) == 1
        if call.kernel == "linear" or (ungrouped and is_vector(x)):
            return self._linear(call, reads, x[1] * x[2] * x[3], y[1])
        if call.kernel in CONVOLUTIONS:
            return self._convolution(call, reads, x[1], y[1])
        match call.kernel:
            case "maxpool" | "avgpool":
                return self._add("Pooling", reads, pooling(call))
            case "globalpool":
                return self._add("Pooling", reads, "0=1 4=1")
            case "add" | "mul":
                made = self._add("BinaryOp", reads, f"0={0 if call.kernel == 'add' else 2}")
                return self._activation(made, p)
            case "batchnorm":
                seed = int(p.get("seed", 0))
                self.content += (1 + np.float32(0.25) * uniform(seed, SCALE, y[1])).tobytes()
                self.content += (np.float32(0.125) * uniform(seed, SHIFT, y[1])).tobytes()
                return self._activation(self._add("Scale", reads, f"0={y[1]} 1=1"), p)
            case "bias":
                self.content += bias_bytes(call, y[1])
                return self._activation(self._add("Bias", reads, f"0={y[1]}"), p)
            case "shuffle":
                return self._add("ShuffleChannel", reads, f"0={p.get('groups', 1)}")
            case "concat":
                return self._add("Concat", reads, "0=0")
            case "copy":
                return self._add("Reshape", reads, extents(y))
        kind, _, words = UNARY[call.kernel].partition(" ")
        return self._add(kind, reads, words)

    def _linear(self, call: Call, reads: list[str], cin: int, cout: int) -> str:
        tail = self._weights(call, (cout, cin), cin)
        words = f"0={cout} 1={bias_term(call)} 2={cout * cin} {tail}"
        return self._add("InnerProduct", reads, words)

    def _convolution(self, call: Call, reads: list[str], cin: int, cout: int) -> str:
        p, size = call.params, CONVOLUTIONS[call.kernel]
        kh, kw = (int(p.get(key, p.get("k", size or 1))) for key in ("kh", "kw"))
        groups = cin if call.kernel == "depthwise" else int(p.get("groups", 1))
        shape = (cout, cin // groups, kh, kw)
        top, left, bottom, right = pads(call)
        words = (
            f"0={cout} 1={kw} 11={kh} 2={p.get('dilation', 1)} 3={p.get('stride', 1)} "
            f"4={left} 14={top} 15={right} 16={bottom} 5={bias_term(call)} "
            f"6={cout * cin // groups * kh * kw}"
        )
        words += f" {self._weights(call, shape, cin // groups * kh * kw)}"
        if groups == 1:
            return self._add("Convolution", reads, words)
        return self._add("ConvolutionDepthWise", reads, f"{words} 7={groups}")

    def _weights(self, call: Call, shape: tuple[int, ...], fan_in: int) -> str:
        """Append weights and bias; return the words of the activation."""
        seed = int(call.params.get("seed", 0))
        self.content += TAG + weights(shape, fan_in, seed).astype(np.float32).tobytes()
        if bias_term(call):
            self.content += bias_bytes(call, shape[0])
        return ACTIVATIONS.get(str(call.params.get("act", "")), "9=0")

    def _activation(self, blob: str, params: Any) -> str:
        if "act" not in params:
            return blob
        kind, _, words = UNARY[params["act"]].partition(" ")
        return self._add(kind, [blob], words)

    def _view(self, number: int) -> str:
        """Return the same elements in another shape, or some of the channels."""
        buffer = self.spec.buffers[number]
        assert buffer.base is not None
        base, shape = self.spec.buffers[buffer.base], buffer.shape
        read = [self.blob(buffer.base)]
        if buffer.elements == base.elements:
            return self._add("Reshape", read, extents(shape))
        if shape[2:] != base.shape[2:]:
            raise MeasuringError(f"ncnn cuts channels only, not {shape} out of {base.shape}")
        _, c, h, w = shape
        first = buffer.offset // (h * w)
        words = f"0={first} 3={c}" if is_vector(shape) else f"0=0 1=0 2={first} 3={w} 4={h} 5={c}"
        return self._add("Crop", read, words)

    def _add(self, kind: str, reads: list[str], words: str) -> str:
        name = f"b{self._made}"
        self._made += 1
        self.layers.append(_Layer(kind, reads, [name], words))
        return name


def _with_splits(layers: list[_Layer]) -> list[_Layer]:
    """Give each reader of a blob a blob of its own, as ncnn wants it."""
    readers = Counter(name for layer in layers for name in layer.inputs)
    taken: Counter[str] = Counter()
    found = []
    for layer in layers:
        inputs = []
        for name in layer.inputs:
            inputs.append(f"{name}_{taken[name]}" if readers[name] > 1 else name)
            taken[name] += 1
        found.append(_Layer(layer.kind, inputs, layer.outputs, layer.params))
        for name in layer.outputs:
            if readers[name] > 1:
                copies = [f"{name}_{i}" for i in range(readers[name])]
                found.append(_Layer("Split", [name], copies, ""))
    return found
