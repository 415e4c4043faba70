"""Comparison of the binary's results with the NumPy reference, operator by operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bench.program import Spec
from .reference import WEIGHT, Float32, call_kernel, uniform

TOLERANCE = 1e-5
HALF_TOLERANCE = 5e-3
"""Of products in float16: 64 terms are summed in it, each sum rounded by up to 2**-11."""


@dataclass(frozen=True)
class Deviation:
    """Largest error of one operator's outputs, relative to the largest reference value."""

    index: int
    kernel: str
    relative: float
    tolerance: float = TOLERANCE

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.relative <= self.tolerance


def relative_error(actual: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference over the largest expected magnitude.

    It is infinite where shapes differ or a value is not finite.

    >>> relative_error(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
    0.2
    """
    if actual.shape != expected.shape or not np.isfinite(actual).all():
        return float("inf")
    scale = float(np.abs(expected).max())
    return float(np.abs(actual - expected).max()) / (scale if scale > 0 else 1.0)


def check(spec: Spec, tensors: Mapping[int, NDArray[np.float32]]) -> list[Deviation]:
    """Each operator against the reference applied to the inputs that the binary itself had.

    Parameters
    ----------
    spec
        The network; every tensor an operator writes must have been dumped.
    tensors
        Dumped values by tensor number.

    Returns
    -------
    list of Deviation
        One entry an operator, in order.
    """
    deviations = []
    for index, call in enumerate(spec.calls):
        inputs = [_value(spec, tensors, number) for number in call.inputs]
        shapes = [spec.buffers[number].shape for number in call.outputs]
        expected = call_kernel(call, inputs, shapes)
        worst = max(
            relative_error(tensors[number], value)
            for number, value in zip(call.outputs, expected, strict=True)
        )
        half = call.params.get("dtype") == "float16"
        tolerance = HALF_TOLERANCE if half else TOLERANCE
        deviations.append(Deviation(index, call.kernel, worst, tolerance))
    return deviations


def _value(spec: Spec, tensors: Mapping[int, NDArray[Any]], number: int) -> NDArray[Any]:
    """Return a tensor as written by an operator, filled from its seed, or seen through a view."""
    if number in tensors:
        return tensors[number]
    buffer = spec.buffers[number]
    if buffer.base is not None:
        base = _value(spec, tensors, buffer.base).reshape(-1)
        return base[buffer.offset : buffer.offset + buffer.elements].reshape(buffer.shape)
    if buffer.seed is None:
        raise KeyError(f"tensor {number} was neither dumped nor filled from a seed")
    filled: Float32 = uniform(buffer.seed, WEIGHT, buffer.elements) * np.float32(buffer.scale)
    return filled.reshape(buffer.shape)
