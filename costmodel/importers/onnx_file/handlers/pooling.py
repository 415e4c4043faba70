"""ONNX pooling, and how it is undone."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim
from costmodel.errors import ShapeError
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import DECLARED, HANDLERS, Call, Result
from costmodel.importers.onnx_file.handlers.convolutions import numbers, padding
from costmodel.ops import AdaptivePool, Cast, Pool, Scatter
from costmodel.ops.tensor import Tensor


@HANDLERS.register("MaxPool", "AveragePool", "LpPool")
def _pool(call: Call) -> Result:
    y = pooled(call, call.operand())
    if not call.makes(1):
        return y
    # The places of the maxima are written as well.
    return [y, call.emit.add(Cast("int64"), y)]


def pooled(call: Call, x: Operand) -> Operand:
    """Emit the pooling that the attributes describe."""
    kernel = tuple(call.attribute("kernel_shape") or ())
    rank = len(kernel)
    averages = "Average" in call.kind  # the sum of an LpPool is not divided by anything
    op = Pool(
        "max" if "MaxPool" in call.kind else "avg",
        kernel,
        stride=numbers(call, "strides", rank, 1),
        padding=padding(call, rank),
        dilation=numbers(call, "dilations", rank, 1),
        ceil_mode=bool(call.attribute("ceil_mode", 0)),
        include_pad=not averages or bool(call.attribute("count_include_pad", 0)),
    )
    return call.emit.add(op, x)


@HANDLERS.register("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def _global_pool(call: Call) -> Result:
    return pooled_whole(call, call.operand())


def pooled_whole(call: Call, x: Operand) -> Operand:
    """Emit pooling over all pixels."""
    kind = "max" if "Max" in call.kind else "avg"
    return call.emit.add(AdaptivePool(kind, (1,) * (len(x.shape) - 2)), x)


@HANDLERS.register("MaxUnpool")
def _max_unpool(call: Call) -> Result:
    x = call.operand()
    kernel = tuple(call.attribute("kernel_shape") or ())
    rank = len(kernel)
    wanted = call.sizes(2) if call.has(2) else None
    if wanted is not None:
        return _unpooled(call, x, wanted[2:])
    stride, pads = numbers(call, "strides", rank, 1), numbers(call, "pads", 2 * rank, 0)
    sizes = [
        (size - 1) * stride[i] + kernel[i] - pads[i] - pads[i + rank]
        for i, size in enumerate(x.shape[2:])
    ]
    return _unpooled(call, x, sizes)


@DECLARED.register("MaxUnpool")
def _max_unpool_as_stated(call: Call, stated: list[Tensor]) -> Result:
    return _unpooled(call, call.operand(), stated[0].shape[2:])


def _unpooled(call: Call, x: Operand, sizes: Sequence[Dim]) -> Operand:
    """Write every element to its place in a larger image, which is zero elsewhere."""
    if len(sizes) != len(x.shape) - 2:
        raise ShapeError(f"{len(sizes)} sizes do not fit {x.tensor}")
    tensor = Tensor(taken((*x.shape[:2], *sizes)), x.tensor.dtype)
    zeros = Stored(f"{call.node.output[0]} zeros", tensor, learned=False)
    return call.emit.add(Scatter(), zeros, call.operand(1), x)
