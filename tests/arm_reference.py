"""A whole network of the ARM program in NumPy, nothing of it taken from a run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from costmodel_validation.arm.bench.program import Spec
from costmodel_validation.arm.checks.reference import WEIGHT, call_kernel, uniform


def reference_tensors(spec: Spec) -> dict[int, NDArray[Any]]:
    """Return all tensors that the network writes, by number."""
    tensors: dict[int, NDArray[Any]] = {}

    def value(number: int) -> NDArray[Any]:
        buffer = spec.buffers[number]
        if number in tensors:
            return tensors[number]
        if buffer.base is not None:
            part = np.ravel(value(buffer.base))[buffer.offset :][: buffer.elements]
            return part.reshape(buffer.shape)
        assert buffer.seed is not None
        filled = uniform(buffer.seed, WEIGHT, buffer.elements) * np.float32(buffer.scale)
        return filled.reshape(buffer.shape)

    for call in spec.calls:
        shapes = [spec.buffers[number].shape for number in call.outputs]
        made = call_kernel(call, [value(number) for number in call.inputs], shapes)
        tensors.update(zip(call.outputs, made, strict=True))
    return tensors
