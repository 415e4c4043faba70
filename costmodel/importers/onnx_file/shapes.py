"""Shapes stated in a file: of its inputs and of the results of its operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from costmodel.algebra.symbols import Dim, dim
from costmodel.errors import CostModelError, DataError
from costmodel.importers.onnx_file.load import dtype_of
from costmodel.importers.onnx_file.names import identifier, is_named, listed, shown, some
from costmodel.ops.tensor import Tensor

_MOST_AXES = 64
_MOST_SYMBOLS = 64
"""Maximum number of open sizes in a file. [1]"""


class Sizes:
    """The named sizes of a file: numbers or symbols that the caller gives, else symbols.

    Parameters
    ----------
    path : Path
        The file, for messages.
    given : mapping
        A number or symbol by the file's name of a size.

    Examples
    --------
    >>> sizes = Sizes(Path("net.onnx"), {"batch": 1})
    >>> sizes.named("batch"), sizes.named("seq len"), sizes.named("seq-len")
    (1, seq_len, seq_len_2)
    """

    def __init__(self, path: Path, given: Mapping[str, Dim]) -> None:
        self.path = path
        self._found: dict[str, Dim] = dict(given)
        self._used = {str(s) for size in given.values() for s in _symbols(size)}

    def named(self, name: str) -> Dim:
        """Return the size named ``name`` in the file."""
        if name not in self._found:
            self._found[name] = self.new(name)
        return self._found[name]

    def knows(self, name: str) -> bool:
        """Return whether ``name`` is a size and not a formula of sizes."""
        return name in self._found or (is_named(name) and name.isidentifier())

    def new(self, name: str) -> Dim:
        """Return a new symbol, named after ``name``."""
        stem = identifier(name)
        count, free = 1, stem
        while free in self._used:
            count += 1
            free = f"{stem}_{count}"
        if len(self._used) >= _MOST_SYMBOLS:
            raise DataError(
                f"{self.path}: more than {_MOST_SYMBOLS} sizes are open; give the shapes of the "
                "inputs"
            )
        self._used.add(free)
        return dim(free)

    def shape(self, kind: Any, name: str) -> tuple[Dim, ...]:
        """Return the shape that a tensor type states for the tensor called ``name``."""
        if len(kind.shape.dim) > _MOST_AXES:
            raise DataError(f"{self.path}: tensor {shown(name)!r} has more than {_MOST_AXES} axes")
        return tuple(self._size(size, f"{name}_{axis}") for axis, size in enumerate(kind.shape.dim))

    def _size(self, size: Any, unnamed: str) -> Dim:
        if size.WhichOneof("value") == "dim_value" and size.dim_value >= 0:
            return int(size.dim_value)
        return self.named(size.dim_param) if is_named(size.dim_param) else self.new(unnamed)


def _symbols(size: Dim) -> frozenset[Any]:
    return getattr(size, "free_symbols", frozenset())


def input_tensors(
    entries: Sequence[Any], sizes: Sizes, shapes: Mapping[str, Sequence[Dim]]
) -> dict[str, Tensor]:
    """Return shape and dtype of every input in ``entries``.

    Raises
    ------
    DataError
        If an input has no shape at all, or a name in ``shapes`` does not occur.
    """
    names = {entry.name for entry in entries}
    if "" in shapes and len(names) == 1:  # the only input needs no name
        shapes = dict.fromkeys(names, shapes[""])
    if set(shapes) - names:
        wrong = some(set(shapes) - names)
        raise DataError(f"{sizes.path}: no input {wrong}; it has: {listed(names)}")
    return {entry.name: _input(entry, sizes, shapes) for entry in entries}


def check_names(entries: Sequence[Any], given: Mapping[str, Dim], path: Path) -> None:
    """Raise ``DataError`` if a name in ``given`` is of no size of the inputs in ``entries``."""
    sizes = (size.dim_param for e in entries for size in e.type.tensor_type.shape.dim)
    known = {name for name in sizes if is_named(name)}
    if set(given) - known:
        wrong = some(set(given) - known)
        raise DataError(f"{path}: no named dimension {wrong}; it has: {listed(known)}")


def _input(entry: Any, sizes: Sizes, shapes: Mapping[str, Sequence[Dim]]) -> Tensor:
    where = f"{sizes.path}, input {shown(entry.name)!r}"
    if entry.type.WhichOneof("value") != "tensor_type":
        raise DataError(f"{where} is a list, map or optional: give the network tensors")
    kind = entry.type.tensor_type
    dtype = dtype_of(kind.elem_type, where)
    if entry.name in shapes:
        return _tensor(tuple(shapes[entry.name]), dtype, where)
    if not kind.HasField("shape"):
        raise DataError(
            f"{where} has no shape; give it: from_onnx(..., inputs={{{shown(entry.name)!r}: "
            "(1, 3, 224, 224)})"
        )
    return _tensor(sizes.shape(kind, entry.name), dtype, where)


def _tensor(shape: tuple[Dim, ...], dtype: str, where: str) -> Tensor:
    try:
        return Tensor(shape, dtype)
    except CostModelError as error:
        raise DataError(f"{where}: {error}") from None


def declared_tensor(entry: Any, sizes: Sizes) -> Tensor | None:
    """Return the type that a file states for the result of a node; None if it states none.

    Only sizes that are numbers or plain names are a statement; a formula in names is not read.
    """
    kind = entry.type.tensor_type
    if entry.type.WhichOneof("value") != "tensor_type" or not kind.HasField("shape"):
        return None
    for size in kind.shape.dim:
        number = size.WhichOneof("value") == "dim_value" and size.dim_value >= 0
        if not number and not sizes.knows(size.dim_param):
            return None
    try:
        return Tensor(sizes.shape(kind, entry.name), dtype_of(kind.elem_type, entry.name))
    except CostModelError:
        return None
