"""ONNX arithmetic on several tensors, and Einstein sums."""

from __future__ import annotations

from costmodel.errors import DataError
from costmodel.importers.einsum import einsum
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import HANDLERS, Call, Result
from costmodel.importers.patterns.pieces import Note
from costmodel.ops import Elementwise

_BINARY = {
    "Add": "add",
    "And": "and",
    "Div": "div",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Max": "max",
    "Min": "min",
    "Mod": "mod",
    "Mul": "mul",
    "Or": "or",
    "Pow": "pow",
    "Sub": "sub",
    "Sum": "add",
    "Xor": "xor",
}
_BITS = {"BitShift": "mul", "BitwiseAnd": "min", "BitwiseOr": "max", "BitwiseXor": "sub"}
"""Bitwise operations: one operation per element, same dtype."""
_COMMUTATIVE = frozenset({"add", "and", "equal", "max", "min", "mul", "or", "xor"})


@HANDLERS.register(*_BINARY)
def _binary(call: Call) -> Result:
    kind = _BINARY[call.kind]
    number, slot = _number(call)
    if number is not None:
        x = call.operand(1 - slot)
        if kind == "pow" and slot == 1 and number in (2.0, 0.5):
            return call.emit.add(Elementwise("square" if number == 2 else "sqrt"), x)
        if kind == "div" and slot == 0 and number == 1:
            return call.emit.add(Elementwise("reciprocal"), x)
        y = call.emit.add(Elementwise(kind, value=number), x)
        # As a field of the operator, the number has the place of the second input.
        return y if slot == 1 or kind in _COMMUTATIVE else call.emit.note(y, Note.OTHER)
    if kind == "pow":
        # The base gives the type, whatever type the exponent has.
        base, exponent = call.operand(0), call.operand(1)
        if exponent.tensor.dtype != base.tensor.dtype:
            y = call.emit.add(Elementwise(kind), exponent, base)
            return call.emit.note(y, Note.OTHER)
    return joined(call, kind)


def joined(call: Call, kind: str) -> Operand:
    """Emit ``kind`` over all inputs, one after the other."""
    first, *others = call.operands()
    for other in others:
        first = call.emit.add(Elementwise(kind), first, other)
    return first


def _number(call: Call) -> tuple[float | None, int]:
    """Return a known single number among two inputs, and its slot."""
    if len(call.node.input) == 2:
        for slot in (1, 0):
            value = call.peek(slot)
            single = value is not None and value.size == 1 and value.dtype != object
            if single and value.ndim <= len(call.operand(1 - slot).shape):
                return float(value.item()), slot
    return None, 0


@HANDLERS.register(*_BITS)
def _bits(call: Call) -> Result:
    y = call.emit.add(Elementwise(_BITS[call.kind]), call.operand(0), call.operand(1))
    return call.emit.note(y, Note.OTHER)


@HANDLERS.register("Mean")
def _mean(call: Call) -> Result:
    total = joined(call, "add")
    count = len(call.operands())
    return total if count == 1 else call.emit.add(Elementwise("mul", value=1 / count), total)


@HANDLERS.register("Where")
def _where(call: Call) -> Result:
    return call.emit.add(Elementwise("where"), *(_plain_number(x) for x in call.operands()))


def _plain_number(x: Operand) -> Operand:
    """Return a stored number as a constant: it is written in the network, not learned."""
    single = isinstance(x, Stored) and x.tensor.elements == 1
    return Stored(x.key, x.tensor, learned=False) if isinstance(x, Stored) and single else x


@HANDLERS.register("Einsum")
def _einsum(call: Call) -> Result:
    equation = call.attribute("equation")
    if not isinstance(equation, str):
        raise DataError("its equation is missing")
    return einsum(call.emit, equation, call.operands())
