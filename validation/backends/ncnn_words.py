"""The text form of ncnn's layers: names, parameters and weights."""

from __future__ import annotations

import numpy as np

from ..arm.bench.program import Call, Shape
from ..arm.checks.reference import BIAS, uniform

TAG = b"\0\0\0\0"  # before weights: what follows is float32
ACTIVATIONS = {"relu": "9=1", "relu6": "9=3 -23310=2,0.0,6.0"}
_SIXTH = "0=0.16666667 1=0.5"
UNARY = {
    "relu": "ReLU",
    "relu6": "Clip 0=0.0 1=6.0",
    "sigmoid": "Sigmoid",
    "silu": "Swish",
    "hsigmoid": f"HardSigmoid {_SIXTH}",
    "hswish": f"HardSwish {_SIXTH}",
    "tanh": "TanH",
    "softmax": "Softmax 0=0 1=1",
}
CONVOLUTIONS = {"conv1x1": 1, "conv3x3": 3, "winograd3x3": 3, "conv": 0, "depthwise": 0}
IMAGES = ("conv3x3", "winograd3x3", "conv", "depthwise", "maxpool", "avgpool", "shuffle")

_WINDOW = frozenset({"k", "kh", "kw", "stride", "pad", "ph", "pw", "ph_end", "pw_end", "ceil"})
_POOLS = {"maxpool": _WINDOW, "avgpool": _WINDOW | {"include_pad"}}
_ANY = frozenset({"seed", "bias", "act", "groups", "axis"})


def strange(call: Call) -> str:
    """Return a parameter of a call that the layers of engines here do not take, ``""`` for none.

    An engine's model must not leave out what it does not know, such as steps that differ by axis.

    Examples
    --------
    >>> strange(Call("depthwise", (0,), (1,), {"kh": 3, "kw": 3, "stride": 2}))
    ''
    >>> strange(Call("maxpool", (0,), (1,), {"k": 3, "stride": 2, "dilation": 2}))
    'dilation'
    """
    known = _POOLS.get(call.kernel, _ANY)
    if call.kernel in CONVOLUTIONS:
        known = _WINDOW | _ANY | {"dilation"}
    return next((name for name in call.params if name not in known), "")


def is_vector(shape: Shape) -> bool:
    """Return whether a tensor has one place, hence one axis in ncnn."""
    return shape[2:] == (1, 1)


def image_extents(shape: Shape) -> str:
    """Return width, height and channels."""
    _, c, h, w = shape
    return f"0={w} 1={h} 2={c}"


def extents(shape: Shape) -> str:
    """Return the extents of a vector or an image."""
    return f"0={shape[1]}" if is_vector(shape) else image_extents(shape)


def bias_term(call: Call) -> int:
    """Return 1 where there is a bias, 0 where not."""
    return int(call.params.get("bias", 0))


def bias_bytes(call: Call, channels: int) -> bytes:
    """Return the biases as the reference has them."""
    values = uniform(int(call.params.get("seed", 0)), BIAS, channels) * np.float32(0.125)
    return values.astype(np.float32).tobytes()


def pads(call: Call) -> tuple[int, int, int, int]:
    """Return the rows and columns added: above, left, below, right."""
    p = call.params
    ph, pw = (int(p.get(key, p.get("pad", 0))) for key in ("ph", "pw"))
    return ph, pw, int(p.get("ph_end", ph)), int(p.get("pw_end", pw))


def pooling(call: Call) -> str:
    """Return the parameters of a pooling."""
    p = call.params
    kh, kw = (int(p.get(key, p.get("k", 1))) for key in ("kh", "kw"))
    top, left, bottom, right = pads(call)
    mode = 0 if int(p.get("ceil", 0)) else 1
    return (
        f"0={int(call.kernel == 'avgpool')} 1={kw} 11={kh} 2={p.get('stride', 1)} "
        f"3={left} 13={top} 14={right} 15={bottom} 5={mode} 6={p.get('include_pad', 1)}"
    )
