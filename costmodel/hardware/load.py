"""Load a device: its file and those of its cores to :class:`Hardware`, or this machine probed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from costmodel.hardware.build import build
from costmodel.hardware.files import device_path, load_core_of, read
from costmodel.hardware.host import probe_host
from costmodel.hardware.model import Hardware


def load_hardware(name_or_path: str | Path) -> Hardware:
    """Load a device by its short name, by the path of a TOML file, or ``"host"`` by probing.

    Parameters
    ----------
    name_or_path : str or Path
        A name of :func:`hardware_names`, ``"host"``, or a path that ends in ``.toml``. A core that
        such a file names may lie beside it, in a file of the form of ``cores/``; it goes before one
        of the same name that ships with costmodel.

    Raises
    ------
    DataError
        If there is no such device, or a file is wrong; file, field and remedy are named.

    Examples
    --------
    >>> gpu = load_hardware("gtx-1080-ti")
    >>> gpu.units, gpu.dram.bandwidth
    (28, 484000000000.0)
    """
    text = str(name_or_path)
    if text == "host":
        return probe_host()
    # A file of the user's own may have changed since it was read.
    return _read(Path(text)) if text.endswith(".toml") else _shipped(text)


@cache
def _shipped(name: str) -> Hardware:
    return _read(device_path(name))


def _read(path: Path) -> Hardware:
    from costmodel.hardware.schema import DeviceFile

    return build(read(path, DeviceFile), lambda core: load_core_of(path, core))
