"""Products of each row with one of several learned matrices: experts."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import Dim, ceil_div, maximum, minimum
from costmodel.errors import ShapeError
from costmodel.ops.base import Nest, Op
from costmodel.ops.product import Product
from costmodel.ops.tensor import Tensor
from costmodel.ops.window import check_sizes


@dataclass(frozen=True, slots=True)
class GroupedLinear(Op):
    r"""The product of every row with the matrix of its expert (mixture of experts).

    Inputs are ``x [rows, in]``, sorted by expert, and the end of the rows of each expert.

    Parameters
    ----------
    experts : Dim
        Learned matrices. [1]
    out_features : Dim
        Output features. [1]

    Notes
    -----
    ``x`` has one row for each token and each expert that the token is routed to, so only the
    selected experts work:

    .. math:: B = \text{rows} \cdot \text{in} \cdot \text{out}

    The selected experts depend on the data. The count assumes the largest possible number,
    ``min(experts, rows)``, with equal numbers of rows.

    Examples
    --------
    >>> experts = GroupedLinear(8, 64)
    >>> x, ends = Tensor((6, 32)), Tensor((8,), "int32")
    >>> experts.infer(x, ends)[0].shape, experts.nest(x, ends).weight_reads == 6 * 32 * 64
    ((6, 64), True)
    """

    experts: Dim
    out_features: Dim
    kernel_kinds = ("linear",)
    arity = 2

    def __post_init__(self) -> None:
        check_sizes(self, "experts", "out_features")

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        x, ends = inputs
        if x.rank != 2 or ends.rank != 1:
            raise ShapeError(f"GroupedLinear needs rows [rows, in] and their ends: {x}, {ends}")
        return (x.with_shape(x.shape[0], self.out_features),)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        (x, _) = inputs
        return (x.with_shape(self.experts, x.shape[1], self.out_features),)

    def nest(self, *inputs: Tensor) -> Nest:
        rows, features = inputs[0].shape
        return Nest(
            parallel=(rows, self.out_features),
            reduced=(features,),
            multiply_adds=1,
            weight_reads=minimum(self.experts, rows) * features * self.out_features,
        )

    def products(self, *inputs: Tensor) -> tuple[Product, ...]:
        rows, features = inputs[0].shape
        active = minimum(self.experts, rows)
        each = ceil_div(rows, maximum(1, active))
        needed = rows * features * self.out_features
        return (Product(active, self.out_features, each, features, needed=needed),)
