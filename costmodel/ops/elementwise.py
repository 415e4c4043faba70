"""Elementwise operators: activations, arithmetic, casts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from costmodel.algebra.symbols import Dim
from costmodel.errors import ShapeError, suggest
from costmodel.ops.base import Nest, Op
from costmodel.ops.broadcast import broadcast_shapes
from costmodel.ops.tensor import REAL_OF, Tensor

# Arithmetic operations per element; a transcendental function counts as one.
UNARY: dict[str, int] = {
    "abs": 1,
    "ceil": 1,
    "clamp": 2,
    "cos": 1,
    "elu": 4,
    "erf": 1,
    "exp": 1,
    "floor": 1,
    "gelu": 5,
    "gelu_tanh": 8,
    "hard_sigmoid": 4,
    "hard_swish": 5,
    "hard_tanh": 2,
    "leaky_relu": 2,
    "log": 1,
    "mish": 5,
    "neg": 1,
    "not": 1,
    "reciprocal": 1,
    "relu": 1,
    "relu6": 2,
    "round": 1,
    "rsqrt": 2,
    "sigmoid": 3,
    "sign": 1,
    "silu": 4,
    "sin": 1,
    "softplus": 3,
    "sqrt": 1,
    "special": 1,
    "square": 1,
    "tanh": 1,
}
BINARY: dict[str, int] = {
    "add": 1,
    "and": 1,
    "div": 1,
    "equal": 1,
    "floor_div": 2,
    "greater": 1,
    "greater_equal": 1,
    "less": 1,
    "less_equal": 1,
    "max": 1,
    "min": 1,
    "mod": 2,
    "mul": 1,
    "not_equal": 1,
    "or": 1,
    "pow": 1,
    "special_of_two": 1,
    "sub": 1,
    "xor": 1,
}
TERNARY: dict[str, int] = {"where": 1}
COMPLEX: dict[str, int] = {"abs": 4, "div": 11, "exp": 5, "mul": 6, "reciprocal": 6}
"""Real operations for one complex element, where it is more than one for each of its parts.

A product has four products and two sums; a quotient (of Smith's kind without its comparison) six
products, three sums and two divisions; an absolute value two squares, their sum and a root.
"""
TRANSCENDENTAL = frozenset(
    {
        "cos",
        "elu",
        "erf",
        "exp",
        "gelu",
        "gelu_tanh",
        "log",
        "mish",
        "pow",
        "sigmoid",
        "silu",
        "sin",
        "softplus",
        "tanh",
    }
)
"""Kinds whose time is dominated by a transcendental function."""
_BOOLEAN = {
    "and",
    "equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "not",
    "not_equal",
    "or",
    "xor",
}


@dataclass(frozen=True, slots=True)
class Elementwise(Op):
    """One operation on every element, inputs broadcast against each other.

    Parameters
    ----------
    kind : str
        A key of :data:`UNARY`, :data:`BINARY` or :data:`TERNARY`; ``"special"`` and
        ``"special_of_two"`` stand for functions without a name here (``lgamma``, ``hypot``), which
        count as one operation, like every transcendental function.
    value : float, optional
        A number in place of the second input of a binary kind.

    Notes
    -----
    A residual addition of two maps of ``N`` elements has no multiply-adds, ``N`` operations and
    3 ``N`` elements of traffic.

    Examples
    --------
    >>> Elementwise("add").infer(Tensor((1, 8, 7, 7)), Tensor((8, 1, 1)))[0].shape
    (1, 8, 7, 7)
    """

    kind: str
    value: float | None = None
    kernel_kinds = ("elementwise",)
    arity = None

    def __post_init__(self) -> None:
        if self.kind not in UNARY and self.kind not in BINARY and self.kind not in TERNARY:
            kinds = [*UNARY, *BINARY, *TERNARY]
            raise ShapeError(f"unknown elementwise kind {self.kind!r}; {suggest(self.kind, kinds)}")
        if self.value is not None and self.kind not in BINARY:
            raise ShapeError(f"Elementwise {self.kind!r} takes no value; only binary kinds do")

    @property
    def operands(self) -> int:
        """Number of input tensors."""
        if self.kind in UNARY:
            return 1
        return 3 if self.kind in TERNARY else 2 - (self.value is not None)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if len(inputs) != self.operands:
            raise ShapeError(
                f"Elementwise {self.kind!r} takes {self.operands} inputs, got {len(inputs)}"
            )
        # The condition of `where` is Boolean: the branches determine the dtype.
        dtype = "bool" if self.kind in _BOOLEAN else inputs[-1].dtype
        if self.kind == "abs":
            dtype = REAL_OF.get(dtype, dtype)
        shape = inputs[0].shape
        for other in inputs[1:]:
            shape = broadcast_shapes(shape, other.shape, f"Elementwise {self.kind!r}")
        return (Tensor.inferred(shape, dtype),)

    def nest(self, *inputs: Tensor) -> Nest:
        operations = {**UNARY, **BINARY, **TERNARY}[self.kind]
        if inputs and inputs[-1].is_complex:
            both = all(x.is_complex for x in inputs) and self.value is None
            operations = COMPLEX.get(self.kind, 2 * operations) if both else 2 * operations
        return Nest(parallel=self.infer(*inputs)[0].shape, elementwise=operations)

    def functions(self, *inputs: Tensor) -> Mapping[str, Dim]:
        # An unnamed function takes about the time of a power: several polynomials.
        name = "pow" if self.kind.startswith("special") else self.kind
        return {name: self.infer(*inputs)[0].elements} if name in TRANSCENDENTAL else {}


@dataclass(frozen=True, slots=True)
class PReLU(Op):
    """Leaky rectifier with a learned slope for each channel, or one for all.

    Parameters
    ----------
    shared : bool
        Whether all channels share one slope.

    Examples
    --------
    >>> PReLU().weights(Tensor((1, 8, 7, 7)))[0].shape
    (8,)
    """

    shared: bool = False
    kernel_kinds = ("elementwise",)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        if inputs[0].rank < 2:
            raise ShapeError(f"PReLU needs an input with a channel axis, got {inputs[0]}")
        return (inputs[0],)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (inputs[0].with_shape(1 if self.shared else inputs[0].shape[1]),)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=inputs[0].shape, elementwise=2)


@dataclass(frozen=True, slots=True)
class Cast(Op):
    """Conversion of every element to another dtype: a read and a write without arithmetic.

    Examples
    --------
    >>> Cast("float16").infer(Tensor((2, 3)))[0].dtype
    'float16'
    """

    dtype: str
    kernel_kinds = ("elementwise",)

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (Tensor.inferred(inputs[0].shape, self.dtype),)

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(parallel=inputs[0].shape)
