"""Common parts of all importers: emitting nodes, stored tensors, placeholders, coverage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import networkx as nx

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, same
from costmodel.graph.builder import Builder, Value
from costmodel.importers.hidden import Hidden, coverage
from costmodel.importers.patterns.pieces import Note, Pattern
from costmodel.importers.patterns.shuffle import channel_shuffle
from costmodel.importers.patterns.together import put_together
from costmodel.importers.registry import Occurrence
from costmodel.ops import (
    BroadcastTo,
    Cast,
    Constant,
    Identity,
    Op,
    Parameter,
    Reshape,
    Slice,
    Transpose,
)
from costmodel.ops.tensor import Tensor


@dataclass(frozen=True)
class Stored:
    """A stored tensor of the source; it becomes a node only if it is used as an activation.

    Parameters
    ----------
    key : str
        The name under which it is stored; views of part of it have separate names.
    tensor : Tensor
        Its shape and dtype.
    learned : bool
        Whether it is a parameter; else a buffer or constant.
    trainable : bool, optional
        Whether a parameter gets gradients; None if the source does not say.
    """

    key: str
    tensor: Tensor
    learned: bool
    trainable: bool | None = None

    @property
    def shape(self) -> tuple[Dim, ...]:
        """Return the shape."""
        return self.tensor.shape

    def view(self, shape: Sequence[Dim], part: str = "") -> Stored:
        """Return a view in another shape; ``part`` names a view of part of it."""
        key = f"{self.key}[{part}]" if part else self.key
        return Stored(key, self.tensor.with_shape(*shape), self.learned, self.trainable)


Operand: TypeAlias = Value | Stored
"""A tensor of the source: computed, or stored."""


class Emitter:
    """Builds the graph of an importer.

    Parameters
    ----------
    name : str
        Name of the network.

    Examples
    --------
    >>> from costmodel.ops import Elementwise
    >>> emit = Emitter("net")
    >>> x = emit.input((1, 8), "float32", "x")
    >>> y = emit.add(Elementwise("add"), x, Stored("head.offset", Tensor((8,)), learned=True))
    >>> list(emit.finish([y]))
    ['x', 'head.offset', 'add', 'output']
    """

    def __init__(self, name: str) -> None:
        self._builder = Builder(name)
        self._module = ""
        self._stored: dict[tuple[str, tuple[Dim, ...]], Value] = {}
        self._from_input: set[str] = set()
        self._weights: dict[str, str] = {}
        self._kernels: list[Value] = []
        self._nodes: set[str] = set()
        self._biases: dict[str, str | None] = {}
        self._trainable: dict[str, list[bool | None]] = {}
        self._notes: dict[str, Note] = {}
        self._unknown: list[tuple[Occurrence, Hidden]] = []

    @contextmanager
    def module(self, path: str) -> Iterator[None]:
        """Put nodes emitted inside the ``with`` block into the module at dotted ``path``."""
        before, self._module = self._module, path
        try:
            yield
        finally:
            self._module = before

    def input(self, shape: Sequence[Dim], dtype: str, name: str) -> Value:
        """Emit an input of the network."""
        value = self._builder.input(tuple(shape), dtype, name)
        self._from_input.add(value.node)
        self._weights[value.node] = value.node
        return value

    def add(self, op: Op, *inputs: Operand, weights: str | None = None) -> Value:
        """Emit ``op`` and return its first output."""
        return self.add_many(op, *inputs, weights=weights)[0]

    def add_many(self, op: Op, *inputs: Operand, weights: str | None = None) -> tuple[Value, ...]:
        """Emit ``op`` and return all its outputs."""
        values = tuple(self.value(x) for x in inputs)
        outputs = self._emit(op, values, self._module, weights=weights)
        if any(value.node in self._from_input for value in values):
            self._from_input.add(outputs[0].node)
        return outputs

    def value(self, operand: Operand) -> Value:
        """Return ``operand`` as a value; a stored tensor becomes a node, once."""
        if isinstance(operand, Value):
            return operand
        place = (operand.key, operand.shape)
        if place not in self._stored:
            cls = Parameter if operand.learned else Constant
            module, _, name = operand.key.rpartition(".")
            op = cls(taken(operand.shape), operand.tensor.dtype)
            (value,) = self._emit(op, (), module, name, operand.key)
            self._stored[place] = value
            self._nodes.add(operand.key)
            self._learns(operand)
        return self._stored[place]

    def reshape(self, x: Operand, shape: Sequence[Dim]) -> Operand:
        """Return a view of ``x`` in another shape; stored tensors stay stored."""
        if len(shape) == len(x.shape) and all(map(same, shape, x.shape)):
            return x
        return x.view(shape) if isinstance(x, Stored) else self.add(Reshape(taken(tuple(shape))), x)

    def transpose(self, x: Operand, order: Sequence[int]) -> Operand:
        """Return a view of ``x`` with the axes in another order."""
        order = tuple(axis % len(x.shape) for axis in order)
        if order == tuple(range(len(order))):
            return x
        if isinstance(x, Stored):
            return x.view([x.shape[axis] for axis in order])
        return self.add(Transpose(order), x)

    def weight_name(self, weight: Operand, *others: Operand | None) -> str:
        """Return the weights name of an operator with these learned tensors.

        ``others`` are those behind the first, in the order of the operator.

        A computed weight has the name of its producer: as the first of that name
        the node counts, with its own learned tensors, so nothing counts twice. If the
        weight depends on an input of the network, it also becomes an output: the operator uses it
        without an edge, and its producer must not look like dead code.
        """
        if isinstance(weight, Stored) and weight.learned:
            self._learns(weight, *others)
            return weight.key
        value = self.value(weight)
        if value.node in self._from_input and value.node in self._weights:
            self._kernels.append(value)
        name = self._weights.get(value.node, value.node)  # an input is nobody's weight yet
        self._nodes.add(name)
        return name

    def owns_bias(self, weight: str, bias: Operand | None) -> bool:
        """Return whether ``bias`` always occurs with ``weight``: only then one operator has both.

        If the weight is already a node, that node counts, and it has no bias.
        """
        key = bias.key if isinstance(bias, Stored) else None
        owner = self._biases.setdefault(weight, None if weight in self._nodes else key)
        if isinstance(bias, Stored) and owner == key and weight in self._trainable:
            self._trainable[weight][1:] = [bias.trainable]
        return owner == key and key is not None

    def note(self, value: Value, note: Note) -> Value:
        """Record facts of the source that the fields of the operator of ``value`` do not keep."""
        self._notes[value.node] = note
        return value

    def placeholder(
        self,
        occurrence: Occurrence,
        outputs: Sequence[Tensor],
        inputs: Sequence[Operand],
        bounded: bool = True,
    ) -> tuple[Value, ...]:
        """Emit free views in place of an unknown operator, so that the graph stays connected.

        The outputs have the right shapes and depend on the first input. They cost nothing, apart
        from the conversion of one element if the dtype changes. The work that the operator may
        hide lowers the coverage (:func:`~costmodel.importers.hidden.coverage`).

        Parameters
        ----------
        occurrence : Occurrence
            The operator and its location.
        outputs : sequence of Tensor
            What it makes.
        inputs : sequence of Operand
            What it takes.
        bounded : bool
            Whether its shapes limit its work; False for an operator that runs another program.
        """
        taken_in = tuple(x.tensor for x in inputs)
        hidden = Hidden(taken_in, tuple(outputs), bounded and bool(outputs))
        self._unknown.append((occurrence, hidden))
        return tuple(self._stand_in(tensor, inputs) for tensor in outputs)

    @property
    def unknown(self) -> tuple[Occurrence, ...]:
        """The unknown operators met so far."""
        return tuple(occurrence for occurrence, _ in self._unknown)

    def finish(
        self, outputs: Sequence[Operand], patterns: Iterable[tuple[str, Pattern]] = ()
    ) -> nx.DiGraph:
        """Return the graph, with the coverage noted.

        Decomposed channel shuffles, and matches of ``patterns``, become one operator.
        """
        values = [*(self.value(x) for x in outputs), *self._kernels]
        graph = self._builder.finish(*values)
        found = {"channel_shuffle": channel_shuffle, **dict(patterns)}
        graph = put_together(graph, found, self._notes)
        for _, attributes in graph.nodes(data=True):
            flags = self._trainable.get(attributes["weights"], [None])
            if None not in flags:
                attributes["trainable"] = tuple(flags)
        graph.graph["coverage"] = coverage(graph, [hidden for _, hidden in self._unknown])
        graph.graph["unknown"] = tuple(
            f"{occurrence.label} at {occurrence.where}: {hidden.shapes}"
            for occurrence, hidden in self._unknown
        )
        return graph

    def _learns(self, *parts: Operand | None) -> None:
        """Note which learned tensors of an operator get gradients, by the name of the first."""
        stored = [part for part in parts if isinstance(part, Stored)]
        self._trainable.setdefault(stored[0].key, [part.trainable for part in stored])

    def _stand_in(self, tensor: Tensor, inputs: Sequence[Operand]) -> Value:
        if not inputs:
            return self.value(Stored(f"unknown_{len(self._unknown)}", tensor, learned=False))
        x = self.value(inputs[0])
        if x.tensor == tensor:
            return self.add(Identity(), x)
        flat = self.add(Reshape((-1,)), x)
        one = self.add(Slice(0, 0, 1), flat)
        if x.tensor.dtype != tensor.dtype:
            one = self.add(Cast(tensor.dtype), one)
        scalar = self.add(Reshape(()), one)
        return self.add(BroadcastTo(taken(tensor.shape)), scalar)

    def _emit(
        self,
        op: Op,
        values: tuple[Value, ...],
        module: str,
        name: str | None = None,
        weights: str | None = None,
    ) -> tuple[Value, ...]:
        if not module:
            made = self._builder.add_many(op, *values, name=name, weights=weights)
        else:
            with self._builder.module(module):
                made = self._builder.add_many(op, *values, name=name, weights=weights)
        self._weights[made[0].node] = weights or made[0].node
        return made
