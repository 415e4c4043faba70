"""The kinds of kernel: one table that operators, runtimes, time formulas and plots refer to.

A new kind takes one row here and one entry in each table checked by :func:`complete`. A table
without it, or with an unknown name, fails when its module is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")

Part = Literal["Conv", "Elemwise", "Shuffle", "Other"]
"""A share of the time in Figure 2 of the ShuffleNet V2 paper; inputs and outputs are "Data"."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Properties of all kernels of a kind, independent of the hardware.

    Parameters
    ----------
    group : str
        The name of its group in the fusion rules of runtime files.
    product : bool
        Whether its multiply-adds are matrix products (:class:`~costmodel.ops.product.Product`).
    elementwise : bool
        Whether guideline G4 counts it as element-wise: high traffic relative to its arithmetic.
    part : str
        Its part in Figure 2.
    """

    group: str
    product: bool
    elementwise: bool
    part: Part


KINDS: Mapping[str, Kind] = {
    "pointwise": Kind("convolution", True, False, "Conv"),
    "convolution": Kind("convolution", True, False, "Conv"),
    "grouped": Kind("convolution", True, False, "Conv"),
    "depthwise": Kind("convolution", True, True, "Conv"),
    "linear": Kind("linear", True, False, "Conv"),
    "matmul": Kind("matmul", True, False, "Other"),
    "attention": Kind("attention", True, False, "Other"),
    "recurrent": Kind("recurrent", True, False, "Other"),
    "elementwise": Kind("elementwise", False, True, "Elemwise"),
    "batch_norm": Kind("elementwise", False, True, "Elemwise"),
    "norm": Kind("norm", False, True, "Other"),
    "softmax": Kind("norm", False, True, "Other"),
    "pool": Kind("pool", False, False, "Other"),
    "max_pool": Kind("pool", False, False, "Other"),
    "resample": Kind("resample", False, False, "Other"),
    "gather": Kind("gather", False, False, "Other"),
    "copy": Kind("copy", False, True, "Shuffle"),
}
"""All kinds of kernel by name."""

GROUPS: tuple[str, ...] = tuple(sorted({kind.group for kind in KINDS.values()}))
"""The groups of kinds used in fusion rules."""


def complete(table: Mapping[str, T], name: str) -> Mapping[str, T]:
    """Return ``table`` if its keys are exactly the kinds of kernel.

    Parameters
    ----------
    table : mapping
        An entry for each kind, for example a formula or a colour.
    name : str
        Name of the table in the error.

    Raises
    ------
    LookupError
        If a kind is missing, or an entry is not a kind.

    Examples
    --------
    >>> complete({"copy": 1}, "weights")
    Traceback (most recent call last):
    ...
    LookupError: the table of weights has no entry for the kinds attention, batch_norm, ...
    """
    missing = sorted(set(KINDS) - set(table))
    unknown = sorted(set(table) - set(KINDS))
    if missing:
        raise LookupError(f"the table of {name} has no entry for the kinds {', '.join(missing)}")
    if unknown:
        raise LookupError(f"the table of {name} has entries for unknown kinds {', '.join(unknown)}")
    return table
