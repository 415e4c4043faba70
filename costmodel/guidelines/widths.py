"""Layers that share the channels of one tensor, whose widths must change together.

The outputs of convolutions and linear layers are *classes* of channels. Operators that process each
channel separately pass the class on (activations, norms, pooling, depthwise convolutions); an
addition merges classes. A class whose width is fixed by an output of the network, a split or an
unknown operator is not changed. Layers with the same learned tensors
have the same numbers of input and output channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from costmodel.algebra.symbols import Dim
from costmodel.graph import Node, Source, infer_node
from costmodel.guidelines.drafts import Draft, Drafts, in_order, need
from costmodel.ops import (
    AdaptivePool,
    BatchNorm,
    Cast,
    ChannelShuffle,
    Concat,
    Contiguous,
    Conv,
    Elementwise,
    Identity,
    Input,
    Linear,
    Op,
    Pool,
    PReLU,
    Reshape,
    Resize,
)
from costmodel.ops.tensor import Tensor

_KEEPING = (
    AdaptivePool, BatchNorm, Cast, ChannelShuffle, Contiguous, Identity, Pool, PReLU, Resize,
)  # fmt: skip
"""Operators that process each channel separately; a shuffle only changes their order."""


@dataclass
class Class:
    """Channels whose number must be equal.

    Parameters
    ----------
    width : int
        Their number. [1]
    makers : list of str
        The layers that output them.
    fixed : bool
        Whether the number is fixed by other operators.
    """

    width: int
    makers: list[str] = field(default_factory=list)
    fixed: bool = False


class Widths:
    """The classes of channels of a network.

    Parameters
    ----------
    nodes : iterable of Node
        The network in order, without free symbols.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.graph import nodes_in_order
    >>> found = Widths(nodes_in_order(zoo.g1_stack(36, 144, blocks=2)))
    >>> [(c.width, c.fixed) for c in found.classes]
    [(144, False), (36, False), (144, False), (36, True)]
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._owner: dict[str, str] = {}
        self._classes: dict[str, Class] = {}
        self._of: dict[Source, frozenset[str]] = {}
        self._ends: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        self._nodes = list(nodes)
        for node in self._nodes:
            self._visit(node)
            self._share(node)

    @property
    def classes(self) -> list[Class]:
        """All classes, in order of their first layer."""
        return [c for name, c in self._classes.items() if self._owner[name] == name]

    def made(self, name: str) -> Class | None:
        """Return the class that a layer makes, or None."""
        return self._classes[self._root(name)] if name in self._owner else None

    def read(self, node: Node) -> Class | None:
        """Return the class that a node reads first, None unless there is exactly one."""
        roots = {self._root(n) for n in self._of.get(node.sources[0], ())} if node.sources else ()
        return self._classes[next(iter(roots))] if len(roots) == 1 else None

    def reads(self, node: Node) -> list[Class]:
        """Return all classes that a node reads."""
        roots = {self._root(n) for source in node.sources for n in self._of.get(source, ())}
        return [self._classes[root] for root in sorted(roots)]

    def layers(self) -> Iterable[tuple[Node, Class | None, Class]]:
        """Yield each layer that makes channels, with the class that it reads and that it makes."""
        for node in self._nodes:
            made = self.made(node.name)
            if made is not None:
                yield node, self.read(node), made

    def _root(self, name: str) -> str:
        while self._owner[name] != name:
            name = self._owner[name]
        return name

    def _visit(self, node: Node) -> None:
        taken = [self._of.get(source, frozenset()) for source in node.sources]
        op = node.op
        if isinstance(op, Input):
            self._of[node.name, 0] = frozenset()
        elif _makes(node):
            self._owner[node.name] = node.name
            self._classes[node.name] = Class(int(_width(node.outputs[0])), [node.name])
            self._of[node.name, 0] = frozenset({node.name})
        elif isinstance(op, _KEEPING) or is_depthwise(node) or _is_flattening(node):
            self._of[node.name, 0] = taken[0]
        elif isinstance(op, Elementwise):
            self._of[node.name, 0] = self._joined(node, taken)
        elif isinstance(op, Concat) and op.axis % node.inputs[0].rank == 1:
            # Layers after it read any width; only tensors added to it must have the same width.
            self._of[node.name, 0] = frozenset().union(*taken)
            if not all(taken):
                self._of[node.name, 0] = frozenset()
                self._fix(frozenset().union(*taken))
        else:
            self._fix(frozenset().union(*taken))
            self._of.update({(node.name, i): frozenset() for i in range(len(node.outputs))})

    def _joined(self, node: Node, taken: list[frozenset[str]]) -> frozenset[str]:
        """Return the class of an element-wise operator; the classes of its inputs are merged."""
        ranks = {x.rank for x in node.inputs}
        sizes = {x.shape[1] if x.rank > 1 else 0 for x in node.inputs}
        if len(node.inputs) == 1:
            return taken[0]
        if len(ranks) > 1 or len(sizes) > 1 or not all(len(t) == 1 for t in taken):
            self._fix(frozenset().union(*taken))
            return frozenset()
        return frozenset({self._join(next(iter(t)) for t in taken)})

    def _share(self, node: Node) -> None:
        """Make the channels of a layer those of the layer that its learned tensors are of."""
        if not node.op.weights(*node.inputs):
            return
        read = self._of.get(node.sources[0], frozenset()) if node.sources else frozenset()
        own = read, frozenset({node.name} & self._owner.keys())
        for names, others in zip(own, self._ends.setdefault(node.weights, own), strict=True):
            both = names | others
            widths = {self._classes[self._root(name)].width for name in both}
            if len(names) == len(others) == len(widths) == 1:
                self._join([*others, *names])
            elif names != others:  # of several classes, or twice of one
                self._fix(both)

    def _join(self, names: Iterable[str]) -> str:
        """Make classes one, that of the first name, and return its root."""
        first, *others = map(self._root, names)
        for other in dict.fromkeys(others):
            if other != first:
                self._owner[other] = first
                self._classes[first].makers += self._classes[other].makers
                self._classes[first].fixed |= self._classes[other].fixed
        return first

    def _fix(self, names: frozenset[str]) -> None:
        for name in names:
            self._classes[self._root(name)].fixed = True


