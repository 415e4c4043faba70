"""Shapes, element types and sizes in bytes."""

from __future__ import annotations

import numpy as np
import pytest

from costmodel.algebra.symbols import symbols
from costmodel.errors import DataError, ShapeError
from costmodel.ops.tensor import DTYPE_BYTES, Tensor


@pytest.mark.parametrize(
    ("dtype", "size"),
    [
        ("float64", 8),
        ("float32", 4),
        ("float16", 2),
        ("bfloat16", 2),
        ("float8", 1),
        ("int64", 8),
        ("int32", 4),
        ("int16", 2),
        ("int8", 1),
        ("uint8", 1),
        ("bool", 1),
    ],
)
def test_bytes_of_each_dtype(dtype: str, size: int) -> None:
    assert DTYPE_BYTES[dtype] == size
    assert Tensor((2, 3, 5), dtype).bytes == 30 * size


def test_tensors_of_symbols_and_arrays() -> None:
    h, w = symbols("h w")
    assert Tensor((3, h, w)).elements == 3 * h * w
    assert Tensor((np.array([1, 2]), 4)).elements.tolist() == [4, 8]
    assert Tensor(()).elements == 1
    assert str(Tensor((1, h), "int8")) == "int8[1, h]"
    assert Tensor((2,), "int8").with_shape(3) == Tensor((3,), "int8")


def test_wrong_tensors_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"dimension of shape \(1, -1\)"):
        Tensor((1, -1))
    with pytest.raises(ShapeError):
        Tensor((1, 2.0))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="unknown dtype 'float99'"):
        Tensor((1,), "float99")
