"""The machine in the time formulas: facts of a platform for arithmetic in one dtype."""

from __future__ import annotations

from math import inf

from costmodel.hardware import Hardware
from costmodel.hardware.model import TENSOR_DTYPES, WIDER
from costmodel.ops.tensor import DTYPE_BYTES, HALVES, INTEGERS
from costmodel.platforms.platform import Platform
from costmodel.runtimes.arithmetic import Arithmetic
from costmodel.timing.machine import Machine
from costmodel.timing.tiles import NO_GENERATION, Generation, generation

_PORT_BYTES_PER_CYCLE = 64
"""The widest path from the last-level cache into one multiprocessor on any generation: 64 bytes a
cycle (NVIDIA A100 and H100 architecture white papers, L2 cache). [byte]"""

_STREAMED = 0.83
"""Share of the datasheet bandwidth that Pascal, Volta and Turing reach on average: the middle of
the fits to NeuSight, of which the parameter ``dram`` tells. [1]"""

_IDLE = 10.0
"""Power of a board without arithmetic, of memory and regulators: an idle Tesla T4 (nvidia-smi). [W]
"""

_AMPERE_OPERANDS = 2048
"""Multiply-adds of a multiprocessor of an A100 in a cycle, 1024, times 2 bytes. [byte]"""


def machine_for(platform: Platform, dtype: str) -> Machine:
    """Return the facts of ``platform`` for arithmetic in ``dtype``.

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> a57 = machine_for(load_platform("snapdragon-810/paper"), "float32")
    >>> a57.lanes, a57.units, round(a57.multiply_adds / 1e9, 2)
    (4, 1, 7.83)
    """
    hardware = platform.hardware
    cpu, gpu = hardware.kind == "cpu", hardware.kind == "gpu"
    element = _element(hardware, dtype) if cpu else DTYPE_BYTES[dtype]
    rules = platform.runtime.arithmetic
    running = _running(hardware, platform.threads)
    peak, most = _peak(platform, dtype), _peak(platform, dtype, together=True)
    widens = cpu and _widens(hardware, rules)
    kind = generation(hardware.architecture or "") if gpu else NO_GENERATION
    tensor = gpu and _on_tensor_cores(hardware, dtype)
    return Machine(
        kind=hardware.kind,
        units=platform.threads if cpu else hardware.units,
        multiply_adds=running * peak,
        tensor=tensor,
        operands=_operands(hardware, peak, dtype) if tensor else 1.0,
        ceiling=inf if hardware.assumed else most * _overclock(hardware),
        vector=running * _peak(platform, "float32"),
        clock=running * hardware.clock,
        lanes=hardware.lane_width(dtype if element == DTYPE_BYTES[dtype] else "float32"),
        cache=_last_cache(platform),
        shared_memory=_shared_memory(hardware) if gpu else 0.0,
        private_cache=_private_cache(platform) if cpu else 0.0,
        bandwidth=float(hardware.dram.bandwidth or 0),
        stream=_stream(hardware, kind),
        link=float(hardware.link or 0) if platform.transfers else 0.0,
        asynchronous=platform.runtime.asynchronous,
        algorithms=_algorithms(platform, dtype, widens),
        grouped_serially=platform.runtime.grouped == "serial",
        generated=platform.runtime.generated,
        own_depthwise=dtype in platform.rules.own_depthwise,
        cublas_lt=platform.runtime.cublas_lt,
        bias_apart=platform.hardware.kind in platform.runtime.bias_apart,
        paged_attention=platform.runtime.paged_attention and dtype in HALVES,
        transposes=tensor and platform.rules.layout == "nchw",
        generation=kind,
        sustained=_sustained(hardware, dtype, kind) / 2 if gpu else 0.0,
        cache_bandwidth=kind.cache_bytes_per_cycle * hardware.units * running * hardware.clock,
        interfaces=_interfaces(platform),
        one_core=frozenset(platform.runtime.one_core),
        packs=platform.runtime.packs if cpu else None,
        sleeps=platform.runtime.sleeps,
        element=element,
        narrow=4 / element if cpu and dtype in rules.half else 1.0,
        in_float32=frozenset(rules.float32 if cpu and dtype in HALVES else ()),
        per_channel=frozenset(rules.per_channel),
        scaled=frozenset(rules.scaled),
        one_by_one=frozenset(rules.neon if hardware.isa == "x86" else ()),
        float32=(running * _peak(platform, "float32"), hardware.lane_width("float32")),
        widens=widens,
        loads_stall=cpu and _loads_stall(hardware),
    )


