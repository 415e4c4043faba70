"""ONNX reductions, softmax, and sums that run along an axis."""

from __future__ import annotations

from costmodel.algebra.symbols import product, same
from costmodel.importers.emitter import Operand
from costmodel.importers.onnx_file.call import DECLARED, HANDLERS, Call, Result, an_axis
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import AdaptivePool, Cast, Elementwise, Reduce, Softmax
from costmodel.ops.tensor import Tensor

_REDUCTIONS = {
    "ReduceL1": "norm",
    "ReduceL2": "norm",
    "ReduceLogSum": "sum",
    "ReduceLogSumExp": "sum",
    "ReduceMax": "max",
    "ReduceMean": "mean",
    "ReduceMin": "min",
    "ReduceProd": "prod",
    "ReduceSum": "sum",
    "ReduceSumSquare": "norm",
}


@HANDLERS.register(*_REDUCTIONS)
def _reduce(call: Call) -> Result:
    x = call.operand()
    rank = len(x.shape)
    given = call.sizes(1, "axes")
    if not given and call.attribute("noop_with_empty_axes", 0):
        return _around(call, x, ())
    axes = tuple(an_axis(int(axis), rank) for axis in given) if given else tuple(range(rank))
    return _around(call, x, axes)


def _around(call: Call, x: Operand, axes: tuple[int, ...]) -> Operand:
    """Emit a reduction with the elementwise operations before and after it."""
    if call.kind == "ReduceLogSumExp":
        x = call.emit.add(Elementwise("exp"), x)
    if not axes and call.kind in ("ReduceL1", "ReduceSumSquare"):
        return call.emit.add(Elementwise("abs" if call.kind == "ReduceL1" else "square"), x)
    y = reduced(call, x, _REDUCTIONS[call.kind], axes)
    return call.emit.add(Elementwise("log"), y) if "Log" in call.kind else y


def reduced(call: Call, x: Operand, kind: str, axes: tuple[int, ...]) -> Operand:
    """Emit a reduction; the mean of all pixels is pooling."""
    keep, rank = bool(call.attribute("keepdims", 1)), len(x.shape)
    image = rank in (4, 5) and sorted(axes) == list(range(2, rank))
    if kind == "mean" and image and 0 not in x.shape:
        y: Operand = call.emit.add(AdaptivePool("avg", (1,) * (rank - 2)), x)
        return y if keep else call.emit.reshape(y, y.shape[:2])
    return call.emit.add(Reduce(kind, axes, keep), x) if axes else x


@DECLARED.register(*_REDUCTIONS)
def _reduce_as_stated(call: Call, stated: list[Tensor]) -> Result:
    """Reduce the axes in which the result differs from the input."""
    x, left = call.operand(), list(stated[0].shape)
    if call.attribute("keepdims", 1):
        pairs = zip(x.shape, left, strict=True)
        axes = [i for i, (a, b) in enumerate(pairs) if not same(a, b)]
    else:
        axes = []
        for i, size in enumerate(x.shape):
            if left and same(size, left[0]) and len(x.shape) - i >= len(left):
                left.pop(0)
            else:
                axes.append(i)
        if left:
            raise UnsupportedFormError("axes that depend on data")
    return _around(call, x, tuple(axes))


@HANDLERS.register("Softmax", "LogSoftmax")
def _softmax(call: Call) -> Result:
    x = call.operand()
    rank = len(x.shape)
    if call.version >= 13:
        return call.emit.add(Softmax(call.axis(rank, -1)), x)
    axis = call.axis(rank, 1 if rank > 1 else 0)
    flat = call.emit.reshape(x, (*x.shape[:axis], product(x.shape[axis:])))
    return call.emit.reshape(call.emit.add(Softmax(-1), flat), x.shape)


@HANDLERS.register("Hardmax")
def _hardmax(call: Call) -> Result:
    x = call.operand()
    axis = call.axis(len(x.shape), -1 if call.version >= 13 else 1)
    top = call.emit.add(Reduce("max", (axis,), True), x)
    hot = call.emit.add(Elementwise("equal"), x, top)
    return call.emit.add(Cast(x.tensor.dtype), hot)


@HANDLERS.register("ArgMax", "ArgMin")
def _arg(call: Call) -> Result:
    x = call.operand()
    axis, keep = call.axis(len(x.shape)), bool(call.attribute("keepdims", 1))
    return call.emit.add(Reduce(call.kind.lower(), (axis,), keep), x)


@HANDLERS.register("CumSum", "CumProd")
def _cumulate(call: Call) -> Result:
    """Emit sums along an axis; the choice of axis does not affect the cost."""
    x, axes = call.operand(), call.peek(1)
    axis = len(x.shape) - 1 if axes is None else an_axis(int(axes.item()), len(x.shape))
    return call.emit.add(Reduce("cumsum", (axis,)), x)


@HANDLERS.register("LpNormalization")
def _lp_normalization(call: Call) -> Result:
    x = call.operand()
    axis = call.axis(len(x.shape), -1)
    length = call.emit.add(Reduce("norm", (axis,), True), x)
    return call.emit.add(Elementwise("div"), x, length)
