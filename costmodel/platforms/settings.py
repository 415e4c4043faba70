"""The settings after the question mark of a platform's name, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from costmodel.errors import DataError, suggest
from costmodel.hardware import Hardware
from costmodel.hardware.model import WIDER
from costmodel.ops.tensor import DTYPE_BYTES, FLOATING, INTEGERS
from costmodel.runtimes import Runtime, load_runtime, runtime_names

KINDS = {"cpu": "a CPU", "gpu": "a GPU", "accelerator": "an accelerator"}
"""Kinds of hardware in a sentence."""
NO_THREADS = 1
"""Threads where none are stated."""
DTYPES = tuple(d for d in DTYPE_BYTES if d in FLOATING or d in INTEGERS)
"""Dtypes that a platform may convert networks to."""
OWN = ("float8", "tf32")
"""Dtypes that exist for the arithmetic of some hardware: no library computes in them elsewhere."""
SETTINGS = ("threads", "cores", "dtype", "amp", "layout", "transfers")
"""Names of all settings."""


def parsed(name: str, query: str) -> dict[str, str]:
    """Return the settings that a platform's name states.

    Raises
    ------
    DataError
        If a setting or its value is unknown, or a setting has two values.
    """
    pairs = parse_qsl(query, keep_blank_values=True)
    settings = dict(pairs)
    if twice := [key for key, value in pairs if value != settings[key]]:
        raise DataError(f"platform {name!r}: {twice[0]} has two values; give one")
    unknown = set(settings) - set(SETTINGS)
    if unknown:
        raise DataError(
            f"platform {name!r}: unknown setting {min(unknown)!r}; "
            f"{suggest(min(unknown), SETTINGS)}"
        )
    if settings.get("transfers", "yes") not in ("yes", "no"):
        raise DataError(f"platform {name!r}: transfers must be yes or no")
    if settings.get("dtype") and settings["dtype"] not in DTYPES:
        raise DataError(f"platform {name!r}: dtype must be one of {', '.join(DTYPES)}")
    return settings


def yes(flag: bool) -> str:
    """Return a flag as settings have it."""
    return "yes" if flag else "no"


def dtype_of(settings: Mapping[str, str], hardware: Hardware) -> str:
    """Return the dtype that networks are converted to, ``""`` for none.

    Libraries compute halves and integers that the hardware lacks in a wider dtype, but not
    :data:`OWN`, nor ``float64``. An accelerator computes everything else in the types that it has.

    Raises
    ------
    DataError
        If the hardware has no arithmetic for it.
    """
    dtype = settings.get("dtype", "")
    if not dtype:
        return ""
    able = (dtype,) if dtype in OWN else WIDER[dtype]
    if dtype not in OWN and hardware.kind == "accelerator":
        return dtype
    if not set(able) & set(hardware.lanes):
        has = [name for name in DTYPES if name in hardware.lanes]
        instead = f"take dtype={' or '.join(has)}, or leave it out" if has else "leave dtype out"
        raise DataError(f"{hardware.name} has no arithmetic in {dtype}; {instead}")
    return dtype


def amp_of(settings: Mapping[str, str], runtime: Runtime, hardware: Hardware) -> str:
    """Return the dtype of automatic mixed precision, ``""`` without it.

    Raises
    ------
    DataError
        If the runtime has none on this hardware, or not to this dtype.
    """
    dtype = settings.get("amp", "")
    if not dtype:
        return ""
    if not runtime.autocast:
        able = [name for name in runtime_names() if load_runtime(name).autocast]
        raise DataError(
            f"{runtime.name} has no automatic mixed precision; leave amp out, convert the whole "
            f"network with dtype={dtype}, or take one of {', '.join(able)}"
        )
    if hardware.kind == "accelerator":
        raise DataError(
            f"{hardware.name} is {KINDS[hardware.kind]}, for which no lists of automatic mixed "
            "precision are published; leave amp out"
        )
    if dtype not in runtime.autocast:
        raise DataError(f"amp must be one of {', '.join(runtime.autocast)}, got {dtype!r}")
    return dtype


def layout_of(settings: Mapping[str, str], runtime: Runtime, hardware: Hardware) -> str:
    """Return the layout of images that is asked for, ``""`` for that of the runtime.

    Raises
    ------
    DataError
        If the runtime has no such layout, or none to choose on this hardware.
    """
    layout = settings.get("layout", "")
    if not layout:
        return ""
    if not runtime.layouts:
        raise DataError(f"{runtime.name} has no layout to choose; leave layout out")
    if not runtime.layouts_apply(hardware.kind):
        raise DataError(
            f"{hardware.name} is {KINDS[hardware.kind]}, on which {runtime.name} has no layout to "
            "choose; leave layout out"
        )
    if layout not in runtime.layouts:
        raise DataError(
            f"layout must be {' or '.join(runtime.layouts)} with {runtime.name}, got {layout!r}"
        )
    return "" if layout == runtime.layout else layout


def threads_of(text: str, hardware: Hardware) -> int:
    """Return the number of threads.

    Raises
    ------
    DataError
        If the hardware has no threads, or not as many.
    """
    if not (text.isascii() and text.isdecimal() and len(text) < 10) or int(text) < 1:
        raise DataError(f"threads must be a positive integer, got {text!r}")
    if hardware.kind != "cpu" and int(text) != NO_THREADS:
        raise DataError(
            f"{hardware.name} is {KINDS[hardware.kind]}, which has no threads to set; leave "
            "threads out"
        )
    available = sum(c.units for c in hardware.clusters) or hardware.units
    if hardware.kind == "cpu" and int(text) > available:
        cores = " and ".join(f"{c.units} {c.core}" for c in hardware.clusters)
        raise DataError(
            f"{hardware.name} has {available} cores, not {text} ({cores}); give threads=1 to "
            f"threads={available}"
        )
    return int(text)
