"""Output tiles of the GPU libraries, and the power of each generation, from ``tiles.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from costmodel.errors import DataError, suggest
from costmodel.hardware.model import ARCHITECTURES

Tile = tuple[int, int]

_FILE = "tiles.toml"
_TILES = ("product", "linear", "batched", "convolution", "winograd", "tensor", "tensor_convolution")
_NUMBERS = (
    "flops_per_watt",
    "feed",
    "linear_feed",
    "tensor_feed",
    "refetch",
    "misaligned",
    "exponentials",
    "short_head_queries",
    "cache_bytes_per_cycle",
    "channel_bytes",
    "threads",
    "stream",
    "tile_stream",
    "softmax_once",
)

_FLAGS = ("packs_queries", "float32_winograd", "writes_either_layout")


@dataclass(frozen=True, slots=True)
class Generation:
    """Library kernels for a generation of GPUs, and the power efficiency of its boards.

    Parameters
    ----------
    product, batched : tuple of Tile
        Output tiles of single and of batched matrix products. [element]
    linear : tuple of Tile
        Output tiles of single products by cuBLASLt. [element]
    convolution : tuple of Tile
        Output tiles of convolutions, channels by pixels. [element]
    winograd : tuple of Tile
        The same for the fused Winograd kernel. [element]
    tensor : tuple of Tile
        Output tiles of products on tensor cores. [element]
    tensor_convolution : tuple of Tile
        The same for convolutions, channels by pixels. [element]
    flops_per_watt : float
        Float32 peak over board power of the generation's flagship, less that of an idle board.
        [FLOP/s/W]
    feed : float
        Float32 multiply-adds that share the path from shared memory, relative to Volta. [1]
    linear_feed : float
        The same for the kernels of cuBLASLt, relative to others. [1]
    tensor_feed : float
        Bytes that a multiply-add of tensor cores loads from shared memory, relative to Ampere. [1]
    refetch : float
        Bytes fetched from memory per byte of long rows that a tile needs, in float32. [1]
    misaligned : float
        Speed of tensor cores on rows not aligned to 16 bytes, relative to aligned rows. [1]
    exponentials : float
        Exponentials that one multiprocessor evaluates in a cycle. [operation]
    short_head_queries : float
        Queries of a tile of fused attention with heads of at most 96 elements; others have 128. [1]
    cache_bytes_per_cycle : float
        Maximum bytes per cycle from the last-level cache to one multiprocessor. [byte]
    channel_bytes : float
        Channels of one window position per step of the reduction on tensor cores. [byte]
    threads : float
        Threads that one multiprocessor holds. [1]
    stream : float
        Bandwidth that streaming kernels reach, relative to the mean of Pascal to Turing. [1]
    tile_stream : float
        The same for operands of products, relative to streaming kernels. [1]
    softmax_once : float
        Longest row of a softmax that is moved only once. [element]
    packs_queries : bool
        Whether fused attention puts the query heads of a head of keys into one tile at any length.
    float32_winograd : bool
        Whether cuDNN uses Winograd for convolutions on the lanes.
    writes_either_layout : bool
        Whether convolutions on tensor cores write NCHW images themselves, and 1x1 ones read them.
    """

    product: tuple[Tile, ...]
    linear: tuple[Tile, ...]
    batched: tuple[Tile, ...]
    convolution: tuple[Tile, ...]
    winograd: tuple[Tile, ...]
    tensor: tuple[Tile, ...]
    tensor_convolution: tuple[Tile, ...]
    flops_per_watt: float
    feed: float
    linear_feed: float
    tensor_feed: float
    refetch: float
    misaligned: float
    exponentials: float
    short_head_queries: float
    cache_bytes_per_cycle: float
    channel_bytes: float
    threads: float
    stream: float
    tile_stream: float
    softmax_once: float
    packs_queries: bool
    float32_winograd: bool
    writes_either_layout: bool


NO_GENERATION = Generation((), (), (), (), (), (), (), *(0.0,) * 14, False, False, False)
"""Placeholder for a CPU, which has no generation."""


def read_generations(text: str) -> dict[str, Generation]:
    """Return the generations that the text of ``tiles.toml`` describes.

    Parameters
    ----------
    text : str
        TOML: for every one of :data:`costmodel.hardware.model.ARCHITECTURES` a table of
        ``{ value = ..., source = "..." }`` by field of :class:`Generation`. A table with ``like``,
        the name of another one, leaves out the fields that it has in common with it.

    Raises
    ------
    DataError
        If a generation, a field or a source is missing or unknown, or a value is wrong.

    Examples
    --------
    >>> read_generations("")
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: tiles.toml: maxwell is missing; ...
    """
    tables = tomllib.loads(text)
    _same(tables, ARCHITECTURES, _FILE, "costmodel.hardware.model.ARCHITECTURES")
    return {name: _generation(_whole(tables, name), f"{_FILE}: {name}") for name in tables}


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
    if name not in GENERATIONS:
        raise DataError(
            f"no time model has GPU architecture {name!r}; {suggest(name, GENERATIONS)}"
        )
    return GENERATIONS[name]


def _whole(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the table of a generation with the fields of the one that it is like."""
    own = dict(tables[name])
    if "like" not in own:
        return own
    like = own.pop("like")
    if not isinstance(like, str) or "like" in tables.get(like, {"like": like}):
        raise DataError(
            f"{_FILE}: {name}.like: {like!r} must be the name of a generation with all fields"
        )
    return {**tables[like], **own}


def _generation(table: Mapping[str, Any], where: str) -> Generation:
    _same(table, (*_TILES, *_NUMBERS, *_FLAGS), where, "Generation")
    for name, entry in table.items():
        if not isinstance(entry, dict) or set(entry) != {"value", "source"}:
            raise DataError(f"{where}.{name}: must be {{ value = ..., source = ... }}")
        if not (isinstance(entry["source"], str) and entry["source"].strip()):
            raise DataError(f"{where}.{name}: has no source; every number needs one")
    values: dict[str, Any] = {}
    for names, check in ((_TILES, _tiles), (_NUMBERS, _number), (_FLAGS, _flag)):
        values |= {name: check(table[name]["value"], f"{where}.{name}") for name in names}
    return Generation(**values)


def _same(found: Mapping[str, Any], known: tuple[str, ...], where: str, home: str) -> None:
    if missing := [name for name in known if name not in found]:
        raise DataError(f"{where}: {missing[0]} is missing; {home} names it")
    if unknown := [name for name in found if name not in known]:
        raise DataError(f"{where}: {unknown[0]} is unknown; {home} does not name it")


def _tiles(value: Any, where: str) -> tuple[Tile, ...]:
    if not (isinstance(value, list) and value and all(map(_is_tile, value))):
        raise DataError(f"{where}: {value!r} must be a list of tiles such as [64, 128]")
    return tuple((tile[0], tile[1]) for tile in value)


def _is_tile(value: Any) -> bool:
    sides = value if isinstance(value, list) else []
    return len(sides) == 2 and all(type(side) is int and side > 0 for side in sides)


def _number(value: Any, where: str) -> float:
    if type(value) not in (int, float) or not 0 < value < float("inf"):
        raise DataError(f"{where}: {value!r} must be a number above zero")
    return float(value)


def _flag(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise DataError(f"{where}: {value!r} must be true or false")
    return value


GENERATIONS: Mapping[str, Generation] = read_generations(
    (resources.files(__package__) / _FILE).read_text(encoding="utf-8")
)
"""All generations by name, read on import, so that a generation of the hardware files without an
entry is an error at once."""
