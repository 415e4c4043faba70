"""How a CPU engine splits the products of convolutions into blocks of outputs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from costmodel.errors import DataError


@dataclass(frozen=True, slots=True)
class Blocks:
    """The rule by which an engine splits products, and by which it takes Winograd's algorithms.

    An image is brought into the order of the product as a whole, and every block of outputs reads
    all of it. A 3x3 convolution of stride 1 whose inputs or outputs fill two vectors takes
    F(6x6, 3x3) up to ``winograd_most`` channels, else F(4x4, 3x3) if inputs and outputs fill two
    vectors, else F(2x2, 3x3). Their blocks are those of the micro-kernel.

    Parameters
    ----------
    height : int
        Outputs of a block on one core, in bytes of one pixel. [byte]
    kernel : int
        Outputs of the micro-kernel, of which a block has a multiple. [1]
    winograd_most : int
        Most inputs, and most outputs, of F(6x6, 3x3). [1]
    winograd_dot_product : bool
        Whether Winograd's algorithm exists for 8-bit products on cores with dot products.
    """

    height: int
    kernel: int
    winograd_most: int
    winograd_dot_product: bool


def blocks_of(table: Any, file: str) -> dict[int, Blocks]:
    """Return the rules of the table ``packs.blocks`` of a runtime file, by the bytes of a vector.

    Raises
    ------
    DataError
        If an entry is not a complete rule.

    Examples
    --------
    >>> rule = {"height": 128, "kernel": 8, "winograd_most": 128, "winograd_dot_product": False}
    >>> blocks_of({"16": rule}, "mine")[16].kernel
    8
    """
    kinds = {field.name: bool if field.type == "bool" else int for field in fields(Blocks)}
    if not isinstance(table, dict) or not all(key.isdecimal() for key in table):
        raise DataError(
            f"{file}: packs.blocks must be a table by the bytes of a vector, got {table!r}"
        )
    for size, rule in table.items():
        if not isinstance(rule, dict) or rule.keys() != kinds.keys():
            raise DataError(f"{file}: packs.blocks.{size} must have the fields {', '.join(kinds)}")
        for name, value in rule.items():
            if type(value) is not kinds[name] or (kinds[name] is int and value < 1):
                what = "true or false" if kinds[name] is bool else "a count"
                raise DataError(f"{file}: packs.blocks.{size}.{name} must be {what}, got {value!r}")
    return {int(size): Blocks(**rule) for size, rule in table.items()}
