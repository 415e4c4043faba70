"""Reading the protobuf message: its tensors, element types and metadata."""

from __future__ import annotations

import contextlib
import math
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from costmodel.errors import DataError
from costmodel.graph import MAX_NODES
from costmodel.importers.onnx_file.names import shown
from costmodel.ops.tensor import Tensor
from costmodel.reading import is_file, read_bytes

MAX_BYTES = 2**31
"""Maximum file size: the limit of the format itself. [byte]"""
BYTES_OF_A_NODE = 40
"""Minimum size of an exported node, with its names. [byte]"""
FEWEST_NODES = 10_000
"""Number of nodes allowed in a file of any size. [node]"""
MAX_ELEMENTS = 4096
"""Maximum size of a tensor with tracked values: shapes, axes, scales. [element]"""
MAX_FOLDED = 2**20
"""Maximum size of a tensor computed during import: a mask of attention. [element]"""
_SIGNATURE = "pkg.torch.export.ExportedProgram.graph_signature"
_EXTERNAL = 1
_DTYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "int16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "int32",
    13: "int64",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    **dict.fromkeys((17, 18, 19, 20, 23, 24), "float8"),
    **dict.fromkeys((21, 25), "uint8"),
    **dict.fromkeys((22, 26), "int8"),
}
"""Our dtype of ONNX's element types: integers without a sign as those with one; a type of less
than a byte as it is when it is unpacked, a byte an element."""
_NAMES = {8: "text"}


def load_model(path: Path) -> Any:
    """Return the model message of ``path``; external data is left alone.

    Raises
    ------
    DataError
        If the file cannot be read or is not an ONNX model.
    """
    import onnx

    content = _content(path)
    try:
        model = onnx.load_model_from_string(content)
    except MemoryError:
        raise
    except Exception:  # protobuf runtimes raise different errors
        raise DataError(f"{path}: not an ONNX model, or cut short") from None
    if not model.graph.node and not model.graph.output:
        raise DataError(f"{path}: not an ONNX model: it has no nodes and no outputs")
    most = min(MAX_NODES, max(FEWEST_NODES, len(content) // BYTES_OF_A_NODE))
    if len(model.graph.node) > most:
        raise DataError(
            f"{path}: {len(model.graph.node)} nodes are too many for a file of "
            f"{len(content)} bytes (at most {most})"
        )
    return model


def _content(path: Path) -> bytes:
    """Return the bytes of a plain file; a device would be read up to the large limit."""
    with contextlib.suppress(OSError, ValueError):  # not a path: the reader reports it
        if os.path.exists(path) and not is_file(path):
            raise DataError(f"{path}: cannot be read: not a plain file")
    return read_bytes(path, MAX_BYTES)


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
        If costmodel has none (text).
    """
    if code not in _DTYPES:
        what = _NAMES.get(code, f"element type {code} of ONNX")
        raise DataError(f"{where}: {what} is not supported; give it numbers")
    return _DTYPES[code]


def dtype_of_array(value: Any) -> str:
    """Return our dtype of a known array; symbols are sizes.

    Raises
    ------
    DataError
        If costmodel has none.
    """
    if value.dtype == object:
        return "int64"
    import onnx

    try:
        code = int(onnx.helper.np_dtype_to_tensor_dtype(value.dtype))
    except (KeyError, ValueError, TypeError):
        code = 0
    return dtype_of(code, "a constant")


def stored_tensor(message: Any) -> Tensor:
    """Return shape and dtype of a tensor message.

    Raises
    ------
    CostModelError
        If its sizes are not sizes, or its element type is not supported.
    """
    dtype = dtype_of(message.data_type, f"tensor {shown(message.name)!r}")
    return Tensor(tuple(message.dims), dtype)


def array_of(message: Any, most: int = MAX_ELEMENTS) -> Any:
    """Return the value of a tensor message; None if it is large or in another file.

    No other file is ever read.

    Raises
    ------
    DataError
        If the data does not fit its shape.
    """
    elements = math.prod(message.dims)
    if message.data_location == _EXTERNAL or len(message.external_data) or elements > most:
        return None
    import onnx

    try:
        value = np.asarray(onnx.numpy_helper.to_array(message))
    except MemoryError:
        raise
    except Exception:  # the library raises errors of any class
        raise DataError(f"the data of tensor {shown(message.name)!r} is broken") from None
    return value if value.dtype.kind not in "OUSc" else None


def attribute(node: Any, name: str, default: Any = None) -> Any:
    """Return attribute ``name`` of ``node``: a number, text, list, tensor message or body."""
    for entry in node.attribute:
        if entry.name == name:
            return _attribute_value(entry)
    return default


def _attribute_value(entry: Any) -> Any:
    match entry.type:
        case 1:
            return float(entry.f)
        case 2:
            return int(entry.i)
        case 3:
            return entry.s.decode("utf-8", "replace")
        case 4:
            return entry.t
        case 5:
            return entry.g
        case 6:
            return [float(v) for v in entry.floats]
        case 7:
            return [int(v) for v in entry.ints]
        case 8:
            return [v.decode("utf-8", "replace") for v in entry.strings]
        case 11:
            return entry.sparse_tensor
        case 13:
            return entry.tp
    return None