def _widens(hardware: Hardware, rules: Arithmetic) -> bool:
    """Return whether 8-bit products lack instructions (dot products, SMMLA, VNNI)."""
    fastest = max(hardware.lanes.get(key, 0) for key in WIDER[rules.int8_key()])
    return fastest <= hardware.lanes.get("int8_widening", fastest)


def _loads_stall(hardware: Hardware) -> bool:
    """Return whether a vector takes its core more than one cycle to load, and nothing overtakes."""
    first = next((level for level in hardware.levels if level.name == "l1"), None)
    if first is None or not first.bandwidth or not hardware.clusters:
        return False
    alike = [c for c in hardware.clusters if c.core == hardware.core]
    cycles = sum(c.units * c.clock for c in alike)
    in_order = not hardware.clusters[0].out_of_order
    return in_order and first.bandwidth < cycles * hardware.vector_width


def _algorithms(platform: Platform, dtype: str, widens: bool) -> frozenset[str]:
    """Return the algorithms of convolution that the runtime has for ``dtype``."""
    hardware, packs = platform.hardware, platform.runtime.packs
    found = frozenset(platform.runtime.algorithms.get(hardware.kind, ()))
    rule = packs.blocks.get(int(hardware.vector_width)) if packs else None
    if rule and dtype in INTEGERS and not (widens or rule.winograd_dot_product):
        return found - {"winograd"}
    return found


def _element(hardware: Hardware, dtype: str) -> int:
    """Return the bytes of an element in arithmetic: of float32 where a CPU only stores halves."""
    stored = dtype in HALVES and dtype not in hardware.lanes
    return 4 if stored else DTYPE_BYTES[dtype]


def _peak(platform: Platform, dtype: str, together: bool = False) -> float:
    """Return the peak of the units that a platform uses [multiply-add/s].

    Cores with equal shares wait for the slowest one; with ``together``, all cores are always busy.
    """
    hardware = platform.hardware
    if hardware.kind != "cpu":
        return hardware.peak_for(dtype) / 2
    if dtype in INTEGERS:
        dtype = platform.runtime.arithmetic.int8_key()
    if platform.runtime.split == "static" and not together:
        return hardware.slowest_for(dtype, platform.threads) * platform.threads / 2
    return hardware.peak_for(dtype, platform.threads) / 2


def fast_memories(platform: Platform) -> dict[str, float]:
    """Return the size of each cache, summed over all instances that a network may use [byte].

    Examples
    --------
    >>> from costmodel.platforms import load_platform
    >>> fast_memories(load_platform("gtx-1080-ti/paper"))["l2"]
    2883584.0
    """
    hardware = platform.hardware
    units = platform.threads if hardware.kind == "cpu" else hardware.units
    return {
        level.name: float(level.size) * (units if level.scope == "unit" else 1)
        for level in hardware.levels[:-1]
        if level.size and level.name != "register"
    }


def _sustained(hardware: Hardware, dtype: str, kind: Generation) -> float:
    """Return the speed that the power limit of a GPU board sustains [FLOP/s].

    This is the measured value of the device file if there is one. Otherwise it follows from the
    FLOP/s per watt of the generation's flagship in float32, for the watts that are left beside an
    idle board, with tensor cores in proportion to their peak.
    """
    for key in WIDER[dtype]:
        if fact := hardware.facts.get(f"sustained.{key}"):
            return fact.value
    watts = max(0.0, (hardware.tdp or 0) - _IDLE)
    share = watts * kind.flops_per_watt / hardware.peak_for("float32")
    return hardware.peak_for(dtype) * share


def _stream(hardware: Hardware, kind: Generation) -> float:
    """Return the share of the memory bandwidth that streams reach, over that of older GPUs [1]."""
    seen = hardware.facts.get("memory.streamed")
    if seen is None or not hardware.dram.bandwidth:
        return kind.stream
    return seen.value / float(hardware.dram.bandwidth) / _STREAMED


