"""From the op graph to the kernels that a runtime launches.

The rules are data of the runtime (``costmodel/runtimes/*.toml``): what is dropped, what is folded,
what a kernel takes up behind it without going through memory. Each pass below is one rule.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import networkx as nx

from costmodel.algebra.symbols import Dim, least_once, same, total
from costmodel.counting.cost import Cost, op_cost
from costmodel.graph import Node, nodes_in_order, sources_of
from costmodel.kernels.kernel import (
    Kernel,
    Read,
    kernel_class,
    kernel_kind,
    product_of,
    rows_of,
    special_of,
)
from costmodel.ops import (
    Attention,
    BatchNorm,
    Constant,
    Elementwise,
    Input,
    Op,
    Output,
    Parameter,
    Pool,
    PReLU,
)
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.runtimes import Runtime

_Value = tuple[str, int]


def lower(graph: nx.DiGraph, runtime: Runtime) -> tuple[Kernel, ...]:
    """Return the kernels of ``graph`` under ``runtime``, in order of execution.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.runtimes import load_runtime
    >>> kernels = lower(zoo.shufflenet_v2(), load_runtime("paper"))
    >>> kernels[0].nodes
    ('conv1.conv', 'conv1.batch_norm', 'conv1.relu')
    """
    nodes = list(nodes_in_order(graph))
    sources = {node.name: sources_of(graph, node.name) for node in nodes}
    if not runtime.fused_attention:
        nodes, sources = _expand_attention(nodes, sources)
    if runtime.fold_constants:
        nodes, sources = _fold_constants(nodes, sources, runtime.fold_zero_products)
    if runtime.dead_code:
        nodes = _drop_dead(nodes, sources)
    return _Fusion(nodes, sources, runtime).kernels()


def follower_class(op: Op) -> str | None:
    """Return what ``op`` is to a kernel that it could be fused into, or None.

    ``"batch_norm"``, ``"activation"`` (one tensor in, the same shape out), ``"residual"`` (two
    tensors), ``"copy"`` (movement).

    Examples
    --------
    >>> follower_class(Elementwise("relu")), follower_class(Elementwise("add"))
    ('activation', 'residual')
    """
    if isinstance(op, BatchNorm):
        return "batch_norm"
    if isinstance(op, PReLU):
        return "activation"
    if isinstance(op, Elementwise):
        return "residual" if op.operands > 1 else "activation"
    return "copy" if kernel_class(op) == "copy" else None


def _expand_attention(
    nodes: list[Node], sources: dict[str, tuple[_Value, ...]]
) -> tuple[list[Node], dict[str, tuple[_Value, ...]]]:
    """Replace each attention by the kernels of its expansion."""
    expanded: list[Node] = []
    alias: dict[_Value, _Value] = {}
    rewired: dict[str, tuple[_Value, ...]] = {}
    for node in nodes:
        feeds = tuple(alias.get(s, s) for s in sources[node.name])
        rewired[node.name] = feeds
        program = node.op.expand(*node.inputs) if isinstance(node.op, Attention) else None
        if program is None:
            expanded.append(node)
            continue
        tensors, values = list(program.inputs), list(feeds)
        for i, step in enumerate(program.steps):
            name = f"{node.name}.{i}"
            taken = tuple(tensors[j] for j in step.inputs)
            outputs = step.op.infer(*taken)
            expanded.append(Node(name, step.op, taken, outputs, node.module, name))
            rewired[name] = tuple(values[j] for j in step.inputs)
            tensors.extend(outputs)
            values.extend((name, j) for j in range(len(outputs)))
        alias.update({(node.name, i): values[j] for i, j in enumerate(program.outputs)})
    return expanded, rewired


def _fold_constants(
    nodes: list[Node], sources: dict[str, tuple[_Value, ...]], zero_products: bool
) -> tuple[list[Node], dict[str, tuple[_Value, ...]]]:
    """Drop what is known before any input: arithmetic on constants, zeros, additions of zeros.

    Convolutions and products of constants stay: no converter that we know of folds them.
    """
    constant: set[str] = set()
    zero: set[str] = set()
    alias: dict[_Value, _Value] = {}
    kept: list[Node] = []
    rewired: dict[str, tuple[_Value, ...]] = {}
    for node in nodes:
        feeds = tuple(alias.get(s, s) for s in sources[node.name])
        rewired[node.name] = feeds
        zeros = [source for source, _ in feeds if source in zero]
        if isinstance(node.op, Constant | Parameter):
            constant.add(node.name)
            kept.append(node)
        elif (
            feeds
            and node.outputs
            and all(source in constant for source, _ in feeds)
            and product_of(node) is None
        ):
            constant.add(node.name)
            if len(zeros) == len(feeds) and _keeps_zero(node.op):
                zero.add(node.name)
            kept.append(_as_constant(node))
            rewired[node.name] = ()
        elif zero_products and _is_times_zero(node.op):
            constant.add(node.name)
            zero.add(node.name)
            kept.append(_as_constant(node))
            rewired[node.name] = ()
        elif _is_plus_zero(node.op):
            alias[node.name, 0] = feeds[0]
        elif isinstance(node.op, Elementwise) and node.op.kind == "add" and len(zeros) == 1:
            (other,) = (feed for feed in feeds if feed[0] not in zero)
            alias[node.name, 0] = other
        else:
            kept.append(node)
    return kept, rewired


def _is_times_zero(op: Op) -> bool:
    return isinstance(op, Elementwise) and op.kind == "mul" and op.value == 0.0


def _is_plus_zero(op: Op) -> bool:
    return isinstance(op, Elementwise) and op.kind == "add" and op.value == 0.0


def _keeps_zero(op: Op) -> bool:
    """Whether zeros stay zeros: not so under an exponential or the shift of a norm."""
    if isinstance(op, Elementwise):
        return op.kind in ("mul", "relu", "relu6") or (op.kind in ("add", "sub") and not op.value)
    return isinstance(op, Pool) or kernel_class(op) == "copy"


def _as_constant(node: Node) -> Node:
    first = node.outputs[0]
    return node._replace(op=Constant(first.shape, first.dtype), inputs=())


def _drop_dead(nodes: list[Node], sources: dict[str, tuple[_Value, ...]]) -> list[Node]:
    """Keep what an output depends on; a graph without outputs keeps everything."""
    if not any(isinstance(node.op, Output) for node in nodes):
        return nodes
    alive: set[str] = set()
    for node in reversed(nodes):
        if isinstance(node.op, Output) or node.name in alive:
            alive.add(node.name)
            alive.update(source for source, _ in sources[node.name])
    return [node for node in nodes if node.name in alive]


@dataclass
class _Group:
    """A kernel under construction."""

    position: int
    anchor: Node
    cost: Cost
    members: list[str]
    special: Dim
    passes: int = 0
    reads: dict[_Value, tuple[str, Dim]] = field(default_factory=dict)
    weight_bytes: Dim = 0
    last: _Value = ("", 0)


class _Fusion:
    """Walks the nodes in order; each joins the kernel before it or starts one of its own."""

    def __init__(
        self, nodes: list[Node], sources: dict[str, tuple[_Value, ...]], runtime: Runtime
    ) -> None:
        self._nodes = nodes
        self._sources = sources
        self._runtime = runtime
        self._groups: list[_Group] = []
        # What each value really is: the group and value that a chain of views starts from.
        self._root: dict[_Value, _Value] = {}
        self._group_of: dict[str, _Group] = {}
        self._bytes: dict[_Value, Dim] = {}
        self._uses: Counter[_Value] = Counter()
        self._values: dict[str, list[_Value]] = {}
        # Nodes that launch nothing: inputs, outputs, constants, views.
        self._free = {node.name for node in nodes if self._is_free(node)}

    def kernels(self) -> tuple[Kernel, ...]:
        self._resolve_views()
        for node in self._nodes:
            if node.name in self._free:
                continue
            host = self._host(node)
            if host is None:
                self._start(node)
            else:
                self._join(host, node)
        written = {root for node in self._nodes for root in self._roots_read_outside(node)}
        return tuple(self._kernel(group, written) for group in self._groups)

    def _is_free(self, node: Node) -> bool:
        if isinstance(node.op, Input | Output | Constant | Parameter):
            return True
        return node.op.is_view and type(node.op).__name__ not in self._runtime.copies

    def _resolve_views(self) -> None:
        for node in self._nodes:
            free_view = node.op.is_view and node.name in self._free
            self._values[node.name] = [(node.name, i) for i in range(len(node.outputs))]
            for value, tensor in zip(self._values[node.name], node.outputs, strict=True):
                self._root[value] = self._root[self._sources[node.name][0]] if free_view else value
                self._bytes[value] = tensor.bytes
            if not free_view:
                for source in self._sources[node.name]:
                    self._uses[self._root[source]] += 1

    def _host(self, node: Node) -> _Group | None:
        """Return the kernel that takes ``node`` up, or None.

        Only the latest of the kernels that feed ``node`` can: it runs when all inputs are there.
        """
        role = follower_class(node.op)
        feeds = [self._root[source] for source in self._sources[node.name]]
        makers = [self._group_of[root[0]] for root in feeds if root[0] in self._group_of]
        if role is None or not makers:
            return None
        latest = max(makers, key=lambda group: group.position)
        anchor = kernel_class(latest.anchor.op)
        taken = self._runtime.fusion.get(anchor, ())
        if role == "batch_norm" and anchor == "convolution" and latest.passes:
            # Behind an activation or addition it cannot be folded: it is arithmetic like any other.
            taken = self._runtime.fusion.get("elementwise", ())
        if (
            role in taken
            and latest.last in feeds
            and self._uses[latest.last] == feeds.count(latest.last)
            # A gate is smaller than the image it is spread over: its maker cannot write that.
            and (role != "residual" or same(self._bytes[latest.last], node.outputs[0].bytes))
        ):
            return latest
        return None

    def _start(self, node: Node) -> None:
        result = op_cost(node.op, node.inputs)
        group = _Group(len(self._groups), node, result.cost, [node.name], special_of(node))
        group.last = (node.name, 0)
        group.weight_bytes = _weight_bytes(node)
        self._read(group, node)
        self._groups.append(group)
        self._group_of[node.name] = group

    def _join(self, group: _Group, node: Node) -> None:
        group.members.append(node.name)
        group.last = (node.name, 0)
        self._group_of[node.name] = group
        convolution = kernel_class(group.anchor.op) == "convolution"
        if isinstance(node.op, BatchNorm) and convolution and not group.passes:
            return  # folded into the weights before anything runs
        group.passes += 1
        group.special = group.special + special_of(node)
        group.cost = group.cost + op_cost(node.op, node.inputs).cost
        group.weight_bytes = group.weight_bytes + _weight_bytes(node)
        self._read(group, node)

    def _read(self, group: _Group, node: Node) -> None:
        for source in self._sources[node.name]:
            root = self._root[source]
            if self._group_of.get(root[0]) is not group:
                group.reads[source] = (root[0], self._bytes[source])

    def _roots_read_outside(self, node: Node) -> list[_Value]:
        own = self._group_of.get(node.name)
        roots = (self._root[source] for source in self._sources[node.name])
        if node.op.is_view and node.name in self._free:
            return []
        return [root for root in roots if own is None or self._group_of.get(root[0]) is not own]

    def _kernel(self, group: _Group, written: set[_Value]) -> Kernel:
        anchor = group.anchor
        outputs = {
            value
            for member in group.members
            for value in self._values[member]
            if value in written or value == group.last
        }
        return Kernel(
            name=anchor.name,
            kind=kernel_kind(anchor.op, anchor.inputs),
            nodes=tuple(group.members),
            multiply_adds=group.cost.multiply_adds,
            elementwise=group.cost.elementwise,
            special=group.special,
            product=product_of(anchor),
            reads=tuple(Read(self._maker(root), size) for root, size in group.reads.values()),
            weight_bytes=group.weight_bytes,
            write_bytes=total(self._bytes[value] for value in outputs),
            dtype=(anchor.inputs or anchor.outputs)[0].dtype,
            passes=group.passes,
            rows=rows_of(anchor),
        )

    def _maker(self, root: str) -> str | None:
        group = self._group_of.get(root)
        return None if group is None else group.anchor.name


def _weight_bytes(node: Node) -> Dim:
    """Return the bytes of the learned tensors that one run of the kernel reads."""
    learned = node.op.weights(*node.inputs)
    if not learned:
        return 0
    params = total(tensor.elements for tensor in learned)
    reads = op_cost(node.op, node.inputs).cost.weight_reads
    return least_once(params, reads) * DTYPE_BYTES[learned[0].dtype]
