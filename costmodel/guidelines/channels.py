"""G1, G2 and the engine's pack: the widths of layers, and the groups of convolutions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from math import lcm

import networkx as nx

from costmodel.counting.cost import op_cost
from costmodel.graph import Node
from costmodel.guidelines.case import Case, Rewrite, listed_layers
from costmodel.guidelines.drafts import Draft, Drafts, need, with_ops
from costmodel.guidelines.widths import Class, is_depthwise, resized
from costmodel.ops import Conv

UNEQUAL = 1.25
"""Ratio above which two widths count as unequal. [1]"""
NEARBY = 0.15
"""Largest relative change of a width to a multiple of the engine's pack. [1]"""


def equal_widths(case: Case) -> Iterator[Rewrite]:
    """G1: layers that share tensors at one width, with the multiply-adds they have now."""
    for family in _families(case):
        widths = [c.width for c in family]
        if max(widths) < UNEQUAL * min(widths):
            continue
        target = _balanced(case, family)
        if target is None or all(w == target for w in widths):
            continue
        makers = [name for c in family for name in c.makers]
        change = {name: target for c in family for name in c.makers}
        apart = " and ".join(map(str, sorted(set(widths))))
        yield Rewrite(
            "G1",
            f"{target} channels in place of {apart}",
            f"{listed_layers(makers, 'layers')} of {apart} channels at {target} channels have as "
            "many multiply-adds and the least MAC.",
            tuple(makers),
            False,
            partial(resized, widths=change),
        )


def fewer_groups(case: Case) -> Iterator[Rewrite]:
    """G2: convolutions in groups as dense ones, narrower, with the multiply-adds they have now."""
    alike: dict[tuple[object, ...], list[str]] = {}
    for name, node in case.nodes.items():
        op = node.op
        if isinstance(op, Conv) and op.groups != 1 and not is_depthwise(node):
            key = (op.groups, node.inputs[0].shape[1], op.out_channels, op.kernel)
            alike.setdefault(key, []).append(name)
    for (groups, *_), names in alike.items():
        nodes = [case.nodes[n] for n in names]
        ends = [case.widths.read(n) for n in nodes] + [case.widths.made(n.name) for n in nodes]
        free = _distinct(c for c in ends if c is not None and not c.fixed and len(c.makers) == 1)
        if not free:
            continue
        scale = _scale(case, free, set(names))
        if scale is None:
            continue
        widths = {m: _rounded(c.width * scale, case.pack) for c in free for m in c.makers}
        now = " and ".join(map(str, sorted({c.width for c in free})))
        then = " and ".join(map(str, sorted(set(widths.values()))))
        yield Rewrite(
            "G2",
            f"one group in place of {groups}, {then} channels in place of {now}",
            f"{listed_layers(names, 'convolutions')} in {groups} groups as dense ones, with {then} "
            f"channels in place of {now}, have as many multiply-adds and a smaller MAC.",
            tuple(names),
            False,
            partial(_ungrouped, dense=tuple(names), widths=widths),
        )


def packed(case: Case) -> Iterator[Rewrite]:
    """Widths that are not multiples of the engine's pack, moved to the nearest ones."""
    pack = case.pack
    odd = [c for c in case.widths.classes if not c.fixed and c.width % pack]
    if pack == 1 or not odd:
        return
    by_width: dict[int, list[Class]] = {}
    for c in odd:
        by_width.setdefault(c.width, []).append(c)
    for width, classes in by_width.items():
        for target in _multiples(width, pack):
            yield _packed(classes, width, target, pack)


def _packed(classes: list[Class], width: int, target: int, pack: int) -> Rewrite:
    makers = [m for c in classes for m in c.makers]
    return Rewrite(
        "pack",
        f"{target} channels in place of {width}",
        f"{listed_layers(makers, 'layers')} of {width} channels at {target}: the engine computes "
        f"{pack} channels at once, and a last pack that is not full takes as long as a full one.",
        tuple(makers),
        False,
        partial(resized, widths=dict.fromkeys(makers, target)),
    )


