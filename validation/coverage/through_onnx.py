"""The same network by the other way in: exported to ONNX, by either exporter of torch."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validation.coverage.entry import Call
from validation.coverage.ours import full_square
from validation.coverage.sentence import sentence

EXPORTERS = ("dynamo", "torchscript")
"""The exporters of torch, the present one and the one before."""


@dataclass(frozen=True)
class Exported:
    """The result of one exporter.

    Parameters
    ----------
    count : int, optional
        Our count of the file; None where there is none. [multiply-add]
    unwritten : str
        Why torch writes no file; ``""`` where it does.
    failure : str
        Why the file does not get in; ``""`` where it does.
    """

    count: int | None = None
    unwritten: str = ""
    failure: str = ""


def exported(call: Call, exporter: str) -> Exported:
    """Export a network, import the file, and count it."""
    import costmodel

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        try:
            _export(call, exporter, path)
        except Exception as error:
            return Exported(unwritten=sentence(error))
        try:
            return Exported(full_square(costmodel.from_onnx(path)))
        except Exception as error:
            return Exported(failure=sentence(error))


def _export(call: Call, exporter: str, path: Path) -> None:
    import torch

    settings: dict[str, Any] = {"dynamo": True, "verbose": False}
    if exporter == "torchscript":
        settings = {"dynamo": False, "opset_version": 17}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own internals
        torch.onnx.export(call.module, call.args, path, kwargs=dict(call.kwargs), **settings)
