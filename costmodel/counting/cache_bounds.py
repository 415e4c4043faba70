"""Least traffic of a network, operator by operator, through a fast memory of a given size."""

from __future__ import annotations

import math
from collections import Counter

from costmodel.algebra.amounts import check_amount
from costmodel.algebra.symbols import (
    Dim,
    exact_div,
    maximum,
    minimum,
    product,
    total,
)
from costmodel.counting.demand import GIVEN, Demand, Use, demand_in
from costmodel.counting.io_bounds import least_io
from costmodel.counting.needs.products import seen_pairs
from costmodel.counting.needs.windows import axes_of, pairs_of, scattered_axes, scattered_pairs
from costmodel.counting.subject import Subject, nodes_of, prepare
from costmodel.counting.traffic import (
    attention_traffic,
    gram_traffic,
    product_traffic,
    square_traffic,
)
from costmodel.errors import DataError
from costmodel.graph import Source
from costmodel.ops import (
    Attention,
    AttentionMix,
    AttentionScores,
    Conv,
    ConvTranspose,
    Linear,
    MatMul,
)
from costmodel.ops.reach import reuse
from costmodel.ops.tensor import DTYPE_BYTES, Tensor


def cache_lower_bound(subject: Subject, *inputs: Tensor, capacity: Dim) -> Dim:
    r"""Return the least traffic of a network that runs one operator after the other, unfused.

    .. math::

        Q \ge \max\left(Q_\infty,\; \sum_l \max\left(0,\; Q_l(M) - \min(M, I_l) - \min(M, O_l)
        \right)\right)

    Fused or interleaved schedules may move less; for them only :func:`io_lower_bound` holds.

    Parameters
    ----------
    subject : DiGraph, Op or Prepared
        A graph, or an operator with its ``inputs``. Operators run one after the other, in any
        order; the fast memory keeps its content between operators.
    capacity : Dim
        Capacity of the fast memory, ``M``. [element]

    Returns
    -------
    Dim
        Elements. [element]

    Raises
    ------
    DataError
        If ``capacity`` is less than one element.

    Notes
    -----
    :math:`Q_\infty` is :func:`io_lower_bound`. :math:`Q_l(M)` is the traffic of operator :math:`l`
    alone, from slow memory to slow memory: every element that it touches once, and for products,
    convolutions and attention at least the bounds of :mod:`costmodel.counting.traffic`.
    :math:`I_l` are the elements of its operands that another operator makes or reads, :math:`O_l`
    the elements of its outputs that do not leave the network.

    *Proof.* Take any such schedule without repeated or unnecessary computation. Attribute each
    load, including prefetches, to the operator that first uses it, and each write to the operator
    that made the element. Now run :math:`l` alone: its loads may happen at the same time or when it
    starts. It lacks operands that were in fast memory because another operator loaded or made them:
    load them, at most :math:`\min(M, I_l)`. Outputs that the schedule never writes must be in fast
    memory when :math:`l` ends: write them, at most :math:`\min(M, O_l)`. The result is a schedule
    of :math:`l` alone, with at least :math:`Q_l(M)` moves. Only results that an output depends on
    count, and only the operands of these; others need not be made at all.

    For small :math:`M` the bound is the sum over the operators, for large :math:`M` it is
    :math:`Q_\infty`.

    Examples
    --------
    >>> from costmodel.ops import Linear
    >>> x = Tensor((1024, 1024))
    >>> round(cache_lower_bound(Linear(1024, bias=False), x, capacity=8192))
    23710182
    >>> cache_lower_bound(Linear(1024, bias=False), x, capacity=2**24)
    3145728
    """
    capacity = check_amount(capacity, "capacity", "element")
    ready = prepare(subject, *inputs)
    demand = demand_in(ready)
    sharing = _Sharing(demand)
    apart = total([_apart(use, demand, sharing, capacity) for use in demand.uses])
    return maximum(least_io(demand, ready.total.mac), apart)


