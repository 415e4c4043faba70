"""Lowering: from the op graph to the kernels that a runtime launches.

The rules are data of the runtime (``costmodel/runtimes/*.toml``): operators that are dropped or
folded, and operators that are fused into a preceding kernel without a round trip through memory.
Each pass below is one rule; :mod:`costmodel.kernels.fusion` is the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from costmodel.counting.subject import Subject, nodes_of
from costmodel.graph import Node, Source
from costmodel.kernels.autocast import autocast
from costmodel.kernels.constants import fold_constants, renamed
from costmodel.kernels.fusion import Fusion
from costmodel.kernels.images import with_images
from costmodel.kernels.kernel import Kernel
from costmodel.kernels.layouts import in_one_layout
from costmodel.kernels.rewrites import merge_alike, widened, with_transposes
from costmodel.ops import (
    Attention,
    AttentionMix,
    AttentionScores,
    Contiguous,
    Elementwise,
    Output,
    Softmax,
)
from costmodel.runtimes import FusionRule, Runtime


def lower(graph: Subject, runtime: Runtime) -> tuple[Kernel, ...]:
    """Return the kernels of ``graph`` under ``runtime``, in order of execution.

    Parameters
    ----------
    graph : DiGraph or Prepared
        A network.
    runtime : Runtime
        Its rules.

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.runtimes import load_runtime
    >>> kernels = lower(zoo.shufflenet_v2(), load_runtime("paper"))
    >>> kernels[0].nodes
    ('conv1.conv', 'conv1.batch_norm', 'conv1.relu')
    """
    return lower_nodes(nodes_of(graph), runtime)


def lower_nodes(
    nodes: list[Node], runtime: Runtime, amp: str = "", hardware: str = ""
) -> tuple[Kernel, ...]:
    """Return the kernels of the nodes of a network, which must be in topological order.

    Parameters
    ----------
    nodes : list of Node
        The network.
    runtime : Runtime
        Its rules.
    amp : str
        Dtype of automatic mixed precision, ``""`` without it.
    hardware : {"", "cpu", "gpu", "accelerator"}
        Where it runs, ``""`` where nothing depends on it.
    """
    if runtime.widened:
        wide = widened(nodes, runtime.widened)
        if wide is not nodes:
            # Casts stood between the operators when these were to be fused.
            runtime = replace(runtime, fusion=tuple(map(_folding, runtime.fusion)))
        nodes = wide
    if runtime.last_axis_softmax:
        nodes = with_transposes(nodes)
    if not runtime.fused_attention:
        nodes = _expand_attention(nodes)
    if runtime.fused_masks:
        nodes = _fuse_masked_attention(nodes)
    if amp:
        nodes = autocast(nodes, amp, hardware, shared=runtime.generated)
    if runtime.copies:
        nodes = _drop_second_copies(nodes, runtime.copies)
    if runtime.generated:
        nodes = merge_alike(nodes)
    if runtime.fold_constants:
        nodes = fold_constants(nodes, runtime)
    if runtime.dead_code:
        nodes = _drop_dead(nodes)
    kernels = Fusion(nodes, runtime, hardware).kernels()
    if runtime.layout_costs and runtime.layout == "nhwc" and hardware == "gpu":
        kernels = in_one_layout(kernels, runtime.layout_costs)
    return with_images(kernels, nodes) if runtime.takes_channels_last(hardware) else kernels


def _folding(rule: FusionRule) -> FusionRule:
    """Return the part of a rule that folds into weights, which happens before anything runs."""
    return replace(rule, takes=tuple(name for name in rule.takes if name == "batch_norm"))


def _expand_attention(nodes: list[Node]) -> list[Node]:
    """Replace each attention by the kernels of its expansion."""
    if not any(isinstance(node.op, Attention) for node in nodes):
        return nodes
    expanded: list[Node] = []
    alias: dict[Source, Source] = {}
    for node in nodes:
        feeds = tuple(alias.get(s, s) for s in node.sources)
        program = node.op.expand(*node.inputs) if isinstance(node.op, Attention) else None
        if program is None:
            expanded.append(node._replace(sources=feeds))
            continue
        values = list(feeds)
        for i, (step, (op, inputs)) in enumerate(
            zip(program.steps, program.operators(), strict=True)
        ):
            name = f"{node.name}.{i}"
            outputs = op.infer(*inputs)
            sources = tuple(values[j] for j in step.inputs)
            expanded.append(Node(name, op, inputs, outputs, node.module, name, sources))
            values.extend((name, j) for j in range(len(outputs)))
        alias.update({(node.name, i): values[j] for i, j in enumerate(program.outputs)})
    return expanded


def _fuse_masked_attention(nodes: list[Node]) -> list[Node]:
    """Replace scores, the addition of a mask or of positions, softmax and mix by one attention.

    The added tensor is read from the cache: it is the same for many heads or images.
    """
    if not any(isinstance(node.op, AttentionMix) for node in nodes):
        return nodes
    by_name = {node.name: node for node in nodes}
    uses: dict[str, int] = {}
    for node in nodes:
        for maker, _ in node.sources:
            uses[maker] = uses.get(maker, 0) + 1
    gone: set[str] = set()
    fused: dict[str, Node] = {}
    for node in nodes:
        chain = _masked(node, by_name)
        if chain and all(uses[inner.name] == 1 for inner in chain):
            scores = chain[-1]
            gone.update(inner.name for inner in chain)
            fused[node.name] = node._replace(
                op=Attention(),
                inputs=(*scores.inputs, node.inputs[1]),
                sources=(*scores.sources, node.sources[1]),
            )
    return [fused.get(node.name, node) for node in nodes if node.name not in gone]


def _masked(mix: Node, by_name: Mapping[str, Node]) -> tuple[Node, ...]:
    """Return softmax, addition and scores before ``mix``, nothing where they are not there."""
    if not isinstance(mix.op, AttentionMix):
        return ()
    softmax = by_name[mix.sources[0][0]]
    if not isinstance(softmax.op, Softmax):
        return ()
    added = by_name[softmax.sources[0][0]]
    if not (isinstance(added.op, Elementwise) and added.op.kind == "add"):
        return ()
    for maker, _ in added.sources:
        if isinstance(by_name[maker].op, AttentionScores):
            return softmax, added, by_name[maker]
    return ()


def _drop_second_copies(nodes: list[Node], copies: tuple[str, ...]) -> list[Node]:
    """Drop a contiguous copy of a tensor that the runtime has just copied, such as a transpose."""
    if not any(isinstance(node.op, Contiguous) for node in nodes):
        return nodes
    copied = {node.name for node in nodes if type(node.op).__name__ in copies}
    alias: dict[Source, Source] = {}
    kept = []
    for node in nodes:
        read = renamed(node, alias) if alias else node
        if isinstance(node.op, Contiguous) and read.sources[0][0] in copied:
            alias[node.name, 0] = read.sources[0]
        else:
            kept.append(read)
    return kept


def _drop_dead(nodes: list[Node]) -> list[Node]:
    """Keep the nodes that an output depends on; without outputs keep all."""
    if not any(isinstance(node.op, Output) for node in reversed(nodes)):
        return nodes
    alive: set[str] = set()
    for node in reversed(nodes):
        if isinstance(node.op, Output) or node.name in alive:
            alive.add(node.name)
            alive.update([source for source, _ in node.sources])
    return [node for node in nodes if node.name in alive]
