"""The hardware files: their location, and their conversion to checked facts."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from costmodel.errors import DataError, listed
from costmodel.hardware.names import find_device, near, unknown_device
from costmodel.reading import MAX_TOML_BYTES, is_file, parse_toml, read_text

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from costmodel.hardware.schema import CoreFile

    FileT = TypeVar("FileT", bound=BaseModel)

_HERE = Path(__file__).parent
HOST = "host"
"""Name of the machine at hand, which is probed: no file may have it."""


def hardware_names() -> tuple[str, ...]:
    """Names of the hardware files that ship with costmodel, sorted (``host`` is probed, not here).

    Examples
    --------
    >>> "gtx-1080-ti" in hardware_names()
    True
    """
    return _names("devices")


def core_names() -> tuple[str, ...]:
    """Names of the CPU core files that ship with costmodel, sorted.

    Examples
    --------
    >>> "cortex-a57" in core_names()
    True
    """
    return _names("cores")


def device_path(name_or_path: str | Path) -> Path:
    """Return the path of a device file, given that path or the name of one that ships.

    Raises
    ------
    DataError
        If no shipped file has this name in any spelling; the message lists similar names.

    Examples
    --------
    >>> device_path("gtx-1080-ti").name, device_path("GTX 1080 Ti").name
    ('gtx-1080-ti.toml', 'gtx-1080-ti.toml')
    """
    text = str(name_or_path)
    if text.endswith(".toml"):
        return Path(text)
    name = text if text in hardware_names() else find_device(text)
    if name is None:
        raise DataError(unknown_device(text))
    return _HERE / "devices" / f"{name}.toml"


@cache
def load_core(name: str) -> CoreFile:
    """Load the checked file of a CPU core that ships with costmodel.

    Raises
    ------
    DataError
        If there is none; the message lists similar names.

    Examples
    --------
    >>> load_core("cortex-a57").title
    'Arm Cortex-A57'
    """
    if name not in core_names():
        raise DataError(f"there is no core {name!r}; did you mean {_near_core(name)}?")
    return _read_core(_HERE / "cores" / f"{name}.toml")


def load_core_of(device: Path, name: str) -> CoreFile:
    """Load the core of a device file: from a file in its folder, else a core that ships.

    Parameters
    ----------
    device : Path
        The device file.
    name : str
        Name of the core.

    Raises
    ------
    DataError
        If there is none in either place, or its file is invalid.
    """
    beside = device.parent / f"{name}.toml"
    # A board may have the name of its core, and a name must not lead into another folder.
    if beside.parent == device.parent and beside != device and is_file(beside):
        return _read_core(beside)
    if name not in core_names():
        raise DataError(
            f"{device.name}: there is no core {name!r}; put its file beside this one, or use "
            f"{_near_core(name)}"
        )
    return load_core(name)


def read(path: Path, schema: type[FileT]) -> FileT:
    """Read a file into its checked form.

    Parameters
    ----------
    path : Path
        A TOML file; the name inside is the file's.
    schema : type
        A class of :mod:`costmodel.hardware.schema`.

    Raises
    ------
    DataError
        For the first fault, with file, field and remedy.
    """
    checked, wrong = _check(path, schema)
    if checked is None or wrong:
        raise DataError(f"{path.name}: {': '.join(wrong[0])}")
    return checked


def faults(path: Path, schema: type[BaseModel]) -> list[tuple[str, str]]:
    """Return all faults for which :func:`read` rejects a file: the field and the reason.

    Raises
    ------
    DataError
        If the file is not TOML, or cannot be read.
    """
    return _check(path, schema)[1]


def _names(folder: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in (_HERE / folder).glob("*.toml")))


def _near_core(name: str) -> str:
    close = near(name, {core: core.split("-") for core in core_names()}, {})
    return " or ".join(close) or listed(core_names(), 3)


def _read_core(path: Path) -> CoreFile:
    from costmodel.hardware.schema import CoreFile

    return read(path, CoreFile)


def _check(path: Path, schema: type[FileT]) -> tuple[FileT | None, list[tuple[str, str]]]:
    from pydantic import ValidationError

    data = _table(path)
    checked, wrong = None, []
    try:
        checked = schema.model_validate(data)
    except ValidationError as error:
        wrong = [_fault(details, schema) for details in error.errors(include_url=False)]
    name = data.get("name")
    if isinstance(name, str) and name != path.stem:
        wrong.append(("name", f"is {name!r}; it must be the file's, {path.stem!r}"))
    if path.stem.lower() == HOST:
        wrong.append(
            ("name", f"{path.stem!r} means the machine at hand; rename {path} and its name")
        )
    return checked, wrong


def _table(path: Path) -> dict[str, Any]:
    text = read_text(path, MAX_TOML_BYTES)
    try:
        return parse_toml(text)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _fault(details: ErrorDetails, schema: type[BaseModel]) -> tuple[str, str]:
    """Return a message for one error of pydantic."""
    field = ".".join(str(part) for part in details["loc"] if part != "[key]") or "the file"
    if details["type"] == "missing":
        return field, "is missing; add it"
    if details["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(details["loc"][-1]), schema.model_fields, n=1)
        return field, "is not a known field" + (f"; did you mean {near[0]}?" if near else "")
    return field, details["msg"].removeprefix("Value error, ")
