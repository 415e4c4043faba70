"""Description of hardware: frozen records of facts, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from costmodel.errors import DataError, suggest

FactKind = Literal["datasheet", "derived", "measured", "assumed", "probed"]
Scope = Literal["unit", "device"]

#: Data types that run a data type without its own arithmetic, widest last. A library may also widen
#: by choice, so :meth:`Hardware.peak_for` uses the fastest of the chain: 16-bit arithmetic on a GTX
#: 1080 Ti runs at 1/64 of the 32-bit rate, and no library uses it.
WIDER: Mapping[str, tuple[str, ...]] = {
    "float64": ("float64",),
    "float32": ("float32",),
    "tf32": ("tf32", "float32"),
    "float16": ("float16", "float32"),
    "bfloat16": ("bfloat16", "float32"),
    "float8": ("float8", "float16", "float32"),
    "int8": ("int8", "float32"),
    "int8_matrix": ("int8_matrix", "int8", "float32"),
    "int8_widening": ("int8_widening", "float32"),
    "uint8": ("int8", "float32"),
    "float16_vector": ("float16_vector", "float32"),
    "bfloat16_vector": ("bfloat16_vector", "float32"),
    "int16": ("float32",),
    "int32": ("float32",),
    "int64": ("float32",),
    "bool": ("float32",),
}

#: Data types whose entry in ``lanes`` refers to tensor cores, on a GPU that has them.
TENSOR_DTYPES = frozenset({"tf32", "float16", "bfloat16", "float8", "int8"})

#: Bits of one element, for :meth:`Hardware.lane_width`; tf32 is stored as float32.
BITS: Mapping[str, int] = {
    **dict.fromkeys(("float64", "int64"), 64),
    **dict.fromkeys(("float32", "tf32", "int32"), 32),
    **dict.fromkeys(("float16", "bfloat16", "int16", "float16_vector", "bfloat16_vector"), 16),
    **dict.fromkeys(("float8", "int8", "int8_matrix", "int8_widening", "uint8", "bool"), 8),
}

#: Generations of GPUs, by their names in hardware files. :mod:`costmodel.timing.tiles` describes
#: the libraries on each generation and must have the same names.
ARCHITECTURES = (
    "maxwell",
    "pascal",
    "pascal-gaming",
    "volta",
    "turing",
    "ampere",
    "ampere-gaming",
    "ada",
    "hopper",
    "blackwell",
    "blackwell-gaming",
)

#: Generations with known facts but unknown libraries; no platform predicts times for them.
FACTS_ONLY = ("cdna3",)


IN_ORDER = 0.7
"""Share of its peak at which an in-order core keeps up with others in a micro-kernel of a product:
for 24 multiply-adds of four elements it loads 80 bytes, 8 a cycle on a Cortex-A53 and A55 (their
files), which only an out-of-order core overlaps with them: 24 of 34 cycles. [1]"""


@dataclass(frozen=True)
class Fact:
    """One number with its source.

    Parameters
    ----------
    value : float
        The number. [``unit``]
    unit : str
        SI unit; ``"1"`` for a count or a flag (1 or 0).
    source : str
        The document, or the formula of a derived number.
    kind : str
        ``datasheet`` (stated by the maker), ``derived`` (computed from other facts), ``measured``
        (by a named benchmark), ``assumed`` (an informed guess, see the note) or ``probed`` (read
        from the machine itself).
    note : str
        A caveat.
    """

    value: float
    unit: str
    source: str
    kind: FactKind
    note: str = ""


@dataclass(frozen=True)
class Level:
    """One level of the memory hierarchy.

    Parameters
    ----------
    name : str
        ``register``, ``shared`` (a GPU's), ``l1``, ``l2``, ``l3`` or ``dram``.
    size : float or None
        Capacity of one instance: of one unit if ``scope`` is ``"unit"``. [B]
    bandwidth : float or None
        Reading rate of all big units together. [B/s]
    scope : str
        ``"unit"`` if each unit has its own, ``"device"`` if all share it.
    """

    name: str
    size: float | None
    bandwidth: float | None
    scope: Scope


@dataclass(frozen=True)
class Cluster:
    """Identical CPU cores at one clock; a phone has two to four clusters.

    Parameters
    ----------
    core : str
        Name of the core, such as ``cortex-a53``.
    units : int
        Cores. [1]
    clock : float
        Highest sustained clock. [Hz]
    lanes : Mapping[str, int]
        Multiply-adds per cycle of one core, by data type.
    out_of_order : bool
        Whether its cores execute loads while multiply-adds wait.
    levels : tuple of Level, optional
        Caches of its cores, inner to outer; None if unknown.
    """

    core: str
    units: int
    clock: float
    lanes: Mapping[str, int] = field(hash=False)
    out_of_order: bool = True
    levels: tuple[Level, ...] | None = None


@dataclass(frozen=True)
class Hardware:
    """Facts of one device; peaks are dense and count a multiply-add as two operations.

    Parameters
    ----------
    name, title : str
        Short id, and the name in print.
    kind : str
        ``"gpu"``, ``"cpu"``, or ``"accelerator"`` for anything else.
    units : int
        Streaming multiprocessors, cores of the big cluster, or arrays of an accelerator. [1]
    clock : float
        Sustained boost clock of the fastest unit. [Hz]
    lanes : Mapping[str, int]
        Multiply-adds per unit and cycle by data type; with tensor cores if there are any
        (``float16_vector`` is then the rate without them).
    peak : Mapping[str, float]
        Dense peak of all big units by data type. [FLOP/s]
    levels : tuple of Level
        Inner to outer; the last is ``dram``.
    link : float or None
        Host to device, one direction; None if memory is shared. [B/s]
    facts : Mapping[str, Fact]
        Every number by its dotted name (``"memory.bus_width"``), with its source.
    year : int or None
        Of release.
    core : str or None
        A CPU's core, such as ``cortex-a57``.
    clusters : tuple of Cluster
        All cores of a CPU, the fastest first; empty for a GPU.
    vector_width : float
        A CPU's vector register; a GPU's warp times 4 B; one element of an accelerator. [B]
    architecture : str or None
        A GPU's generation, one of :data:`ARCHITECTURES` (each has its own library kernels) or of
        :data:`FACTS_ONLY`.
    tdp : float or None
        A GPU's board power limit. [W]
    probe : tuple of str
        The driver's names of a GPU.
    isa : str
        Instruction set of the cores of a CPU, ``"x86"`` or ``"arm"``; ``""`` if unknown.
    whole : Hardware, optional
        The whole CPU, if this is a subset of its clusters (:mod:`costmodel.hardware.clusters`).
    """

    name: str
    title: str
    kind: Literal["gpu", "cpu", "accelerator"]
    units: int
    clock: float
    lanes: Mapping[str, int] = field(hash=False)
    peak: Mapping[str, float] = field(hash=False)
    levels: tuple[Level, ...]
    link: float | None
    facts: Mapping[str, Fact] = field(hash=False, repr=False)
    year: int | None
    core: str | None
    clusters: tuple[Cluster, ...]
    vector_width: float
    architecture: str | None = None
    tdp: float | None = None
    probe: tuple[str, ...] = ()
    isa: str = ""
    whole: Hardware | None = field(default=None, repr=False)

    @property
    def assumed(self) -> bool:
        """Whether the peak of an accelerator is assumed, as a start for a calibration."""
        facts = (self.facts[key] for key in ("units", "clock", *map("lanes.{}".format, self.lanes)))
        return self.kind == "accelerator" and any(fact.kind == "assumed" for fact in facts)

    @property
    def dram(self) -> Level:
        """The outermost level: main or device memory."""
        return self.levels[-1]

    def level(self, name: str) -> Level:
        """Return the memory level of this name.

        Examples
        --------
        >>> from costmodel.hardware import load_hardware
        >>> load_hardware("gtx-1080-ti").level("l2").size
        2883584.0
        """
        for level in self.levels:
            if level.name == name:
                return level
        known = ", ".join(level.name for level in self.levels)
        raise DataError(f"hardware {self.name} has no memory level {name!r}; it has {known}")

    def lane_width(self, dtype: str) -> int:
        """Elements of one vector instruction: a GPU's warp, a CPU's vector register. [1].

        Examples
        --------
        >>> from costmodel.hardware import load_hardware
        >>> load_hardware("snapdragon-810").lane_width("float32")
        4
        """
        known = self._known(dtype)
        bits = BITS[known] if self.kind == "cpu" else 32
        return int(self.vector_width * 8) // bits

    def peak_for(self, dtype: str, units: int | None = None) -> float:
        """Dense peak for a data type, by wider arithmetic if that is faster. [FLOP/s].

        An accelerator computes only in its own types: networks in other types run at its slowest
        rate.

        Parameters
        ----------
        dtype : str
            Data type of the operands, a key of :data:`WIDER`. Integers without a multiply-add rate
            of their own count as float32.
        units : int, optional
            Only the ``units`` fastest units (threads, on a CPU; little cores come last). By default
            all big units.

        Raises
        ------
        DataError
            If the type is unknown, or there are not that many units.

        Examples
        --------
        >>> from costmodel.hardware import load_hardware
        >>> a57 = load_hardware("snapdragon-810")
        >>> a57.peak_for("float16", units=1) == a57.peak_for("float32", units=1) == 2 * 4 * 1.958e9
        True
        """
        chain = WIDER[self._known(dtype)]
        if self.kind == "accelerator" and not {*chain} & {*self.peak}:
            return min(self.peak.values())
        if units is None:
            rates = [self.peak[key] for key in chain if key in self.peak]
        else:
            rates = [rate for key in chain if (rate := self._part(key, units)) is not None]
        if not rates:
            raise DataError(
                f"hardware {self.name} has no peak for {dtype}; it has {', '.join(self.peak)}"
            )
        return max(rates)

    def slowest_for(self, dtype: str, units: int) -> float:
        """Peak of the slowest of the ``units`` fastest units of a CPU for a data type. [FLOP/s].

        In-order cores next to out-of-order ones count as :data:`IN_ORDER` of their peak.

        Raises
        ------
        DataError
            As :meth:`peak_for`.

        Examples
        --------
        >>> from costmodel.hardware import load_hardware
        >>> a57_a53 = load_hardware("snapdragon-810")
        >>> a57_a53.slowest_for("float32", 5) == IN_ORDER * 2 * 4 * 1.555e9  # a Cortex-A53
        True
        """
        self.peak_for(dtype, units)  # raises if there are none
        left, rates = units, []
        for cluster in self.clusters:
            if left > 0:
                lanes = [cluster.lanes[key] for key in WIDER[dtype] if key in cluster.lanes]
                beside = self.clusters[0].out_of_order and not cluster.out_of_order
                rates.append(2 * cluster.clock * max(lanes) * (IN_ORDER if beside else 1))
            left -= cluster.units
        return min(rates)

    def _known(self, dtype: str) -> str:
        if dtype not in WIDER:
            raise DataError(
                f"hardware {self.name}: data type {dtype!r} is unknown; {suggest(dtype, WIDER)}"
            )
        return dtype

    def _part(self, key: str, units: int) -> float | None:
        """Peak of the ``units`` fastest units for a key of ``lanes``, None without that key."""
        available = sum(c.units for c in self.clusters) or self.units
        if not 1 <= units <= available:
            raise DataError(f"hardware {self.name} has 1 to {available} units, not {units}")
        if not self.clusters:
            return self.peak[key] * units / self.units if key in self.peak else None
        total, left = 0.0, units
        for cluster in self.clusters:
            taken = min(left, cluster.units)
            if taken and key not in cluster.lanes:
                return None
            total += taken * cluster.clock * cluster.lanes.get(key, 0) * 2
            left -= taken
        return total
