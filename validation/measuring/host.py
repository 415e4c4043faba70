"""The measuring machine: its description, its load, and the cores of a measurement."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from ..errors import MeasuringError

_CPU = Path("/sys/devices/system/cpu")


def describe_host(*packages: str) -> dict[str, str]:
    """Return what a reader must know of this machine to judge a time measured on it.

    Parameters
    ----------
    *packages : str
        Distributions whose versions are told too.

    Examples
    --------
    >>> sorted(describe_host("numpy"))
    ['cores', 'cpu', 'governor', 'kernel', 'load', 'numpy', 'python', 'system', 'virtual']
    """
    found = {
        "cpu": _cpu_name(),
        "cores": str(len(allowed_cores())),
        "governor": _read(_CPU / "cpu0/cpufreq/scaling_governor") or "unknown",
        "virtual": "yes" if "hypervisor" in _read(Path("/proc/cpuinfo")) else "not known to be",
        "load": load(),
        "system": f"{platform.system()} {platform.machine()}",
        "kernel": platform.release(),
        "python": sys.version.split()[0],
    }
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def load() -> str:
    """Return how many processes want a core, averaged over the last minute."""
    return f"{os.getloadavg()[0]:.2f}"


def lacks_memory(error: BaseException) -> bool:
    """Return whether an error of Python, torch or a library of C++ means that memory is short.

    Examples
    --------
    >>> lacks_memory(MemoryError()), lacks_memory(RuntimeError("CUDA out of memory. Tried to ..."))
    (True, True)
    """
    words = ("out of memory", "allocate memory", "bad_alloc", "bad allocation")
    return isinstance(error, MemoryError) or any(w in str(error).lower() for w in words)


def allowed_cores() -> tuple[int, ...]:
    """Return the cores that this process may run on, in order."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


@contextlib.contextmanager
def pinned(threads: int) -> Iterator[tuple[int, ...]]:
    """Bind the calling thread to the last ``threads`` cores it may use, and free it afterwards.

    The first cores serve most interrupts, so the last are the quietest. Where the system binds
    no threads the cores are returned as they are.

    Raises
    ------
    MeasuringError
        If there are fewer cores than threads.

    Examples
    --------
    >>> with pinned(1) as cores:
    ...     len(cores)
    1
    """
    before = allowed_cores()
    if not 1 <= threads <= len(before):
        raise MeasuringError(
            f"{threads} threads are asked for, but {len(before)} cores are open to this process"
        )
    cores = before[-threads:]
    if not hasattr(os, "sched_setaffinity"):
        yield cores
        return
    os.sched_setaffinity(0, cores)
    try:
        yield cores
    finally:
        os.sched_setaffinity(0, before)


def _cpu_name() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _read(Path("/proc/cpuinfo")), re.MULTILINE)
    return found[1] if found else platform.processor() or "unknown"


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