def is_depthwise(node: Node) -> bool:
    """Return whether a node convolves each channel separately, with one output per channel."""
    op = node.op
    if not isinstance(op, Conv):
        return False
    return bool(op.groups == node.inputs[0].shape[1] == op.out_channels > 1)


def resized(drafts: Drafts, widths: Mapping[str, Dim]) -> dict[str, Draft]:
    """Return ``drafts`` with other widths of some layers, and of the layers that depend on them.

    Depthwise convolutions get the width of their inputs, flattened tensors their length.

    Raises
    ------
    GraphError
        If a layer no longer exists.
    ShapeError
        If the widths do not fit.
    """
    need(drafts, widths)
    made: dict[Source, Tensor] = {}
    before: dict[Source, Tensor] = {}
    result: dict[str, Draft] = {}
    for name in in_order(drafts):
        draft = drafts[name]
        inputs = tuple(made[s] for s in draft.sources)
        old = tuple(before[s] for s in draft.sources)
        was = Node(name, draft.op, old, draft.op.infer(*old), "", "")
        op = _followed(was, inputs, widths.get(name))
        result[name] = draft._replace(op=op)
        made.update({(name, i): t for i, t in enumerate(infer_node(name, op, inputs))})
        before.update({(name, i): t for i, t in enumerate(was.outputs)})
    return result


def _followed(node: Node, inputs: tuple[Tensor, ...], width: Dim | None) -> Op:
    op = node.op
    if width is not None and isinstance(op, Conv):
        return op.with_fields(out_channels=width)
    if width is not None and isinstance(op, Linear):
        return op.with_fields(out_features=width)
    if not inputs or inputs == node.inputs:
        return op
    if isinstance(op, Conv) and is_depthwise(node):
        return op.with_fields(out_channels=inputs[0].shape[1], groups=inputs[0].shape[1])
    if isinstance(op, Reshape) and _is_flattening(node):
        return op.with_fields(shape=(op.shape[0], inputs[0].shape[1]))
    return op


def _makes(node: Node) -> bool:
    if isinstance(node.op, Conv):
        return not is_depthwise(node)
    return isinstance(node.op, Linear) and node.outputs[0].rank == 2


def _width(x: Tensor) -> int:
    return int(x.shape[1])


def _is_flattening(node: Node) -> bool:
    """Return whether a node drops spatial axes of size 1."""
    if not isinstance(node.op, Reshape):
        return False
    (x,), (y,) = node.inputs, node.outputs
    return x.rank > 2 and y.rank == 2 and x.shape[:2] == y.shape
