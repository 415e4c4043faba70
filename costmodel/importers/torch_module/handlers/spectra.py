"""Complex numbers and Fourier transforms."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, ceil_div, same
from costmodel.importers.emitter import Operand, Stored
from costmodel.importers.registry import UnsupportedFormError
from costmodel.importers.torch_module.call import ATEN, Call, Result, packet_name
from costmodel.importers.torch_module.handlers.elementwise import binary
from costmodel.ops import (
    Bitcast,
    Cast,
    Concat,
    Elementwise,
    FourierTransform,
    Pad,
    Slice,
    StridedView,
)
from costmodel.ops.tensor import Tensor


@ATEN.register("_fft_r2c")
def _from_real(call: Call) -> Result:
    x, axes = call.operand("self"), tuple(call.get("dim"))
    if call.get("onesided", True):
        return call.emit.add(FourierTransform(axes, "real"), x)
    return call.emit.add(FourierTransform(axes), call.emit.add(Cast(call.output.dtype), x))


@ATEN.register("_fft_c2r")
def _to_real(call: Call) -> Result:
    length = taken(call.size("last_dim_size"))
    op = FourierTransform(tuple(call.get("dim")), "inverse_real", length)
    return call.emit.add(op, call.operand("self"))


@ATEN.register("_fft_c2c")
def _complex(call: Call) -> Result:
    axes = tuple(call.get("dim"))
    x = call.operand("self")
    return call.emit.add(FourierTransform(axes), x) if axes else x


_WHOLE = tuple(f"fft_{kind}{rank}" for kind in ("fft", "ifft") for rank in ("", "2", "n"))
_HALF = tuple(f"fft_{kind}{rank}" for kind in ("rfft", "irfft") for rank in ("", "2", "n"))


@ATEN.register(*_WHOLE, *_HALF)
def _transform(call: Call) -> Result:
    """Emit a transform of the signal, cut or padded to the requested size."""
    name, x = packet_name(call.node.target), call.operand("self")
    rank, last = len(x.shape), (-2, -1) if name.endswith("2") else (-1,)
    named = call.get("dim", tuple(range(rank)) if name.endswith("n") else last)
    listed = (named,) if isinstance(named, int) else named
    axes = tuple(int(axis) % rank for axis in listed)
    sizes = list(call.sizes("s") or call.sizes("n") or [x.shape[axis] for axis in axes])
    out = call.output.shape
    if "irfft" in name:
        sizes[-1] = ceil_div(out[axes[-1]] - 1, 2) + 1
        x = _sized(call, x, axes, sizes)
        x = x if x.tensor.is_complex else call.emit.add(Cast("complex64"), x)
        return call.emit.add(FourierTransform(axes, "inverse_real", taken(out[axes[-1]])), x)
    x = _sized(call, x, axes, sizes)
    if "rfft" in name:
        return call.emit.add(FourierTransform(axes, "real"), x)
    x = x if x.tensor.is_complex else call.emit.add(Cast(call.output.dtype), x)
    return call.emit.add(FourierTransform(axes), x)


def _sized(call: Call, x: Operand, axes: Sequence[int], sizes: Sequence[Dim]) -> Operand:
    for axis, size in zip(axes, sizes, strict=True):
        have = x.shape[axis]
        if same(have, size):
            continue
        if isinstance(have, int) and isinstance(size, int) and have < size:
            border = [(0, size - have if i == axis else 0) for i in range(len(x.shape))]
            x = call.emit.add(Pad(tuple(border)), x)
        else:
            x = call.emit.add(Slice(axis, 0, taken(size)), x)
    return x


@ATEN.register("stft")
def _short_time(call: Call) -> Result:
    """Emit frames that overlap, times the window, and the transform of each."""
    emit, x, window = call.emit, call.operand("self"), call.optional("window")
    if not call.get("return_complex", False) or not call.get("onesided", True):
        raise UnsupportedFormError("a spectrum of real parts, or of both sides")
    size, frames = call.size("n_fft"), call.output.shape[-1]
    if call.get("center", False):
        border = ((0, 0),) * (len(x.shape) - 1) + ((size // 2, size // 2),)
        x = emit.add(Pad(taken(border)), x)
    x = emit.add(StridedView(taken((*x.shape[:-1], frames, size))), x)
    if window is not None:
        if not same(window.shape[0], size):
            raise UnsupportedFormError("a window shorter than a frame")
        x = binary(call, "mul", x, window)
    y = emit.add(FourierTransform((-1,), "real"), x)
    rank = len(y.shape)
    return emit.transpose(y, (*range(rank - 2), rank - 1, rank - 2))


@ATEN.register("real", "imag")
def _part(call: Call) -> Result:
    x = call.operand("self")
    if not x.tensor.is_complex:
        return x
    if isinstance(x, Stored):
        return _stored(x, call.output)
    pairs = call.emit.add(Bitcast(call.output.dtype), call.emit.reshape(x, (*x.shape, 1)))
    return call.emit.reshape(call.emit.add(Slice(-1, 0, 1), pairs), call.output.shape)


@ATEN.register("view_as_real", "view_as_real_copy")
def _as_real(call: Call) -> Result:
    x = call.operand("self")
    if isinstance(x, Stored):
        return _stored(x, call.output)
    parts = call.emit.add(Bitcast(call.output.dtype), call.emit.reshape(x, (*x.shape, 1)))
    return call.emit.reshape(parts, call.output.shape)


@ATEN.register("view_as_complex", "view_as_complex_copy")
def _as_complex(call: Call) -> Result:
    x = call.operand("self")
    if isinstance(x, Stored):
        return _stored(x, call.output)
    return call.emit.reshape(call.emit.add(Bitcast(call.output.dtype), x), call.output.shape)


def _stored(x: Stored, tensor: Tensor) -> Stored:
    return Stored(f"{x.key}[{tensor.dtype}]", tensor, x.learned)


@ATEN.register("complex")
def _join(call: Call) -> Result:
    return _joined(call, call.operand("real"), call.operand("imag"))


@ATEN.register("polar")
def _polar(call: Call) -> Result:
    length, angle = call.operand("abs"), call.operand("angle")
    turned = [call.emit.add(Elementwise(kind), angle) for kind in ("cos", "sin")]
    return _joined(call, *(binary(call, "mul", length, part) for part in turned))


def _joined(call: Call, real: Operand, imaginary: Operand) -> Operand:
    parts = [call.emit.reshape(x, (*x.shape, 1)) for x in (real, imaginary)]
    pairs = call.emit.add(Concat(-1), *parts)
    return call.emit.reshape(call.emit.add(Bitcast(call.output.dtype), pairs), call.output.shape)


@ATEN.register("_conj_physical", "conj_physical")
def _conjugate(call: Call) -> Result:
    return call.emit.add(Elementwise("neg"), call.operand("self"))
