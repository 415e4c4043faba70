"""The command ``onnx-nodes``: import of the node tests of onnx, with reasons for rejections."""

from __future__ import annotations

import tempfile
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import typer

from costmodel.errors import CostModelError
from costmodel.graph import sources_of
from costmodel.importers import from_onnx
from costmodel.importers.onnx_file.load import dtype_of
from costmodel.ops import Output

TABLE = Path(__file__).with_name("onnx_nodes.toml")
"""The tests that are refused, with the reason."""
_MOST_CONSTANT = 64
"""Largest input that is stored in the file where the test leaves a shape to it. [element]"""
_INTEGERS = (np.dtype("int64"), np.dtype("int32"), np.dtype("float32"))


@dataclass(frozen=True)
class Case:
    """One node test.

    Parameters
    ----------
    name : str
        Its name, such as ``test_relu``.
    model : ModelProto
        Its model: one node, or the nodes of a function.
    inputs, outputs : list
        The arrays that it takes and makes.
    """

    name: str
    model: Any
    inputs: list[Any]
    outputs: list[Any]


@dataclass(frozen=True)
class Outcome:
    """What came of a test.

    Parameters
    ----------
    name : str
        The test.
    how : {"in", "with constants", "wrong", "refused"}
        Whether it imports as it is, with small inputs stored as constants, with other shapes or
        dtypes than the reference, or not at all.
    reason : str
        Why it does not.
    """

    name: str
    how: str
    reason: str = ""


def cases() -> Iterator[Case]:
    """Yield the node tests of the installed onnx package."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tests provoke overflows on purpose
        found = collect_testcases(None)
    for case in found:
        inputs, outputs = case.data_sets[0]
        yield Case(case.name, case.model, inputs, outputs)


def outcome(case: Case, folder: Path) -> Outcome:
    """Return what comes of importing ``case``, as it is or else with small inputs as constants."""
    first = _imported(case, case.model, folder)
    if first.how != "refused":
        return first
    second = _imported(case, _with_constants(case), folder)
    return Outcome(case.name, "with constants") if second.how == "in" else first


def refusals() -> dict[str, str]:
    """Return the reasons of the table by the beginning of the names of the tests."""
    found = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {name: entry["reason"] for entry in found["refused"] for name in entry["tests"]}


def listed(name: str, table: dict[str, str]) -> bool:
    """Return whether the table names a test, or the family that it belongs to."""
    return any(name == key or name.startswith(f"{key}_") for key in table)


def free(name: str) -> bool:
    """Return whether a test is of operators that cost nothing or hold no numbers."""
    found = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    names = [key for entry in found["refused"] if entry.get("free") for key in entry["tests"]]
    return listed(name, dict.fromkeys(names, ""))


def onnx_nodes() -> None:
    """Import every node test of the onnx package and compare shapes and dtypes.

    For example:

    python -m validation onnx-nodes
    """
    with tempfile.TemporaryDirectory() as folder:
        found = [outcome(case, Path(folder)) for case in cases()]
    table = refusals()
    surprises = [o for o in found if (o.how in ("wrong", "refused")) != listed(o.name, table)]
    for o in found:
        if o.how in ("wrong", "refused"):
            print(f"{o.name}: {o.reason}")
    costly = [o for o in found if not free(o.name)]
    for what, some in (("all operators", found), ("operators that cost something", costly)):
        good = sum(o.how in ("in", "with constants") for o in some)
        stored = sum(o.how == "with constants" for o in some)
        print(
            f"{what}: {good} of {len(some)} import ({100 * good / len(some):.1f} %), {stored} of "
            "them with shapes stored as constants"
        )
    if surprises:
        print(f"the table {TABLE.name} says otherwise: {', '.join(o.name for o in surprises[:20])}")
        raise typer.Exit(1)


def _imported(case: Case, model: Any, folder: Path) -> Outcome:
    path = folder / "node.onnx"
    path.write_bytes(model.SerializeToString())
    try:
        graph = from_onnx(path)
    except CostModelError as error:
        return Outcome(case.name, "refused", str(error).replace(f"{path}", "file"))
    made = []
    for name, op in graph.nodes(data="op"):
        if isinstance(op, Output):
            ((source, i),) = sources_of(graph, name)
            tensor = graph.nodes[source]["outputs"][i]
            made.append((tuple(tensor.shape), tensor.dtype))
    right = [described for value in case.outputs for described in _described(value)]
    if len(made) < len(right) or not all(map(_agrees, made, right)):
        return Outcome(case.name, "wrong", f"makes {made[:4]}, the reference {right[:4]}")
    return Outcome(case.name, "in")


def _agrees(made: tuple[Any, str], right: tuple[Any, str]) -> bool:
    """Compare shape and dtype; a length that depends on data is a symbol."""
    sizes = zip(made[0], right[0], strict=False)
    same = all(a == b for a, b in sizes if isinstance(a, int))
    return len(made[0]) == len(right[0]) and same and made[1] == right[1]


def _described(value: Any) -> Iterator[tuple[Any, str]]:
    """Yield shape and dtype of an array, or of each of a list."""
    import onnx

    if value is None:
        return
    if isinstance(value, list):
        for entry in value:
            yield from _described(entry)
        return
    if isinstance(value, onnx.TensorProto):
        yield tuple(value.dims), dtype_of(value.data_type, "the reference")
        return
    array = np.asarray(value)
    code = int(onnx.helper.np_dtype_to_tensor_dtype(array.dtype)) if array.dtype != object else 8
    yield tuple(array.shape), dtype_of(code, "the reference") if code != 8 else "text"


def _with_constants(case: Case) -> Any:
    """Return the model with small inputs of numbers stored: shapes, axes, counts, conditions."""
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    for entry, value in zip(case.model.graph.input, case.inputs, strict=False):
        array = np.asarray(value) if not isinstance(value, list) else None
        small = array is not None and array.ndim < 2 and array.size <= _MOST_CONSTANT
        if small and array is not None and array.dtype in (*_INTEGERS, np.dtype("bool")):
            model.graph.initializer.append(onnx.numpy_helper.from_array(array, entry.name))
    return model
