"""Shape of the hardware files, for pydantic; imported only when a file is read.

Every number is an inline table ``{ value = "484 GB/s", source = "...", kind = "datasheet" }`` (with
a ``note`` for caveats) and is converted to a :class:`Fact` in SI units.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from costmodel.errors import UnitError, suggest
from costmodel.hardware.model import ARCHITECTURES, FACTS_ONLY, WIDER, Fact, FactKind, Scope
from costmodel.units import EXAMPLES, parse

_KEYS = {"value", "source", "kind", "note"}
_KINDS = get_args(FactKind)


def _fact(entry: Any, unit: str, right: str) -> Fact:
    """Check one inline table; ``right`` is an example of a valid value."""
    if not isinstance(entry, dict):
        raise ValueError(f'must be a table {{ value = {right}, source = "...", kind = "..." }}')
    if unknown := sorted(entry.keys() - _KEYS):
        raise ValueError(f"has the unknown key {unknown[0]!r}; allowed are {', '.join(_KEYS)}")
    if "value" not in entry:
        raise ValueError(f"has no value; give one like {right}")
    for key in ("source", "kind"):
        if not (isinstance(entry.get(key), str) and entry[key].strip()):
            raise ValueError(f"has no {key}; every number needs one")
    if entry["kind"] not in _KINDS:
        raise ValueError(f"has kind {entry['kind']!r}; it must be one of {', '.join(_KINDS)}")
    note = entry.get("note", "")
    if not isinstance(note, str):
        raise ValueError("has a note that is not a text")
    return Fact(_value(entry["value"], unit, right), unit, entry["source"], entry["kind"], note)


def _value(value: Any, unit: str, right: str) -> float:
    if unit == "flag":
        if not isinstance(value, bool):
            raise ValueError(f"must be {right}, not {value!r}")
        return float(value)
    if unit == "1":
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"must be a whole number like {right}, not {value!r}")
        number = float(value)
    elif isinstance(value, str):
        try:
            number = parse(value, unit)
        except UnitError as error:
            raise ValueError(str(error)) from None
    else:
        raise ValueError(f"needs a unit in quotes, such as {right}, not {value!r}")
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"must be above zero, such as {right}, not {value!r}")
    return number


def _in(unit: str, right: str) -> BeforeValidator:
    return BeforeValidator(lambda entry: _fact(entry, unit, right))


def _quantity(unit: str) -> BeforeValidator:
    return _in(unit, f'"{EXAMPLES[unit]}"')


def _dtype(key: Any) -> Any:
    if key not in WIDER:
        raise ValueError(f"the data type {key!r} is unknown; {suggest(key, WIDER)}")
    return key


def _architecture(name: Any) -> Any:
    names = (*ARCHITECTURES, *FACTS_ONLY)
    if name not in names:
        raise ValueError(f"{name!r} is unknown; {suggest(name, names)}")
    return name


Count = Annotated[Fact, _in("1", "28")]
Flag = Annotated[Fact, _in("flag", "true or false")]
Bytes = Annotated[Fact, _quantity("B")]
Bits = Annotated[Fact, _quantity("bit")]
Bandwidth = Annotated[Fact, _quantity("B/s")]
BitRate = Annotated[Fact, _quantity("bit/s")]
Frequency = Annotated[Fact, _quantity("Hz")]
Power = Annotated[Fact, _quantity("W")]
FlopRate = Annotated[Fact, _quantity("FLOP/s")]
Dtype = Annotated[str, BeforeValidator(_dtype)]
Architecture = Annotated[str, BeforeValidator(_architecture)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, frozen=True)


class LevelTable(_Table):
    """One cache; bandwidth in bytes per second, or in bytes per cycle (of each unit, or all)."""

    name: Literal["register", "shared", "l1", "l2", "l3"]
    scope: Scope
    size: Bytes
    bandwidth: Bandwidth | None = None
    bytes_per_cycle: Count | None = None

    @model_validator(mode="after")
    def _one_bandwidth(self) -> LevelTable:
        if self.bandwidth and self.bytes_per_cycle:
            raise ValueError("must give bandwidth or bytes_per_cycle, not both")
        return self


class MemoryTable(_Table):
    """Main or device memory; bandwidth is sufficient, bus width and data rate allow a check.

    ``streamed`` is the bandwidth that large streams were seen to reach.
    """

    size: Bytes | None = None
    bus_width: Bits | None = None
    data_rate: BitRate | None = None
    bandwidth: Bandwidth
    streamed: Bandwidth | None = None


class LinkTable(_Table):
    """PCI Express to the host."""

    generation: Count
    lanes: Count
    bandwidth: Bandwidth


class ClusterTable(_Table):
    """Identical cores of a CPU; ``l2`` replaces the L2 of the device, per cluster or per core.

    It is per cluster if ``level`` has an L2 of scope ``device``, otherwise per core.
    """

    core: str
    units: Count
    clock: Frequency
    l2: Bytes | None = None


class DeviceFile(_Table):
    """A file of ``devices/``; ``probe`` holds the driver's names of a GPU.

    ``aliases`` are other common names; capitals, blanks and dashes do not matter.
    """

    name: str
    title: str
    aliases: list[str] = Field(default_factory=list)
    probe: list[str] = Field(default_factory=list)
    kind: Literal["gpu", "cpu", "accelerator"]
    year: Count
    architecture: Architecture | None = None
    core: str | None = None
    units: Count
    clock: Frequency
    tdp: Power | None = None
    max_clock: Frequency | None = None
    running_clock: Frequency | None = None
    tensor_clock: Frequency | None = None
    warp: Count | None = None
    threads_per_unit: Count | None = None
    lanes: dict[Dtype, Count] = Field(default_factory=dict)
    peak: dict[Dtype, FlopRate] = Field(default_factory=dict)
    sustained: dict[Dtype, FlopRate] = Field(default_factory=dict)
    memory: MemoryTable
    level: list[LevelTable] = Field(default_factory=list)
    link: LinkTable | None = None
    cluster: list[ClusterTable] = Field(default_factory=list)

    @model_validator(mode="after")
    def _kind_fits(self) -> DeviceFile:
        if self.kind == "cpu" and (not self.core or self.lanes):
            raise ValueError("of kind cpu must name its core, and leave lanes to the core's file")
        if self.kind == "gpu" and (self.core or self.cluster or not (self.lanes and self.warp)):
            raise ValueError("of kind gpu must give lanes and warp, and neither core nor cluster")
        if self.kind == "gpu" and not (self.architecture and self.tdp):
            raise ValueError("of kind gpu must give architecture and tdp")
        if self.kind == "accelerator" and (
            self.core or self.cluster or self.warp or self.architecture or not self.lanes
        ):
            raise ValueError(
                "of kind accelerator must give lanes, and neither core, cluster, warp nor "
                "architecture"
            )
        return self


class CoreFile(_Table):
    """A file of ``cores/``; ``probe`` holds the identification of the core for ``host``.

    ``isa`` is the instruction set of a core that cannot be identified; else ``probe`` tells it.
    """

    name: str
    title: str
    probe: list[str] = Field(default_factory=list)
    isa: Literal["arm", "x86", ""] = ""
    lanes: dict[Dtype, Count]
    boost_clock: Frequency | None = None
    vector_width: Bits
    line_size: Bytes
    store_bytes_per_cycle: Count
    out_of_order: Flag
    float16_arithmetic: Flag
    dot_product: Flag
    int8_matrix: Flag | None = None
    level: list[LevelTable]
