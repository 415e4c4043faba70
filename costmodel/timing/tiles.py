"""Output tiles of the GPU libraries, and the power of each generation, from ``tiles.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from costmodel.errors import DataError

Tile = tuple[int, int]

CONVOLUTION_TILES: tuple[Tile, ...] = ((128, 128), (64, 128), (32, 128), (64, 64))
"""Output tiles of convolutions, channels by pixels. [element]"""
WINOGRAD_TILES: tuple[Tile, ...] = ((128, 128),)
"""Output tiles of the fused Winograd kernel. [element]"""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the libraries have for a generation of GPUs, and what its boards sustain.

    Parameters
    ----------
    product, batched : tuple of Tile
        Output tiles of single and of batched matrix products. [element]
    flops_per_watt : float
        Float32 peak over board power of the generation's flagship. [FLOP/s/W]
    feed : float
        Multiply-adds that share the path from shared memory, relative to Volta. [1]
    """

    product: tuple[Tile, ...]
    batched: tuple[Tile, ...]
    flops_per_watt: float
    feed: float


@cache
def generation(name: str) -> Generation:
    """Return a generation by the name that hardware files use.

    Raises
    ------
    DataError
        If it is unknown.

    Examples
    --------
    >>> generation("pascal").batched
    ((64, 128),)
    """
    text = (resources.files(__package__) / "tiles.toml").read_text(encoding="utf-8")
    known = tomllib.loads(text)
    if name not in known:
        raise DataError(f"unknown GPU architecture {name!r}; known are {', '.join(known)}")
    fields = known[name]
    return Generation(
        product=tuple((int(a), int(b)) for a, b in fields["product"]),
        batched=tuple((int(a), int(b)) for a, b in fields["batched"]),
        flops_per_watt=float(fields["flops_per_watt"]),
        feed=float(fields["feed"]),
    )
