"""Shape rules of common operators for which torch is slow: the shape of their input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

Shape: TypeAlias = tuple[int, ...]
Rule: TypeAlias = Callable[[Any, Sequence[Tensor]], Shape | None]
"""Returns the output shape of an operator from its arguments and their tensors, contiguous
and of the dtype of the first, or None where torch must say it."""


def _shape(tensor: Tensor) -> Shape:
    return tuple(tensor.shape)


def _same(args: Any, tensors: Sequence[Tensor]) -> Shape | None:
    return _shape(tensors[0]) if len(tensors) == 1 else None


def _binary(args: Any, tensors: Sequence[Tensor]) -> Shape | None:
    if len(tensors) == 1:  # the other is a number
        return _shape(tensors[0])
    a, b = tensors
    if a.dtype != b.dtype or not b.is_contiguous():
        return None
    small, large = sorted((_shape(a), _shape(b)), key=len)
    inner = large[len(large) - len(small) :]
    fits = all(m in (1, n) for m, n in zip(small, inner, strict=True))
    return large if fits else None


def _per_channel(args: Any, tensors: Sequence[Tensor]) -> Shape | None:
    x, *numbers = tensors
    if x.dim() < 2 or any(t.dim() != 1 or t.shape[0] != x.shape[1] for t in numbers):
        return None
    return _shape(x)


def _batch_norm(args: Any, tensors: Sequence[Tensor]) -> Shape | None:
    in_training = args[5] or args[3] is None
    return None if in_training else _per_channel(args, tensors)


def _group_norm(args: Any, tensors: Sequence[Tensor]) -> Shape | None:
    shape = _per_channel(args, tensors)
    return None if shape is None or shape[1] % args[1] else shape


def _layer_norm(args: Any, tensors: Sequence[Tensor]) -> Shape | None:
    x, *numbers = tensors
    tail = list(x.shape[-len(args[1]) :])
    fits = tail == list(args[1]) and all(list(t.shape) == tail for t in numbers)
    return _shape(x) if fits else None


def _linear(args: Any, tensors: Sequence[Tensor]) -> Shape | None:
    x, weight, *bias = tensors
    if x.dim() < 2 or weight.dim() != 2 or x.shape[-1] != weight.shape[1]:
        return None
    if x.dtype != weight.dtype or any(b.shape != weight.shape[:1] for b in bias):
        return None
    return (*x.shape[:-1], weight.shape[0])


def _grouped(args: Any, tensors: Sequence[Tensor]) -> Shape | None:
    """Torch's own shape rule accepts one dtype only, while its kernels accept others."""
    x, weights = tensors[:2]
    fits = x.dim() == 2 and weights.dim() == 3 and x.shape[1] == weights.shape[1]
    return (x.shape[0], weights.shape[2]) if fits else None


_ELEMENTS = (
    *("relu", "relu_", "gelu", "silu", "silu_", "sigmoid", "tanh", "relu6", "hardtanh"),
    *("hardtanh_", "hardswish", "hardswish_", "hardsigmoid", "hardsigmoid_", "leaky_relu"),
    *("leaky_relu_", "elu", "elu_", "mish", "exp", "rsqrt", "neg"),
)

RULES: dict[str, Rule] = {
    **{f"aten.{name}.default": _same for name in _ELEMENTS},
    **{f"aten.{name}.Tensor": _binary for name in ("add", "sub", "mul", "div")},
    "aten._grouped_mm.default": _grouped,
    "aten.batch_norm.default": _batch_norm,
    "aten.group_norm.default": _group_norm,
    "aten.layer_norm.default": _layer_norm,
    "aten.linear.default": _linear,
}
"""Rules by name of the overload. They hold for contiguous floating-point tensors."""
