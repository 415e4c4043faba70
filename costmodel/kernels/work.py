"""What one operator brings into a kernel, derived in one place from the operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from costmodel.algebra.symbols import Dim, least_once, total
from costmodel.counting.cost import Cost, op_cost
from costmodel.ops import Op
from costmodel.ops.product import Product
from costmodel.ops.tensor import DTYPE_BYTES, Tensor


@dataclass(frozen=True, slots=True)
class Work:
    """An operator on given inputs, as the kernel that it starts or joins sees it.

    Parameters
    ----------
    kind : str
        Kind of the kernel that it starts; ``""`` for an operator that launches nothing.
    cost : Cost
        Its additive costs.
    products : tuple of Product
        The matrix products that its multiply-adds are.
    functions : mapping of str to Dim
        Evaluations of each transcendental function. [operation]
    pieces : Dim
        Pieces handled one after the other. [1]
    weight_bytes : Dim
        Learned tensors that one run reads. [byte]
    """

    kind: str
    cost: Cost
    products: tuple[Product, ...]
    functions: Mapping[str, Dim]
    pieces: Dim
    weight_bytes: Dim


def work_of(op: Op, inputs: tuple[Tensor, ...]) -> Work:
    """Return what ``op`` brings into a kernel.

    Examples
    --------
    >>> from costmodel.ops import Conv
    >>> work_of(Conv(48, (1, 1)), (Tensor((1, 24, 56, 56)),)).kind
    'pointwise'
    """
    try:
        return _cached(op, inputs)
    except TypeError:  # dimensions that are arrays cannot be hashed
        return _work(op, inputs)


def _work(op: Op, inputs: tuple[Tensor, ...]) -> Work:
    cost = op_cost(op, inputs).cost
    learned = op.weights(*inputs)
    read: Dim = 0
    if learned:
        params = total(tensor.elements for tensor in learned)
        read = least_once(params, cost.weight_reads) * DTYPE_BYTES[learned[0].dtype]
    return Work(
        kind=op.kernel_kind(*inputs) if op.kernel_kinds else "",
        cost=cost,
        products=op.products(*inputs),
        functions=op.functions(*inputs),
        pieces=op.pieces(*inputs),
        weight_bytes=read,
    )


_cached = lru_cache(maxsize=1 << 16)(_work)
