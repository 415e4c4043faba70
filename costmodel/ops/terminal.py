"""Operators at which tensors enter and leave a graph."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.sizes import check_shape
from costmodel.algebra.symbols import Dim
from costmodel.ops.base import Nest, Op
from costmodel.ops.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Input(Op):
    """A tensor passed by the caller.

    Parameters
    ----------
    shape : tuple of Dim
        Its shape. [element]
    dtype : str
        Its dtype.

    Examples
    --------
    >>> Input((1, 3, 224, 224)).infer()[0].elements
    150528
    """

    shape: tuple[Dim, ...]
    dtype: str = "float32"
    kernel_kinds = ()
    arity = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (Tensor.inferred(self.shape, self.dtype),)


@dataclass(frozen=True, slots=True)
class Constant(Op):
    """A tensor of the network that is not learned; free until it is used.

    Parameters
    ----------
    shape : tuple of Dim
        Its shape. [element]
    dtype : str
        Its dtype.

    Examples
    --------
    >>> Constant((197, 768)).infer()[0].shape
    (197, 768)
    """

    shape: tuple[Dim, ...]
    dtype: str = "float32"
    kernel_kinds = ()
    arity = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (Tensor.inferred(self.shape, self.dtype),)


@dataclass(frozen=True, slots=True)
class Parameter(Op):
    """A learned tensor used as an activation: a position embedding, a class token.

    Parameters
    ----------
    shape : tuple of Dim
        Its shape. [element]
    dtype : str
        Its dtype.

    Notes
    -----
    It is free until it is used: the consuming operator counts the read.

    Examples
    --------
    >>> Parameter((1, 197, 768)).weights()[0].elements
    151296
    """

    shape: tuple[Dim, ...]
    dtype: str = "float32"
    kernel_kinds = ()
    arity = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", check_shape(self.shape))

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return (Tensor.inferred(self.shape, self.dtype),)

    def weights(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return self.infer()

    def nest(self, *inputs: Tensor) -> Nest:
        return Nest(weight_reads=0, writes=())


@dataclass(frozen=True, slots=True)
class Output(Op):
    """A tensor returned to the caller.

    Examples
    --------
    >>> Output().infer(Tensor((1, 1000)))
    ()
    """

    kernel_kinds = ()

    def infer(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return ()
