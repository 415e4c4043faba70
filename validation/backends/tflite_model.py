"""An op graph as a TensorFlow Lite model: channels last, weights in the order of its kernels.

It starts from the specification that the project's own kernels run
(:mod:`validation.arm.translate.lower`), as the ncnn model does (:mod:`.ncnn_model`): batch norms
are folded there and activations fused, as converters do, and the numbers are those of
:mod:`validation.arm.checks.reference`. Padding that ``SAME`` does not mean is an operator of its
own, as converters from PyTorch write it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arm.bench.program import Call, Shape, Spec
from ..arm.checks.operands import BIAS, SCALE, SHIFT, WEIGHT, uniform, weights
from ..errors import MeasuringError
from .ncnn_words import CONVOLUTIONS, bias_term, is_vector, pads, strange
from .tflite_file import tflite_bytes
from .tflite_graph import (
    PLAIN,
    Options,
    TfliteGraph,
    channels_last,
    is_same_padding,
    missing_padding,
)

_FUSED = {"": 0, "relu": 1, "relu6": 3}  # ActivationFunctionType
_UNARY = {
    "relu": "RELU",
    "relu6": "RELU6",
    "sigmoid": "LOGISTIC",
    "tanh": "TANH",
    "hswish": "HARD_SWISH",
    "softmax": "SOFTMAX",
}
_LAYERS = frozenset(
    {
        *("linear", "maxpool", "avgpool", "globalpool", "add", "mul", "batchnorm", "bias"),
        *("shuffle", "concat", "copy", "silu", "hsigmoid"),
    }
)


@dataclass(frozen=True)
class TfliteModel:
    """A model as TensorFlow Lite reads it.

    Parameters
    ----------
    content : bytes
        The file.
    inputs : tuple of arrays
        What its inputs are filled with, in their order; channels last.
    outputs : tuple of (int, Shape)
        Of each output, the number in the specification and the shape there.
    """

    content: bytes
    inputs: tuple[NDArray[np.float32], ...]
    outputs: tuple[tuple[int, Shape], ...]


def to_tflite(spec: Spec) -> TfliteModel:
    """Write a specification as a TensorFlow Lite model.

    Raises
    ------
    MeasuringError
        If an operator was never translated.
    """
    writer = _Writer(spec=spec)
    for call in spec.calls:
        writer.call(call)
    ends = spec.unread()
    outputs = [writer.tensor(number) for number in ends]
    inputs = list(writer.filled)
    content = tflite_bytes(writer.tensors, writer.operators, inputs, outputs)
    shapes = tuple((number, spec.buffers[number].shape) for number in ends)
    return TfliteModel(content, tuple(writer.filled.values()), shapes)


def channels_first(values: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Return an output of the model in the order of the specification."""
    if is_vector(shape):
        return values.reshape(shape)
    n, c, h, w = shape
    return values.reshape(n, h, w, c).transpose(0, 3, 1, 2)


