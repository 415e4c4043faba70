"""Data types in which a CPU engine computes tensors of narrow types."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from costmodel.errors import DataError, listed, suggest
from costmodel.kinds import KINDS
from costmodel.ops.tensor import HALVES, INTEGERS

INT8 = ("dot_product", "int8_matrix")
"""Instructions for 8-bit products beyond widening ones: SDOT and VNNI; SMMLA (Armv8.6)."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Narrow arithmetic that an engine has kernels for; the core must support it, too.

    Parameters
    ----------
    half : tuple of str
        Dtypes in which element-wise kernels, pools and similar kernels compute; other dtypes of two
        bytes are loaded and stored, but computed in float32. Products use the arithmetic of the
        core.
    float32 : tuple of str
        Kinds of kernel that store half precision and compute in float32, including products.
    int8 : tuple of str
        The instructions of :data:`INT8` that 8-bit products use.
    per_channel : tuple of str
        Integer dtypes whose weights have a scale for each output channel.
    scaled : tuple of str
        Kinds of kernel other than products that scale and round every 8-bit result.
    neon : tuple of str
        Kinds of kernel with 8-bit code for Arm's NEON only; x86 cores run them element by element.
    source : str
        Source of the rules.
    """

    half: tuple[str, ...] = ()
    float32: tuple[str, ...] = ()
    int8: tuple[str, ...] = ("dot_product",)
    per_channel: tuple[str, ...] = ()
    scaled: tuple[str, ...] = ()
    neon: tuple[str, ...] = ()
    source: str = "assumed: products in what the core has, everything else in float32"

    def int8_key(self) -> str:
        """Return the key of a core's lanes for 8-bit products.

        Examples
        --------
        >>> Arithmetic().int8_key(), Arithmetic(int8=()).int8_key()
        ('int8', 'int8_widening')
        """
        if "int8_matrix" in self.int8:
            return "int8_matrix"
        return "int8" if "dot_product" in self.int8 else "int8_widening"


def arithmetic_of(table: Any, file: str) -> Arithmetic:
    """Return the rules of the table ``arithmetic`` of a runtime file.

    Raises
    ------
    DataError
        If a field is missing, unknown or wrong.

    Examples
    --------
    >>> arithmetic_of({"int8": [], "source": "its documentation"}, "mine").int8
    ()
    """
    if not table:
        return Arithmetic()
    kinds = {
        "half": HALVES,
        "float32": tuple(KINDS),
        "int8": INT8,
        "per_channel": INTEGERS,
        "scaled": tuple(KINDS),
        "neon": tuple(KINDS),
    }
    for name in table:
        if name not in {field.name for field in fields(Arithmetic)}:
            raise DataError(f"{file}: arithmetic: unknown field {name!r}; {suggest(name, kinds)}")
    values: dict[str, Any] = {}
    for name, allowed in kinds.items():
        if name not in table:
            continue
        given = table[name]
        wrong = [v for v in given if v not in allowed] if isinstance(given, list) else [given]
        if wrong:
            raise DataError(
                f"{file}: arithmetic.{name} must be a list of {listed(allowed, 4)}, got "
                f"{wrong[0]!r}"
            )
        values[name] = tuple(given)
    source = table.get("source")
    if not isinstance(source, str) or not source.strip():
        raise DataError(f"{file}: arithmetic.source must say where the rules are known from")
    return Arithmetic(**values, source=" ".join(source.split()))
