"""G4: element-wise operators folded, moved to smaller tensors, or made cheaper."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from costmodel.errors import GraphError
from costmodel.graph import Node
from costmodel.guidelines.case import Case, Rewrite, listed_layers
from costmodel.guidelines.drafts import Draft, Drafts, swapped, with_ops, without
from costmodel.guidelines.widths import is_depthwise
from costmodel.ops import BatchNorm, ChannelShuffle, Conv, Elementwise, Pool, PReLU

RISING = frozenset({"relu", "relu6", "hard_tanh", "sigmoid", "tanh", "softplus", "hard_sigmoid"})
"""Monotonic activations, which may be moved after a maximum."""
COSTLY = frozenset({"elu", "gelu", "gelu_tanh", "hard_swish", "mish", "silu", "softplus", "tanh"})
"""Activations that a ReLU may replace."""


def folded_norms(case: Case) -> Iterator[Rewrite]:
    """Fold batch normalizations directly after convolutions into their weights."""
    pairs = [
        (node.sources[0][0], name)
        for name, node in case.nodes.items()
        if isinstance(node.op, BatchNorm)
        and isinstance(case.nodes[node.sources[0][0]].op, Conv)
        and len(case.takers[node.sources[0]]) == 1
    ]
    pairs = _of_one_norm(case, dict(pairs))
    if pairs:
        norms = tuple(norm for _, norm in pairs)
        yield Rewrite(
            "G4",
            f"{len(pairs)} batch normalizations folded into convolutions",
            f"{listed_layers(norms, 'batch normalizations')} right behind convolutions are kernels "
            "of their own; their weights hold the same numbers, and a bias.",
            norms,
            True,
            partial(_fold, pairs=tuple(pairs)),
        )


def _of_one_norm(case: Case, behind: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the convolutions, with their norms, whose weights one norm is behind wherever used."""
    found = []
    for conv, norm in behind.items():
        uses = [behind.get(user, "") for user in case.users[case.nodes[conv].weights]]
        if all(uses) and len({case.nodes[use].weights for use in uses}) == 1:
            found.append((conv, norm))
    return found


def activations_behind_pooling(case: Case) -> Iterator[Rewrite]:
    """Move activations before a maximum pooling after it, where there are fewer pixels."""
    for name, node in case.nodes.items():
        before = case.nodes[node.sources[0][0]] if node.sources else None
        if (
            isinstance(node.op, Pool)
            and node.op.kind == "max"
            and before is not None
            and _is_unary(before, RISING)
            and len(case.takers[before.name, 0]) == 1
        ):
            kind = str(before.op.kind)  # type: ignore[attr-defined]
            yield Rewrite(
                "G4",
                f"{kind} behind the pooling ({name})",
                f"{before.name} keeps the order of numbers: behind {name} it gives the same on "
                "fewer pixels.",
                (before.name, name),
                True,
                partial(swapped, first=before.name, second=name),
            )


def pooling_before_pointwise(case: Case) -> Iterator[Rewrite]:
    """Move average poolings after pointwise convolutions before them."""
    pairs = []
    for name, node in case.nodes.items():
        op = node.op
        if not (isinstance(op, Pool) and op.kind == "avg" and not op.ceil_mode):
            continue
        before = case.nodes[node.sources[0][0]]
        if _is_pointwise(before) and case.sole_taker(before.name) is node and _unpadded(op.padding):
            pairs.append((before.name, name))
    if pairs:
        yield Rewrite(
            "G4",
            f"{len(pairs)} average poolings before pointwise convolutions",
            f"{listed_layers([p for _, p in pairs], 'average poolings')} right behind 1x1 "
            "convolutions, which are linear: before them they give the same, and the convolutions "
            "have fewer pixels.",
            tuple(name for pair in pairs for name in pair),
            True,
            partial(_swap_all, pairs=tuple(pairs)),
        )


def needless_shuffles(case: Case) -> Iterator[Rewrite]:
    """Remove channel shuffles that only dense convolutions see, by shuffling weights instead."""
    names = [
        name
        for name, node in case.nodes.items()
        if isinstance(node.op, ChannelShuffle) and _ends_dense(case, name)
    ]
    if names:
        yield Rewrite(
            "G4",
            f"{len(names)} channel shuffles left out",
            f"{listed_layers(names, 'channel shuffles')} before dense convolutions, whose weights "
            "may be shuffled once instead.",
            tuple(names),
            True,
            partial(without, names=tuple(names)),
        )


def cheaper_activations(case: Case) -> Iterator[Rewrite]:
    """Replace costly activations by ReLUs."""
    alike: dict[str, list[str]] = {}
    for name, node in case.nodes.items():
        if _is_unary(node, COSTLY):
            alike.setdefault(str(node.op.kind), []).append(name)  # type: ignore[attr-defined]
    for kind, names in alike.items():
        yield Rewrite(
            "G4",
            f"relu in place of {kind} ({len(names)})",
            f"{listed_layers(names, 'activations')} {kind}: a ReLU takes fewer operations and is "
            "fused by more engines.",
            tuple(names),
            False,
            partial(_relus, names=tuple(names)),
        )


def _fold(drafts: Drafts, pairs: Sequence[tuple[str, str]]) -> dict[str, Draft]:
    """Fold the remaining norms: merged branches have one instead of several."""
    left = [(c, n) for c, n in pairs if n in drafts and drafts[n].sources == ((c, 0),)]
    if not left:
        raise GraphError("no batch normalization is left to be folded")
    biased = {conv: drafts[conv].op.with_fields(bias=True) for conv, _ in left}
    return without(with_ops(drafts, biased), {norm for _, norm in left})


def _swap_all(drafts: Drafts, pairs: Sequence[tuple[str, str]]) -> dict[str, Draft]:
    result = dict(drafts)
    for first, second in pairs:
        result = swapped(result, first, second)
    return result


def _relus(drafts: Drafts, names: Sequence[str]) -> dict[str, Draft]:
    left = [name for name in names if name in drafts]
    if not left:
        raise GraphError("no activation is left to be exchanged")
    return with_ops(drafts, dict.fromkeys(left, Elementwise("relu")))


def _is_unary(node: Node, kinds: frozenset[str]) -> bool:
    op = node.op
    return (
        isinstance(op, Elementwise)
        and op.kind in kinds
        and op.value is None
        and len(node.inputs) == 1
    )


def _is_pointwise(node: Node) -> bool:
    op = node.op
    if not isinstance(op, Conv) or not _unpadded(op.padding):
        return False
    return all(k == 1 for k in op.kernel) and all(s == 1 for s in op.stride)


def _unpadded(padding: object) -> bool:
    return isinstance(padding, tuple) and all(p == (0, 0) for p in padding)


def _ends_dense(case: Case, name: str) -> bool:
    """Return whether only dense convolutions see the order of the channels of a node."""
    found = case.takers.get((name, 0), [])
    for taker in found:
        node = case.nodes[taker]
        if case.shares(taker):
            return False  # its weights see other channels elsewhere
        if isinstance(node.op, Conv) and node.op.groups == 1:
            continue
        one = len(node.inputs) == 1 and len(node.outputs) == 1
        keeps = isinstance(node.op, BatchNorm | Elementwise | Pool | PReLU) or is_depthwise(node)
        if not (one and keeps and _ends_dense(case, taker)):
            return False
    return bool(found)
