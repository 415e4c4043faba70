"""Runs operators on tensors without data, each combination of operator and shapes once."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from costmodel.errors import DataError
from costmodel.importers.torch_module.shapes import RULES, Rule


class Spec:
    """Shape, strides, dtype and layout of a tensor; equal ones are one object."""

    __slots__ = ("dtype", "layout", "shape", "strides")

    def __init__(self, shape: tuple[int, ...], strides: Any, dtype: Any, layout: Any) -> None:
        self.shape = shape
        self.strides = strides
        self.dtype = dtype
        self.layout = layout


class Output(NamedTuple):
    """An output of an operator: its shape, and the argument that it is or shares memory with."""

    spec: Spec
    offset: int = 0
    argument: int = -1
    itself: bool = False


_SPECS: dict[Any, Spec] = {}
_MADE: dict[Any, Any] = {}
_MOST = 50_000
"""A cache of the output shapes of operators, and its maximum number of entries."""


class Kernels:
    """Knows what operators make of tensors of given shapes."""

    def __init__(self) -> None:
        if len(_MADE) > _MOST:
            _MADE.clear()
            _SPECS.clear()
        self._specs, self._made = _SPECS, _MADE
        self._met: list[weakref.ref[Any]] = []

    def spec(self, tensor: Tensor) -> Spec:
        """Return the one object for shape, strides, dtype and layout of ``tensor``."""
        if tensor.is_nested:
            raise DataError("nested tensors have rows of several lengths, which no graph has")
        layout = tensor.layout
        strides = tensor.stride() if layout is torch.strided else None
        key = (tensor.shape, strides, tensor.dtype, layout)
        found = self._specs.get(key)
        if found is None:
            found = self._specs[key] = Spec(tuple(key[0]), strides, key[2], layout)
        return found

    def remember(self, tensor: Tensor) -> None:
        """Keep ``tensor`` in mind for :meth:`same_memory`."""
        self._met.append(weakref.ref(tensor))

    def same_memory(self, tensor: Tensor) -> Any:
        """Return the record of a tensor that is the same part of the same memory, or None.

        Attributes like ``data`` make new tensor objects and run no operator.
        """
        if tensor.layout != torch.strided:
            return None
        place = _place(tensor)
        for reference in reversed(self._met):
            other = reference()
            if other is not None and other is not tensor and _place(other) == place:
                return other._costmodel
        return None

    def run(
        self, op: Any, args: Any, kwargs: Any, tensors: Sequence[Tensor], key: Any
    ) -> tuple[Any, list[Output] | None]:
        """Return the results of ``op`` without values, and the known facts of each output.

        Parameters
        ----------
        op : OpOverload
            The operator.
        args, kwargs : tuple, dict
            Its arguments.
        tensors : sequence of Tensor
            The tensors among them, in order.
        key : hashable or None
            What decides the result; None where that is not known.
        """
        found = self._made.get(key) if key is not None else None
        if found is None and (rule := RULES.get(str(op))) is not None:
            found = self._made[key] = self._by_rule(op, rule, args, tensors)
        if found is None:
            metas = [without_data(t) for t in tensors]
            rest = iter(metas)
            out = op(*given(args, rest), **given(kwargs, rest))
            if op is torch.ops.aten.scaled_dot_product_attention.default:
                out = _as_fused(out, metas)
            found = self._outputs(out, metas)
            if found is None:
                return out, None
            if key is not None:
                self._made[key] = found
        if type(found) is not list:
            return _build(found, tensors), [found]
        return [None if o is None else _build(o, tensors) for o in found], found

    def _by_rule(self, op: Any, rule: Rule, args: Any, tensors: Sequence[Tensor]) -> Output | None:
        x = tensors[0]
        if x is not args[0] or not x.is_contiguous() or not x.is_floating_point():
            return None
        shape = rule(args, tensors)
        if shape is None:
            return None
        if op._schema.is_mutable:
            return Output(self.spec(x), 0, 0, True)
        return Output(self.spec(x if shape == x.shape else x.new_empty(shape, device="meta")))

    def _outputs(self, out: Any, metas: Sequence[Tensor]) -> Any:
        if isinstance(out, Tensor):
            return self._output(out, metas)
        if not isinstance(out, list | tuple):
            return None
        found = [None if t is None else self._output(t, metas) for t in out]
        return (
            None
            if any(f is None and t is not None for f, t in zip(found, out, strict=True))
            else found
        )

    def _output(self, out: Any, metas: Sequence[Tensor]) -> Output | None:
        if not isinstance(out, Tensor) or out.layout != torch.strided or out.is_complex():
            return None
        spec = self.spec(out)
        for i, meta in enumerate(metas):
            if out is meta:
                return Output(spec, 0, i, True)
        mine = out.untyped_storage()._cdata
        for i, meta in enumerate(metas):
            if meta.layout == torch.strided and meta.untyped_storage()._cdata == mine:
                return Output(spec, out.storage_offset() - meta.storage_offset(), i)
        return Output(spec)


def alias_of(out: Tensor, tensors: Sequence[Tensor]) -> int:
    """Return the number of the tensor that ``out`` shares memory with, -1 if none."""
    if out.layout != torch.strided:
        return -1
    mine = out.untyped_storage()._cdata
    for i, one in enumerate(tensors):
        if one.layout == torch.strided and one.untyped_storage()._cdata == mine:
            return i
    return -1


def on_cpu(arguments: Any) -> Any:
    """Return arguments with no other device than the processor."""
    if isinstance(arguments, torch.device):
        return torch.device("cpu")
    if isinstance(arguments, list | tuple):
        return [on_cpu(a) for a in arguments]
    if isinstance(arguments, dict):
        return {k: on_cpu(a) for k, a in arguments.items()}
    return arguments


def with_memory(argument: Any) -> Any:
    """Return a tensor like ``argument`` whose values do not matter."""
    if not isinstance(argument, Tensor) or argument.device.type != "meta":
        return argument
    return torch.empty_strided(argument.shape, argument.stride(), dtype=argument.dtype)


def _build(output: Output, tensors: Sequence[Tensor]) -> Tensor:
    spec, offset, argument, itself = output
    if argument < 0:
        return torch.empty_strided(spec.shape, spec.strides, dtype=spec.dtype, device="meta")
    base = tensors[argument]
    if itself:
        return base
    if base.dtype != spec.dtype:  # the same bytes, read otherwise
        base = base.view(spec.dtype)
    return base.as_strided(spec.shape, spec.strides, base.storage_offset() + offset)


def without_data(tensor: Tensor) -> Tensor:
    """Return a tensor like ``tensor`` that has no values."""
    if tensor.device.type == "meta" or tensor.layout != torch.strided:
        return tensor
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def given(arguments: Any, tensors: Iterator[Tensor]) -> Any:
    """Put the next of ``tensors`` in the place of every tensor, and no other device than meta."""
    if isinstance(arguments, Tensor):
        return next(tensors)
    if isinstance(arguments, torch.device):
        return torch.device("meta")
    if isinstance(arguments, list | tuple):
        return [given(a, tensors) for a in arguments]
    if isinstance(arguments, dict):
        return {k: given(a, tensors) for k, a in arguments.items()}
    return arguments


def _as_fused(out: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """Return the result of attention in the layout of fused kernels, that of the queries.

    Without a device torch takes attention apart, and its result lies otherwise in memory.
    """
    if out.dim() != 4 or len({t.shape[-1] for t in inputs[:3]}) > 1:
        return out
    return torch.empty_like(inputs[0])


def _place(tensor: Tensor) -> Any:
    storage = tensor.untyped_storage()._cdata if tensor.layout == torch.strided else None
    return storage, tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype
