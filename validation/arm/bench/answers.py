"""Validated answers of ``armbench``: a missing or implausible number is an error."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import KernelError
from .texts import harmless

_T = TypeVar("_T")
_DAY = 86400.0
_MOST_CORES = 4096


@dataclass(frozen=True)
class State:
    """Clock and temperature at one moment.

    Parameters
    ----------
    hertz : float
        Of the core that ran, by a chain of instructions of known length. [Hz]
    core : int
        Its number.
    celsius : float, optional
        Of the hottest sensor; None where none can be read. [degree C]
    """

    hertz: float
    core: int
    celsius: float | None


@dataclass(frozen=True)
class BoardCore:
    """One core: its part as in the files of cores (``arm:0x41:0xd08``), its highest clock [Hz]."""

    number: int
    part: str
    clock: float | None
    governor: str


@dataclass(frozen=True)
class Host:
    """The program's description of the machine that it runs on.

    Parameters
    ----------
    emulator : str
        The emulator that it found; empty if it found none.
    unverified : str
        The reason why it cannot tell; empty if it can.
    cores : tuple of BoardCore
        As the system lists them.
    texts : mapping
        All else, for the store.
    """

    emulator: str
    unverified: str
    cores: tuple[BoardCore, ...]
    texts: Mapping[str, str]


@dataclass(frozen=True)
class BoardSample:
    """One sample: seconds of a pass, those that the thread had the core, others had it too."""

    seconds: float
    own: float
    disturbed: bool


@dataclass(frozen=True)
class BoardTurn:
    """The samples of a turn, and the state of the core before and after."""

    before: State
    after: State
    samples: tuple[BoardSample, ...]


def read(
    answer: Mapping[str, Any],
    reader: Callable[[Mapping[str, Any]], _T],
    where: str,
    what: str = "armbench",
) -> _T:
    """Read an answer of a program.

    Raises
    ------
    KernelError
        If a field is missing, of another type or absurd.
    """
    try:
        return reader(answer)
    except KeyError as error:
        raise KernelError(f"{where}: {what}'s answer has no {error}") from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        said = harmless(str(error))
        raise KernelError(f"{where}: {what}'s answer cannot be right: {said}") from None


def host(answer: Mapping[str, Any]) -> Host:
    """Read the answer to ``host``."""
    found = answer["host"]
    texts = {
        harmless(str(key)): harmless(str(value))
        for key, value in found.items()
        if isinstance(value, str | int | float)
    }
    if "fused_ratio" in answer:
        ratio = _number(answer["fused_ratio"], "the time of a multiply-add", 0, 1e9)
        texts["multiply-add over addition"] = f"{ratio:.3g}"
    cores = tuple(_core(entry) for entry in found.get("cores", ()))
    emulator = texts.pop("emulator", "")
    return Host(emulator, texts.get("unverified", ""), cores, texts)


def _core(entry: Mapping[str, Any]) -> BoardCore:
    khz = _number(entry["max_khz"], "a core's clock", -1, 1e8)
    return BoardCore(
        _whole(entry["cpu"], "a core's number", _MOST_CORES),
        harmless(str(entry["part"])),
        1e3 * khz if khz > 0 else None,
        harmless(str(entry.get("governor", ""))),
    )


def state(found: Mapping[str, Any]) -> State:
    """Read a state."""
    heat = _number(found["millicelsius"], "a temperature", -274000, 1e6)
    return State(
        _number(found["hertz"], "a clock", 1e3, 1e12),
        _whole(found["core"], "a core's number", _MOST_CORES),
        heat / 1e3 if heat != -1 else None,
    )


def turn(answer: Mapping[str, Any]) -> BoardTurn:
    """Read the answer to ``turn``; whether a time is plausible the procedure judges."""
    return BoardTurn(state(answer["before"]), state(answer["after"]), samples(answer))


def samples(answer: Mapping[str, Any]) -> tuple[BoardSample, ...]:
    """Read the samples of a turn."""
    rows = [BoardSample(_time(a), _time(b), bool(c)) for a, b, c in answer["samples"]]
    if not rows:
        raise ValueError("a turn without samples")
    return tuple(rows)


def layers(answer: Mapping[str, Any]) -> list[tuple[str, str, tuple[float, ...]]]:
    """Read the layers of an engine's profile: name, kind and the seconds of every pass."""
    found = []
    for name, kind, times in answer["layers"]:
        seconds = tuple(_number(time, "a time", 0, _DAY) for time in times)
        if not seconds:
            raise ValueError("a layer without times")
        found.append((harmless(str(name)), harmless(str(kind)), seconds))
    return found


def outputs(answer: Mapping[str, Any]) -> list[tuple[int, NDArray[Any] | None]]:
    """Read the outputs of a network: how many elements each has, and the values if they came."""
    found: list[tuple[int, NDArray[Any] | None]] = []
    for told in answer["outputs"]:
        size = math.prod(_whole(extent, "an extent", 1 << 31) for extent in told["shape"])
        if "base64" not in told:
            found.append((size, None))
            continue
        content = base64.b64decode(told["base64"], validate=True)
        values = np.frombuffer(content, dtype=str(told["dtype"]))
        if values.size != size:
            raise ValueError(f"an output of {values.size} values, not of {size}")
        found.append((size, values))
    return found


def detail(answer: Mapping[str, Any], operators: int) -> list[list[float]]:
    """Read the answer to ``detail``: the seconds of every operator, in every pass."""
    found = [[_time(value) for value in row] for row in answer["operators"]]
    if len(found) != operators or len({len(row) for row in found}) != 1 or not found[0]:
        raise ValueError(f"the times of {len(found)} operators, {operators} were run")
    return found


def network(answer: Mapping[str, Any]) -> int:
    """Read the answer to ``network``: its number."""
    return _whole(answer["network"], "a network's number", 1 << 20)


def cores(answer: Mapping[str, Any]) -> list[int]:
    """Read the answer to ``pin``."""
    return [_whole(value, "a core's number", _MOST_CORES) for value in answer["cores"]]


def threads(answer: Mapping[str, Any]) -> list[list[int]]:
    """Read the answer to ``threads``: the cores that each is bound to."""
    return [cores({"cores": one}) for one in answer["threads"]]


def _time(value: Any) -> float:
    return _number(value, "a time", -_DAY, _DAY)


def _number(value: Any, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} is {str(value)[:40]!r}, no number")
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{what} is {value:g}")
    return float(value)


def _whole(value: Any, what: str, high: int) -> int:
    number = _number(value, what, 0, high)
    if number != int(number):
        raise ValueError(f"{what} is {value:g}")
    return int(number)
