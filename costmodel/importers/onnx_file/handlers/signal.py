"""ONNX operators on signals: Fourier transforms, and overlapping windows."""

from __future__ import annotations

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, same
from costmodel.errors import DataError
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.onnx_file.call import DECLARED, HANDLERS, Call, Result, an_axis
from costmodel.importers.registry import UnsupportedFormError
from costmodel.ops import (
    Bitcast,
    Concat,
    Elementwise,
    FourierTransform,
    Pad,
    Scatter,
    Slice,
    StridedView,
)
from costmodel.ops.tensor import Tensor

_COMPLEX = {"float32": "complex64", "float64": "complex128"}


@HANDLERS.register("DFT")
def _dft(call: Call) -> Result:
    """Emit the transform of numbers given as (real, imaginary) on the last axis, or as reals."""
    x = call.operand()
    axes = call.sizes(2) if call.version >= 20 else None
    default = -2 if call.version >= 20 else 1
    given = call.attribute("axis", default) if not axes else axes[0]
    axis = an_axis(int(given), len(x.shape))
    wanted = call.sizes(1)
    length = wanted[0] if wanted else _length(call, x, axis)
    return _transformed(call, x, axis, length)


@DECLARED.register("DFT")
def _dft_as_stated(call: Call, stated: list[Tensor]) -> Result:
    x = call.operand()
    pairs = zip(x.shape[:-1], stated[0].shape[:-1], strict=True)
    changed = [i for i, (a, b) in enumerate(pairs) if not same(a, b)]
    axis = changed[0] if changed else len(x.shape) - 2
    halved = call.attribute("onesided", 0) and not call.attribute("inverse", 0)
    return _transformed(call, x, axis, x.shape[axis] if halved else stated[0].shape[axis])


def _length(call: Call, x: Operand, axis: int) -> Dim:
    half = call.attribute("onesided", 0) and call.attribute("inverse", 0)
    return 2 * (x.shape[axis] - 1) if half else x.shape[axis]


def _transformed(call: Call, x: Operand, axis: int, length: Dim) -> Operand:
    onesided, inverse = bool(call.attribute("onesided", 0)), bool(call.attribute("inverse", 0))
    if x.tensor.dtype not in _COMPLEX:
        raise UnsupportedFormError(f"numbers of {x.tensor.dtype}")
    back = onesided and inverse
    if not back:
        x = _as_long(call, x, axis, length)
    parts = x.shape[-1]
    if same(parts, 1) and not inverse:
        real = call.emit.reshape(x, x.shape[:-1])
        y: Operand = call.emit.add(FourierTransform((axis,), "real"), real)
        y = y if onesided else _whole(call, y, axis, length)
        return _as_parts(call, y, x.tensor.dtype)
    if same(parts, 1):
        x = call.emit.add(Pad((*[(0, 0)] * (len(x.shape) - 1), (0, 1))), x)
    pairs = call.emit.add(Bitcast(_COMPLEX[x.tensor.dtype]), x)
    z = call.emit.reshape(pairs, x.shape[:-1])
    if back:
        op = FourierTransform((axis,), "inverse_real", taken(length))
        y = call.emit.add(op, z)
        return call.emit.reshape(y, (*y.shape, 1))
    return _as_parts(call, call.emit.add(FourierTransform((axis,)), z), x.tensor.dtype)


def _as_parts(call: Call, y: Operand, dtype: str) -> Operand:
    """Return complex numbers as pairs of real ones on a separate axis."""
    apart = call.emit.reshape(y, (*y.shape, 1))
    return call.emit.add(Bitcast(dtype), apart)


def _whole(call: Call, y: Operand, axis: int, length: Dim) -> Operand:
    """Return the whole spectrum of a real signal: the other half is the mirror image."""
    missing = length - y.shape[axis]
    if same(missing, 0):
        return y
    mirror = call.emit.add(Slice(axis, 0, taken(missing)), y)
    return call.emit.add(Concat(axis), y, mirror)


def _as_long(call: Call, x: Operand, axis: int, length: Dim) -> Operand:
    """Return a signal truncated or padded with zeros."""
    before = x.shape[axis]
    if same(before, length):
        return x
    if isinstance(before, int) and isinstance(length, int) and length < before:
        return call.emit.add(Slice(axis, 0, length), x)
    pairs = [(0, length - before if i == axis else 0) for i in range(len(x.shape))]
    return call.emit.add(Pad(taken(tuple(pairs))), x)


@HANDLERS.register("STFT")
def _stft(call: Call) -> Result:
    """Emit windows that overlap, their product with a window, and the transform of each."""
    step, lengths = call.sizes(1), call.sizes(3)
    window = call.optional(2)
    length = lengths[0] if lengths else window.shape[0] if window is not None else None
    if not step or length is None:
        raise DataError("its step or the length of its frames is missing")
    signal = call.operand()
    frames = (signal.shape[1] - length) // step[0] + 1
    return _framed(call, signal, frames, length)


@DECLARED.register("STFT")
def _stft_as_stated(call: Call, stated: list[Tensor]) -> Result:
    window = call.optional(2)
    bins = stated[0].shape[2]
    onesided = bool(call.attribute("onesided", 1))
    whole = 2 * (bins - 1) if onesided else bins
    length = whole if window is None else window.shape[0]
    return _framed(call, call.operand(), stated[0].shape[1], length)


def _framed(call: Call, signal: Operand, frames: Dim, length: Dim) -> Operand:
    if len(signal.shape) != 3 and len(signal.shape) != 2:
        raise DataError(f"a signal needs a batch and a length, got {signal.tensor}")
    parts = signal.shape[2] if len(signal.shape) == 3 else 1
    shape = (signal.shape[0], frames, length, parts)
    x: Operand = call.emit.add(StridedView(taken(shape)), signal)
    window = call.optional(2)
    if window is not None:
        x = call.emit.add(Elementwise("mul"), x, call.emit.reshape(window, (length, 1)))
    onesided = bool(call.attribute("onesided", 1))
    if same(parts, 1):
        y: Operand = call.emit.add(FourierTransform((2,), "real"), call.emit.reshape(x, shape[:-1]))
        y = y if onesided else _whole(call, y, 2, length)
        return _as_parts(call, y, x.tensor.dtype)
    pairs = call.emit.add(Bitcast(_COMPLEX[x.tensor.dtype]), x)
    z = call.emit.reshape(pairs, shape[:-1])
    return _as_parts(call, call.emit.add(FourierTransform((2,)), z), x.tensor.dtype)


@HANDLERS.register("Col2Im")
def _col2im(call: Call) -> Result:
    sizes, block = call.sizes(1) or [], call.sizes(2) or []
    x = call.operand()
    channels = x.shape[1]
    for size in block:
        channels = channels // size
    return _folded(call, x, (x.shape[0], channels, *sizes))


@DECLARED.register("Col2Im")
def _col2im_as_stated(call: Call, stated: list[Tensor]) -> Result:
    return _folded(call, call.operand(), stated[0].shape)


def _folded(call: Call, x: Operand, shape: tuple[Dim, ...]) -> Operand:
    """Add windows that overlap into an image of zeros."""
    tensor = Tensor(taken(shape), x.tensor.dtype)
    zeros = Stored(f"{call.node.output[0]} zeros", tensor, learned=False)
    return call.emit.add(Scatter(accumulate=True), zeros, x)
