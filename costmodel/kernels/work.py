"""Contribution of one operator to a kernel, derived in one place from the operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from costmodel.algebra.arrays import computed_once, once
from costmodel.algebra.symbols import Dim, least_once, same, total
from costmodel.counting.cost import Cost, op_cost
from costmodel.counting.needs import needs, whole
from costmodel.errors import ShapeError
from costmodel.ops import (
    AdaptivePool,
    BatchNorm,
    Cast,
    Conv,
    ConvTranspose,
    DeformConv,
    Elementwise,
    Op,
    PReLU,
    Reduce,
)
from costmodel.ops.product import Product
from costmodel.ops.tensor import DTYPE_BYTES, Tensor

_BY_KIND = (("copy",), ("norm",), ("softmax",))
"""Operators that rules name by the kind of kernel that they start."""


def follower_names(op: Op) -> tuple[str, ...]:
    """Return the names of ``op`` in fusion rules, none if it cannot be fused.

    An element-wise operator has the name of its kind (``"scalar"`` where a number takes the place
    of the second tensor) and is one of ``"unary"`` or ``"nary"``. A copy is ``"copy"``, and an
    operator over rows is ``"norm"``, ``"softmax"`` or ``"reduction"``.

    Examples
    --------
    >>> follower_names(Elementwise("relu")), follower_names(Elementwise("add"))
    (('relu', 'unary'), ('add', 'nary'))
    """
    match op:
        case BatchNorm():
            return ("batch_norm",)
        case PReLU():
            return ("prelu", "unary")
        case Cast():
            return ("cast", "unary")
        case Elementwise(operands=1):
            return (op.kind if op.value is None else "scalar", "unary")
        case Elementwise():
            return (op.kind, "nary")
        case Reduce() | AdaptivePool():
            return ("reduction",)
    return op.kernel_kinds if op.kernel_kinds in _BY_KIND else ()


@dataclass(frozen=True, slots=True)
class Work:
    """Contribution of an operator on given inputs to the kernel that it starts or joins.

    Parameters
    ----------
    kind : str
        Kind of the kernel that it starts; ``""`` for an operator that launches nothing.
    cost : Cost
        Its additive costs.
    products : tuple of Product
        The matrix products that make up its multiply-adds.
    functions : mapping of str to Dim
        Evaluations of each transcendental function. [operation]
    pieces : Dim
        Pieces handled one after the other. [1]
    merged : Dim
        Rows whose mean and variance are computed together. [1]
    weight_bytes : Dim
        Learned tensors read by one run. [byte]
    touched : tuple of Dim
        Bytes of each input that the loops touch, without pixels skipped by a stride. [byte]
    names : tuple of str
        Its names in fusion rules (:func:`follower_names`).
    """

    kind: str
    cost: Cost
    products: tuple[Product, ...]
    functions: Mapping[str, Dim]
    pieces: Dim
    merged: Dim
    weight_bytes: Dim
    touched: tuple[Dim, ...]
    names: tuple[str, ...]


def work_of(op: Op, inputs: tuple[Tensor, ...]) -> Work:
    """Return the contribution of ``op`` to a kernel.

    Examples
    --------
    >>> from costmodel.ops import Conv
    >>> work_of(Conv(48, (1, 1)), (Tensor((1, 24, 56, 56)),)).kind
    'pointwise'
    """
    try:
        return _cached(op, inputs)
    except TypeError:  # array dimensions are not hashable
        tensors = tuple((x.shape, x.dtype) for x in inputs)
        given = work_of, type(op), tuple(op.fields().values()), tensors
        found: Work = once(partial(_work_of_arrays, op, inputs), *given)
        return found


def _work_of_arrays(op: Op, inputs: tuple[Tensor, ...]) -> Work:
    _check_one_kind(op, inputs)
    with computed_once():
        return _work(op, inputs)


class KindsError(ShapeError):
    """Entries of arrays start different kinds of kernels.

    Parameters
    ----------
    message : str
        What is wrong.
    apart : ndarray of bool
        The entries to be timed apart from the others; broadcasts with the arrays.
    """

    def __init__(self, message: str, apart: np.ndarray) -> None:
        super().__init__(message)
        self.apart = apart


def _check_one_kind(op: Op, inputs: tuple[Tensor, ...]) -> None:
    """Raise ``KindsError`` if array entries would start different kernels."""
    if not isinstance(op, Conv | ConvTranspose | DeformConv):
        return
    found = [("groups", op.groups, 1), ("groups", op.groups, inputs[0].shape[1])]
    found += [("kernel", size, special) for size in op.kernel for special in (1, 3)]
    if not all(same(size, 1) for size in op.kernel):
        found += [("stride", size, 1) for size in op.stride]
        found += [("dilation", size, 1) for size in op.dilation]
    for name, size, special in found:
        arrays = isinstance(size, np.ndarray) or isinstance(special, np.ndarray)
        equal = np.equal(size, special) if arrays else same(size, special)
        if np.any(equal) and not np.all(equal):
            raise KindsError(
                f"{type(op).__name__} {name} {size} is {special} in some entries only, which start "
                "another kind of kernel: time these in a separate graph",
                np.asarray(equal),
            )


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
        merged=op.merged(*inputs),
        weight_bytes=read,
        touched=_touched(op, inputs),
        names=follower_names(op),
    )


def _touched(op: Op, inputs: tuple[Tensor, ...]) -> tuple[Dim, ...]:
    if op.is_view or not op.kernel_kinds:
        return tuple(x.bytes for x in inputs)
    found = needs(op, inputs, tuple(map(whole, op.infer(*inputs)))).inputs
    pairs = zip(found, inputs, strict=True)
    return tuple(part.elements * DTYPE_BYTES[x.dtype] for part, x in pairs)


_cached = lru_cache(maxsize=1 << 16)(_work)
