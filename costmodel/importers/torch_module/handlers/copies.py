"""Joins, borders, look-ups, and tensors that are made from nothing."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, product, same
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.registry import UnsupportedFormError
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.importers.torch_module.handlers.sorting import selected
from costmodel.ops import BroadcastTo, Concat, Contiguous, Elementwise, Gather, Pad, Slice


@ATEN.register("roll", "flip", "fliplr", "flipud", "tril", "triu", "rot90", "pixel_unshuffle")
def _rearrange(call: Call) -> Result:
    y = call.emit.add(Contiguous(), call.operand("self", "input"))
    return call.emit.reshape(y, call.output.shape)


@ATEN.register("cat", "concat", "concatenate")
def _cat(call: Call) -> Result:
    # A tensor of shape (0,) fits beside any other: how caches begin.
    parts = call.operands("tensors")
    parts = [x for x in parts if x.shape != (0,)] or parts[:1]
    return call.emit.add(Concat(call.size("dim", 0)), *parts)


@ATEN.register("stack")
def _stack(call: Call) -> Result:
    parts = call.operands("tensors")
    axis = call.size("dim", 0) % (len(parts[0].shape) + 1)
    apart = [call.emit.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:])) for x in parts]
    return call.emit.add(Concat(axis), *apart)


@ATEN.register("pad", "constant_pad_nd")
@ATEN.register("reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "_pad_circular")
@ATEN.register("replication_pad1d", "replication_pad2d", "replication_pad3d", "_pad_enum")
def _pad(call: Call) -> Result:
    x = call.operand("self")
    flat = call.sizes("pad") if "pad" in call else call.sizes("padding")
    pairs = [(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)][::-1]
    pairs = [(0, 0)] * (len(x.shape) - len(pairs)) + pairs
    for axis, (before, after) in enumerate(pairs):
        cut = [max(-v, 0) if isinstance(v, int) else 0 for v in (before, after)]
        if any(cut):
            x = call.emit.add(Slice(axis, cut[0], taken(x.shape[axis] - sum(cut))), x)
    grown = tuple(tuple(max(v, 0) if isinstance(v, int) else v for v in pair) for pair in pairs)
    return call.emit.add(Pad(taken(grown)), x)


@ATEN.register("index_select")
def _index_select(call: Call) -> Result:
    return call.emit.add(Gather(call.size("dim")), call.operand("self"), call.operand("index"))


@ATEN.register("gather", "take_along_dim", "take")
def _gather(call: Call) -> Result:
    """Select single elements: one read per index."""
    flat = call.emit.reshape(call.operand("self"), (call.operand("self").tensor.elements,))
    y = call.emit.add(Gather(0), flat, call.operand("index", "indices"))
    return call.emit.reshape(y, call.output.shape)


@ATEN.register("index", "_unsafe_index")
def _index(call: Call) -> Result:
    """Select by tensors of indices; a mask selects the positions where it is true."""
    x = call.operand("self")
    entries = [None if n is None else call.walk.operand(n) for n in call.get("indices")]
    if all(entry is None for entry in entries):
        raise UnsupportedFormError("indices that are not followed")
    x, indices, axes = _flat_masks(call, x, entries)
    if axes != list(range(axes[0], axes[-1] + 1)):
        # Selected axes come first if they are not adjacent.
        rest = [i for i in range(len(x.shape)) if i not in axes]
        x, axes = call.emit.transpose(x, [*axes, *rest]), list(range(len(axes)))
    merged = product(x.shape[axis] for axis in axes)
    x = call.emit.reshape(x, (*x.shape[: axes[0]], merged, *x.shape[axes[-1] + 1 :]))
    rank = len(call.output.shape) - len(x.shape) + 1
    picked = call.output.shape[axes[0] : axes[0] + rank]
    masks = [m for m in indices if m.tensor.dtype == "bool"]
    if masks:
        return call.emit.add(Gather(axes[0]), x, selected(call, masks[0], picked[-1]))
    widest = max(indices, key=lambda i: len(i.shape))
    if len(picked) != len(widest.shape) or not all(map(same, picked, widest.shape)):
        widest = call.emit.add(BroadcastTo(taken(tuple(picked))), widest)
    return call.emit.add(Gather(axes[0]), x, widest)


def _flat_masks(
    call: Call, x: Operand, entries: Sequence[Operand | None]
) -> tuple[Operand, list[Operand], list[int]]:
    """Return the tensor with the axes of each mask merged, the indices, and their axes."""
    shape: list[Dim] = []
    indices: list[Operand] = []
    axes: list[int] = []
    axis = 0
    for entry in entries:
        covered = len(entry.shape) if entry is not None and entry.tensor.dtype == "bool" else 1
        if entry is not None:
            indices.append(entry)
            axes.append(len(shape))
        shape.append(product(x.shape[axis : axis + covered]))
        axis += covered
    return call.emit.reshape(x, (*shape, *x.shape[axis:])), indices, axes


@ATEN.register("broadcast_tensors")
def _broadcast_tensors(call: Call) -> Result:
    """Emit a view of each tensor in the shape of all."""
    pairs = zip(call.operands("tensors"), call.outputs, strict=True)
    return [call.emit.add(BroadcastTo(taken(y.shape)), x) for x, y in pairs]


@ATEN.register("linalg_cross", "cross")
def _cross(call: Call) -> Result:
    """Emit two products and a difference for each element."""
    a, b = call.operand("self"), call.operand("other")
    products = [call.emit.add(Elementwise("mul"), a, b) for _ in range(2)]
    return call.emit.add(Elementwise("sub"), *products)


@ATEN.register("outer", "ger")
def _outer(call: Call) -> Result:
    a, b = call.operand("self"), call.operand("vec2")
    return call.emit.add(Elementwise("mul"), call.emit.reshape(a, (*a.shape, 1)), b)


_FILLED = ("empty", "full", "ones", "rand", "randint", "randn", "zeros")


@ATEN.register(*_FILLED, *(f"{name}_like" for name in _FILLED), "arange", "eye", "linspace")
@ATEN.register("new_zeros", "new_ones", "new_full", "new_empty", "scalar_tensor", "empty_strided")
@ATEN.register("new_empty_strided", "empty_permuted", "logspace", "range", "tril_indices")
@ATEN.register("triu_indices", "randperm", "vander", "hann_window", "hamming_window")
@ATEN.register("blackman_window", "bartlett_window", "kaiser_window", "_efficientzerotensor")
@ATEN.register("bernoulli", "uniform", "normal", "normal_functional", "exponential", "random")
@ATEN.register("cauchy", "geometric", "log_normal", "poisson")
def _made(call: Call) -> Result:
    return Stored(call.node.name, call.output, learned=False)
