"""Command-line options for the inputs of a network: shapes, dtypes, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from costmodel.errors import DataError

if TYPE_CHECKING:
    from costmodel.algebra.symbols import Dim
    from costmodel.specs import InputShape

InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        "-i",
        metavar="[NAME=]SHAPE[:DTYPE]",
        help="Shape of an input, such as 1x3x224x224, images=1x3x640x640 or 1x128:int64.",
        show_default=False,
    ),
]
DimOption = Annotated[
    list[str] | None,
    typer.Option(
        "--dim",
        metavar="NAME=SIZE",
        help="Size that the network leaves open, such as batch=1.",
        show_default=False,
    ),
]


def parse_inputs(texts: Sequence[str] | None) -> tuple[InputShape, ...]:
    """Return the shapes and dtypes given by the options ``--input``.

    Raises
    ------
    DataError
        If an option has another form.

    Examples
    --------
    >>> parse_inputs(["1x3x224x224", "ids=1x128:int64"])[1]
    InputShape(shape=(1, 128), dtype='int64', name='ids')
    """
    return tuple(_input(text) for text in texts or ())


def _input(text: str) -> InputShape:
    name, equals, rest = text.rpartition("=")
    shape, _, dtype = rest.partition(":")
    sizes = shape.split("," if "," in shape else "x") if shape else []
    if (equals and not name) or len(sizes) > 64 or not all(_is_size(size) for size in sizes):
        raise DataError(
            f"--input {text[:80]!r} must be written as 1x3x224x224, name=1x3x224x224 or 1x128:int64"
        )
    from costmodel.specs import InputShape

    return InputShape(tuple(int(size) for size in sizes), dtype, name)


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16


def parse_dims(texts: Sequence[str] | None) -> dict[str, Dim]:
    """Return the sizes given by the options ``--dim``: numbers, names or expressions by name.

    Examples
    --------
    >>> parse_dims(["batch=1", "side=32*k"])
    {'batch': 1, 'side': 32*k}
    """
    from costmodel.algebra.written import parse_dim

    found: dict[str, Dim] = {}
    for text in texts or ():
        name, equals, size = text.partition("=")
        if not equals or not name or not size:
            raise DataError(f"--dim {text[:80]!r} must be written as name=size, as in batch=1")
        if name in found:
            raise DataError(f"--dim {name!r} is given twice")
        found[name] = parse_dim(size)
    return found