def fast_elements(subject: Subject, size: float) -> int:
    """Return the largest number of elements, of the smallest dtype, in ``size`` bytes.

    Raises
    ------
    DataError
        If ``size`` is less than one element.

    Examples
    --------
    >>> from costmodel import zoo
    >>> fast_elements(zoo.pointwise(7, 7, 8, 8), 512e3)
    128000
    """
    tensors = [y for node in nodes_of(subject) for y in (*node.inputs, *node.outputs)]
    smallest = min((DTYPE_BYTES[t.dtype] for t in tensors), default=1)
    if not smallest <= size < math.inf:
        raise DataError(f"a fast memory of {size:g} bytes holds no element of {smallest} bytes")
    return int(size // smallest)


class _Sharing:
    """The buffers and weights used by several operators of a network."""

    def __init__(self, demand: Demand) -> None:
        self._demand = demand
        self._readers = Counter(source for use in demand.uses for source in use.reads)
        named = [use.node.weights for use in demand.uses]
        named += [demand.views.nodes[name].weights for name, _ in demand.given]
        self._users = Counter(named)

    def inputs(self, use: Use) -> Dim:
        """Return the operand elements of ``use`` that others make or read [element]."""
        sizes = [self._size(source) for source in use.reads if self._shared(source)]
        if self._users[use.node.weights] > 1:
            sizes += [w.elements for w in use.node.op.weights(*use.node.inputs)]
        return total(sizes)

    def outputs(self, use: Use) -> Dim:
        """Return the output elements of ``use`` that do not leave the network [element]."""
        pairs = zip(use.node.outputs, use.leaves, strict=True)
        return total([y.elements - leaves for y, leaves in pairs])

    def _shared(self, source: Source) -> bool:
        if source[0] not in self._demand.views.nodes:
            return False
        node = self._demand.views.nodes[source[0]]
        tied = self._users[node.weights] > 1
        return not isinstance(node.op, GIVEN) or self._readers[source] > 1 or tied

    def _size(self, source: Source) -> Dim:
        return self._demand.views.nodes[source[0]].outputs[source[1]].elements


def compulsory(use: Use) -> Dim:
    """Return the elements that an operator alone touches for the needed results, each once."""
    return total([*use.reads.values(), use.weights, *use.writes])


def _apart(use: Use, demand: Demand, sharing: _Sharing, capacity: Dim) -> Dim:
    """Return the traffic of the operator minus the elements found or left in fast memory."""
    alone = compulsory(use)
    pebbles = least_traffic(use, demand, capacity)
    if pebbles is not None:
        alone = maximum(alone, pebbles)
    saved = [n for n in (sharing.inputs(use), sharing.outputs(use)) if not _is_zero(n)]
    if not saved:
        return alone
    return maximum(0, alone - total([minimum(capacity, n) for n in saved]))


def _is_zero(count: Dim) -> bool:
    return isinstance(count, int) and count == 0


def least_traffic(use: Use, demand: Demand, capacity: Dim) -> Dim | None:
    """Return the least traffic of one operator's multiply-adds; None if no bound is known."""
    op, x, box = use.node.op, use.node.inputs[:1], use.parts[0].box if use.parts else ()
    match op:
        case Conv():
            axes = axes_of(op, *x)
            pairs = product(pairs_of(axis, n) for axis, n in zip(axes, box[2:], strict=True))
        case ConvTranspose():
            axes = scattered_axes(op, *x)
            pairs = product(scattered_pairs(axis, n) for axis, n in zip(axes, box[2:], strict=True))
        case Linear():
            done = product((*box, x[0].shape[-1]))
            return product_traffic(done, capacity, _repeats(use, demand, 1))
        case MatMul():
            return _matmul(op, use, demand, capacity)
        case Attention() | AttentionScores() | AttentionMix():
            return _attention(op, use, demand, capacity)
        case _:
            return None
    chain = exact_div(x[0].shape[1], op.groups)
    met = product((_repeats(use, demand, 1), *map(reuse, axes)))
    return product_traffic(product((*box[:2], chain, pairs)), capacity, met)


def _repeats(use: Use, demand: Demand, slots: int = 2) -> Dim:
    """Return the product of the repetitions by views of the first operands."""
    return product(demand.views.repeats(source) for source in use.node.sources[:slots])


def _matmul(op: MatMul, use: Use, demand: Demand, capacity: Dim) -> Dim:
    """Return the bound of a product; it is lower if both operands are one buffer."""
    (a, _), box = use.node.inputs, use.parts[0].box
    inner = a.shape[-2] if op.transpose_a else a.shape[-1]
    done = product((*box, inner))
    repeats = _repeats(use, demand)
    if _slots_apart(use, demand):
        return product_traffic(done, capacity, repeats)
    one, other = use.node.sources
    if one == other and op.transpose_a == op.transpose_b:
        return square_traffic(done, capacity, repeats)
    diagonal = product((*box[:-2], minimum(box[-2], box[-1]), inner))
    return gram_traffic(done, capacity, diagonal, repeats)


def _attention(
    op: Attention | AttentionScores | AttentionMix, use: Use, demand: Demand, capacity: Dim
) -> Dim | None:
    """Return the bound of attention, or of one of its products whose scores are stored."""
    x, part = use.node.inputs[0], use.parts[0]
    if not _slots_apart(use, demand):
        return None
    *outer, length, columns = part.box
    if isinstance(op, AttentionScores):
        done = use.writes[0] if op.causal else product(part.box)
        return product_traffic(product((done, x.shape[-1])), capacity, _repeats(use, demand))
    keys = use.node.inputs[1].shape[-2]
    pairs = product((*outer, seen_pairs(op, length, keys)))
    if isinstance(op, AttentionMix):
        return product_traffic(product((pairs, columns)), capacity, _repeats(use, demand))
    outputs = product(part.box)
    return attention_traffic(pairs, x.shape[-1], outputs, capacity, _repeats(use, demand))


def _slots_apart(use: Use, demand: Demand) -> bool:
    """Return whether the first two operands certainly share no element."""
    sources = use.node.sources
    return not sources or demand.views.apart(sources[0], sources[1])
