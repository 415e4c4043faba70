"""Reading the protobuf message, and the shapes of its inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from costmodel.algebra.symbols import Dim
from costmodel.errors import DataError
from costmodel.graph import MAX_NODES
from costmodel.ops.tensor import Tensor

MAX_BYTES = 2**31
"""Largest file that is read: the limit of the format itself. [byte]"""
_SIGNATURE = "pkg.torch.export.ExportedProgram.graph_signature"
_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    16: "bfloat16",
    17: "float8",
    18: "float8",
    19: "float8",
    20: "float8",
}


def load_model(path: Path) -> Any:
    """Return the model message of ``path``; external data is left alone.

    Raises
    ------
    DataError
        If the file cannot be read or is no ONNX model.
    """
    import onnx

    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: larger than {MAX_BYTES} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        model = onnx.load_model_from_string(content)
    except Exception:  # the protobuf runtimes differ in what they raise
        raise DataError(f"{path}: not an ONNX model, or cut short") from None
    if not model.graph.node and not model.graph.output:
        raise DataError(f"{path}: not an ONNX model: it has no nodes and no outputs")
    if len(model.graph.node) > MAX_NODES:
        raise DataError(f"{path}: {len(model.graph.node)} nodes are too many (at most {MAX_NODES})")
    return model


def learned_names(model: Any) -> frozenset[str]:
    """Return the names of the stored tensors that the network has, not its exporter.

    Torch's newer exporter stores its own constants beside them, and writes down which are which.
    """
    stored = frozenset(tensor.name for tensor in model.graph.initializer)
    for entry in model.graph.metadata_props:
        if entry.key == _SIGNATURE:
            return stored & frozenset(re.findall(r"target='([^']*)'", entry.value))
    return stored


def dtype_of(code: int, where: str) -> str:
    """Return the dtype with ONNX's number ``code``.

    Raises
    ------
    DataError
        If costmodel has none (strings, complex numbers, 4-bit integers).
    """
    if code not in _DTYPES:
        raise DataError(f"{where}: element type {code} of ONNX is not supported")
    return _DTYPES[code]


def input_tensors(
    model: Any, path: Path, shapes: Mapping[str, Sequence[Dim]], sizes: Mapping[str, Dim]
) -> dict[str, Tensor]:
    """Return shape and dtype of every input that is not an initializer.

    Raises
    ------
    DataError
        If a size is open, or a name in ``shapes`` or ``sizes`` does not occur.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    entries = [entry for entry in model.graph.input if entry.name not in stored]
    named = {d.dim_param for e in entries for d in e.type.tensor_type.shape.dim if d.dim_param}
    for given, known, what in (
        (shapes, {e.name for e in entries}, "input"),
        (sizes, named, "named dimension"),
    ):
        if set(given) - known:
            right = ", ".join(sorted(known)) or "none"
            raise DataError(f"{path}: no {what} {sorted(set(given) - known)}; it has: {right}")
    return {entry.name: _input(entry, path, shapes, sizes) for entry in entries}


def _input(
    entry: Any, path: Path, shapes: Mapping[str, Sequence[Dim]], sizes: Mapping[str, Dim]
) -> Tensor:
    kind = entry.type.tensor_type
    dtype = dtype_of(kind.elem_type, f"{path}, input {entry.name!r}")
    if entry.name in shapes:
        return Tensor(tuple(shapes[entry.name]), dtype)
    if not kind.HasField("shape"):
        raise DataError(
            f"{path}: input {entry.name!r} has no shape; give it: "
            f"from_onnx(..., inputs={{{entry.name!r}: (1, 3, 224, 224)}})"
        )
    shape: list[Dim] = []
    for axis, size in enumerate(kind.shape.dim):
        if size.dim_param in sizes and size.dim_param:
            shape.append(sizes[size.dim_param])
        elif size.dim_value > 0:
            shape.append(size.dim_value)
        elif size.dim_param:
            name = size.dim_param
            how = f"{name}=1" if name.isidentifier() else f"**{{{name!r}: 1}}"
            raise DataError(
                f"{path}: axis {axis} of input {entry.name!r} is {name!r}; give its "
                f"size: from_onnx(..., {how})"
            )
        else:
            raise DataError(
                f"{path}: axis {axis} of input {entry.name!r} has no size; give the shape: "
                f"from_onnx(..., inputs={{{entry.name!r}: (...)}})"
            )
    return Tensor(tuple(shape), dtype)
