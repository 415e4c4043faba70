"""ONNX recurrent layers."""

from __future__ import annotations

from costmodel.errors import ShapeError
from costmodel.graph.builder import Value
from costmodel.importers.emitter import Operand
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Cast, Recurrent, Slice


@HANDLERS.register("LSTM", "GRU", "RNN")
def _recurrent(call: Call) -> Result:
    """Emit the layer; ONNX returns [time, directions, batch, hidden]."""
    x, weight, inner = call.operand(0), call.operand(1), call.operand(2)
    return _layer(call, x, weight, inner, call.kind.lower(), 2)


@HANDLERS.register("com.microsoft.DynamicQuantizeLSTM")
def _dynamic_lstm(call: Call) -> Result:
    """Emit the layer on integers, between conversions; its matrices are stored transposed."""
    x = call.emit.add(Cast("uint8"), call.operand(0))
    y, *states = _layer(call, x, call.operand(1), call.operand(2), "lstm", 1)
    return [call.emit.add(Cast("float32"), part) for part in (y, *states)]


def _layer(
    call: Call, x: Operand, weight: Operand, inner: Operand, kind: str, hidden_axis: int
) -> list[Operand]:
    if call.has(7):
        raise UnsupportedFormError("peepholes")
    if len(weight.shape) != 3 or len(inner.shape) != 3 or len(x.shape) != 3:
        raise ShapeError(f"weights {weight.tensor} and {inner.tensor} do not fit {x.tensor}")
    hidden, directions = inner.shape[hidden_axis], weight.shape[0]
    batch_first = bool(call.attribute("layout", 0))
    if batch_first:
        x = call.emit.transpose(x, (1, 0, 2))
    op = Recurrent(kind, hidden, 1, directions == 2, bias=call.has(3))
    if isinstance(weight, Value):
        # Put together from several stored tensors: each of them is a node that counts itself.
        for slot in (2, 3):
            if call.has(slot):
                call.emit.value(call.operand(slot))
    y = call.emit.add(op, x, weights=call.emit.weight_name(weight))
    time, batch, _ = y.shape
    apart = call.emit.reshape(y, (time, batch, directions, hidden))
    whole = call.emit.transpose(apart, (1, 0, 2, 3) if batch_first else (0, 2, 1, 3))
    return [whole, *_last_state(call, apart, batch_first)]


def _last_state(call: Call, apart: Operand, batch_first: bool) -> list[Operand]:
    """Return stand-ins for the last states: the last step, whichever the direction."""
    if not (call.makes(1) or call.makes(2)):
        return []
    time, batch, directions, hidden = apart.shape
    start = time - 1 if isinstance(time, int) else 0
    row = call.emit.reshape(call.emit.add(Slice(0, start, 1), apart), (batch, directions, hidden))
    last = row if batch_first else call.emit.transpose(row, (1, 0, 2))
    return [last, last]
