"""Which runtimes run on which hardware, and what is said where a platform lacks one."""

from __future__ import annotations

from costmodel.errors import DataError, listed
from costmodel.hardware import find_device, load_hardware
from costmodel.reading import parse_toml
from costmodel.runtimes import Runtime, load_runtime, runtime_names

TOLD = 6
"""Runtimes that a message names."""

_OF_HARDWARE = {"kind", "core", "units", "clock", "memory", "level", "cluster"}
_OF_RUNTIMES = {
    *("algorithms", "fusion", "packs", "arithmetic", "priors", "dead_code", "copies"),
    *("like", "layout_costs"),
}


def described(text: str) -> str:
    """Return the kind of hardware that TOML describes, ``"runtime"``, or ``""`` for neither.

    Hardware that states no kind is ``"hardware"``.

    Examples
    --------
    >>> described('kind = "gpu"'), described('like = "ncnn"'), described('format = "x"')
    ('gpu', 'runtime', '')
    """
    try:
        data = parse_toml(text)
    except DataError:
        return ""
    if "format" in data:
        return ""
    if _OF_HARDWARE & data.keys():
        return str(data.get("kind", "hardware"))
    return "runtime" if _OF_RUNTIMES & data.keys() else ""


def runs_on(runtime: Runtime, kind: str) -> bool:
    """Return whether a runtime runs on a kind of hardware: one for a single kind on that alone.

    Examples
    --------
    >>> runs_on(load_runtime("ncnn"), "cpu"), runs_on(load_runtime("ncnn"), "gpu")
    (True, False)
    """
    return len(runtime.algorithms) != 1 or kind in runtime.algorithms


def runtimes_for(kind: str) -> list[str]:
    """Return the names of the runtimes with algorithms for a kind of hardware.

    Examples
    --------
    >>> runtimes_for("accelerator")
    ['accelerator']
    """
    return [name for name in runtime_names() if kind in load_runtime(name).algorithms]


def no_runtime(name: str) -> str:
    """Say that a platform lacks its runtime: those of the device, where there is one of the name.

    Examples
    --------
    >>> no_runtime("pi 4")
    "platform 'pi 4' must be HARDWARE/RUNTIME, such as raspberry-pi-4/armnn (or ..."
    """
    lacking = f"platform {name!r} must be HARDWARE/RUNTIME"
    device = find_device(name)
    if device is None:
        return f"{lacking}, such as gtx-1080-ti/paper; see costmodel platforms list"
    own = runtimes_for(load_hardware(device).kind)
    return f"{lacking}, such as {device}/{own[0]} (or {listed(own[1:], TOLD)})"
