"""Recurrent networks."""

from __future__ import annotations

from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.importers.registry import UnsupportedFormError
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.ops import Concat, Recurrent, Slice


@ATEN.register("lstm", "gru", "rnn_tanh", "rnn_relu")
def _recurrent(call: Call) -> Result:
    """Emit one operator a layer, so that the last state of each layer can be taken.

    The initial states are not followed, and the cell state stands where the hidden state is: both
    are of one shape and made by the same steps.
    """
    if "data" in call:
        raise UnsupportedFormError("packed sequence")
    emit, x = call.emit, call.operand("input")
    kind = str(call.node.target).split(".")[1].split("_")[0]
    stored = call.operands("params")
    directions = 1 + bool(call.get("bidirectional"))
    bias = bool(call.get("has_biases"))
    layers = int(call.get("num_layers"))
    per_layer = directions * (4 if bias else 2)
    if len(stored) != layers * per_layer:
        raise UnsupportedFormError("projections")
    batch_first = bool(call.get("batch_first"))
    y: Operand = emit.transpose(x, (1, 0, 2)) if batch_first else x
    states: list[Operand] = []
    for layer in range(layers):
        hidden_weight = stored[layer * per_layer + 1]
        first = stored[layer * per_layer]
        op = Recurrent(kind, hidden_weight.shape[1], 1, directions == 2, bias)
        name = first.key if isinstance(first, Stored) else None
        y = emit.add(op, y, weights=name)
        if call.is_used(1) or (len(call.metas) > 2 and call.is_used(2)):
            states += _last_states(emit, y, hidden_weight.shape[1], directions)
    last = (emit.add(Concat(0), *states) if len(states) > 1 else states[0]) if states else None
    result = emit.transpose(y, (1, 0, 2)) if batch_first else y
    return (result, last, last)[: len(call.metas)]


def _last_states(emit: Emitter, y: Operand, hidden: int, directions: int) -> list[Operand]:
    """Return the state after the last step of each direction; backwards that is the first row."""
    if directions == 1:
        return [emit.add(Slice(0, _end(y.shape[0]), 1), y)]
    rows = [emit.add(Slice(0, start, 1), y) for start in (_end(y.shape[0]), 0)]
    return [emit.add(Slice(2, i * hidden, hidden), row) for i, row in enumerate(rows)]


def _end(time: object) -> int:
    # Where a view begins does not change what it costs; a symbolic length has no last number.
    return time - 1 if isinstance(time, int) else 0
