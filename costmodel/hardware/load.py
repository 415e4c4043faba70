"""Load hardware files: TOML to checked facts to :class:`Hardware`."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from costmodel.errors import DataError
from costmodel.hardware.build import build
from costmodel.hardware.model import Hardware

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

    from costmodel.hardware.schema import CoreFile

    FileT = TypeVar("FileT", bound=BaseModel)

_HERE = Path(__file__).parent


def hardware_names() -> tuple[str, ...]:
    """Names of the hardware files that ship with costmodel, sorted (``host`` is probed, not here).

    Examples
    --------
    >>> "gtx-1080-ti" in hardware_names()
    True
    """
    return _names("devices")


def core_names() -> tuple[str, ...]:
    """Names of the CPU core files that ship with costmodel, sorted."""
    return _names("cores")


def load_hardware(name_or_path: str | Path) -> Hardware:
    """Load a device by its short name, by the path of a TOML file, or ``"host"`` by probing.

    Parameters
    ----------
    name_or_path : str or Path
        A name of :func:`hardware_names`, ``"host"``, or a path that ends in ``.toml``.

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
        from costmodel.hardware.host import probe_host

        return probe_host()
    if text.endswith(".toml"):
        return _read_device(Path(text))
    return _shipped(text)


@cache
def load_core(name: str) -> CoreFile:
    """Load the checked file of a CPU core."""
    from costmodel.hardware.schema import CoreFile

    return _read(_find("cores", name), CoreFile)


@cache
def _shipped(name: str) -> Hardware:
    return _read_device(_find("devices", name))


def _names(folder: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (_HERE / folder).glob("*.toml")))


def _find(folder: str, name: str) -> Path:
    names = _names(folder)
    if name not in names:
        what = "hardware" if folder == "devices" else "core"
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names
        raise DataError(f"there is no {what} {name!r}; did you mean {' or '.join(near)}?")
    return _HERE / folder / f"{name}.toml"


def _read(path: Path, schema: type[FileT]) -> FileT:
    from pydantic import ValidationError

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as a text file ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{path}: is not TOML: {error}") from None
    try:
        checked = schema.model_validate(data)
    except ValidationError as error:
        raise DataError(f"{path.name}: {_sentence(error, schema)}") from None
    if data["name"] != path.stem:
        raise DataError(
            f"{path.name}: name is {data['name']!r}; it must be the file's, {path.stem!r}"
        )
    return checked


def _sentence(error: ValidationError, schema: type[BaseModel]) -> str:
    """Put the first thing wrong with a file in words."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the file"
    if first["type"] == "missing":
        return f"{field} is missing; add it"
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), schema.model_fields, n=1)
        return f"{field} is not a known field" + (f"; did you mean {near[0]}?" if near else "")
    message = first["msg"].removeprefix("Value error, ")
    return f"{field}: {message}"


def _read_device(path: Path) -> Hardware:
    from costmodel.hardware.schema import DeviceFile

    return build(_read(path, DeviceFile), load_core)
