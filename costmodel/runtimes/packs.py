"""Layouts of channels in a CPU engine: blocks, packs that divide the channels, tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from costmodel.errors import DataError, listed, suggest
from costmodel.ops.tensor import DTYPE_BYTES
from costmodel.runtimes.blocks import Blocks, blocks_of

LAYOUTS = ("blocks", "divisors", "tiles")
"""``blocks``: convolutions whose channels are a multiple of ``multiple`` read and write images in
blocks of as many channels as a vector holds, the last one padded; other kernels and other channels
use the plain layout, and a change of layout costs a copy. ``divisors``: every image is held in the
largest pack that divides its channels. ``tiles``: images are plain, and weights are held in tiles
of outputs, the last one padded."""


@dataclass(frozen=True, slots=True)
class Packs:
    """The rule by which an engine packs channels.

    Parameters
    ----------
    layout : str
        One of :data:`LAYOUTS`.
    multiple : int
        Number that the channels of a packed image must be a multiple of. [1]
    vectors : int
        Vectors of a tile of outputs. [1]
    least_lanes : int
        Fewest elements of a vector for which the engine packs. [1]
    dtypes : tuple of str
        Dtypes that are packed; others are plain.
    windows : tuple of int
        Taps of the depthwise windows with a dedicated kernel; empty if all have one. [1]
    single_windows : mapping of int to tuple of int
        The same for images held channel by channel, by the elements of a vector. [1]
    padded_copy : bool
        Whether a window that extends over the edge reads a copy of the image with a border.
    rows : mapping of int to int
        Rows of a tile of a product on the plain layout, by the elements of a vector. [1]
    blocks : mapping of int to Blocks
        How products are split, by the bytes of a vector; by whole vectors without an entry. [byte]
    source : str
        Source of the rule.
    """

    layout: str
    multiple: int
    vectors: int
    least_lanes: int
    dtypes: tuple[str, ...]
    windows: tuple[int, ...]
    single_windows: Mapping[int, tuple[int, ...]]
    padded_copy: bool
    rows: Mapping[int, int]
    blocks: Mapping[int, Blocks]
    source: str

    def apply(self, dtype: str, lanes: int) -> bool:
        """Return whether the engine packs ``dtype`` if a vector holds ``lanes`` elements of it."""
        return dtype in self.dtypes and lanes >= self.least_lanes


_DEFAULTS: Mapping[str, Any] = {
    "multiple": 1,
    "vectors": 1,
    "least_lanes": 1,
    "dtypes": ["float32"],
    "windows": [],
    "single_windows": {},
    "padded_copy": False,
    "rows": {},
    "blocks": {},
}


def packs_of(table: Any, file: str) -> Packs | None:
    """Return the rule of the table ``packs`` of a runtime file, None for an empty one.

    Raises
    ------
    DataError
        If a field is missing, unknown or wrong.

    Examples
    --------
    >>> packs_of({"layout": "tiles", "vectors": 2, "source": "its documentation"}, "mine").vectors
    2
    """
    if not table:
        return None
    names = [field.name for field in fields(Packs)]
    for name in table:
        if name not in names:
            raise DataError(f"{file}: packs: unknown field {name!r}; {suggest(name, names)}")
    values = {**_DEFAULTS, **table}
    if values.get("layout") not in LAYOUTS:
        raise DataError(
            f"{file}: packs.layout must be one of {listed(LAYOUTS)}, got {values.get('layout')!r}"
        )
    for name in ("multiple", "vectors", "least_lanes"):
        if type(values[name]) is not int or values[name] < 1:
            raise DataError(f"{file}: packs.{name} must be a count, got {values[name]!r}")
    if type(values["padded_copy"]) is not bool:
        raise DataError(
            f"{file}: packs.padded_copy must be true or false, got {values['padded_copy']!r}"
        )
    for name, kind in (("dtypes", str), ("windows", int)):
        if not isinstance(values[name], list) or any(type(v) is not kind for v in values[name]):
            raise DataError(f"{file}: packs.{name} must be a list, got {values[name]!r}")
    unknown = set(values["dtypes"]) - set(DTYPE_BYTES)
    if unknown:
        raise DataError(
            f"{file}: packs.dtypes: {min(unknown)!r} is unknown; "
            f"{suggest(min(unknown), DTYPE_BYTES)}"
        )
    source = values.get("source")
    if not isinstance(source, str) or not source.strip():
        raise DataError(f"{file}: packs.source must say where the rule is known from")
    return Packs(
        layout=values["layout"],
        multiple=values["multiple"],
        vectors=values["vectors"],
        least_lanes=values["least_lanes"],
        dtypes=tuple(values["dtypes"]),
        windows=tuple(values["windows"]),
        single_windows={
            lanes: tuple(taps) for lanes, taps in _by_lanes(values, "single_windows", file).items()
        },
        padded_copy=values["padded_copy"],
        rows=_by_lanes(values, "rows", file),
        blocks=blocks_of(values["blocks"], file),
        source=" ".join(source.split()),
    )


def _by_lanes(values: Mapping[str, Any], name: str, file: str) -> dict[int, Any]:
    """Return the entries of a table, counts or lists, by the elements of a vector."""
    table = values[name]
    single = name == "rows"
    entries = table.values() if isinstance(table, dict) else [None]
    counts = [[entry] if single else entry for entry in entries]
    if not all(
        isinstance(entry, list) and all(type(n) is int and n > 0 for n in entry) for entry in counts
    ) or not all(key.isdecimal() for key in table):
        example = "{ 16 = 12 }" if single else "{ 16 = [9] }"
        raise DataError(
            f"{file}: packs.{name} must be a table by the elements of a vector, such as "
            f"{example}, got {table!r}"
        )
    return {int(key): entry for key, entry in table.items()}
