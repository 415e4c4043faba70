"""Recurrent networks: LSTM, GRU and the simple cell."""

from __future__ import annotations

from dataclasses import dataclass, replace

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, same
from costmodel.errors import ShapeError, suggest
from costmodel.ops.base import Expansion, Op, Program, need_rank
from costmodel.ops.elementwise import Elementwise
from costmodel.ops.matmul import Linear
from costmodel.ops.movement import Concat, Split
from costmodel.ops.product import Product
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import check_sizes

GATES: dict[str, int] = {"lstm": 4, "gru": 3, "rnn": 1}
"""Gates of each kind of cell."""
_MOST_LAYERS = 1000


@dataclass(frozen=True, slots=True)
class Recurrent(Op):
    r"""Recurrent layers over a sequence ``[time, batch, features]``.

    Parameters
    ----------
    kind : {"lstm", "gru", "rnn"}
        The cell.
    hidden : Dim
        Hidden features ``H``. [1]
    layers : int
        Number of stacked layers.
    bidirectional : bool
        Whether each layer also runs backwards; the outputs are concatenated.
    bias : bool
        Whether each of the two products of a cell has a bias (as in PyTorch).
    projection : Dim
        Size ``P`` of the projected hidden state of an LSTM; 0 for no projection. [1]

    Notes
    -----
    A layer is one product of all inputs with the input weights, followed by sequential steps, each
    a product with the hidden weights and the gate arithmetic. With ``T`` steps, a batch of ``n``,
    ``G`` gates and ``I`` input features:

    .. math:: B = T n\, G H (I + H) \qquad B = T n\, H (G (I + P) + P) \text{ with a projection}

    The steps depend on each other, so the span grows with ``T`` and every step reads the hidden
    weights.

    Examples
    --------
    >>> lstm = Recurrent("lstm", 128)
    >>> lstm.infer(Tensor((10, 1, 64)))[0].shape
    (10, 1, 128)
    """

    kind: str
    hidden: Dim
    layers: int = 1
    bidirectional: bool = False
    bias: bool = True
    projection: Dim = 0
    kernel_kinds = ("recurrent",)

    def __post_init__(self) -> None:
        if self.kind not in GATES:
            raise ShapeError(f"unknown cell {self.kind!r}; {suggest(self.kind, GATES)}")
        check_sizes(self, "hidden")
        _check_projection(self)
        if not isinstance(self.layers, int) or not 1 <= self.layers <= _MOST_LAYERS:
            raise ShapeError(f"Recurrent layers must lie between 1 and {_MOST_LAYERS}")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        need_rank(self, inputs[0], 3, "time, batch, features")
        time, batch, _ = inputs[0].shape
        return (inputs[0].with_shape(time, batch, _state(self) * (1 + self.bidirectional)),)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        gates = GATES[self.kind] * self.hidden
        learned: list[Tensor] = []
        features = x.shape[-1]
        for _ in range(self.layers):
            for _ in range(1 + self.bidirectional):
                learned += [x.with_shape(gates, features), x.with_shape(gates, _state(self))]
                learned += [x.with_shape(gates)] * (2 * self.bias)
                if _projects(self):
                    learned.append(x.with_shape(self.projection, self.hidden))
            features = _state(self) * (1 + self.bidirectional)
        return tuple(learned)

    def expand(self, *inputs: Tensor) -> Expansion:
        self.infer(*inputs)
        program = Program(list(inputs))
        layer = 0
        for _ in range(self.layers):
            directions = [self._direction(program, layer) for _ in range(1 + self.bidirectional)]
            joined = program.add(Concat(-1), *directions) if self.bidirectional else directions[0]
            layer = joined
        return program.finish(layer)

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        # Layers and directions of one size are one product with several runs. The product of all
        # inputs and that of each step alternate and stay separate.
        merged: list[tuple[int, Product]] = []
        for number, found in enumerate(Op.products(self, *inputs)):
            for i, (turn, p) in enumerate(merged):
                alike = same(p.m, found.m) and same(p.n, found.n) and same(p.k, found.k)
                if turn == number % 2 and alike:
                    merged[i] = turn, replace(p, times=p.times + found.times)
                    break
            else:
                merged.append((number % 2, found))
        return tuple(p for _, p in merged)

    def _direction(self, program: Program, x: int) -> int:
        gates = program.add(Linear(taken(GATES[self.kind] * self.hidden), bias=self.bias), x)
        steps = RecurrentSteps(self.kind, taken(self.hidden), self.bias, taken(self.projection))
        return program.add(steps, gates)


