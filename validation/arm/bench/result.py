"""Result of a run of ``armbench``, read from its JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from costmodel.errors import DataError

from ..errors import BackendError, BoardMemoryError, KernelError
from .texts import harmless

_NO_MEMORY = 5
_RAN_BADLY = (3, 4)  # enum exit_code of bench.h: a value is not finite, the clock jumped

Label = Literal["measured", "emulated"]


@dataclass(frozen=True)
class Sample:
    """Statistics of repeated timings, in seconds."""

    median: float
    min: float
    max: float
    repeats: int


@dataclass(frozen=True)
class OperatorTime:
    """Time of one operator; ``line`` is that of the specification."""

    kernel: str
    line: int
    sample: Sample


@dataclass(frozen=True)
class RunResult:
    """One run of the benchmark.

    ``label`` is what the binary itself found: ``"emulated"`` times are those of the emulator and
    say nothing of an ARM core.
    """

    label: Label
    host: Mapping[str, Any]
    total: Sample
    operators: tuple[OperatorTime, ...]
    tensors: Mapping[int, NDArray[np.float32]]


def parse_output(text: str, where: str) -> RunResult:
    """Read the binary's standard output.

    Parameters
    ----------
    text
        One JSON document.
    where
        The target, for messages.
    """
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        said = harmless(text[:60])
        raise KernelError(f"{where}: armbench's output is not JSON but {said!r}") from error
    if not isinstance(document, dict):
        raise KernelError(f"{where}: armbench's output is no document but {harmless(text[:60])!r}")
    if "error" in document:
        raise _error(document, where)
    try:
        return _result(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        said = harmless(str(error))
        raise KernelError(
            f"{where}: armbench's answer is incomplete or absurd ({type(error).__name__}: {said})"
        ) from None


def _result(document: Mapping[str, Any]) -> RunResult:
    label = document["label"]
    if label not in ("measured", "emulated"):
        raise ValueError(f"label {label!r}")
    key = "seconds" if label == "measured" else "emulator_seconds"
    operators = tuple(
        OperatorTime(str(op["kernel"]), int(op["line"]), _sample(op[key]))
        for op in document["operators"]
    )
    tensors = {int(number): array_of(value) for number, value in document["tensors"].items()}
    host = {
        harmless(str(key)): harmless(value) if isinstance(value, str) else value
        for key, value in document["host"].items()
    }
    return RunResult(label, host, _sample(document[key]), operators, tensors)


def _sample(found: Mapping[str, Any]) -> Sample:
    sample = Sample(**found)
    times = (sample.min, sample.median, sample.max)
    if not all(isinstance(time, int | float) and math.isfinite(time) for time in times):
        raise ValueError(f"times {times}")
    if not 0 <= sample.min <= sample.median <= sample.max or sample.repeats < 1:
        raise ValueError(f"times {times} of {sample.repeats} repeats")
    return sample


def _error(document: Mapping[str, Any], where: str) -> BackendError | DataError:
    message = harmless(str(document["error"]))
    code = document.get("code")
    if code in _RAN_BADLY:
        return KernelError(f"{where}: {message}")
    if code == _NO_MEMORY:
        return BoardMemoryError(f"{where}: {message}")
    line = f"line {document['line']} of the specification: " if "line" in document else ""
    return DataError(f"{where}: {harmless(line)}{message}")


def array_of(value: Mapping[str, Any]) -> NDArray[np.float32]:
    """Return the values of a dumped tensor."""
    flat = np.frombuffer(base64.b64decode(value["base64"]), dtype="<f4")
    return flat.reshape(value["shape"])
