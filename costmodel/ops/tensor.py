"""A tensor of the cost model: a shape and an element type, without data."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.algebra.sizes import check_shape
from costmodel.algebra.symbols import Dim, product
from costmodel.errors import DataError, suggest

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
    "complex64": 8,
    "complex128": 16,
}
"""Bytes of one element by dtype [byte]."""
FLOATING = frozenset({"float64", "float32", "tf32", "float16", "bfloat16", "float8"})
"""The floating-point dtypes."""
HALVES = ("float16", "bfloat16")
"""Floats of two bytes."""
INTEGERS = ("int8", "uint8")
"""Integers with products of their own."""
REAL_OF: dict[str, str] = {"complex64": "float32", "complex128": "float64"}
"""The dtype of the real and imaginary parts of a complex number."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """Shape and dtype of a tensor.

    Parameters
    ----------
    shape : tuple of Dim
        Sizes, outermost first; images are batch, channels, height, width. A size may be 0; the
        tensor is then empty and costs nothing. [element]
    dtype : str
        A key of :data:`DTYPE_BYTES`.

    Raises
    ------
    ShapeError, DataError
        If a dimension is not a size (:func:`~costmodel.algebra.sizes.check_dim`), or the dtype is
        unknown.

    Examples
    --------
    >>> x = Tensor((1, 3, 224, 224))
    >>> x.elements, x.bytes
    (150528, 602112)
    """

    shape: tuple[Dim, ...]
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _check_dtype(self.dtype)
        shape = check_shape(self.shape)
        if shape is not self.shape:
            object.__setattr__(self, "shape", shape)

    @classmethod
    def inferred(cls, shape: tuple[Dim, ...], dtype: str) -> Tensor:
        """Return the tensor of a shape that a shape rule inferred from valid ones.

        Its sizes are assumed to divide and to fit (:func:`~costmodel.algebra.sizes.check_dim`).

        Examples
        --------
        >>> from costmodel import dim
        >>> str(Tensor.inferred((1, dim("h") - 4), "float32"))
        'float32[1, h - 4]'
        """
        _check_dtype(dtype)
        tensor = object.__new__(cls)
        object.__setattr__(tensor, "shape", check_shape(shape, stated=False))
        object.__setattr__(tensor, "dtype", dtype)
        return tensor

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

    @property
    def is_complex(self) -> bool:
        """Whether an element has a real and an imaginary part."""
        return self.dtype in REAL_OF

    def with_shape(self, *shape: Dim) -> Tensor:
        """Return a tensor of the same dtype and another shape, inferred from valid ones."""
        return Tensor.inferred(shape, self.dtype)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(str(d) for d in self.shape)}]"


def _check_dtype(dtype: str) -> None:
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise DataError(f"unknown dtype {dtype!r}; {suggest(dtype, DTYPE_BYTES)}")