@dataclass(frozen=True, slots=True)
class RecurrentSteps(Op):
    """The steps of one recurrent layer, after the product of all inputs.

    Parameters
    ----------
    kind, hidden, bias, projection
        As in :class:`Recurrent`.

    Examples
    --------
    >>> steps = RecurrentSteps("rnn", 8)
    >>> steps.infer(Tensor((10, 1, 8)))[0].shape, steps.weights(Tensor((10, 1, 8)))[0].shape
    ((10, 1, 8), (8, 8))
    """

    kind: str
    hidden: Dim
    bias: bool = True
    projection: Dim = 0
    kernel_kinds = ("recurrent",)

    def __post_init__(self) -> None:
        if self.kind not in GATES:
            raise ShapeError(f"unknown cell {self.kind!r}; {suggest(self.kind, GATES)}")
        check_sizes(self, "hidden")
        _check_projection(self)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        need_rank(self, inputs[0], 3, "time, batch, gates")
        time, batch, gates = inputs[0].shape
        if not same(gates, GATES[self.kind] * self.hidden):
            raise ShapeError(
                f"RecurrentSteps {self.kind} of {self.hidden} features needs "
                f"{GATES[self.kind]} times as many gates, got {inputs[0]}"
            )
        return (inputs[0].with_shape(time, batch, _state(self)),)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x,) = inputs
        gates = x.shape[-1]
        bias = (x.with_shape(gates),) if self.bias else ()
        last = (x.with_shape(self.projection, self.hidden),) if _projects(self) else ()
        return (x.with_shape(gates, _state(self)), *bias, *last)

    def expand(self, *inputs: Tensor) -> Expansion:
        (x,) = inputs
        time, batch, gates = x.shape
        state, cell = x.with_shape(batch, _state(self)), x.with_shape(batch, self.hidden)
        # Values: this step's gates from the input, the hidden state, the cell state.
        program = Program([x.with_shape(batch, gates), state, cell])
        product = program.add(Linear(taken(gates), bias=self.bias), 1)
        hidden = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}[self.kind](program, product)
        if _projects(self):
            hidden = program.add(Linear(taken(self.projection), bias=False), hidden)
        return program.finish(hidden, times=time)


def _projects(op: Recurrent | RecurrentSteps) -> bool:
    return not (isinstance(op.projection, int) and op.projection == 0)


def _state(op: Recurrent | RecurrentSteps) -> Dim:
    """Return the features of the hidden state, the output of the layer."""
    return op.projection if _projects(op) else op.hidden


def _check_projection(op: Recurrent | RecurrentSteps) -> None:
    check_sizes(op, "projection", smallest=int(_projects(op)))
    if _projects(op) and op.kind != "lstm":
        raise ShapeError(f"only an LSTM has a projection, got {op.kind!r}")


def _unary(program: Program, kind: str, value: int) -> int:
    return program.add(Elementwise(kind), value)


def _binary(program: Program, kind: str, a: int, b: int) -> int:
    return program.add(Elementwise(kind), a, b)


def _rnn(program: Program, product: int) -> int:
    return _unary(program, "tanh", _binary(program, "add", 0, product))


def _lstm(program: Program, product: int) -> int:
    first = program.add(Split(-1, 4), _binary(program, "add", 0, product))
    i, f, o = (_unary(program, "sigmoid", first + gate) for gate in (0, 1, 3))
    g = _unary(program, "tanh", first + 2)
    cell = _binary(program, "add", _binary(program, "mul", f, 2), _binary(program, "mul", i, g))
    return _binary(program, "mul", o, _unary(program, "tanh", cell))


def _gru(program: Program, product: int) -> int:
    new = program.add(Split(-1, 3), 0)
    old = program.add(Split(-1, 3), product)
    r = _unary(program, "sigmoid", _binary(program, "add", new, old))
    z = _unary(program, "sigmoid", _binary(program, "add", new + 1, old + 1))
    reset = _binary(program, "mul", r, old + 2)
    n = _unary(program, "tanh", _binary(program, "add", new + 2, reset))
    # h' = n + z (h - n)
    step = _binary(program, "mul", z, _binary(program, "sub", 1, n))
    return _binary(program, "add", n, step)
