"""Joins, borders, look-ups, and tensors that are made from nothing."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import product, same
from costmodel.importers.emitter import Stored
from costmodel.importers.registry import UnsupportedFormError
from costmodel.importers.torch_module.call import ATEN, Call, Result
from costmodel.ops import BroadcastTo, Concat, Contiguous, Elementwise, Gather, Pad, Slice


@ATEN.register("roll", "flip", "tril", "triu", "rot90")
def _rearrange(call: Call) -> Result:
    y = call.emit.add(Contiguous(), call.operand("self"))
    return call.emit.reshape(y, call.output.shape)


@ATEN.register("cat", "concat", "concatenate")
def _cat(call: Call) -> Result:
    return call.emit.add(Concat(call.size("dim", 0)), *call.operands("tensors"))


@ATEN.register("stack")
def _stack(call: Call) -> Result:
    parts = call.operands("tensors")
    axis = call.size("dim", 0) % (len(parts[0].shape) + 1)
    apart = [call.emit.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:])) for x in parts]
    return call.emit.add(Concat(axis), *apart)


@ATEN.register("pad", "constant_pad_nd")
@ATEN.register("reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d")
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
    """Pick single elements: as many reads as there are indices."""
    flat = call.emit.reshape(call.operand("self"), (call.operand("self").tensor.elements,))
    y = call.emit.add(Gather(0), flat, call.operand("index", "indices"))
    return call.emit.reshape(y, call.output.shape)


@ATEN.register("index")
def _index(call: Call) -> Result:
    """Pick by one or several neighbouring tensors of indices."""
    x = call.operand("self")
    nodes = call.get("indices")
    axes = [i for i, node in enumerate(nodes) if node is not None]
    indices = [call.walk.operand(nodes[i]) for i in axes]
    found = [i for i in indices if i is not None]
    if not found or any(i.tensor.dtype == "bool" for i in found):
        raise UnsupportedFormError("indices that depend on data")
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise UnsupportedFormError("indices on axes that are apart")
    merged = product(x.shape[axis] for axis in axes)
    x = call.emit.reshape(x, (*x.shape[: axes[0]], merged, *x.shape[axes[-1] + 1 :]))
    widest = max(found, key=lambda i: len(i.shape))
    picked = call.output.shape[axes[0] : axes[0] + len(widest.shape)]
    if not all(map(same, picked, widest.shape)):
        widest = call.emit.add(BroadcastTo(taken(tuple(picked))), widest)
    return call.emit.add(Gather(axes[0]), x, widest)


@ATEN.register("slice_scatter", "select_scatter", "scatter", "scatter_add", "masked_scatter")
@ATEN.register("index_put", "_unsafe_index_put", "index_copy")
def _scatter(call: Call) -> Result:
    """Write part of a copy: what is kept and what is written move once."""
    call.emit.add(Contiguous(), call.operand("src", "values", "value", "source", "self"))
    return call.emit.add(Contiguous(), call.operand("self"))


@ATEN.register("outer", "ger")
def _outer(call: Call) -> Result:
    a, b = call.operand("self"), call.operand("vec2")
    return call.emit.add(Elementwise("mul"), call.emit.reshape(a, (*a.shape, 1)), b)


_FILLED = ("empty", "full", "ones", "rand", "randn", "zeros")


@ATEN.register(*_FILLED, *(f"{name}_like" for name in _FILLED), "arange", "eye", "linspace")
@ATEN.register("new_zeros", "new_ones", "new_full", "new_empty", "scalar_tensor", "empty_strided")
@ATEN.register("bernoulli", "randint", "empty_permuted")
def _made(call: Call) -> Result:
    return Stored(call.node.name, call.output, learned=False)
