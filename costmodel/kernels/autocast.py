"""Automatic mixed precision: the casts that PyTorch's autocast puts before operators.

Products take a lower precision, what sums many numbers float32, by PyTorch's published lists
(``autocast.toml``). A cast of a tensor is a kernel of its own unless the runtime fuses it with
other element-wise kernels; where an element-wise operator or a concatenation reads two dtypes, it
converts them itself. Learned tensors are cast once a forward pass, whatever uses them, and
beforehand where the runtime folds constants; activations for each operator that asks for them, or
once where a compiler finds the casts that are alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import same
from costmodel.errors import DataError
from costmodel.graph import Node, Source, infer_node
from costmodel.ops import (
    OPERATORS,
    Cast,
    Constant,
    Elementwise,
    GroupNorm,
    Merge,
    Op,
    Parameter,
    Scatter,
)
from costmodel.ops.tensor import DTYPE_BYTES, FLOATING, Tensor
from costmodel.reading import parse_toml

_FILE = "autocast.toml"
_LISTS = ("lower", "full", "raised", "widest")
_FULL = "float32"
_NEVER = ("float64", "float8")
"""Floating-point dtypes that autocast leaves alone."""


def autocast(nodes: Iterable[Node], dtype: str, hardware: str, shared: bool) -> list[Node]:
    """Return the nodes of a network as they run under autocast to ``dtype``.

    Parameters
    ----------
    nodes : iterable of Node
        The network, in order.
    dtype : str
        ``"float16"`` or ``"bfloat16"``.
    hardware : {"cpu", "gpu"}
        Whose lists apply.
    shared : bool
        Whether an activation that several operators ask for is cast once.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.graph import nodes_in_order
    >>> found = autocast(nodes_in_order(zoo.pointwise(56, 56, 24, 48)), "float16", "gpu", False)
    >>> [(node.name, str(node.outputs[0])) for node in found if isinstance(node.op, Cast)]
    [('conv.weight0.cast', 'float16[48, 24, 1, 1]'), ('conv.input0.cast', 'float16[1, 24, 56, 56]')]
    """
    casts = _Autocast(LISTS[hardware], dtype, shared)
    for node in nodes:
        casts.add(node)
    return casts.found


@dataclass
class _Autocast:
    """Walks the nodes in order and puts casts before them.

    ``learned`` are nodes that depend on stored tensors alone, ``bare`` products without a bias.
    """

    lists: Mapping[str, str]
    dtype: str
    shared: bool
    found: list[Node] = field(default_factory=list)
    made: dict[Source, Tensor] = field(default_factory=dict)
    learned: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    known: dict[tuple[Source | tuple[str, int], str], Source] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """Add an operator and the casts before it."""
        inputs = tuple(self.made[source] for source in node.sources)
        rule = next((self.lists[n] for n in _names(node.op, inputs) if n in self.lists), "")
        if self._is_bias(node, inputs):
            rule = "lower"
        to = {"lower": self.dtype, "full": _FULL, "widest": _widest(inputs)}.get(rule, "")
        weights = self._cast_weights(node, to) if rule == "lower" else ()
        sources = tuple(self._cast(node, i, to) for i in range(len(inputs)))
        inputs = tuple(self.made[source] for source in sources)
        outputs = _outputs(node, inputs)
        if rule == "raised":
            outputs = tuple(_in(y, _FULL) if _castable(y, _FULL) else y for y in outputs)
        if isinstance(node.op, Parameter | Constant) or self._all_learned(node):
            self.learned.add(node.name)
        if rule == "lower" and not getattr(node.op, "bias", False):
            self.bare.add(node.name)
        self._append(
            node._replace(inputs=inputs, outputs=outputs, sources=(*sources, *weights)),
        )

    def _all_learned(self, node: Node) -> bool:
        return bool(node.sources) and all(name in self.learned for name, _ in node.sources)

    def _is_bias(self, node: Node, inputs: tuple[Tensor, ...]) -> bool:
        """Return whether an addition is the bias of a product whose learned tensors are computed.

        The operator takes such a bias itself, as the others: of one value a channel or feature.
        """
        if not isinstance(node.op, Elementwise) or node.op.kind != "add" or len(inputs) != 2:
            return False
        (product, _), (bias, _) = node.sources
        x, y = inputs
        if product not in self.bare or bias not in self.learned or x.rank < 2:
            return False
        return (y.rank == 1 or (x.rank, y.rank) == (4, 3)) and same(y.elements, y.shape[0])

    def _append(self, node: Node) -> None:
        self.found.append(node)
        self.made.update({(node.name, i): tensor for i, tensor in enumerate(node.outputs)})

    def _cast(self, node: Node, slot: int, to: str) -> Source:
        """Return the source of an input in the dtype that the operator asks for."""
        source = node.sources[slot]
        x = self.made[source]
        if not to or not _castable(x, to):
            return source
        once = self.shared or source[0] in self.learned
        if not once or (source, to) not in self.known:
            name = f"{node.name}.input{slot}.cast"
            self.known[source, to] = self._cast_node(name, node, source, to)
        return self.known[source, to]

    def _cast_node(self, name: str, node: Node, source: Source, to: str) -> Source:
        x = self.made[source]
        self._append(Node(name, Cast(to), (x,), (_in(x, to),), node.module, name, (source,)))
        return name, 0

    def _cast_weights(self, node: Node, to: str) -> tuple[Source, ...]:
        """Return the sources of the learned tensors that are cast."""
        found = []
        for i, weight in enumerate(node.op.weights(*node.inputs)):
            if not _castable(weight, to):
                continue
            key = ((node.weights, i), to)
            if key not in self.known:
                name = f"{node.name}.weight{i}"
                op = Parameter(taken(weight.shape), weight.dtype)
                self._append(Node(name, op, (), (weight,), node.module, name))
                self.known[key] = self._cast_node(f"{name}.cast", node, (name, 0), to)
            found.append(self.known[key])
        return tuple(found)


def _names(op: Op, inputs: Sequence[Tensor]) -> Iterator[str]:
    """Yield the names that lists may have for an operator, the more special first."""
    name = type(op).__name__
    kind = getattr(op, "kind", "")
    if isinstance(op, GroupNorm) and same(op.groups, inputs[0].shape[1]):
        kind = "instance"  # a batch normalization inside, which takes what it is given
        yield f"{name}.{kind}"
        return
    if kind:
        yield f"{name}.{kind}"
    yield name


def _outputs(node: Node, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the outputs of an operator that converts inputs of different dtypes itself."""
    # A tensor that is written into keeps its dtype.
    to = inputs[0].dtype if isinstance(node.op, Merge | Scatter) else _widest(inputs)
    alike = tuple(_in(x, to) if to and _castable(x, to) else x for x in inputs)
    return infer_node(node.name, node.op, alike)


