"""Counts of other tools for a network, and the reasons why their totals differ from ours.

Rules are those of the source of each tool: torch 2.13 ``torch/utils/flop_counter.py``, fvcore 0.1.5
``nn/flop_count.py`` and ``nn/jit_handles.py``, thop 0.1.1 ``vision/basic_hooks.py``, ptflops 0.7.5
``pytorch_ops.py`` (its backend ``pytorch``). The last two look at modules: what a network calls as
a function is taken for the module of the same name here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import networkx as nx

from costmodel.counting.cost import op_cost
from costmodel.counting.subject import Prepared, prepare
from costmodel.errors import DataError, suggest
from costmodel.graph import Node
from costmodel.ops import (
    AdaptivePool,
    Attention,
    BatchNorm,
    Conv,
    ConvTranspose,
    Elementwise,
    GroupNorm,
    LayerNorm,
    Linear,
    MatMul,
    Pool,
    PReLU,
    Recurrent,
    Resize,
    Softmax,
)

Part = tuple[str, int]
"""A reason, and its contribution to the difference from our multiply-adds."""
_ACTIVATIONS = {"relu": 2, "elu": 2, "gelu": 2, "relu6": 1, "leaky_relu": 1, "silu": 1}
"""How often ptflops counts an activation: as a module, and as the function that this calls."""
_TWICE = " (module and function)"
_BICUBIC = 259  # multiplications and additions of a pixel, as thop counts them


@dataclass(frozen=True)
class Tool:
    """The counting rules of a tool.

    Parameters
    ----------
    name, title : str
        Its name on the command line, and its full name.
    factor : int
        Its count for a multiply-add. [1]
    rule : callable
        Returns the differences from our multiply-adds for one operator.
    note : str
        Properties that its total depends on and that a graph does not contain.
    """

    name: str
    title: str
    factor: int
    rule: Callable[[Node, int], Iterator[Part]]
    note: str


@dataclass(frozen=True)
class Difference:
    """A difference of a tool, for all operators of a kind together.

    Parameters
    ----------
    reason, operator : str
        The reason, and the class of the operators.
    operators : tuple of str
        Their names.
    multiply_adds : int
        The additional (or missing) count of the tool, in its unit before the factor.
    """

    reason: str
    operator: str
    operators: tuple[str, ...]
    multiply_adds: int


@dataclass(frozen=True)
class Likeness:
    """The total of a tool with its differences from ours.

    Parameters
    ----------
    tool : Tool
        The tool.
    multiply_adds : int
        Ours. [multiply-add]
    differences : tuple of Difference
        The largest first.
    untold : tuple of str
        Operators without a known rule of the tool; they count as in our total.
    """

    tool: Tool
    multiply_adds: int
    differences: tuple[Difference, ...]
    untold: tuple[str, ...]

    @property
    def total(self) -> int:
        """The total that the tool prints."""
        found = self.multiply_adds + sum(d.multiply_adds for d in self.differences)
        return self.tool.factor * found


def like(graph: nx.DiGraph | Prepared, tool: str) -> Likeness:
    """Return the count of a tool for a concrete network, and every difference from our count.

    Parameters
    ----------
    graph : DiGraph or Prepared
        A network of numbers.
    tool : str
        A key of :data:`TOOLS`.

    Raises
    ------
    DataError
        If the tool is unknown.

    Examples
    --------
    >>> from costmodel import zoo
    >>> found = like(zoo.resnet18(), "fvcore")
    >>> found.total, [(d.reason, d.multiply_adds) for d in found.differences][0]
    (1819065856, ('batch normalization counts 2 an element', 4967424))
    """
    if tool not in TOOLS:
        raise DataError(f"unknown tool {tool!r}; {suggest(tool, TOOLS)}")
    ready = prepare(graph)
    found: dict[tuple[str, str], tuple[list[str], int]] = {}
    untold = []
    for node, cost in zip(ready.nodes, ready.costs, strict=True):
        ours = int(cost.cost.multiply_adds)
        if isinstance(node.op, Recurrent) and tool in ("thop", "ptflops"):
            untold.append(node.name)
            continue
        for reason, difference in TOOLS[tool].rule(node, ours):
            if difference:
                key = (reason, type(node.op).__name__)
                names, so_far = found.get(key, ([], 0))
                found[key] = ([*names, node.name], so_far + difference)
    differences = [Difference(*key, tuple(n), value) for key, (n, value) in found.items()]
    differences.sort(key=lambda d: -abs(d.multiply_adds))
    return Likeness(TOOLS[tool], int(ready.total.multiply_adds), tuple(differences), tuple(untold))


def _torch(node: Node, ours: int) -> Iterator[Part]:
    match node.op:
        case Conv() | ConvTranspose() | Linear() | MatMul():
            pass
        case Attention():
            yield _square(node, ours)
        case _:
            yield "has no formula for it", -ours


def _fvcore(node: Node, ours: int) -> Iterator[Part]:
    match node.op:
        case Conv() | ConvTranspose() | Linear() | MatMul():
            pass
        case Attention():
            yield "fused attention counts as nothing", -ours
        case BatchNorm(affine=affine):
            yield _norm("batch normalization", node, 2 if affine else 1)
        case GroupNorm(affine=affine):
            yield _norm("group normalization", node, 5 if affine else 4)
        case LayerNorm(rms=False, affine=affine):
            yield _norm("layer normalization", node, 5 if affine else 4)
        case AdaptivePool(kind="avg"):
            yield "adaptive pooling counts 1 an element of its input", _taken(node)
        case Resize(kind="nearest"):
            yield "resizing counts 1 an element of its output", _made(node)
        case Resize(kind="bilinear"):
            yield "bilinear resizing counts 4 an element of its output", 4 * _made(node)
        case _:
            yield "has no formula for it", -ours


def _thop(node: Node, ours: int) -> Iterator[Part]:
    match node.op:
        case Conv() | Linear():
            pass
        case ConvTranspose(kernel=kernel, groups=groups):
            taps = node.inputs[0].shape[1] // groups
            for size in kernel:
                taps = taps * size
            counted = int(_made(node) * taps)
            yield "transposed convolutions count at every pixel of the output", counted - ours
        case MatMul():
            yield "products of two activations are no module and count as nothing", -ours
        case Attention():
            yield "attention is no module and counts as nothing", -ours
        case BatchNorm(affine=affine):
            yield _norm("batch normalization", node, 4 if affine else 2)
        case LayerNorm(rms=False, affine=affine):
            yield _norm("layer normalization", node, 4 if affine else 2)
        case PReLU():
            yield "activations count 1 an element", _made(node)
        case Pool(kind="avg"):
            yield "pooling counts 1 an element of its output", _made(node)
        case AdaptivePool(kind="avg"):
            said = "adaptive pooling counts its input and its output, 1 an element"
            yield said, _taken(node) + _made(node)
        case Resize(kind=kind):
            each = {"nearest": 1, "bilinear": 11, "bicubic": _BICUBIC}.get(kind, 0)
            yield f"{kind} resizing counts {each} an element of its output", each * _made(node)
        case _:
            yield "has no formula for it", -ours


def _ptflops(node: Node, ours: int) -> Iterator[Part]:
    match node.op:
        case Conv(bias=bias) | ConvTranspose(bias=bias) | Linear(bias=bias):
            if bias:
                yield "a bias counts 1 an element of the output", _made(node)
        case MatMul():
            pass
        case Attention():
            yield "fused attention counts as nothing", -ours
        case BatchNorm(affine=affine):
            yield _norm("batch normalization", node, 2 if affine else 1)
        case GroupNorm(affine=affine):
            yield _norm("group normalization", node, 2 if affine else 1)
        case LayerNorm(rms=False):
            yield _norm("layer normalization", node, 1)
        case Elementwise(kind=kind) if kind in _ACTIVATIONS:
            each = _ACTIVATIONS[kind]
            yield f"{kind} counts {each} an element{_TWICE * (each > 1)}", each * _made(node)
        case PReLU():
            yield f"prelu counts 2 an element{_TWICE}", 2 * _made(node)
        case Softmax():
            yield "softmax counts 1 an element", _made(node)
        case Pool() | AdaptivePool():
            yield f"pooling counts 2 an element of its input{_TWICE}", 2 * _taken(node)
        case Resize():
            yield f"resizing counts 2 an element of its output{_TWICE}", 2 * _made(node)
        case _:
            yield "has no formula for it", -ours


def _square(node: Node, ours: int) -> Part:
    """Return the part that a causal mask excludes and a tool counts."""
    assert isinstance(node.op, Attention)
    full = op_cost(replace(node.op, causal=False), node.inputs).cost.multiply_adds
    return "a causal mask is not looked at: the whole square counts", int(full) - ours


def _norm(what: str, node: Node, each: int) -> Part:
    return f"{what} counts {each} an element", each * _taken(node)


def _taken(node: Node) -> int:
    return int(node.inputs[0].elements)


def _made(node: Node) -> int:
    return int(node.outputs[0].elements)


TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "torch",
            "torch.utils.flop_counter.FlopCounterMode",
            2,
            _torch,
            "Attention is taken to run on a GPU or unfused: on a CPU, fused attention and the fast "
            "path of nn.MultiheadAttention count as nothing.",
        ),
        Tool(
            "fvcore",
            "fvcore.nn.FlopCountAnalysis",
            1,
            _fvcore,
            "A mean over pixels is taken for adaptive pooling: written x.mean([2, 3]) it counts as "
            "nothing.",
        ),
        Tool(
            "thop",
            "thop.profile",
            1,
            _thop,
            "Layers are taken for modules: what is called as a function counts as nothing, also "
            "the projections of nn.MultiheadAttention.",
        ),
        Tool(
            "ptflops",
            "ptflops.get_model_complexity_info",
            1,
            _ptflops,
            "Layers are taken for modules; the attention modules of torch and timm have formulas "
            "of their own, which are not followed here.",
        ),
    )
}
"""The tools whose rules are known, by name."""
