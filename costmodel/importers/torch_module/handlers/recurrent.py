"""Recurrent networks."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim
from costmodel.importers.emitter import Emitter, Operand, Stored
from costmodel.importers.registry import UnsupportedFormError
from costmodel.importers.torch_module.call import ATEN, Call, Result, packet_name
from costmodel.ops import Concat, Contiguous, Recurrent, Scatter, Slice, StridedView

_MODES = ("rnn", "rnn", "lstm", "gru")
"""Torch's numbers of the cells (``rnn_relu``, ``rnn_tanh``, ``lstm``, ``gru``)."""


@ATEN.register("lstm", "gru", "rnn_tanh", "rnn_relu", "costmodel.recurrent")
def _recurrent(call: Call) -> Result:
    """Emit one operator per layer, so that the last state of each layer is available.

    The initial states are not tracked, and the hidden state replaces the cell state, which is
    made by the same steps.
    """
    kind = call.get("mode", packet_name(call.node.target)).split("_")[0]
    stored = call.operands("params")
    directions = 1 + bool(call.get("bidirectional"))
    bias = bool(call.get("has_biases"))
    layers = int(call.get("num_layers"))
    per_direction = 4 if bias else 2
    # A projection has one more weight, behind the others of its direction.
    projects = len(stored) == layers * directions * (per_direction + 1)
    per_direction += projects
    if len(stored) != layers * directions * per_direction:
        raise UnsupportedFormError(f"{len(stored)} weights of {layers} layers")
    emit, batch_first = call.emit, bool(call.get("batch_first"))
    y = call.operand("input", "data")
    y = emit.transpose(y, (1, 0, 2)) if batch_first else y
    states: list[Operand] = []
    for layer in range(layers):
        own = stored[layer * directions * per_direction :][:per_direction]
        hidden = own[0].shape[0] // {"lstm": 4, "gru": 3, "rnn": 1}[kind]
        op = Recurrent(kind, hidden, 1, directions == 2, bias, own[1].shape[1] if projects else 0)
        whole = stored[layer * directions * per_direction :][: directions * per_direction]
        name = emit.weight_name(*whole) if isinstance(own[0], Stored) else None
        y = _packed(call, op, y, name) if "data" in call else emit.add(op, y, weights=name)
        if call.is_used(1) or (len(call.metas) > 2 and call.is_used(2)):
            states += _last_states(emit, y, own[1].shape[1], directions)
    last = [_stacked(call, states, i) for i in range(1, len(call.metas))]
    result = emit.transpose(y, (1, 0, 2)) if batch_first else y
    return (result, *last)


def _stacked(call: Call, states: list[Operand], output: int) -> Operand | None:
    """Return the last states of all layers as a view of the layer outputs.

    The cells of an LSTM with a projection are wider than that, and which rows of a packed sequence
    are last depends on the data: there it is a view of the right shape.
    """
    if not call.is_used(output):
        return None
    y = call.emit.add(Concat(0), *states) if len(states) > 1 else states[0]
    wanted = call.outputs[output]
    if y.tensor.elements == wanted.elements:
        return call.emit.reshape(y, wanted.shape)
    return call.emit.add(StridedView(taken(wanted.shape)), y)


def _packed(call: Call, op: Recurrent, rows: Operand, name: str | None) -> Operand:
    """Emit a layer on sequences of several lengths, packed row by row.

    How many sequences are left at each step depends on the data. All steps count as equally many,
    and the rows that are over as steps of one sequence: no row is left out or counted twice.
    """
    emit, steps = call.emit, call.operand("batch_sizes").shape[0]
    count, features = rows.shape
    width = count // steps
    parts = [(steps, width, 0), (count - steps * width, 1, steps * width)]
    made: list[Operand] = []
    for time, batch, start in parts:
        if isinstance(time, int) and time == 0:
            continue
        part = emit.add(Slice(0, start, time * batch), rows) if len(parts) > 1 else rows
        y = emit.add(op, emit.reshape(part, (time, batch, features)), weights=name)
        made.append(emit.reshape(y, (time * batch, y.shape[-1])))
    return emit.add(Concat(0), *made) if len(made) > 1 else made[0]


@ATEN.register("_pack_padded_sequence")
def _pack(call: Call) -> Result:
    """Copy the rows without padding, step by step; the rows of each step are a number."""
    rows = call.emit.add(StridedView(taken(call.output.shape)), call.operand("input"))
    sizes = Stored(f"{call.node.name}_sizes", call.outputs[1], learned=False)
    return call.emit.add(Contiguous(), rows), sizes


@ATEN.register("_pad_packed_sequence")
def _pad(call: Call) -> Result:
    """Write the rows into a tensor of padding."""
    padding = Stored(f"{call.node.name}_padding", call.output, learned=False)
    y = call.emit.add(Scatter(), padding, call.operand("data"))
    return y, Stored(f"{call.node.name}_lengths", call.outputs[1], learned=False)


@ATEN.register("mkldnn_rnn_layer")
def _one_layer(call: Call) -> Result:
    """Emit one direction of one layer, as torch runs it on CPUs."""
    weight = call.operand("weight0")
    bias = bool(call.get("has_biases"))
    others = [call.operand(f"weight{i}") for i in range(1, 4 if bias else 2)]
    name = call.emit.weight_name(weight, *others) if isinstance(weight, Stored) else None
    op = Recurrent(_MODES[call.get("mode")], call.size("hidden_size"), 1, False, bias)
    x = call.operand("input")
    if call.get("batch_first"):
        x = call.emit.transpose(x, (1, 0, 2))
    y = call.emit.add(op, x, weights=name)
    state = _last_states(call.emit, y, op.hidden, 1)[0]
    states = [call.emit.reshape(state, meta.shape) for meta in call.outputs[1:3]]
    return (call.emit.reshape(y, call.output.shape), *states, None)


def _last_states(emit: Emitter, y: Operand, hidden: Dim, directions: int) -> list[Operand]:
    """Return the state after the last step of each direction; backwards that is the first row."""
    if len(y.shape) == 2:  # packed: which rows are last depends on the data
        return [y]
    if directions == 1:
        return [emit.add(Slice(0, _end(y.shape[0]), 1), y)]
    rows = [emit.add(Slice(0, start, 1), y) for start in (_end(y.shape[0]), 0)]
    return [emit.add(Slice(2, i * hidden, hidden), row) for i, row in enumerate(rows)]


def _end(time: object) -> int:
    # The start of a view does not affect its cost; a symbolic length has no last number.
    return time - 1 if isinstance(time, int) else 0