def _widest(inputs: Sequence[Tensor]) -> str:
    """Return the dtype that floating-point inputs are promoted to, ``""`` without any.

    A tensor of one element and no axes does not raise the dtype of others.
    """
    floating = [x for x in inputs if x.dtype in FLOATING]
    found = [x for x in floating if x.rank] or floating
    dtypes = {x.dtype for x in found}
    if len(dtypes) > 1 and all(DTYPE_BYTES[dtype] == 2 for dtype in dtypes):
        return _FULL  # float16 and bfloat16
    return max(dtypes, key=DTYPE_BYTES.__getitem__, default="")


def _castable(x: Tensor, to: str) -> bool:
    return x.dtype in FLOATING and x.dtype not in (*_NEVER, to) and to in FLOATING


def _in(x: Tensor, dtype: str) -> Tensor:
    return Tensor.inferred(x.shape, dtype)


def read_lists(text: str) -> dict[str, dict[str, str]]:
    """Return, by kind of hardware, the list that each operator is in.

    Parameters
    ----------
    text : str
        TOML: for each kind of hardware a ``source`` and the lists ``lower``, ``full``, ``raised``
        and ``widest`` of names of operators, ``"Softmax"`` or with their kind ``"Reduce.sum"``.

    Raises
    ------
    DataError
        If a list or a source is missing, or a name is in two lists or is no operator's.

    Examples
    --------
    >>> read_lists("[gpu]")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: autocast.toml: gpu: its fields must be source, lower, full, ...
    """
    return {kind: _lists(table, f"{_FILE}: {kind}") for kind, table in parse_toml(text).items()}


def _lists(table: Mapping[str, Any], where: str) -> dict[str, str]:
    if set(table) != {"source", *_LISTS}:
        raise DataError(f"{where}: its fields must be source, {', '.join(_LISTS)}")
    found: dict[str, str] = {}
    for rule in _LISTS:
        for name in table[rule]:
            if name in found or name.partition(".")[0] not in OPERATORS:
                raise DataError(f"{where}: {name!r} must be an operator in one list")
            found[name] = rule
    return found


LISTS: Mapping[str, Mapping[str, str]] = read_lists(
    (resources.files(__package__) / _FILE).read_text(encoding="utf-8")
)
"""By kind of hardware, the list that each operator is in."""
