"""Scaled dot-product attention, with causal mask and grouped queries."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, exact_div, minimum, product, same
from costmodel.errors import ShapeError
from costmodel.ops.base import Expansion, Nest, Op, Program
from costmodel.ops.product import Product
from costmodel.ops.reduction import Softmax, lower_triangle
from costmodel.ops.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Attention(Op):
    r"""Scaled dot-product attention of queries over keys and values.

    Inputs are ``q [..., heads, L, d]``, ``k [..., kv heads, S, d]`` and
    ``v [..., kv heads, S, e]``.

    Parameters
    ----------
    causal : bool
        Whether query ``i`` attends only to keys ``j <= i``; only those pairs count.

    Notes
    -----
    Attention expands into scores, softmax and mix, which move the ``L x S`` scores through memory
    four times. A fused (flash) kernel moves only the inputs and the output. This is the difference
    between ``mac`` of the graph and the traffic of the lowered kernel.

    .. math:: B = h\,p\,(d + e) \qquad p = LS \text{ or the lower triangle}

    Grouped-query attention has fewer key and value heads than query heads; each is read once.

    Examples
    --------
    >>> q = Tensor((1, 8, 197, 64))
    >>> Attention().infer(q, q, q)[0].shape
    (1, 8, 197, 64)
    """

    causal: bool = False
    kernel_kinds = ("attention",)
    arity = 3

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        q, k, v = inputs
        if not q.rank == k.rank == v.rank or q.rank < 3:
            raise ShapeError(f"Attention needs q, k, v of one rank >= 3, got {q}, {k}, {v}")
        if not same(q.shape[-1], k.shape[-1]):
            raise ShapeError(f"Attention depth of q {q} and k {k} differs")
        if not same(k.shape[-2], v.shape[-2]) or not same(k.shape[-3], v.shape[-3]):
            raise ShapeError(f"Attention length or heads of k {k} and v {v} differ")
        if not all(map(same, k.shape[:-3], v.shape[:-3])):
            raise ShapeError(f"Attention batch of q {q}, k {k}, v {v} differs")
        _check_heads("Attention", q, k)
        return (q.with_shape(*q.shape[:-1], v.shape[-1]),)

    def expand(self, *inputs: Tensor) -> Expansion:
        self.infer(*inputs)
        program = Program(list(inputs))
        scores = program.add(AttentionScores(self.causal), 0, 1)
        weights = program.add(Softmax(causal=self.causal), scores)
        return program.finish(program.add(AttentionMix(self.causal), weights, 2))


@dataclass(frozen=True, slots=True)
class AttentionScores(Op):
    """Products of every query with every key it attends to; the scale is folded into the queries.

    Parameters
    ----------
    causal : bool
        As in :class:`Attention`.

    Examples
    --------
    >>> q = Tensor((1, 8, 4, 64))
    >>> AttentionScores(causal=True).nest(q, q).parallel
    (1, 8, 10)
    """

    causal: bool = False
    kernel_kinds = ("matmul",)
    arity = 2

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        q, k = inputs
        if q.rank != k.rank or q.rank < 3 or not same(q.shape[-1], k.shape[-1]):
            raise ShapeError(f"AttentionScores needs q and k of one rank >= 3 and depth: {q}, {k}")
        _check_heads("AttentionScores", q, k)
        return (q.with_shape(*q.shape[:-1], k.shape[-2]),)

    def nest(self, *inputs: Tensor) -> Nest:
        q, k = inputs
        pairs = _pairs(q.shape[-2], k.shape[-2], self.causal)
        outer = q.shape[:-2]
        return Nest(
            parallel=(*outer, pairs),
            reduced=(q.shape[-1],),
            multiply_adds=1,
            writes=(product(outer) * pairs,),
        )

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        q, k = inputs
        outer, length, keys, depth = product(q.shape[:-2]), q.shape[-2], k.shape[-2], q.shape[-1]
        needed = outer * _pairs(length, keys, True) * depth if self.causal else None
        shared, sets = _shared(q, k), k.shape[-3]
        return (Product(outer, length, keys, depth, needed=needed, shared=shared, sets=sets),)


@dataclass(frozen=True, slots=True)
class AttentionMix(Op):
    """Sums of the values, weighted by the attention weights of every query.

    Parameters
    ----------
    causal : bool
        As in :class:`Attention`.

    Examples
    --------
    >>> a, v = Tensor((1, 8, 4, 4)), Tensor((1, 8, 4, 64))
    >>> AttentionMix(causal=True).nest(a, v).points
    5120
    """

    causal: bool = False
    kernel_kinds = ("matmul",)
    arity = 2

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        weights, v = inputs
        if weights.rank != v.rank or v.rank < 3 or not same(weights.shape[-1], v.shape[-2]):
            raise ShapeError(
                f"AttentionMix needs weights [..., heads, L, S] and v [..., heads, S, e]: "
                f"{weights}, {v}"
            )
        _check_heads("AttentionMix", weights, v)
        return (weights.with_shape(*weights.shape[:-1], v.shape[-1]),)

    def nest(self, *inputs: Tensor) -> Nest:
        weights, v = inputs
        outer = weights.shape[:-2]
        length, keys = weights.shape[-2:]
        pairs = product(outer) * _pairs(length, keys, self.causal)
        return Nest(
            parallel=(*weights.shape[:-1], v.shape[-1]),
            # With a mask the last query attends to at most as many keys as there are queries.
            reduced=(minimum(length, keys) if self.causal else keys,),
            points=pairs * v.shape[-1],
            multiply_adds=1,
            reads=(pairs, v.elements),
        )

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        weights, v = inputs
        outer, (length, keys), depth = product(weights.shape[:-2]), weights.shape[-2:], v.shape[-1]
        needed = outer * _pairs(length, keys, True) * depth if self.causal else None
        return (Product(outer, length, depth, keys, needed=needed, shared=_shared(weights, v)),)


def _check_heads(what: str, queries: Tensor, keys: Tensor) -> None:
    """Raise ``ShapeError`` unless batches agree and key heads divide query heads."""
    if not all(map(same, queries.shape[:-3], keys.shape[:-3])):
        raise ShapeError(f"{what} batch of {queries} and {keys} differs")
    heads, shared = queries.shape[-3], keys.shape[-3]
    if not same(heads, shared):
        exact_div(heads, shared, f"{what} query heads")


def _shared(queries: Tensor, keys: Tensor) -> Dim:
    """Return the number of query heads per key head [1]."""
    heads, shared = queries.shape[-3], keys.shape[-3]
    return 1 if same(heads, shared) else exact_div(heads, shared, "query heads")


def _pairs(length: Dim, keys: Dim, causal: bool) -> Dim:
    return lower_triangle(length, keys) if causal else length * keys
