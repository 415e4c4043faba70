"""Fusion: each operator joins an earlier kernel or starts one, by the rules of a runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from costmodel.algebra.symbols import Dim, are_ints, maximum, minimum, same, total
from costmodel.graph import Node, Source
from costmodel.kernels.kernel import Kernel, Read
from costmodel.kernels.work import Work, work_of
from costmodel.kinds import KINDS
from costmodel.ops import (
    BatchNorm,
    BroadcastTo,
    Cast,
    Conv,
    ConvTranspose,
    Gather,
)
from costmodel.ops.tensor import DTYPE_BYTES, FLOATING, REAL_OF, Tensor
from costmodel.runtimes import Runtime

_ROWS = ("norm", "softmax", "pool")
"""Kinds that go over rows: with element-wise operators before them, the kernel is of theirs."""


@dataclass(slots=True)
class _Group:
    """A kernel under construction."""

    position: int
    anchor: Node
    work: Work
    takes: frozenset[str]
    members: list[str]
    last: Source
    multiply_adds: Dim
    elementwise: Dim
    weight_bytes: Dim
    functions: Mapping[str, Dim]
    passes: int = 0
    only_norms: bool = True
    also_written: Dim = 0
    read: bool = False
    reads: dict[Source, tuple[str | None, Dim, Dim]] = field(default_factory=dict)


class Fusion:
    """Walks the nodes in order and forms the kernels of a runtime.

    Parameters
    ----------
    nodes : sequence of Node
        The executed nodes, in order.
    runtime : Runtime
        Its rules.
    hardware : str
        Kind of hardware, ``""`` where nothing depends on it.
    """

    def __init__(self, nodes: Sequence[Node], runtime: Runtime, hardware: str = "") -> None:
        self._nodes = nodes
        self._runtime = runtime
        self._hardware = hardware
        self._bias_apart = hardware in runtime.bias_apart
        self._always_bias = hardware in runtime.bias_always
        self._groups: list[_Group] = []
        # The value at the start of a chain of views.
        self._root: dict[Source, Source] = {}
        self._group_of: dict[str, _Group] = {}
        self._bytes: dict[Source, Dim] = {}
        self._tensors: dict[Source, Tensor] = {}
        self._uses: dict[Source, int] = {}
        # Nodes that launch nothing: inputs, outputs, constants, views, empty tensors.
        self._free = {node.name for node in nodes if self._is_free(node)}

    def kernels(self) -> tuple[Kernel, ...]:
        """Return the kernels in order of execution."""
        self._resolve_views()
        for node in self._nodes:
            if node.name in self._free:
                continue
            work = work_of(node.op, node.inputs)
            host = self._host(node, work.names)
            if host is None:
                self._start(node, work)
            else:
                self._join(host, node, work)
        for value in self._written():
            group = self._group_of.get(value[0])
            if group is not None and value != group.last:
                group.also_written = group.also_written + self._bytes[value]
        return tuple(map(self._kernel, self._groups))

    def _is_free(self, node: Node) -> bool:
        if not node.op.kernel_kinds:
            return True
        if node.op.is_view and type(node.op).__name__ not in self._runtime.copies:
            return True
        return all(map(_is_empty, node.outputs))

    def _resolve_views(self) -> None:
        sizes: dict[int, Dim] = {}  # by identity: operators on equal inputs share their outputs
        for node in self._nodes:
            view = node.op.is_view and node.name in self._free
            for i, tensor in enumerate(node.outputs):
                value = (node.name, i)
                if id(tensor) not in sizes:
                    sizes[id(tensor)] = tensor.bytes
                self._root[value] = self._root[node.sources[0]] if view else value
                self._bytes[value], self._tensors[value] = sizes[id(tensor)], tensor
                if view and isinstance(node.op, BroadcastTo):  # it repeats its input
                    self._bytes[value] = self._bytes[node.sources[0]]
                    self._tensors[value] = self._tensors[node.sources[0]]
            # A view is an alias of its first input.
            for source in node.sources[1:] if view else node.sources:
                root = self._root[source]
                self._uses[root] = self._uses.get(root, 0) + 1

    def _host(self, node: Node, names: tuple[str, ...]) -> _Group | None:
        """Return the kernel that ``node`` is fused into, or None.

        The latest producer of its inputs qualifies, because it runs when all inputs exist, and for
        a compiler every one that nothing has read so far: it can wait for the others.
        """
        if not names:
            return None
        feeds = [self._root[source] for source in node.sources[: len(node.inputs)]]
        makers = [self._group_of[maker] for maker, _ in feeds if maker in self._group_of]
        if not makers:
            return None
        latest = makers[0] if len(makers) == 1 else max(makers, key=_position)
        if self._joins(latest, node, names, feeds):
            return latest
        if self._runtime.generated:
            for maker in makers:
                if not maker.read and self._joins(maker, node, names, feeds):
                    return maker
        return None

    def _joins(
        self, latest: _Group, node: Node, names: tuple[str, ...], feeds: list[Source]
    ) -> bool:
        """Return whether ``node`` is fused into a kernel that makes one of its inputs."""
        taken = latest.takes
        if names[0] == "batch_norm" and not latest.only_norms and _folds(latest):
            # After an activation or addition it cannot be folded: it is ordinary arithmetic.
            taken = self._runtime.taken_behind("elementwise", hardware=self._hardware)
        return bool(
            not taken.isdisjoint(names)
            and latest.last in feeds
            # A compiler writes what others read besides; a library returns one tensor.
            and (self._runtime.generated or self._uses[latest.last] == feeds.count(latest.last))
            # A gate is smaller than the image it is spread over: its maker cannot write that.
            and (names[-1] != "nary" or self._same_elements(latest.last, node))
        )

    def _same_elements(self, value: Source, node: Node) -> bool:
        """Return whether a value has as many elements as the output of a node, in any dtype."""
        x, y = self._tensors[value], node.outputs[0]
        if x.dtype == y.dtype:
            return same(self._bytes[value], self._bytes[node.name, 0])
        return same(x.elements, y.elements)

    def _start(self, node: Node, work: Work) -> None:
        group = _Group(
            position=self._groups[-1].position + 1 if self._groups else 0,
            anchor=node,
            work=work,
            takes=self._taken_behind(work),
            members=[node.name],
            last=(node.name, 0),
            multiply_adds=work.cost.multiply_adds,
            elementwise=work.cost.elementwise,
            weight_bytes=work.weight_bytes,
            functions=work.functions,
            passes=int(self._has_bias(node) and self._adds_bias_apart(node, work)),
        )
        self._read(group, node, work)
        self._groups.append(group)
        self._group_of[node.name] = group

    def _taken_behind(self, work: Work) -> frozenset[str]:
        anchors = (KINDS[work.kind].group, work.kind, *work.names)
        return self._runtime.taken_behind(*anchors, hardware=self._hardware)

    def _is_later(self, source: Source, group: _Group) -> bool:
        """Return whether a value is made after a kernel has started."""
        maker = self._group_of.get(self._root[source][0])
        return maker is not None and maker.position > group.position

    def _has_bias(self, node: Node) -> bool:
        return self._always_bias or getattr(node.op, "bias", False)

    def _adds_bias_apart(self, node: Node, work: Work) -> bool:
        """Return whether a library's convolution leaves a bias to a pass over the result."""
        own = work.kind == "depthwise" and _arithmetic(node) in self._runtime.own_depthwise
        return self._bias_apart and isinstance(node.op, Conv | ConvTranspose) and not own

    def _join(self, group: _Group, node: Node, work: Work) -> None:
        if self._runtime.generated and any(self._is_later(s, group) for s in node.sources):
            self._groups.remove(group)
            group.position = self._groups[-1].position + 1
            self._groups.append(group)
        group.members.append(node.name)
        group.last = (node.name, 0)
        self._group_of[node.name] = group
        if isinstance(node.op, BatchNorm) and _folds(group) and group.only_norms:
            _fold(group, node)
            if self._adds_bias_apart(group.anchor, group.work):
                group.passes = 1
            return
        group.only_norms = False
        if work.kind in _ROWS:
            group.work = replace(work, weight_bytes=group.work.weight_bytes)
            group.takes = self._taken_behind(work)
        # A pass that adds the bias also does the functions of one tensor behind it.
        if not (self._bias_apart and group.passes and work.names[-1] != "nary"):
            group.passes += 1
        group.multiply_adds = group.multiply_adds + work.cost.multiply_adds
        group.elementwise = group.elementwise + work.cost.elementwise
        group.weight_bytes = group.weight_bytes + work.weight_bytes
        if work.functions:
            known = group.functions
            more = {name: known.get(name, 0) + n for name, n in work.functions.items()}
            group.functions = {**known, **more}
        self._read(group, node, work)

    def _read(self, group: _Group, node: Node, work: Work) -> None:
        for i, source in enumerate(node.sources[: len(node.inputs)]):
            root, size = self._root[source], self._bytes[source]
            maker = self._group_of.get(root[0])
            if maker is group:
                continue
            name = None
            if maker is not None:
                maker.read = True
                name = maker.anchor.name
            # Two views of one whole tensor are a single read.
            key = root if source == root or same(size, self._bytes[root]) else source
            if i == 0 and (node.op.kernel_kinds == ("copy",) or isinstance(node.op, Gather)):
                # A copy loads no more than it writes: a slice, the selected rows.
                size = minimum(size, total(tensor.bytes for tensor in node.outputs))
            least = work.touched[i]
            if key in group.reads:
                least = maximum(least, group.reads[key][2])
            group.reads[key] = (name, size, least)

    def _written(self) -> set[Source]:
        """Return the values that are read outside their own kernel."""
        written = set()
        for node in self._nodes:
            view = node.name in self._free and node.op.is_view
            own = self._group_of.get(node.name)
            for source in node.sources[1:] if view else node.sources:
                root = self._root[source]
                if own is None or self._group_of.get(root[0]) is not own:
                    written.add(root)
        return written

    def _kernel(self, group: _Group) -> Kernel:
        anchor, work = group.anchor, group.work
        return Kernel(
            name=anchor.name,
            kind=work.kind,
            nodes=tuple(group.members),
            multiply_adds=group.multiply_adds,
            elementwise=group.elementwise,
            products=work.products,
            reads=tuple([_read_of(*read) for read in group.reads.values()]),
            weight_bytes=group.weight_bytes,
            write_bytes=self._bytes[group.last] + group.also_written,
            dtype=_arithmetic(anchor),
            passes=group.passes,
            functions=tuple(sorted(group.functions.items())) if group.functions else (),
            pieces=work.pieces,
            merged=work.merged,
            learned_from=(
                None if len(anchor.sources) <= len(anchor.inputs) else self._learned_from(anchor)
            ),
        )

    def _learned_from(self, node: Node) -> str | None:
        """Return the first kernel that writes learned tensors of a node."""
        for source, _ in node.sources[len(node.inputs) :]:
            if source in self._group_of:
                return self._group_of[source].anchor.name
        return None


