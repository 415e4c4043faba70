"""ONNX lists of tensors and optional values, where their lengths are known."""

from __future__ import annotations

import numpy as np

from costmodel.importers.emitter import Operand
from costmodel.importers.onnx_file.call import HANDLERS, Call, Items, Made, Result
from costmodel.importers.onnx_file.handlers.pieces import cut
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import Concat

_MOST = 10_000
"""Longest list. [tensor]"""


def _items(call: Call, slot: int = 0) -> Items:
    found = call.made(slot)
    if not isinstance(found, Items):
        raise UnsupportedFormError("a tensor in place of a list")
    return found


def _place(call: Call, slot: int, length: int) -> int:
    value = call.known(slot)
    place = length if value is None else int(value.item())
    place = place + length if place < 0 else place
    if not 0 <= place <= length:
        raise UnsupportedFormError(f"place {place} of a list of {length}")
    return place


@HANDLERS.register("SequenceConstruct")
def _construct(call: Call) -> Result:
    return Items(tuple(call.operands()))


@HANDLERS.register("SequenceEmpty")
def _empty(call: Call) -> Result:
    return Items(())


@HANDLERS.register("SequenceInsert")
def _insert(call: Call) -> Result:
    items = _items(call).tensors
    if len(items) >= _MOST:
        raise UnsupportedFormError(f"a list of more than {_MOST} tensors")
    place = _place(call, 2, len(items))
    return Items((*items[:place], call.operand(1), *items[place:]))


@HANDLERS.register("SequenceErase")
def _erase(call: Call) -> Result:
    items = _items(call).tensors
    place = _place(call, 1, len(items)) if call.has(1) else len(items) - 1
    return Items((*items[:place], *items[place + 1 :]))


@HANDLERS.register("SequenceAt")
def _at(call: Call) -> Result:
    items = _items(call).tensors
    place = _place(call, 1, len(items))
    if place == len(items):
        raise UnsupportedFormError(f"place {place} of a list of {len(items)}")
    return items[place]


@HANDLERS.register("SequenceLength")
def _length(call: Call) -> Result:
    call.walk.note_known(call.node.output[0], np.asarray(len(_items(call).tensors)))
    return [None]


@HANDLERS.register("SplitToSequence")
def _split(call: Call) -> Result:
    x = call.operand()
    axis = call.axis(len(x.shape))
    length = x.shape[axis]
    given = call.known(1)
    if not isinstance(length, int):
        raise UnsupportedFormError("an axis of unknown length")
    if given is None:
        sizes = [1] * length
    elif given.ndim:
        sizes = [int(v) for v in given]
    else:
        step = int(given.item())
        if step < 1:
            raise UnsupportedFormError(f"parts of {step}")
        sizes = [min(step, length - start) for start in range(0, length, step)]
    if len(sizes) > _MOST:
        raise UnsupportedFormError(f"a list of more than {_MOST} tensors")
    parts = cut(call, x, axis, sizes)
    if given is None and not call.attribute("keepdims", 1):
        parts = [_without(call, part, axis) for part in parts]
    return Items(tuple(parts))


def _without(call: Call, x: Operand, axis: int) -> Operand:
    return call.emit.reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :]))


@HANDLERS.register("ConcatFromSequence")
def _concat(call: Call) -> Result:
    items = _items(call).tensors
    if not items:
        raise UnsupportedFormError("an empty list")
    parts: list[Operand] = list(items)
    rank = len(parts[0].shape)
    if call.attribute("new_axis", 0):
        axis = call.axis(rank + 1)
        parts = [call.emit.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:])) for x in parts]
    else:
        axis = call.axis(rank)
    return call.emit.add(Concat(axis), *parts)


@HANDLERS.register("Optional")
def _optional(call: Call) -> Result:
    return call.made() if call.has(0) else Items((), optional=True)


@HANDLERS.register("OptionalHasElement")
def _has_element(call: Call) -> Result:
    found: Made | None = call.made() if call.has(0) else None
    there = found is not None and not (isinstance(found, Items) and found.optional)
    call.walk.note_known(call.node.output[0], np.asarray(there))
    return [None]


@HANDLERS.register("OptionalGetElement")
def _get_element(call: Call) -> Result:
    found = call.made()
    if isinstance(found, Items) and found.optional:
        raise UnsupportedFormError("an optional value that is empty")
    return found
