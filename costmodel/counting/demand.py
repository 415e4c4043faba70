"""Elements of every tensor that a network needs, from its outputs back to its inputs.

A schedule may leave out operators that no output depends on, and unused results; lower bounds count
neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from costmodel.algebra.symbols import Dim, is_symbolic, product, same
from costmodel.counting.needs import Part, largest, needs, whole
from costmodel.counting.subject import Prepared
from costmodel.graph import Node, Source
from costmodel.ops import BroadcastTo, Constant, Input, Output, Parameter, Slice, Split
from costmodel.ops.tensor import Tensor

GIVEN = (Input, Constant, Parameter)
"""Operators whose outputs exist from the start."""


@dataclass(frozen=True, slots=True)
class Use:
    """Elements that one operator touches for the needed results.

    Parameters
    ----------
    node : Node
        The operator.
    parts : tuple of Part
        The needed parts of its outputs.
    reads : mapping of Source to Dim
        Elements that it touches in each buffer; a tensor in two slots counts once. [element]
    weights : Dim
        Elements that it touches in its weights. [element]
    writes : tuple of Dim
        Needed elements of each output. [element]
    leaves : tuple of Dim
        Elements of each output that are outputs of the network. [element]
    """

    node: Node
    parts: tuple[Part, ...]
    reads: Mapping[Source, Dim]
    weights: Dim
    writes: tuple[Dim, ...]
    leaves: tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """The demand of a network.

    Parameters
    ----------
    uses : tuple of Use
        One for every operator that an output depends on, in order, without views and given
        tensors.
    given : mapping of Source to Dim
        Elements of inputs, constants and parameters that operators use. [element]
    views : Views
        The tensors that share a buffer.
    """

    uses: tuple[Use, ...]
    given: Mapping[Source, Dim]
    views: Views


def demand_of(nodes: Iterable[Node]) -> Demand:
    """Return the demand among the nodes of a network, or of one operator.

    Without output nodes, results that no operator uses are the outputs.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.graph import nodes_in_order
    >>> demand_of(nodes_in_order(zoo.pointwise(7, 7, 8, 16))).uses[0].writes
    (784,)
    """
    order = _each_parameter_once(tuple(nodes))
    views = Views({node.name: node for node in order})
    leaving = _leaving(order)
    taken: _Parts = defaultdict(list)  # by operators
    left: _Parts = defaultdict(list)  # by the caller
    uses: list[Use] = []
    given: dict[Source, Dim] = {}
    for node in reversed(order):
        sources = [(node.name, i) for i in range(len(node.outputs))]
        for source, tensor in zip(sources, node.outputs, strict=True):
            if source in leaving:
                left[source].append(whole(tensor))
        if isinstance(node.op, GIVEN):
            given |= {source: _most(taken, source, node).elements for source in sources}
        elif node.op.is_view:
            for wanted in (taken, left) if node.sources else ():
                if any(source in wanted for source in sources):
                    _through(node, wanted)
        elif any(source in taken or source in left for source in sources):
            both = {s: [*taken.get(s, ()), *left.get(s, ())] for s in sources}
            parts = tuple(_most(both, source, node) for source in sources)
            found = needs(node.op, node.inputs, parts)
            slots = node.sources or [("", i) for i in range(len(node.inputs))]
            for source, part in zip(node.sources, found.inputs, strict=False):
                taken[source].append(part)
            limits = written(node)
            uses.append(
                Use(
                    node,
                    parts,
                    views.reads(zip(slots, found.inputs, strict=True)),
                    found.weights,
                    _made(parts, node, limits),
                    _made([_most(left, source, node) for source in sources], node, limits),
                )
            )
    return Demand(tuple(reversed(uses)), given, views)


def demand_in(ready: Prepared) -> Demand:
    """Return :func:`demand_of` the nodes of what is prepared, worked out once."""
    if "demand" not in ready.known:
        ready.known["demand"] = demand_of(ready.nodes)
    found: Demand = ready.known["demand"]
    return found


def live_in(ready: Prepared) -> tuple[list[Node], Views]:
    """Return the operators of :attr:`Demand.uses` and the views, without the needed elements.

    Examples
    --------
    >>> import costmodel as cm
    >>> live, _ = live_in(cm.prepare(cm.zoo.pointwise(7, 7, 8, 16)))
    >>> [node.name for node in live]
    ['conv']
    """
    order = _each_parameter_once(ready.nodes)
    wanted = {name for name, _ in _leaving(order)}
    live: list[Node] = []
    for node in reversed(order):
        if node.name not in wanted or isinstance(node.op, GIVEN):
            continue
        taken = node.sources[:1]
        if not node.op.is_view:
            live.append(node)
            taken = node.sources[: len(node.inputs)]
        wanted.update([name for name, _ in taken])
    return live[::-1], Views({node.name: node for node in order})


_Parts = defaultdict[Source, list[Part]]


def _leaving(order: tuple[Node, ...]) -> set[Source]:
    """Return the tensors that leave a network: without output nodes, those that nothing uses."""
    outputs = [node for node in order if isinstance(node.op, Output)]
    return {source for node in outputs for source in node.sources} if outputs else _untaken(order)


def _each_parameter_once(order: tuple[Node, ...]) -> tuple[Node, ...]:
    """Merge tied parameters, which are one tensor, into one node."""
    first: dict[str, Node] = {}
    tied: dict[str, str] = {}
    for node in order:
        if isinstance(node.op, Parameter):
            kept = first.setdefault(node.weights, node)
            if kept is not node and _alike(kept.outputs[0], node.outputs[0]):
                tied[node.name] = kept.name
    if not tied:
        return order
    return tuple(
        node._replace(sources=tuple((tied.get(name, name), i) for name, i in node.sources))
        for node in order
        if node.name not in tied
    )


def _alike(x: Tensor, y: Tensor) -> bool:
    return (x.dtype, x.rank) == (y.dtype, y.rank) and all(map(same, x.shape, y.shape))


@dataclass(frozen=True, slots=True)
class Views:
    """The tensors that share a buffer, by the views of a network.

    Parameters
    ----------
    nodes : mapping of str to Node
        The nodes by name.
    """

    nodes: Mapping[str, Node]

    def chain(self, source: Source) -> list[Source]:
        """Return a tensor, the tensors it is a view of in order, and last their buffer."""
        found = [source]
        while source[0] in self.nodes and self.nodes[source[0]].op.is_view:
            source = self.nodes[source[0]].sources[0]
            found.append(source)
        return found

    def are_buffers(self, sources: Sequence[Source]) -> bool:
        """Return whether tensors are different, and none of them is a view of another tensor."""
        if len(sources) > 1 and len(set(sources)) < len(sources):
            return False
        return not any(self.nodes[name].op.is_view for name, _ in sources if name in self.nodes)

    def reads(self, slots: Iterable[tuple[Source, Part]]) -> dict[Source, Dim]:
        """Return the number of elements of each buffer touched by parts of its views."""
        wanted: _Parts = defaultdict(list)
        passed: dict[str, Node] = {}
        for source, part in slots:
            wanted[source].append(part)
            passed |= {name: self.nodes[name] for name, _ in self.chain(source)[:-1]}
        for node in sorted(passed.values(), key=lambda n: len(self.chain((n.name, 0))))[::-1]:
            _through(node, wanted)
        viewed = {(n.name, i) for n in passed.values() for i in range(len(n.outputs))}
        return {
            source: _largest_of(parts, self._elements(source, parts))
            for source, parts in wanted.items()
            if source not in viewed
        }

    def _elements(self, source: Source, parts: list[Part]) -> Dim:
        known = source[0] in self.nodes
        return self.nodes[source[0]].outputs[source[1]].elements if known else parts[0].elements

    def repeats(self, source: Source) -> Dim:
        """Return the largest number of elements of a tensor that are one buffer element [1]."""
        views = (self.nodes[name] for name, _ in self.chain(source)[:-1])
        grown = [(v.inputs[0], v.outputs[0]) for v in views if isinstance(v.op, BroadcastTo)]
        return product(_growth(x, y) for x, y in grown)

    def apart(self, one: Source, other: Source) -> bool:
        """Return whether two tensors certainly share no element."""
        ours, theirs = self.chain(one), self.chain(other)
        if ours[-1] != theirs[-1]:
            return True
        pairs = ((a, b) for a in ours[:-1] for b in theirs[:-1])
        return any(self._cut(a, b) for a, b in pairs)

    def _cut(self, one: Source, other: Source) -> bool:
        """Return whether two views are disjoint cuts of one tensor."""
        a, b = self.nodes[one[0]], self.nodes[other[0]]
        if isinstance(a.op, Split):
            return a.name == b.name and one[1] != other[1]
        if not (isinstance(a.op, Slice) and isinstance(b.op, Slice) and a.sources == b.sources):
            return False
        first, second = sorted((a.op, b.op), key=lambda op: op.start)
        along = a.op.axis % a.inputs[0].rank == b.op.axis % b.inputs[0].rank
        gap = second.start - (first.start + (first.size - 1) * first.step + 1)
        return along and _never_negative(gap)


def _growth(x: Tensor, y: Tensor) -> Dim:
    """Return the number of repetitions of a broadcast input."""
    before = [1] * (y.rank - x.rank) + list(x.shape)
    return product(n for size, n in zip(before, y.shape, strict=True) if not same(size, n))


def _never_negative(gap: Any) -> bool:
    return bool(gap.is_nonnegative) if is_symbolic(gap) else bool((gap >= 0) is True)


def _largest_of(parts: list[Part], elements: Dim) -> Dim:
    return largest(parts, elements).elements


def _through(view: Node, wanted: _Parts) -> None:
    """Add the demand on the outputs of a view to the demand on its input."""
    parts = tuple(_most(wanted, (view.name, i), view) for i in range(len(view.outputs)))
    found = needs(view.op, view.inputs, parts)
    wanted[view.sources[0]].append(found.inputs[0])


def _most(wanted: Mapping[Source, list[Part]], source: Source, node: Node) -> Part:
    tensor = node.outputs[source[1]]
    if not wanted.get(source):
        return Part((0,) * tensor.rank, 0)
    return largest(wanted[source], tensor.elements)


def _untaken(order: tuple[Node, ...]) -> set[Source]:
    taken = {source for node in order for source in node.sources}
    made = {(node.name, i) for node in order for i in range(len(node.outputs))}
    return made - taken


def written(node: Node) -> tuple[Dim, ...]:
    """Return the number of elements of each output that the operator can write."""
    writes = None if node.op.expands else node.op.nest(*node.inputs).writes
    return tuple(y.elements for y in node.outputs) if writes is None else writes


def _made(parts: Iterable[Part], node: Node, limits: tuple[Dim, ...]) -> tuple[Dim, ...]:
    found = zip(parts, node.outputs, limits, strict=True)
    return tuple(part.made(y.elements, limit) for part, y, limit in found)
