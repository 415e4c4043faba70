"""What a run of ``armbench`` gives back, read from its JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from costmodel.errors import DataError
from validation.arm.errors import BackendError, KernelError

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
    except json.JSONDecodeError as error:
        raise KernelError(f"{where}: armbench's output is not JSON but {text[:60]!r}") from error
    if "error" in document:
        raise _error(document, where)
    label = document["label"]
    key = "seconds" if label == "measured" else "emulator_seconds"
    operators = tuple(
        OperatorTime(op["kernel"], op["line"], Sample(**op[key])) for op in document["operators"]
    )
    tensors = {int(number): _array(value) for number, value in document["tensors"].items()}
    return RunResult(label, document["host"], Sample(**document[key]), operators, tensors)


def _error(document: Mapping[str, Any], where: str) -> BackendError | DataError:
    message = document["error"]
    if document["code"] in _RAN_BADLY:
        return KernelError(f"{where}: {message}")
    line = f"line {document['line']} of the specification: " if "line" in document else ""
    return DataError(f"{where}: {line}{message}")


def _array(value: Mapping[str, Any]) -> NDArray[np.float32]:
    flat = np.frombuffer(base64.b64decode(value["base64"]), dtype="<f4")
    return flat.reshape(value["shape"])
