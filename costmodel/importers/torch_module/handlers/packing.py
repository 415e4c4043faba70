"""Sequences of several lengths, packed row by row and padded again."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.ops import Contiguous, Pad, Slice


@ATEN.register("_pack_padded_sequence")
def _pack(call: Call) -> Result:
    """Copy the rows that are no padding; how many they are, the lengths say."""
    emit, x = call.emit, call.operand("input")
    rows, sizes = call.outputs
    y = emit.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))
    y = emit.add(Contiguous(), emit.add(Slice(0, 0, taken(rows.shape[0])), y))
    return y, Stored(f"{call.node.name} sizes", sizes, learned=False)


@ATEN.register("_pad_packed_sequence")
def _unpack(call: Call) -> Result:
    """Copy the rows and write the padding."""
    emit, x = call.emit, call.operand("data")
    padded, lengths = call.outputs
    first, second, *rest = padded.shape
    missing = first * second - x.shape[0]
    y: Operand = emit.add(Pad(((0, taken(missing)), *[(0, 0)] * len(rest))), x)
    y = emit.reshape(y, padded.shape)
    return y, Stored(f"{call.node.name} lengths", lengths, learned=False)
