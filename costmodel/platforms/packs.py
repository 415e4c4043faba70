"""Numbers of channels that suit a platform."""

from __future__ import annotations

from costmodel.ops import Conv, Op
from costmodel.platforms.machine import machine_for
from costmodel.platforms.platform import Platform


def channel_pack(platform: Platform, op: Op | None = None, dtype: str = "float32") -> int:
    """Return the number whose multiples of output channels fill the vectors of an engine [1].

    Parameters
    ----------
    platform : Platform
        Where the operator runs.
    op : Op, optional
        The operator: of a convolution in groups, each group has to fill its own packs; of a
        depthwise one, all channels together.
    dtype : str
        Its dtype, where the platform does not convert it.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> channel_pack(load_platform("raspberry-pi-4/ncnn"))
    4
    >>> channel_pack(load_platform("xeon-gold-6240/onnxruntime"), Conv(64, (3, 3), groups=2))
    32
    """
    if platform.hardware.kind != "cpu":
        return 1
    dtype = platform.dtype or dtype
    lanes = machine_for(platform, dtype).lanes  # of float32 where a core only stores halves
    packs = platform.runtime.packs
    pack = lanes * packs.vectors if packs and packs.apply(dtype, lanes) else lanes
    if not isinstance(op, Conv) or op.groups == op.out_channels:
        return pack
    return pack * int(op.groups)