def _on_tensor_cores(hardware: Hardware, dtype: str) -> bool:
    """Return whether the peak of a dtype is that of tensor cores.

    GPUs without tensor cores have no ``float16`` in addition to ``float16_vector``. Integers that
    do not run on tensor cores, as on Volta, are slower than 16-bit floats.
    """
    found = [key for key in WIDER[dtype] if key in TENSOR_DTYPES and key in hardware.lanes]
    slowest = hardware.lanes.get("float16", 0)
    fast = [key for key in found if key == "tf32" or hardware.lanes[key] >= slowest > 0]
    return bool(fast)


def _operands(hardware: Hardware, peak: float, dtype: str) -> float:
    """Return the operands of tensor cores in a cycle, relative to Ampere's 1024 of 16 bits [1]."""
    return peak * DTYPE_BYTES[dtype] / (hardware.units * hardware.clock * _AMPERE_OPERANDS)


def _overclock(hardware: Hardware) -> float:
    """Return the ratio of the highest known clock to the clock of the stated peaks [1]."""
    fastest = hardware.facts.get("max_clock")
    return max(
        _running(hardware, hardware.units), fastest.value / hardware.clock if fastest else 1.0
    )


def _running(hardware: Hardware, threads: int) -> float:
    """Return the clock that boards run at under load over the one that peaks are given for [1].

    The highest clock of a CPU holds for one busy core and the stated one for all of them; with some
    of them busy, its power leaves a clock in between.
    """
    facts = hardware.facts
    if hardware.kind != "cpu" or "max_clock" not in facts:
        return facts["running_clock"].value / hardware.clock if "running_clock" in facts else 1.0
    idle = max(0.0, 1 - (threads - 1) / max(1, hardware.units - 1))
    return 1 + idle * max(0.0, facts["max_clock"].value / hardware.clock - 1)


def _interfaces(platform: Platform) -> tuple[tuple[float, float], ...]:
    """Return the capacity closer than each memory level, and the maximum bandwidth of the level."""
    hardware = platform.hardware
    memory = float(hardware.dram.bandwidth or 0)
    speed = _overclock(hardware)
    if hardware.kind == "accelerator":
        certain = hardware.facts["memory.bandwidth"].kind != "assumed"
        return ((_last_cache(platform), memory),) if certain else ()
    if hardware.kind == "gpu":
        port = _PORT_BYTES_PER_CYCLE * hardware.units * hardware.clock * speed
        last = [level.size for level in hardware.levels[:-1] if level.size][-1]
        return ((0.0, port), (float(last), memory))
    found, inner = [], 0.0
    for level in hardware.levels[1:-1]:
        # Bandwidths are for all big cores together.
        share = platform.threads / hardware.units if level.scope == "unit" else 1.0
        if level.bandwidth:
            found.append((inner, level.bandwidth * share * speed))
        cores = platform.threads if level.scope == "unit" else 1
        inner = max(inner, float(level.size or 0) * cores)
    return (*found, (inner, memory))


def _last_cache(platform: Platform) -> float:
    """Return the size of the last cache, or of an accelerator's buffer; 0 if there is none known.

    A CPU's threads may each have their own.
    """
    caches = [level for level in platform.hardware.levels[:-1] if level.size]
    if not caches:
        return 0.0
    alone = platform.hardware.kind != "cpu" or caches[-1].scope == "device"
    return float(caches[-1].size or 0) * (1 if alone else platform.threads)


def _shared_memory(hardware: Hardware) -> float:
    """Return the shared memory of one multiprocessor of a GPU [byte]."""
    return float(sum(level.size or 0 for level in hardware.levels if level.name == "shared"))


def _private_cache(platform: Platform) -> float:
    caches = [level for level in platform.hardware.levels[:-1] if level.size]
    own = [level for level in caches if level.scope == "unit" and level.name != "register"]
    if caches[-1].scope == "unit" or len(own) < 2:
        return 0.0  # no shared level, or a shared level right behind the first
    return float(own[-1].size or 0) * platform.threads
