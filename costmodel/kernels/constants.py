"""Constants: operators that a converter computes in advance or drops."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import are_ints
from costmodel.graph import Node, Source
from costmodel.kernels.scaled import ScaledWeights, as_read
from costmodel.kinds import KINDS
from costmodel.ops import Constant, Elementwise, Identity, Op, Parameter, Pool
from costmodel.runtimes import Runtime


def fold_constants(nodes: list[Node], runtime: Runtime) -> list[Node]:
    """Drop operators known before any input: arithmetic on constants, zeros, additions of zeros.

    Convolutions and products of constants are kept, because no converter known to us folds them.

    Parameters
    ----------
    nodes : list of Node
        The network, in topological order.
    runtime : Runtime
        Its rules.
    """
    if not (runtime.scaled_weights and any(map(_is_times_zero, nodes))):
        return _folded(nodes, runtime, None)
    order = as_read(nodes)
    place = {node.name: i for i, node in enumerate(nodes)}
    kept = _folded(order, runtime, ScaledWeights(order))
    return sorted(kept, key=lambda node: place[node.name])


def _folded(nodes: list[Node], runtime: Runtime, scaled: ScaledWeights | None) -> list[Node]:
    constant: set[str] = set()
    zero: set[str] = set()
    alias: dict[Source, Source] = {}
    kept: list[Node] = []
    for node in nodes:
        if not alias.keys().isdisjoint(node.sources):
            node = renamed(node, alias)
        op, feeds = node.op, node.sources
        kind = type(op)
        same: Source | None = None  # the value that this node's readers read instead
        if kind is Constant or kind is Parameter:
            constant.add(node.name)
            kept.append(node)
        elif constant and _is_known(node, constant, runtime.fold_pools):
            constant.add(node.name)
            if _keeps_zero(op) and all(source in zero for source, _ in feeds):
                zero.add(node.name)
            kept.append(_as_constant(node))
        elif scaled and kind is Identity:
            same = feeds[0]
        elif not isinstance(op, Elementwise):
            kept.append(node)
        elif runtime.fold_zero_products and _is_times_zero(node):
            if scaled and scaled.take(node):
                same = feeds[0]
            else:
                constant.add(node.name)
                zero.add(node.name)
                kept.append(_as_constant(node))
        elif _is_plus_zero(op):
            same = feeds[0]
        elif zero and op.kind == "add" and sum(source in zero for source, _ in feeds) == 1:
            (same,) = (feed for feed in feeds if feed[0] not in zero)
        else:
            kept.append(node)
        if same is not None:
            alias[node.name, 0] = same
            if scaled:
                scaled.replace((node.name, 0), same)
    return kept


def renamed(node: Node, alias: Mapping[Source, Source]) -> Node:
    """Return a node that reads what ``alias`` says instead of its sources."""
    return node._replace(sources=tuple([alias.get(s, s) for s in node.sources]))


def _is_known(node: Node, constant: set[str], fold_pools: bool) -> bool:
    """Return whether a node makes something of constants alone that converters compute."""
    for source, _ in node.sources:
        if source not in constant:
            return False
    if isinstance(node.op, Pool) and not fold_pools:
        return False
    return bool(node.sources and node.outputs) and not _makes_products(node.op)


def _makes_products(op: Op) -> bool:
    return any(KINDS[kind].product for kind in op.kernel_kinds)


def _is_times_zero(node: Node) -> bool:
    op = node.op
    return isinstance(op, Elementwise) and op.kind == "mul" and op.value == 0.0


def _is_plus_zero(op: Elementwise) -> bool:
    return op.kind == "add" and op.value == 0.0


def _keeps_zero(op: Op) -> bool:
    """Return whether zeros map to zeros; False for an exponential or the shift of a norm."""
    if isinstance(op, Elementwise):
        return op.kind in ("mul", "relu", "relu6") or (op.kind in ("add", "sub") and not op.value)
    return isinstance(op, Pool) or op.kernel_kinds == ("copy",)


def _as_constant(node: Node) -> Node:
    first = node.outputs[0]
    sizes = are_ints(first.shape)
    op = _constant(first.shape, first.dtype) if sizes else Constant(taken(first.shape), first.dtype)
    return node._replace(op=op, inputs=(), sources=())


_constant = lru_cache(maxsize=1 << 10)(Constant)
