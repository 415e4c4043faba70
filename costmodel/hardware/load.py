"""Loading of a device from its file and those of its cores, or by probing this machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from costmodel.hardware.build import build
from costmodel.hardware.files import HOST, device_path, load_core_of, read
from costmodel.hardware.host import probe_host
from costmodel.hardware.model import Hardware


def load_hardware(name_or_path: str | Path) -> Hardware:
    """Load a device by its short name, by the path of a TOML file, or ``"host"`` by probing.

    Parameters
    ----------
    name_or_path : str or Path
        A name of :func:`hardware_names`, ``"host"``, or a path that ends in ``.toml``. A core that
        such a file names may be described in its folder, by a file in the format of ``cores/``; it
        takes priority over a shipped core of the same name.

    Raises
    ------
    DataError
        If there is no such device, or a file is invalid; the message gives file, field and remedy.

    Examples
    --------
    >>> gpu = load_hardware("gtx-1080-ti")
    >>> gpu.units, gpu.dram.bandwidth
    (28, 484000000000.0)
    """
    text = str(name_or_path)
    if text == HOST:
        return probe_host()
    # A user's file may have changed since it was read.
    return _read(Path(text)) if text.endswith(".toml") else _shipped(text)


@cache
def _shipped(name: str) -> Hardware:
    return _read(device_path(name))


def _read(path: Path) -> Hardware:
    from costmodel.hardware.schema import DeviceFile

    return build(read(path, DeviceFile), lambda core: load_core_of(path, core))