def _read_of(maker: str | None, size: Dim, touched: Dim) -> Read:
    return Read(maker, size, None if same(size, touched) else minimum(size, touched))


def _position(group: _Group) -> int:
    return group.position


def _is_empty(tensor: Tensor) -> bool:
    """Return whether a tensor certainly has no elements."""
    shape = tensor.shape
    return 0 in shape if are_ints(shape) else any(same(size, 0) for size in shape)


def _fold(group: _Group, norm: Node) -> None:
    """Fold a batch normalization into the weights of a kernel; only a bias remains."""
    if getattr(group.anchor.op, "bias", True):
        return
    (y,) = norm.outputs
    group.elementwise = group.elementwise + y.elements
    group.weight_bytes = group.weight_bytes + y.shape[1] * DTYPE_BYTES[y.dtype]


def _folds(group: _Group) -> bool:
    """Return whether a batch normalization after the kernel is folded into its weights."""
    return KINDS[group.work.kind].product


def _arithmetic(node: Node) -> str:
    """Return the dtype of the arithmetic of a node: that of its first input.

    Complex arithmetic is on real parts; a kernel that returns a wider dtype computes in it.
    """
    x = (node.inputs or node.outputs)[0]
    y = node.outputs[0] if node.outputs and not isinstance(node.op, Cast) else x
    if y.dtype != x.dtype and y.dtype in FLOATING and x.dtype in FLOATING:
        return max(x.dtype, y.dtype, key=DTYPE_BYTES.__getitem__)
    return REAL_OF.get(x.dtype, x.dtype)
