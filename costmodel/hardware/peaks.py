"""The dense peak of a device for a data type, with the source of the number."""

from __future__ import annotations

from pathlib import Path

from costmodel.errors import DataError, suggest
from costmodel.hardware.load import load_hardware
from costmodel.hardware.model import WIDER, Fact


def peak(device: str | Path, dtype: str = "float32") -> Fact:
    """Return the dense peak of a device for a data type, with the source of the number.

    A multiply-add counts as two operations; sparsity does not count. Tensor cores are used if the
    device has them for the type. A type without its own arithmetic runs in the fastest wider one,
    as in libraries.

    Parameters
    ----------
    device : str or Path
        As for :func:`~costmodel.hardware.load_hardware`: a name, the path of a file, or ``"host"``.
    dtype : str
        Data type of the operands, such as ``"bfloat16"``.

    Returns
    -------
    Fact
        ``value`` [FLOP/s] of all units at the clock for which the maker states it; ``source`` is
        the document or the formula, ``kind`` states whether it is printed, derived or assumed, and
        ``note`` has caveats.

    Raises
    ------
    DataError
        If there is no such device or data type, or the device has no peak for it.

    Examples
    --------
    >>> found = peak("l40s", "bfloat16")
    >>> found.value, found.source
    (362050000000000.0, 'NVIDIA L40S datasheet (2023)')
    >>> peak("gtx-1080-ti", "float16") == peak("gtx-1080-ti", "float32")
    True
    """
    hardware = load_hardware(device)
    if not isinstance(dtype, str) or dtype not in WIDER:
        raise DataError(f"data type {dtype!r} is unknown; {suggest(str(dtype), WIDER)}")
    facts = [hardware.facts[f"peak.{key}"] for key in WIDER[dtype] if key in hardware.peak]
    if not facts:
        raise DataError(
            f"hardware {hardware.name} has no peak for {dtype}; it has {', '.join(hardware.peak)}"
        )
    return max(facts, key=lambda fact: fact.value)