def _multiples(width: int, pack: int) -> list[int]:
    """Return the multiples of ``pack`` near a width, the smaller one first.

    >>> _multiples(58, 8), _multiples(3, 8)
    ([56, 64], [])
    """
    near = [width // pack * pack, -(-width // pack) * pack]
    return [t for t in near if t and abs(t - width) <= NEARBY * width]


def _ungrouped(
    drafts: Drafts, dense: tuple[str, ...], widths: Mapping[str, int]
) -> dict[str, Draft]:
    need(drafts, dense)
    return resized(with_ops(drafts, {n: drafts[n].op.with_fields(groups=1) for n in dense}), widths)


def _families(case: Case) -> Iterator[list[Class]]:
    """Yield families of classes that may have one width.

    A family is the channels of a residual trunk with those inside its blocks or, without a trunk,
    the channels between pointwise convolutions of one image size.
    """
    links: list[tuple[Class, Class, Node]] = []
    ends: dict[int, bool] = {}  # whether a class meets an operator without a class, by identity
    makers: dict[int, int] = {}  # layers that make a class, except gates of it
    for node, read, made in case.widths.layers():
        if _is_gate(node):
            continue
        makers[id(made)] = makers.get(id(made), 0) + 1
        if read is None:
            ends[id(made)] = True
        else:
            links.append((read, made, node))
    classes = case.widths.classes
    trunks = [c for c in classes if makers.get(id(c), 0) > 1 and not c.fixed]
    graph = nx.Graph()
    graph.add_nodes_from(map(id, classes))
    kept = {id(c) for c in classes if makers.get(id(c), 0) == 1 and not c.fixed}
    graph.add_edges_from((id(a), id(b)) for a, b, _ in links if {id(a), id(b)} <= kept)
    by_id = {id(c): c for c in classes}
    inner: dict[int, list[Class]] = {id(t): [] for t in trunks}
    for part in nx.connected_components(graph.subgraph(kept)):
        around = {
            id(other)
            for a, b, _ in links
            for own, other in ((a, b), (b, a))
            if id(own) in part and id(other) not in part
        }
        if len(around) == 1 and around <= inner.keys() and not any(ends.get(i) for i in part):
            inner[around.pop()] += [by_id[i] for i in part]
    for trunk in trunks:
        if inner[id(trunk)]:
            yield [trunk, *inner[id(trunk)]]
    yield from _chains(links, kept)


def _chains(links: list[tuple[Class, Class, Node]], kept: set[int]) -> Iterator[list[Class]]:
    graph = nx.Graph()
    by_id: dict[int, Class] = {}
    for a, b, node in links:
        sizes = node.inputs[0].shape[2:], node.outputs[0].shape[2:]
        same_size = sizes[0] == sizes[1] and any(size > 1 for size in sizes[0])
        pointwise = isinstance(node.op, Conv) and node.op.kernel_kind(*node.inputs) == "pointwise"
        if {id(a), id(b)} <= kept and pointwise and same_size:
            graph.add_edge(id(a), id(b))
            by_id.update({id(a): a, id(b): b})
    for part in nx.connected_components(graph):
        yield [by_id[i] for i in part]


def _balanced(case: Case, family: list[Class]) -> int | None:
    """Return the width at which the layers of a family keep their multiply-adds, by bisection."""
    now = _multiply_adds(case, {}, set())
    low, high = 1, 4 * max(c.width for c in family)
    while high - low > 1:
        middle = (low + high) // 2
        then = _multiply_adds(case, {id(c): middle / c.width for c in family}, set())
        low, high = (middle, high) if then <= now else (low, middle)
    return _rounded(low, lcm(case.pack, *_groups(case, family)))


def _rounded(width: float, multiple: int) -> int:
    """Return the multiple closest to a width, at least one.

    >>> _rounded(39.4, 16), _rounded(3.0, 8)
    (32, 8)
    """
    return max(1, round(width / multiple)) * multiple


def _groups(case: Case, family: Sequence[Class]) -> set[int]:
    """Return the required divisor of the widths of a family: groups of convolutions."""
    own = set(map(id, family))
    return {
        int(node.op.groups)
        for node, read, made in case.widths.layers()
        if isinstance(node.op, Conv) and {id(read), id(made)} & own
    }


def _is_gate(node: Node) -> bool:
    """Return whether a layer works on one pixel per image and gates channels that others make."""
    y = node.outputs[0]
    return y.rank > 2 and all(size == 1 for size in y.shape[2:])


def _scale(case: Case, free: list[Class], dense: set[str]) -> float | None:
    """Return the factor of some widths at which dense convolutions keep the multiply-adds."""
    now = _multiply_adds(case, {}, set())
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        then = _multiply_adds(case, {id(c): middle for c in free}, dense)
        low, high = (middle, high) if then <= now else (low, middle)
    return low or None


def _multiply_adds(case: Case, factors: Mapping[int, float], dense: set[str]) -> float:
    """Return the multiply-adds of the layers, the widths of some classes multiplied.

    Those named in ``dense`` count as if they had no groups.
    """
    spent = 0.0
    for name, node in case.nodes.items():
        made = case.widths.made(name)
        if made is None and not is_depthwise(node):
            continue
        own = float(op_cost(node.op, node.inputs).cost.multiply_adds)
        own *= factors.get(id(case.widths.read(node)), 1.0) * factors.get(id(made), 1.0)
        if name in dense and isinstance(node.op, Conv):
            own *= node.op.groups
        spent += own
    return spent


def _distinct(classes: Iterable[Class]) -> list[Class]:
    return list({id(c): c for c in classes}.values())
