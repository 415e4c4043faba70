"""Tensors and operators as a TensorFlow Lite file, by the fields of its FlatBuffers schema.

Numbers of fields, operators and options are those of ``tensorflow/lite/schema/schema.fbs``, which
only ever appends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

OPERATORS = {
    "ADD": 0,
    "AVERAGE_POOL_2D": 1,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 4,
    "FULLY_CONNECTED": 9,
    "LOGISTIC": 14,
    "MAX_POOL_2D": 17,
    "MUL": 18,
    "RELU": 19,
    "RELU6": 21,
    "RESHAPE": 22,
    "SOFTMAX": 25,
    "TANH": 28,
    "PAD": 34,
    "TRANSPOSE": 39,
    "MEAN": 40,
    "PADV2": 60,
    "SLICE": 65,
    "HARD_SWISH": 117,
}
"""``BuiltinOperator`` of the schema."""

_OPTIONS: dict[str, tuple[int, tuple[str, ...]]] = {
    "CONV_2D": (1, ("padding:8", "stride_w", "stride_h", "act:8", "dilation_w", "dilation_h")),
    "DEPTHWISE_CONV_2D": (
        2,
        ("padding:8", "stride_w", "stride_h", "multiplier", "act:8", "dilation_w", "dilation_h"),
    ),
    "MAX_POOL_2D": (5, ("padding:8", "stride_w", "stride_h", "width", "height", "act:8")),
    "AVERAGE_POOL_2D": (5, ("padding:8", "stride_w", "stride_h", "width", "height", "act:8")),
    "FULLY_CONNECTED": (8, ("act:8",)),
    "SOFTMAX": (9, ("beta:f",)),
    "CONCATENATION": (10, ("axis", "act:8")),
    "ADD": (11, ("act:8",)),
    "MUL": (21, ("act:8",)),
    "RESHAPE": (17, ()),
    "PAD": (22, ()),
    "TRANSPOSE": (26, ()),
    "MEAN": (27, ()),
    "PADV2": (43, ()),
    "SLICE": (48, ()),
    "HARD_SWISH": (91, ()),
}
"""The number in ``BuiltinOptions`` and the fields in order; ``:8`` is a byte, ``:f`` a float."""

# dilations are 1 where a file leaves them out, everything else is 0
_DEFAULTS = {"dilation_w": 1, "dilation_h": 1}
_TYPES = {"float32": 0, "int32": 2}
_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # of a buffer's first byte: force_align in the schema
_VERSION = 3


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file; ``values`` are those of a constant, None where it is computed."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[Any] | None = None


@dataclass(frozen=True)
class Operator:
    """One operator: its name in :data:`OPERATORS`, tensors read and written, its options."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, float] = field(default_factory=dict)


def tflite_bytes(
    tensors: Sequence[Tensor],
    operators: Sequence[Operator],
    inputs: Sequence[int],
    outputs: Sequence[int],
) -> bytes:
    """Return the file of one graph.

    Parameters
    ----------
    tensors, operators
        What it is made of; operators in the order in which they run.
    inputs, outputs : sequence of int
        Numbers of the tensors that are filled and read from outside.
    """
    constants = [tensor for tensor in tensors if tensor.values is not None]
    size = sum(t.values.nbytes for t in constants if t.values is not None)
    b = flatbuffers.Builder(size + (1 << 16))
    buffers = [_table(b, 1, [])]  # number 0 is empty, for all that is computed
    numbers = {}
    for number, tensor in enumerate(tensors):
        if tensor.values is not None:
            numbers[number] = len(buffers)
            buffers.append(_table(b, 1, [(0, "offset", _bytes(b, tensor.values))]))
    kinds = sorted({operator.kind for operator in operators})
    codes = [_code(b, OPERATORS[kind]) for kind in kinds]
    made = [_operator(b, operator, kinds.index(operator.kind)) for operator in operators]
    graph = _table(
        b,
        5,
        [
            (
                0,
                "offset",
                _offsets(b, [_tensor(b, t, numbers.get(i, 0)) for i, t in _all(tensors)]),
            ),
            (1, "offset", _integers(b, inputs)),
            (2, "offset", _integers(b, outputs)),
            (3, "offset", _offsets(b, made)),
        ],
    )
    fields = [
        (0, "Uint32", _VERSION),
        (1, "offset", _offsets(b, codes)),
        (2, "offset", _offsets(b, [graph])),
        (3, "offset", b.CreateString("costmodel")),
        (4, "offset", _offsets(b, buffers)),
    ]
    b.Finish(_table(b, 5, fields), file_identifier=_IDENTIFIER)
    return bytes(b.Output())


def _all(tensors: Sequence[Tensor]) -> list[tuple[int, Tensor]]:
    return list(enumerate(tensors))


def _tensor(b: Any, tensor: Tensor, buffer: int) -> int:
    kind = "float32" if tensor.values is None else str(tensor.values.dtype)
    shape, name = _integers(b, tensor.shape), b.CreateString(tensor.name)
    fields = [(0, "offset", shape), (1, "Int8", _TYPES[kind]), (2, "Uint32", buffer)]
    return _table(b, 4, [*fields, (3, "offset", name)])


def _code(b: Any, number: int) -> int:
    # versions: the highest that the operators here need, with room for those of old runtimes
    return _table(b, 4, [(0, "Int8", number), (2, "Int32", 1), (3, "Int32", number)])


def _operator(b: Any, operator: Operator, code: int) -> int:
    reads, writes = _integers(b, operator.inputs), _integers(b, operator.outputs)
    fields = [(0, "Uint32", code), (1, "offset", reads), (2, "offset", writes)]
    if operator.kind in _OPTIONS:
        number, names = _OPTIONS[operator.kind]
        slots = [_option(i, name, operator.options) for i, name in enumerate(names)]
        fields += [(3, "Uint8", number), (4, "offset", _table(b, max(1, len(slots)), slots))]
    return _table(b, 5, fields)


def _option(slot: int, name: str, options: Mapping[str, float]) -> tuple[int, str, float]:
    key, _, kind = name.partition(":")
    value = options.get(key, _DEFAULTS.get(key, 0))
    if kind == "f":
        return slot, "Float32", float(value)
    return slot, "Int8" if kind else "Int32", int(value)


def _table(b: Any, slots: int, fields: Sequence[tuple[int, str, float]]) -> int:
    """Write a table; children must have been written before."""
    b.StartObject(slots)
    for slot, kind, value in fields:
        if kind == "offset":
            b.PrependUOffsetTRelativeSlot(slot, value, 0)
        else:
            b.ForceDefaults(True)  # what is equal to a default of one field is not to another's
            getattr(b, f"Prepend{kind}Slot")(slot, value, 0)
            b.ForceDefaults(False)
    return int(b.EndObject())


def _vector(b: Any, values: Sequence[int], put: Callable[[int], object]) -> int:
    b.StartVector(4, len(values), 4)
    for value in reversed(values):
        put(value)
    return int(b.EndVector())


def _integers(b: Any, values: Sequence[int]) -> int:
    return _vector(b, [int(value) for value in values], b.PrependInt32)


def _offsets(b: Any, values: Sequence[int]) -> int:
    return _vector(b, values, b.PrependUOffsetTRelative)


def _bytes(b: Any, values: NDArray[Any]) -> int:
    content = np.ascontiguousarray(values).tobytes()
    b.StartVector(1, len(content), _ALIGNMENT)
    b.head -= len(content)
    b.Bytes[b.head : b.head + len(content)] = content
    return int(b.EndVector())
