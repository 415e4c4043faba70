"""A tensor as the cost model sees it: a shape and an element type, no data."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.symbols import MAX_DIM, Dim, check_dim, product
from costmodel.errors import DataError

DTYPE_BYTES: dict[str, int] = {
    "float64": 8,
    "float32": 4,
    "tf32": 4,
    "float16": 2,
    "bfloat16": 2,
    "float8": 1,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of one element by dtype [byte]."""
FLOATING = frozenset({"float64", "float32", "tf32", "float16", "bfloat16", "float8"})
"""The floating-point dtypes."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Shape and dtype of a tensor.

    Parameters
    ----------
    shape : tuple of Dim
        Sizes, outermost first; images are batch, channels, height, width. [element]
    dtype : str
        A key of :data:`DTYPE_BYTES`.

    Raises
    ------
    ShapeError, DataError
        If a dimension is not a positive integer, or the dtype is unknown.

    Examples
    --------
    >>> x = Tensor((1, 3, 224, 224))
    >>> x.elements, x.bytes
    (150528, 602112)
    """

    shape: tuple[Dim, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPE_BYTES:
            known = ", ".join(DTYPE_BYTES)
            raise DataError(f"unknown dtype {self.dtype!r}; known are {known}")
        for size in self.shape:
            if type(size) is not int or not 1 <= size <= MAX_DIM:
                checked = tuple(
                    check_dim(d, f"a dimension of shape {self.shape}") for d in self.shape
                )
                object.__setattr__(self, "shape", checked)
                break

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def elements(self) -> Dim:
        """Number of elements [element]."""
        return product(self.shape)

    @property
    def bytes(self) -> Dim:
        """Size in memory [byte]."""
        return self.elements * DTYPE_BYTES[self.dtype]

    def with_shape(self, *shape: Dim) -> Tensor:
        """Return a tensor of the same dtype and another shape."""
        return Tensor(tuple(shape), self.dtype)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(str(d) for d in self.shape)}]"
