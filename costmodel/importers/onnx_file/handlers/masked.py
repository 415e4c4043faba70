"""Attention that is written out with a mask: where the mask is causal, the triangle is counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from costmodel.importers.emitter import Operand
from costmodel.importers.onnx_file.call import Call
from costmodel.importers.onnx_file.load import attribute
from costmodel.ops import Attention

_HIDES = -1e4
"""Largest number that a mask adds to hide a key."""
_SCALES = ("Div", "Mul")
_LONGEST = 4
"""Most nodes between the scores and their softmax: scales and the mask."""


def is_triangle(mask: Any, q: Operand, k: Operand) -> bool:
    """Return whether a known mask hides exactly the keys after each query.

    The last two axes but one of ``q`` and ``k`` are the queries and the keys.
    """
    length, keys = q.shape[-2], k.shape[-2]
    if mask is None or mask.ndim < 2 or mask.dtype == object:
        return False
    rows = mask.reshape(-1, *mask.shape[-2:])
    if rows.shape[1:] != (length, keys) or length != keys or length < 2:
        return False
    seen = np.tril(np.ones((length, length), bool))
    shown = rows if mask.dtype == bool else rows == 0
    hidden = ~rows if mask.dtype == bool else rows <= _HIDES
    return bool(np.all(shown == seen) and np.all(hidden == ~seen))


def masked_later(call: Call, a: Operand, b: Operand) -> bool:
    """Return whether ``a @ b`` is the product of queries and keys under a causal mask.

    Then all nodes up to the product with the values are done by the last of them.
    """
    if len(a.shape) < 3 or len(a.shape) != len(b.shape):
        return False
    found = _chain(call)
    if found is None:
        return False
    nodes, mask, last = found
    k = call.emit.transpose(b, _swapped(b)) if call.walk.mask(mask) is not None else b
    causal = k is not b and is_triangle(call.walk.mask(mask), a, k)
    call.walk.note_mask(causal)
    if causal:
        for node in nodes:
            call.walk.skip(node)
        call.walk.keep_for(last, (a, k))
    return causal


def attended(call: Call, v: Operand) -> Operand | None:
    """Return the attention of which this product is the last step, or None."""
    kept = call.walk.kept_for(call.node)
    if kept is None:
        return None
    return call.emit.add(Attention(causal=True), *kept, v)


def _chain(call: Call) -> tuple[list[Any], str, Any] | None:
    """Return scales, mask and softmax behind the product; the mask; the product behind them."""
    nodes: list[Any] = []
    name, mask = call.node.output[0], ""
    for _ in range(_LONGEST):
        node = call.walk.only_taker(name)
        if node is None or not node.output:
            return None
        others = [other for other in node.input if other != name]
        if node.op_type == "Add" and len(others) == 1 and not mask:
            mask = others[0]
        elif node.op_type in _SCALES and len(others) == 1 and _is_number(call, others[0]):
            pass
        elif node.op_type == "Softmax" and mask:
            return _ended(call, [*nodes, node], mask)
        else:
            return None
        nodes.append(node)
        name = node.output[0]
    return None


def _ended(call: Call, nodes: list[Any], mask: str) -> tuple[list[Any], str, Any] | None:
    softmax = nodes[-1]
    last = call.walk.only_taker(softmax.output[0])
    along = attribute(softmax, "axis", -1)
    if last is None or last.op_type != "MatMul" or last.input[0] != softmax.output[0]:
        return None
    rank = len(call.operand(0).shape)
    return (nodes, mask, last) if along in (-1, rank - 1) else None


def _is_number(call: Call, name: str) -> bool:
    value = call.walk.known(name)
    return value is not None and value.size == 1


def _swapped(x: Operand) -> tuple[int, ...]:
    rank = len(x.shape)
    return (*range(rank - 2), rank - 1, rank - 2)
