"""Recurrent layers, step by step."""

from __future__ import annotations

from typing import Any

from costmodel.testing import Count
from costmodel.testing.counting import Shape
from oracles.arithmetic import OPERATIONS
from oracles.loops import ORACLES


@ORACLES.register("RecurrentSteps")
def recurrent_steps(op: Any, x: Shape) -> Count:
    time, n, _ = x
    machine = Machine()
    for _ in range(time):
        machine.step(op.kind, n, op.hidden, op.bias, op.projection)
    machine.count.outputs = [(time, n, op.projection or op.hidden)]
    return machine.count


@ORACLES.register("Recurrent")
def recurrent(op: Any, x: Shape) -> Count:
    time, n, features = x
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[op.kind]
    machine = Machine()
    for _ in range(op.layers):
        for _ in range(2 if op.bidirectional else 1):
            machine.linear(time * n, features, gates * op.hidden, op.bias)
            for _ in range(time):
                machine.step(op.kind, n, op.hidden, op.bias, op.projection)
        features = (op.projection or op.hidden) * (2 if op.bidirectional else 1)
        if op.bidirectional:  # the directions are put side by side: a copy
            machine.count.reads += time * n * features
            machine.count.writes += time * n * features
    machine.count.outputs = [(time, n, features)]
    return machine.count


class Machine:
    """Counts what a step-by-step run of a cell moves and computes; values are element counts."""

    def __init__(self) -> None:
        self.count = Count(reads=0, weight_reads=0, writes=0)

    def elementwise(self, kind: str, *operands: int) -> int:
        for _ in range(max(operands)):
            self.count.elementwise += OPERATIONS[kind]
        self.count.reads += sum(operands)
        self.count.writes += max(operands)
        return max(operands)

    def linear(self, rows: int, features: int, out: int, bias: bool) -> int:
        for _ in range(rows):
            for _ in range(out):
                for _ in range(features):
                    self.count.multiply_adds += 1
                self.count.elementwise += bias
        self.count.reads += rows * features
        self.count.weight_reads += out * features + bias * out
        self.count.writes += rows * out
        return rows * out

    def step(self, kind: str, n: int, hidden: int, bias: bool, projection: int) -> None:
        """One time step; the gates of the input are there already, cut into views."""
        part = n * hidden
        if kind == "rnn":
            self.elementwise(
                "tanh", self.elementwise("add", part, self.linear(n, hidden, hidden, bias))
            )
        elif kind == "lstm":
            state = projection or hidden
            self.elementwise("add", 4 * part, self.linear(n, state, 4 * hidden, bias))
            for activation in ("sigmoid", "sigmoid", "tanh", "sigmoid"):
                self.elementwise(activation, part)
            self.elementwise("mul", part, part)  # forget the old cell
            self.elementwise("mul", part, part)  # let the new one in
            self.elementwise("add", part, part)
            self.elementwise("tanh", part)
            self.elementwise("mul", part, part)  # let it out
            if projection:
                self.linear(n, hidden, projection, False)
        else:
            self.linear(n, hidden, 3 * hidden, bias)
            for _ in ("reset", "update"):
                self.elementwise("add", part, part)
                self.elementwise("sigmoid", part)
            self.elementwise("mul", part, part)  # reset the old state
            self.elementwise("add", part, part)
            self.elementwise("tanh", part)
            self.elementwise("sub", part, part)  # n + z (h - n)
            self.elementwise("mul", part, part)
            self.elementwise("add", part, part)