@dataclass
class _Writer(TfliteGraph):
    """The operators of calls so far; inputs and their numbers."""

    spec: Spec = field(default_factory=lambda: Spec((), ()))
    filled: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    _made: dict[int, int] = field(default_factory=dict)

    def tensor(self, number: int) -> int:
        """Return the tensor of the file; inputs and views are made when they are first read."""
        if number not in self._made:
            buffer = self.spec.buffers[number]
            if buffer.base is not None:
                self._made[number] = self._view(number)
            else:
                made = self.new(channels_last(buffer.shape), f"x{len(self.filled)}")
                values = uniform(buffer.seed or 0, WEIGHT, buffer.elements)
                values = (values * np.float32(buffer.scale)).reshape(buffer.shape)
                self.filled[made] = np.ascontiguousarray(
                    values.transpose(0, 2, 3, 1).reshape(channels_last(buffer.shape))
                )
                self._made[number] = made
        return self._made[number]

    def call(self, call: Call) -> None:
        """Add the operators of one call.

        Raises
        ------
        MeasuringError
            If none is known to do the same.
        """
        self._refuse(call)
        self.name = call.name or call.kernel
        x, y = (self.spec.buffers[n].shape for n in (call.inputs[0], call.outputs[0]))
        reads = [self.tensor(number) for number in call.inputs]
        self._made[call.outputs[0]] = self._operator(call, reads, x, y)

    def _refuse(self, call: Call) -> None:
        shapes = [self.spec.buffers[number].shape for number in call.inputs]
        kernel = call.kernel
        known = kernel in _UNARY or kernel in CONVOLUTIONS or kernel in _LAYERS
        if kernel in ("add", "mul"):
            known = shapes[1] in (shapes[0], (*shapes[0][:2], 1, 1))
        if kernel == "linear":
            known = is_vector(self.spec.buffers[call.outputs[0]].shape)
        known = known and str(call.params.get("act", "")) in {*_FUSED, *_UNARY}
        if not known or int(call.params.get("axis", 1)) != 1:
            raise MeasuringError(
                f"there is no operator of TensorFlow Lite here for {call.name or kernel} "
                f"({kernel} of {' and '.join(map(str, shapes))})"
            )
        if strange(call):
            raise MeasuringError(
                f"there is no operator of TensorFlow Lite here for {call.name or kernel}: {kernel} "
                f"with {strange(call)}"
            )

    def _operator(self, call: Call, reads: list[int], x: Shape, y: Shape) -> int:
        p = call.params
        plain = call.kernel == "conv1x1" and int(p.get("groups", 1)) == 1
        if call.kernel == "linear" or (plain and is_vector(x)):
            return self._linear(call, reads[0], x, y)
        if call.kernel in CONVOLUTIONS:
            return self._convolution(call, self.image(reads[0], x), x, y)
        match call.kernel:
            case "maxpool" | "avgpool":
                return self._pool(call, self.image(reads[0], x), x, y)
            case "globalpool":
                return self.add("MEAN", [self.image(reads[0], x), self.ints([1, 2])], y)
            case "add" | "mul":
                same = self.spec.buffers[call.inputs[1]].shape == x
                other = reads[1] if same else self.image(reads[1], (*x[:2], 1, 1))
                return self._ended(call, call.kernel.upper(), [reads[0], other], y)
            case "batchnorm" | "bias":
                return self._affine(call, reads[0], y)
            case "shuffle":
                return self._shuffle(reads[0], int(p.get("groups", 1)), y)
            case "concat":
                axis = 1 if is_vector(y) else 3
                return self.add("CONCATENATION", reads, y, {"axis": axis})
            case "copy":
                return self.reordered(reads[0], x, y)
            case "silu":
                return self.add("MUL", [reads[0], self.add("LOGISTIC", reads, y)], y)
            case "hsigmoid":
                act = {"act": _FUSED["relu6"]}
                shifted = self.add("ADD", [reads[0], self.floats([3.0])], y, act)
                return self.add("MUL", [shifted, self.floats([1 / 6])], y)
        return self.add(_UNARY[call.kernel], reads, y, {"beta": 1.0})

    def _linear(self, call: Call, read: int, x: Shape, y: Shape) -> int:
        fan_in = x[1] * x[2] * x[3]
        flat = self.reordered(read, x, (x[0], fan_in, 1, 1))
        seed = int(call.params.get("seed", 0))
        filters = self.constant(weights((y[1], fan_in), fan_in, seed).astype(np.float32))
        return self._ended(call, "FULLY_CONNECTED", [flat, filters, self._bias(call, y[1])], y)

    def _convolution(self, call: Call, read: int, x: Shape, y: Shape) -> int:
        p, size = call.params, CONVOLUTIONS[call.kernel]
        kh, kw = (int(p.get(key, p.get("k", size or 1))) for key in ("kh", "kw"))
        depthwise = call.kernel == "depthwise"
        groups = x[1] if depthwise else int(p.get("groups", 1))
        stride, dilation = int(p.get("stride", 1)), int(p.get("dilation", 1))
        fan_in = x[1] // groups * kh * kw
        values = weights((y[1], x[1] // groups, kh, kw), fan_in, int(p.get("seed", 0)))
        values = values.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
        window = ((dilation * (kh - 1) + 1, dilation * (kw - 1) + 1), stride)
        read, padding = self.padded(read, x, y, window, pads(call), None)
        options = {"padding": padding, "stride_w": stride, "stride_h": stride}
        options |= {"dilation_w": dilation, "dilation_h": dilation, "multiplier": 1}
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        filters = self.constant(np.ascontiguousarray(values.astype(np.float32)))
        return self._ended(call, kind, [read, filters, self._bias(call, y[1])], y, options)

    def _pool(self, call: Call, read: int, x: Shape, y: Shape) -> int:
        p = call.params
        kh, kw = (int(p.get(key, p.get("k", 1))) for key in ("kh", "kw"))
        stride, average = int(p.get("stride", 1)), call.kernel == "avgpool"
        inside = average and not int(p.get("include_pad", 1))
        before, window = pads(call), ((kh, kw), stride)
        added = any(before) or any(missing_padding(x, y, window, before))
        # SAME averages over what is inside, VALID behind a PAD over all: there is nothing else
        counted = average and added and (inside or int(p.get("ceil", 0)))
        if counted and not (inside and is_same_padding(x, y, window, before)):
            name = call.name or call.kernel
            raise MeasuringError(f"TensorFlow Lite has no average pooling such as {name}")
        fill = 0.0 if average else float(np.finfo(np.float32).min)
        allow_same = not average or inside
        read, padding = self.padded(read, x, y, window, before, fill, allow_same)
        options = {"padding": padding, "stride_w": stride, "stride_h": stride}
        options |= {"width": kw, "height": kh}
        kind = "AVERAGE_POOL_2D" if average else "MAX_POOL_2D"
        return self.add(kind, [read], y, options)

    def _affine(self, call: Call, read: int, y: Shape) -> int:
        seed, channels = int(call.params.get("seed", 0)), y[1]
        if call.kernel == "bias":
            return self._ended(call, "ADD", [read, self._bias(call, channels, True)], y)
        scale = np.float32(1) + np.float32(0.25) * uniform(seed, SCALE, channels)
        shift = np.float32(0.125) * uniform(seed, SHIFT, channels)
        scaled = self.add("MUL", [read, self.constant(scale.astype(np.float32))], y)
        return self._ended(call, "ADD", [scaled, self.constant(shift.astype(np.float32))], y)

    def _shuffle(self, read: int, groups: int, y: Shape) -> int:
        n, c, h, w = y
        apart = self.new((n, h, w, groups, c // groups))
        self.append("RESHAPE", [read, self.ints([n, h, w, groups, c // groups])], apart)
        turned = self.new((n, h, w, c // groups, groups))
        self.append("TRANSPOSE", [apart, self.ints([0, 1, 2, 4, 3])], turned)
        return self.add("RESHAPE", [turned, self.ints(channels_last(y))], y)

    def _view(self, number: int) -> int:
        """Return the same elements in another shape, or some of the channels."""
        buffer = self.spec.buffers[number]
        assert buffer.base is not None
        base, shape = self.spec.buffers[buffer.base].shape, buffer.shape
        read, area = self.tensor(buffer.base), shape[2] * shape[3]
        if buffer.elements == self.spec.buffers[buffer.base].elements:
            return self.reordered(read, base, shape)
        if shape[2:] != base[2:] or base[0] != 1 or buffer.offset % area:
            raise MeasuringError(f"TensorFlow Lite cuts channels only, not {shape} out of {base}")
        first, size = buffer.offset // area, list(channels_last(shape))
        begin = [0] * (len(size) - 1) + [first]
        return self.add("SLICE", [read, self.ints(begin), self.ints(size)], shape)

    def _ended(
        self, call: Call, kind: str, reads: list[int], y: Shape, options: Options = PLAIN
    ) -> int:
        """Add an operator with the activation of a call, fused where that can be."""
        act = str(call.params.get("act", ""))
        made = self.add(kind, reads, y, {**options, "act": _FUSED.get(act, 0)})
        return made if act in _FUSED else self.add(_UNARY[act], [made], y)

    def _bias(self, call: Call, channels: int, always: bool = False) -> int:
        if not (always or bias_term(call)):
            return self.constant(np.zeros(channels, dtype=np.float32))
        values = uniform(int(call.params.get("seed", 0)), BIAS, channels) * np.float32(0.125)
        return self.constant(values.astype(np.float32))
