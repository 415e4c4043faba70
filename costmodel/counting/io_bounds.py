"""What any schedule of a network moves at least, through a fast memory of any or a given size."""

from __future__ import annotations

import networkx as nx

from costmodel.algebra.amounts import check_amount
from costmodel.algebra.symbols import (
    Dim,
    is_symbolic,
    least_once,
    maximum,
    minimum,
    product,
    same,
    sqrt,
    total,
)
from costmodel.counting.cost import OpCost, any_output
from costmodel.counting.subject import Prepared, Subject, prepare
from costmodel.graph import Node, Source
from costmodel.ops import Constant, Conv, Input, Linear, MatMul, Output, Parameter
from costmodel.ops.tensor import Tensor


def io_lower_bound(graph: nx.DiGraph | Prepared) -> Dim:
    """Return what any schedule of the network moves at least: inputs, outputs, parameters.

    Returns
    -------
    Dim
        Elements. [element]

    Notes
    -----
    Everything else could stay in a fast memory that is large enough. What is never used is not
    moved: an embedding counts by the rows that are read, an input by the largest part of it that
    one operator takes, an output by what an operator has written of it.

    Examples
    --------
    >>> import costmodel as cm
    >>> cm.io_lower_bound(cm.zoo.pointwise(56, 56, 128, 128))
    819200
    """
    ready = prepare(graph)
    buffers: dict[Source, Source] = {}
    sizes: dict[Source, Dim] = {}
    moved: dict[Source, Dim] = {}
    learned: dict[str, Dim] = {}
    given: set[Source] = set()
    for node, result in zip(ready.nodes, ready.costs, strict=True):
        for slot, source in enumerate(node.sources):
            buffer = buffers[source]
            # Inputs move when they are read, results when they leave.
            if not node.op.is_view and (buffer in given) != isinstance(node.op, Output):
                part = _at_most(_taken(node, slot), sizes[buffer])
                moved[buffer] = part if buffer not in moved else maximum(moved[buffer], part)
        for i, tensor in enumerate(node.outputs):
            buffers[node.name, i] = buffers[node.sources[0]] if node.op.is_view else (node.name, i)
            if isinstance(node.op, Input | Constant | Parameter):
                given.add((node.name, i))
                sizes[node.name, i] = tensor.elements
            elif not node.op.is_view:
                sizes[node.name, i] = _written(node, i)
        learned.setdefault(node.weights, least_once(result.params, result.cost.weight_reads))
    return _at_most_mac(total([*moved.values(), *learned.values()]), ready.total.mac)


def cache_lower_bound(subject: Subject, *inputs: Tensor, capacity: Dim) -> Dim:
    r"""Return what each operator moves at least through a fast memory of ``capacity`` elements.

    .. math:: Q \ge \frac{2mnk}{\sqrt S} - 2S

    for products of matrices (linear layers, 1x1 convolutions of stride 1, batched products), and
    never less than every operand once.

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``; operators run one after the other.
    capacity : Dim
        Elements that the fast memory holds, ``S``. [element]

    Returns
    -------
    Dim
        Elements. [element]

    Notes
    -----
    The red-blue pebble game of :cite:t:`hong1981io` with the constant of :cite:t:`smith2019tight`.
    The bound holds for any order of the classical multiply-adds, not for Strassen or Winograd.

    Examples
    --------
    >>> from costmodel.ops import Linear
    >>> x = Tensor((1024, 1024))
    >>> round(cache_lower_bound(Linear(1024, bias=False), x, capacity=8192))
    23710182
    >>> cache_lower_bound(Linear(1024, bias=False), x, capacity=2**24)
    3145728
    """
    check_amount(capacity, "capacity", "element")
    ready = prepare(subject, *inputs)
    return total(
        _cache_bound(node, result, capacity)
        for node, result in zip(ready.nodes, ready.costs, strict=True)
    )


def compulsory(node: Node, result: OpCost) -> Dim:
    """Return every operand once: for one nest its MAC, for an expansion its outer tensors."""
    if not node.op.expands:
        return result.cost.mac
    outer = total(t.elements for t in (*node.inputs, *node.outputs))
    learned = least_once(result.params, result.cost.weight_reads)
    return _at_most_mac((outer + learned) * any_output(node.outputs), result.cost.mac)


def _cache_bound(node: Node, result: OpCost, capacity: Dim) -> Dim:
    once = compulsory(node, result)
    if not _is_product(node):
        return once
    products = _products(node)
    pebbles = 2 * result.cost.multiply_adds / sqrt(capacity) - 2 * capacity * products
    return maximum(once, pebbles)


def _is_product(node: Node) -> bool:
    """Say whether the operator is a product of matrices, every element of which is stored."""
    match node.op:
        case Linear() | MatMul():
            return True
        case Conv(kernel=kernel, stride=stride, padding=padding):
            padded = padding != "same" and not all(same(p, 0) for pair in padding for p in pair)
            return all(same(size, 1) for size in (*kernel, *stride)) and not padded
    return False


def _products(node: Node) -> Dim:
    """Return how many separate matrix products the operator is."""
    match node.op:
        case Conv(groups=groups):
            return groups * node.inputs[0].shape[0]
        case MatMul():
            return product(node.outputs[0].shape[:-2])
    return 1


def _taken(node: Node, slot: int) -> Dim:
    """Return how many elements the operator reads of one input."""
    reads = None if node.op.expands or not node.outputs else node.op.nest(*node.inputs).reads
    elements = node.inputs[slot].elements if reads is None else reads[slot]
    return elements * any_output(node.outputs)


def _at_most_mac(bound: Dim, mac: Dim) -> Dim:
    """Return the bound, but what the operators move where parts of the network have nothing to do.

    Attention without keys reads no queries. Symbols stand for tensors that are not empty.
    """
    return bound if is_symbolic(bound) or is_symbolic(mac) else minimum(bound, mac)


def _written(node: Node, output: int) -> Dim:
    """Return how many elements the operator writes of one output."""
    writes = None if node.op.expands else node.op.nest(*node.inputs).writes
    return node.outputs[output].elements if writes is None else writes[output]


def _at_most(part: Dim, whole: Dim) -> Dim:
    return part if is_symbolic(whole) and part == whole else minimum(part, whole)
