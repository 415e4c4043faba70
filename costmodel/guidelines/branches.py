"""G3: parallel convolutions merged into one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from costmodel.errors import GraphError
from costmodel.graph import Node, Source
from costmodel.guidelines.case import Case, Rewrite
from costmodel.guidelines.drafts import Draft, Drafts, need
from costmodel.ops import BatchNorm, Concat, Conv, Elementwise, Split


def merged_siblings(case: Case) -> Iterator[Rewrite]:
    """Merge convolutions of one tensor with equal windows, and their followers."""
    alike: dict[tuple[object, ...], list[Node]] = {}
    for node in case.nodes.values():
        op = node.op
        if isinstance(op, Conv) and op.groups == 1 and not case.shares(node.name):
            key = (node.sources, op.kernel, op.stride, op.padding, op.dilation, op.bias)
            alike.setdefault(key, []).append(node)
    for nodes in alike.values():
        if len(nodes) < 2:
            continue
        chains = _chains(case, nodes)
        widths = tuple(int(n.op.out_channels) for n in nodes)  # type: ignore[attr-defined]
        names = tuple(n.name for n in nodes)
        said = " and ".join(map(str, widths))
        yield Rewrite(
            "G3",
            f"{len(nodes)} convolutions of one tensor as one of {sum(widths)} channels",
            f"{len(nodes)} convolutions of {said} channels read the same tensor: one of "
            f"{sum(widths)} channels reads it once, and is launched once.",
            names,
            True,
            partial(_merge, chains=chains, widths=widths),
        )


def added_branches(case: Case) -> Iterator[Rewrite]:
    """Merge convolutions of one tensor whose results are added, by summing their weights."""
    for name, node in case.nodes.items():
        if not (isinstance(node.op, Elementwise) and node.op.kind == "add"):
            continue
        ends = [case.nodes[source] for source, _ in node.sources]
        if len(ends) != 2 or ends[0].name == ends[1].name:
            continue
        roots = [_convolution(case, end) for end in ends]
        if roots[0] is None or roots[1] is None or not _addable(roots[0], roots[1]):
            continue
        larger, other = sorted((roots[0], roots[1]), key=lambda n: -int(n.op.kernel[0]))  # type: ignore[attr-defined]
        yield Rewrite(
            "G3",
            f"the sum of two convolutions as one ({name})",
            f"{larger.name} and {other.name} read the same tensor and their results are added: one "
            "convolution with the sum of their weights makes the same.",
            (larger.name, other.name, name),
            True,
            partial(_add, larger=larger.name, other=other.name, end=name),
        )


def _chains(case: Case, nodes: Sequence[Node]) -> tuple[tuple[str, ...], ...]:
    """Return each convolution with its exclusive followers that are equal for all of them."""
    chains = [[n.name] for n in nodes]
    while True:
        following = [case.sole_taker(chain[-1]) for chain in chains]
        ops = {n.op if n is not None else None for n in following}
        (op,) = ops if len(ops) == 1 else (None,)
        unary = isinstance(op, BatchNorm | Elementwise) and len(following[0].inputs) == 1  # type: ignore[union-attr]
        if op is None or not unary or len({n.name for n in following if n}) < len(nodes):
            return tuple(map(tuple, chains))
        for chain, node in zip(chains, following, strict=True):
            assert node is not None
            chain.append(node.name)


def _merge(
    drafts: Drafts, chains: tuple[tuple[str, ...], ...], widths: tuple[int, ...]
) -> dict[str, Draft]:
    # Folded norms are missing from all of the branches.
    first, *others = zip(
        *(step for step in zip(*chains, strict=True) if any(n in drafts for n in step)),
        strict=True,
    )
    need(drafts, [name for chain in (first, *others) for name in chain])
    chains = (first, *others)
    gone = {name for chain in others for name in chain}
    convs = [drafts[chain[0]] for chain in chains]
    if len({c.sources for c in convs}) > 1:
        raise GraphError(f"{first[0]} and {others[0][0]} do not read the same tensor any more")
    kept = {n: d for n, d in drafts.items() if n not in gone}
    kept[first[0]] = convs[0]._replace(op=convs[0].op.with_fields(out_channels=sum(widths)))
    whole: Source = (first[-1], 0)
    parts: list[Source] = [(chain[-1], 0) for chain in chains]
    split = f"{first[0]}.split"
    takes = False
    for name, draft in kept.items():
        sources = draft.sources
        if isinstance(draft.op, Concat) and draft.op.axis == 1:
            sources = _joined(sources, parts, whole)
        if name not in first:
            renamed = tuple((split, parts.index(s)) if s in parts else s for s in sources)
            # Outputs that are joined as a whole need no cut.
            renamed = tuple(whole if s == _WHOLE else s for s in renamed)
            takes = takes or any(s[0] == split for s in renamed)
            kept[name] = draft._replace(sources=renamed)
    if takes:
        kept[split] = Draft(Split(1, widths), (whole,), convs[0].module, split)
    return kept


_WHOLE: Source = ("", -1)
"""Stands for the merged tensor while the takers of its parts are redirected."""


def _joined(sources: tuple[Source, ...], parts: list[Source], whole: Source) -> tuple[Source, ...]:
    """Return the inputs of a concatenation with consecutive parts replaced by the whole."""
    for i in range(len(sources) - len(parts) + 1):
        if list(sources[i : i + len(parts)]) == parts:
            return (*sources[:i], _WHOLE, *sources[i + len(parts) :])
    return sources


def _convolution(case: Case, end: Node) -> Node | None:
    """Return the convolution that makes a node, directly or before a batch normalization."""
    if isinstance(end.op, BatchNorm) and len(case.takers[end.name, 0]) == 1:
        end = case.nodes[end.sources[0][0]]
    alone = len(case.takers[end.name, 0]) == 1 and not case.shares(end.name)
    if isinstance(end.op, Conv) and alone:
        return end
    return None


def _addable(a: Node, b: Node) -> bool:
    """Return whether two convolutions see the same pixels around the same centres."""
    x, y = a.op, b.op
    assert isinstance(x, Conv)
    assert isinstance(y, Conv)
    plain = all(d == 1 for d in (*x.dilation, *y.dilation))
    if a.sources != b.sources or x.stride != y.stride or x.groups != y.groups or not plain:
        return False
    return _margins(x) == _margins(y) and _margins(x) is not None


def _margins(op: Conv) -> tuple[object, ...] | None:
    """Return the reach of a window beyond its padding on each side, None if unknown."""
    if op.padding == "same" or any(k % 2 == 0 for k in op.kernel):
        return None
    reach = zip(op.kernel, op.padding, strict=True)
    return tuple((k // 2 - before, k // 2 - after) for k, (before, after) in reach)


def _add(drafts: Drafts, larger: str, other: str, end: str) -> dict[str, Draft]:
    need(drafts, (larger, other, end))
    sources = [s for s, _ in drafts[end].sources]
    norms = {s for s in sources if isinstance(drafts[s].op, BatchNorm)}
    convs = {drafts[s].sources[0][0] if s in norms else s for s in sources}
    if convs != {larger, other}:
        raise GraphError(f"node {end!r} does not add {larger} and {other} any more")
    bias = bool(norms) or any(getattr(drafts[c].op, "bias", False) for c in convs)
    gone = {other, end, *norms}
    kept = {}
    for name, draft in drafts.items():
        if name not in gone:
            taken = tuple((larger, 0) if s == (end, 0) else s for s in draft.sources)
            kept[name] = draft._replace(sources=taken)
    kept[larger] = kept[larger]._replace(op=drafts[larger].op.with_fields(bias=bias))
    return kept
