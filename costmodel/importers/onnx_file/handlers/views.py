"""ONNX operators that give elements another shape or order, or repeat them."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, exact_div, product, same
from costmodel.errors import DataError, ShapeError
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import DECLARED, HANDLERS, Call, Made, Result, an_axis
from costmodel.ops import BroadcastTo, Contiguous, Identity, Reshape
from costmodel.ops.broadcast import broadcast_shapes
from costmodel.ops.tensor import Tensor


@HANDLERS.register("Identity")
def _same(call: Call) -> Result:
    return call.made()


@HANDLERS.register("Dropout")
def _dropout(call: Call) -> Result:
    y = call.emit.add(Identity(), call.operand())
    return [y, _kept_everywhere(call, y) if call.makes(1) else None]


def _kept_everywhere(call: Call, y: Operand) -> Made:
    name = f"{call.node.output[1]} kept"
    dtype = "bool" if call.version > 6 else y.tensor.dtype
    return Stored(name, Tensor.inferred(y.shape, dtype), learned=False)


@HANDLERS.register("Reshape")
def _reshape(call: Call) -> Result:
    x, target = call.operand(), call.sizes(1, "shape")
    if target is None:
        raise DataError("its shape is missing")
    if not call.attribute("allowzero", 0):
        target = [x.shape[i] if same(size, 0) else size for i, size in enumerate(target)]
    if any(same(size, -1) for size in target):
        free = [i for i, size in enumerate(target) if same(size, -1)]
        if isinstance(x, Stored):
            known = product(size for size in target if not same(size, -1))
            target[free[0]] = exact_div(x.tensor.elements, known)
        else:
            target = list(Reshape(taken(tuple(target))).infer(x.tensor)[0].shape)
    return call.emit.reshape(x, _checked(x, target))


def _checked(x: Operand, target: Sequence[Dim]) -> Sequence[Dim]:
    """Return ``target`` if a stored tensor has that many elements; others are checked later."""
    if isinstance(x, Stored):
        Reshape(taken(tuple(target))).infer(x.tensor)
    return target


@DECLARED.register("Reshape", "Squeeze", "Unsqueeze")
def _as_stated(call: Call, stated: list[Tensor]) -> Result:
    x = call.operand()
    return call.emit.reshape(x, _checked(x, stated[0].shape))


@HANDLERS.register("Flatten")
def _flatten(call: Call) -> Result:
    x = call.operand()
    axis = call.attribute("axis", 1)
    axis = an_axis(axis, len(x.shape)) if axis < 0 else axis
    return call.emit.reshape(x, (product(x.shape[:axis]), product(x.shape[axis:])))


@HANDLERS.register("Squeeze")
def _squeeze(call: Call) -> Result:
    x = call.operand()
    given = call.sizes(1, "axes")
    axes = {an_axis(int(a), len(x.shape)) for a in given} if given is not None else None
    gone = {i for i, size in enumerate(x.shape) if (same(size, 1) if axes is None else i in axes)}
    left = [size for i, size in enumerate(x.shape) if i not in gone]
    return call.emit.reshape(x, _checked(x, left))


@HANDLERS.register("Unsqueeze")
def _unsqueeze(call: Call) -> Result:
    x = call.operand()
    axes = call.sizes(1, "axes") or []
    rank = len(x.shape) + len(axes)
    new = {an_axis(int(axis), rank) for axis in axes}
    if len(new) != len(axes):
        raise ShapeError("an axis is named twice")
    sizes = iter(x.shape)
    return call.emit.reshape(x, [1 if i in new else next(sizes) for i in range(rank)])


@HANDLERS.register("Transpose")
def _transpose(call: Call) -> Result:
    x = call.operand()
    order = call.attribute("perm") or list(range(len(x.shape)))[::-1]
    if sorted(order) != list(range(len(x.shape))):
        raise ShapeError(f"order {order} does not fit {x.tensor}")
    y = call.emit.transpose(x, order)
    if isinstance(y, Stored) or y is x or _keeps_order(x.shape, order):
        return y
    return call.emit.add(Contiguous(), y)


def _keeps_order(shape: Sequence[Dim], order: Sequence[int]) -> bool:
    """Return whether only axes of size 1 move, so that no element does."""
    moving = [axis for axis in order if not same(shape[axis], 1)]
    return moving == sorted(moving)


@HANDLERS.register("Expand")
def _expand(call: Call) -> Result:
    x = call.operand()
    return _broadcast(call, x, broadcast_shapes(x.shape, tuple(call.sizes(1) or ()), "Expand"))


@DECLARED.register("Expand")
def _expand_as_stated(call: Call, stated: list[Tensor]) -> Result:
    return _broadcast(call, call.operand(), stated[0].shape)


def _broadcast(call: Call, x: Operand, shape: tuple[Dim, ...]) -> Operand:
    if len(shape) == len(x.shape) and all(map(same, shape, x.shape)):
        return x
    return call.emit.add(BroadcastTo(taken(shape)), x)


@HANDLERS.register("Tile")
def _tile(call: Call) -> Result:
    return _tiled(call, call.operand(), call.sizes(1) or [])


@DECLARED.register("Tile")
def _tile_as_stated(call: Call, stated: list[Tensor]) -> Result:
    x = call.operand()
    pairs = zip(stated[0].shape, x.shape, strict=True)
    return _tiled(call, x, [exact_div(new, old, "Tile size") for new, old in pairs])


def _tiled(call: Call, x: Operand, times: Sequence[Dim]) -> Operand:
    if len(times) != len(x.shape):
        raise ShapeError(f"{len(times)} repeats do not fit {x.tensor}")
    if all(same(t, 1) for t in times):
        return x
    apart = [size for old in x.shape for size in (1, old)]
    wide = [size for old, t in zip(x.shape, times, strict=True) for size in (t, old)]
    view = call.emit.add(BroadcastTo(taken(tuple(wide))), call.emit.reshape(x, apart))
    copy = call.emit.add(Contiguous(), view)
    return call.emit.reshape(copy, [a * b for a, b in zip(x.shape, times, strict=True)])
