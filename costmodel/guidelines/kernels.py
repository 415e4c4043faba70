"""G3 and G4: the kernels that a runtime makes of a network."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from costmodel.counting.cost import op_cost
from costmodel.graph import Node
from costmodel.guidelines.case import Case, Finding
from costmodel.kinds import KINDS
from costmodel.ops import BatchNorm, Conv, Elementwise, Pool
from costmodel.prediction import KernelTime


def fragmentation(case: Case) -> Iterator[Finding]:
    """G3: how many kernels, how many in series, and what launching them costs."""
    blocks: dict[str, list[KernelTime]] = defaultdict(list)
    for k in case.prediction.kernels:
        node = case.nodes.get(k.kernel.name)
        blocks[_block(node.module if node else k.kernel.name)].append(k)
    fragments = {name: _fragments(case, ks) for name, ks in blocks.items() if name}
    most = max(fragments.values(), default=0)
    if most < 2:
        return
    count, series = len(case.prediction.kernels), _in_series(case.prediction.kernels)
    launch = sum(float(k.terms.launch) for k in case.prediction.kernels)
    several = [ks for name, ks in blocks.items() if name and len(ks) > 1]
    rest = [[sum(t) - max(t) for t in _times(ks)] for ks in several]
    saving = case.saved(sum(r[0] for r in rest), sum(r[1] for r in rest))
    worst = [name for name, n in fragments.items() if n == most]
    share = launch / float(case.prediction.device_seconds)
    yield case.finding(
        "G3",
        f"{count} kernels, {series} in series",
        f"{count} kernels run, {series} of them one after the other by their data; launching them "
        f"is {share:.0%} of the device's time. Blocks hold up to {most} fragments (convolutions "
        "and poolings). One kernel for each block would save the other launches.",
        worst,
        saving,
    )


def elementwise(case: Case) -> Iterator[Finding]:
    """G4: what activations, additions, shuffles ... and depthwise convolutions take."""
    own: dict[str, list[KernelTime]] = defaultdict(list)
    passes: dict[str, float] = defaultdict(float)
    members: dict[str, list[str]] = defaultdict(list)
    for k in case.prediction.kernels:
        names = [n for n in k.kernel.nodes if n in case.nodes]
        followers = [n for n in names if n != k.kernel.name and _label(case.nodes[n])]
        if k.kernel.name in case.nodes and (label := _label(case.nodes[k.kernel.name])):
            own[label].append(k)
            members[label].append(k.kernel.name)
        paid = [n for n in followers if not isinstance(case.nodes[n].op, BatchNorm)]
        for name in paid:
            passes[_label(case.nodes[name])] += float(k.terms.passes) / len(paid)
        for name in followers:
            members[_label(case.nodes[name])].append(name)
    for label, layers in members.items():
        alone = own[label]
        seconds = sum(float(k.seconds) for k in alone) + passes[label]
        moved = sum(op_cost(case.nodes[n].op, case.nodes[n].inputs).cost.mac for n in layers)
        yield case.finding(
            "G4",
            f"{label} x {len(layers)}",
            f"{len(layers)} x {label}: {len(alone)} kernels of their own, "
            f"{len(layers) - len(alone)} fused behind others; {moved / case.mac:.0%} of the MAC of "
            f"the network where nothing is fused, {_arithmetic(case, layers)} of its arithmetic. "
            "The saving is that of leaving all of them out.",
            layers,
            case.saved(seconds, sum(float(k.terms.host) for k in alone)),
            float(moved),
        )


def _block(module: str) -> str:
    """Return the repeated block that a module is in: its path up to the first number.

    >>> [_block(m) for m in ("stage2.0.main.1", "encoder.layer_3.mlp", "block7", "head.fc")]
    ['stage2.0', 'encoder.layer_3', 'block7', 'head']
    """
    parts = module.split(".")
    for pattern in (r"\d+", r".*\d+"):
        for i, part in enumerate(parts):
            if re.fullmatch(pattern, part):
                return ".".join(parts[: i + 1])
    return parts[0]


def _fragments(case: Case, kernels: list[KernelTime]) -> int:
    ops = [case.nodes[k.kernel.name].op for k in kernels if k.kernel.name in case.nodes]
    return sum(isinstance(op, Conv | Pool) for op in ops)


def _times(kernels: list[KernelTime]) -> tuple[list[float], list[float]]:
    return [float(k.terms.launch) for k in kernels], [float(k.terms.host) for k in kernels]


def _in_series(kernels: Iterable[KernelTime]) -> int:
    """Return the most kernels on one path of tensors."""
    depth: dict[str | None, int] = {}
    for k in kernels:
        depth[k.kernel.name] = 1 + max((depth.get(r.maker, 0) for r in k.kernel.reads), default=0)
    return max(depth.values(), default=0)


def _label(node: Node) -> str:
    """Return what an element-wise operator is called, ``""`` for others.

    Depthwise convolutions count as element-wise in the paper: much traffic for their arithmetic.
    """
    if not node.op.kernel_kinds or node.op.is_view:
        return ""
    kind = node.op.kernel_kind(*node.inputs)
    if not KINDS[kind].elementwise:
        return ""
    if kind == "depthwise":
        return "depthwise convolution"
    if isinstance(node.op, Elementwise):
        return str(node.op.kind)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node.op).__name__).lower()


def _arithmetic(case: Case, layers: list[str]) -> str:
    done = sum(op_cost(case.nodes[n].op, case.nodes[n].inputs).cost.work for n in layers)
    whole = sum(op_cost(n.op, n.inputs).cost.work for n in case.nodes.values())
    return f"{done / whole:.1%}" if whole else "none"
