"""ONNX operators that make tensors of no other: filled, counted, drawn at random."""

from __future__ import annotations

import math
from collections.abc import Sequence

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, ceil_div
from costmodel.errors import DataError
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import DECLARED, HANDLERS, Call, Result
from costmodel.importers.onnx_file.load import dtype_of
from costmodel.ops import BroadcastTo, Contiguous, Elementwise
from costmodel.ops.tensor import Tensor


@HANDLERS.register("ConstantOfShape")
def _constant_of_shape(call: Call) -> Result:
    return _filled(call, call.sizes(0) or ())


@DECLARED.register("ConstantOfShape", "Range")
def _made_as_stated(call: Call, stated: list[Tensor]) -> Result:
    return _stored(call, stated[0].shape, stated[0].dtype)


def _filled(call: Call, shape: Sequence[Dim]) -> Operand:
    value = call.attribute("value")
    dtype = "float32" if value is None else dtype_of(value.data_type, "its value")
    return _stored(call, shape, dtype)


def _stored(call: Call, shape: Sequence[Dim], dtype: str) -> Operand:
    tensor = Tensor(taken(tuple(shape)), dtype)
    return Stored(call.node.output[0], tensor, learned=False)


@HANDLERS.register("Range")
def _range(call: Call) -> Result:
    """Count up; where an end is a symbol, the length is a formula."""
    start, stop, step = (call.sizes(slot) for slot in range(3))
    if not (start and stop and step):
        raise DataError("its start, end or step is missing")
    dtype = call.operand(0).tensor.dtype
    values = [call.known(slot).item() for slot in range(3)]
    if any(isinstance(value, float) for value in values):
        return _stored(call, (max(0, math.ceil((values[1] - values[0]) / values[2])),), dtype)
    return _stored(call, (ceil_div(stop[0] - start[0], step[0]),), dtype)


@HANDLERS.register("EyeLike")
def _eye_like(call: Call) -> Result:
    x, dtype = call.operand(), call.attribute("dtype")
    return _stored(call, x.shape, x.tensor.dtype if dtype is None else dtype_of(dtype, "it"))


@HANDLERS.register("RandomNormal", "RandomUniform")
def _random(call: Call) -> Result:
    return _drawn(call, tuple(call.attribute("shape") or ()), call.attribute("dtype", 1))


@HANDLERS.register("RandomNormalLike", "RandomUniformLike", "Bernoulli")
def _random_like(call: Call) -> Result:
    x = call.operand()
    dtype = call.attribute("dtype")
    return _drawn(call, x.shape, dtype, x.tensor.dtype)


@HANDLERS.register("Multinomial")
def _multinomial(call: Call) -> Result:
    x = call.operand()
    shape = (x.shape[0], call.attribute("sample_size", 1))
    return _drawn(call, shape, call.attribute("dtype", 6))


def _drawn(call: Call, shape: Sequence[Dim], code: int | None, dtype: str = "float32") -> Operand:
    """Write random numbers; drawing them costs nothing."""
    dtype = dtype if code is None else dtype_of(code, "its random numbers")
    seed = Stored(f"{call.node.output[0]} seed", Tensor((), dtype), learned=False)
    return call.emit.add(Contiguous(), call.emit.add(BroadcastTo(taken(tuple(shape))), seed))


@HANDLERS.register("BlackmanWindow", "HammingWindow", "HannWindow")
def _window(call: Call) -> Result:
    return _windowed(call, call.sizes(0) or ())


@DECLARED.register("BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix")
def _window_as_stated(call: Call, stated: list[Tensor]) -> Result:
    return _windowed(call, stated[0].shape)


@HANDLERS.register("MelWeightMatrix")
def _mel(call: Call) -> Result:
    bins, length = call.sizes(0), call.sizes(1)
    if not bins or not length:
        raise DataError("its number of bins or length is missing")
    return _windowed(call, (length[0] // 2 + 1, bins[0]))


def _windowed(call: Call, shape: Sequence[Dim]) -> Operand:
    """Compute a window: one cosine per element."""
    dtype = dtype_of(call.attribute("output_datatype", 1), "the window")
    counted = Stored(f"{call.node.output[0]} place", Tensor(taken(tuple(shape)), dtype), False)
    return call.emit.add(Elementwise("cos"), counted)
