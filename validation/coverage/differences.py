"""The kinds of difference from the independent count, and formulas of their operators."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MOST = 10
"""Maximum number of kinds of difference in the table. [1]"""
_FILE = Path(__file__).with_name("differences.toml")


@dataclass(frozen=True)
class Difference:
    """One kind of difference.

    Parameters
    ----------
    name : str
        Its name in the table.
    operators : tuple of str
        The ATen operators (``aten::mv``) that the independent count does not know.
    reason : str
        Why, in a few words.
    """

    name: str
    operators: tuple[str, ...]
    reason: str


@cache
def differences() -> dict[str, Difference]:
    """Return the table by operator.

    Examples
    --------
    >>> differences()["aten::mv"].name
    'vectors'
    >>> set(differences()) == set(FORMULAS), len(reasons()) <= MOST
    (True, True)
    """
    return {operator: kind for kind in _kinds() for operator in kind.operators}


def reasons() -> dict[str, str]:
    """Return the reason of each kind of difference."""
    return {kind.name: kind.reason for kind in _kinds()}


@cache
def _kinds() -> tuple[Difference, ...]:
    table = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        Difference(name, tuple(row["operators"]), row["reason"]) for name, row in table.items()
    )


def _matrix_vector(place: int) -> Callable[..., int]:
    """Return the formula of a product whose matrix is the argument at ``place``."""
    return lambda args, out: int(args[place].numel())


def _summed(args: Any, out: Any) -> int:
    """``[b, n, m] x [b, m, p]``, added up over the batch."""
    return int(args[1].numel() * args[2].shape[-1])


def _bilinear(args: Any, out: Any) -> int:
    """Rows times a learned cube ``[out, left, right]``, then times other rows."""
    left, cube = args[:2]
    outputs, width = cube.shape[-3:-1]
    rows = left.numel() // left.shape[-1]
    return int(rows * outputs * cube.shape[-1] * (width + 1))


def _grouped(args: Any, out: Any) -> int:
    """Rows times the matrix of their group: ``[rows, k] x [groups, k, n]``, or a batch."""
    return int(args[0].numel() * args[1].shape[-1])


def _distances(args: Any, out: Any) -> int:
    """Every pair of ``[rows, features]`` and ``[columns, features]``."""
    return int(out.numel() * args[0].shape[-1])


def _complex(first: int) -> Callable[..., int]:
    """Return the three more products of a complex one whose left operand is at ``first``."""
    return lambda args, out: int(3 * out.numel() * args[first].shape[-1]) * out.is_complex()


def _deformable(args: Any, out: Any) -> int:
    """Multiply-adds of a deformable convolution."""
    weight = args[1]
    return int(out.numel() * weight[0].numel())


FORMULAS: Mapping[str, Callable[[Any, Any], int]] = {
    "aten::mv": _matrix_vector(0),
    "aten::addmv": _matrix_vector(1),
    "aten::dot": _matrix_vector(0),
    "aten::vdot": _matrix_vector(0),
    "aten::addbmm": _summed,
    "aten::_trilinear": _bilinear,
    "aten::_grouped_mm": _grouped,
    "aten::mm": _complex(0),
    "aten::bmm": _complex(0),
    "aten::addmm": _complex(1),
    "aten::baddbmm": _complex(1),
    "aten::_cdist_forward": _distances,
    "aten::_euclidean_dist": _distances,
    "torchvision::deform_conv2d": _deformable,
}
"""Multiply-adds that an operator adds to the independent count, of its arguments and its output.
[multiply-add]"""
