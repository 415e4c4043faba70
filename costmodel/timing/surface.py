r"""The error of the formula as a smooth function of the shape of a kernel: a Gaussian process.

The log residual :math:`f` of kernels of one kind and dtype has mean zero and is similar for similar
shapes. With :math:`x` the logarithms of the sizes of a kernel to base 2 and :math:`u_j` those of a
few measured rows,

.. math::

    f(x) = \sum_j a_j\, k(x, u_j), \qquad k(x, u) = e^{-|x - u| / \ell}, \qquad
    v(x) = s^2 \bigl(1 - k_u^T (K_{uu} + (n / s)^2 I)^{-1} k_u\bigr)

Far from every row :math:`f` is 0 and only the formula remains; the variance :math:`v` is then
:math:`s^2`, the whole variance of the formula's error. :mod:`costmodel.calibration.surfaces` learns
:math:`a`.

Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, MIT Press 2006, 2.2, 8.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from costmodel.algebra.later import is_expression, sympy
from costmodel.algebra.symbols import Dim, sqrt, total
from costmodel.timing.workload import Workload

_OWN = ("elementwise", "special", "pieces")
PRODUCT_SIZES = ("batch", "m", "n", "k", "height", "taps")
"""The sizes of a product that define its shape."""
SIZES = (*_OWN, "read_bytes", "weight_bytes", "write_bytes", "passes", *PRODUCT_SIZES)
"""The sizes that define a shape, in order; for products, those of the first product."""


@dataclass(frozen=True, eq=False)
class Surface:
    """The log residual of kernels of one kind and dtype over their shape.

    Parameters
    ----------
    kind, dtype : str
        Of the kernels.
    length : float
        Correlation length of residuals over shapes. [doubling of a size]
    signal, noise : float
        Standard deviation of the part that shapes explain, and of the rest. [1]
    shapes : ndarray
        Base-2 logarithms of one more than :data:`SIZES`, one row per measured kernel. [1]
    weights : ndarray
        Weight of each row. [1]
    """

    kind: str
    dtype: str
    length: float
    signal: float
    noise: float
    shapes: np.ndarray
    weights: np.ndarray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Surface) and same_fields(self, other)

    def mean(self, shape: Sequence[Dim]) -> Dim:
        """Return the log of time over formula of kernels of a shape (:func:`shape_of`) [1].

        For symbols, a function ``residual`` of them; the full expression would have hundreds of
        terms.
        """
        if any(is_expression(size) for size in shape):
            return self._function(*shape)
        found = zip(self.weights.tolist(), self._closeness(shape), strict=True)
        return total(weight * near for weight, near in found)

    def variance(self, shape: Sequence[Dim]) -> np.ndarray:
        """Return the variance of :meth:`mean`: the square of ``signal`` far from all rows [1]."""
        near = np.stack(np.broadcast_arrays(*map(np.asarray, self._closeness(shape))))
        own = closeness(self.shapes, self.shapes, self.length)
        own += (self.noise / self.signal) ** 2 * np.eye(len(own))
        flat = near.reshape(len(own), -1)
        known = np.sum(flat * np.linalg.solve(own, flat), axis=0)
        return np.asarray(self.signal**2 * np.maximum(0, 1 - known)).reshape(near.shape[1:])

    @property
    def _function(self) -> Any:
        name = f"residual_{self.kind}_{self.dtype}"

        def mean(*shape: Dim) -> Dim:
            return self.mean([np.asarray(size, dtype=float) for size in shape])

        from sympy.utilities.lambdify import implemented_function

        return implemented_function(name, mean)

    def _closeness(self, shape: Sequence[Dim]) -> Iterator[Dim]:
        for row in self.shapes.tolist():
            apart = total((x - u) ** 2 for x, u in zip(shape, row, strict=True))
            yield np.exp(-sqrt(apart) / self.length)


def closeness(a: np.ndarray, b: np.ndarray, length: float) -> np.ndarray:
    """Return ``k`` of every row of ``a`` and every row of ``b`` [1].

    Examples
    --------
    >>> closeness(np.zeros((1, 2)), np.array([[0.0, 0.0], [3.0, 4.0]]), 5.0).round(3).tolist()
    [[1.0, 0.368]]
    """
    apart = np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=-1))
    return np.asarray(np.exp(-apart / length))


def shape_of(w: Workload) -> list[Dim]:
    """Return the logarithms of the sizes of a kernel, in the order of :data:`SIZES` [1].

    Examples
    --------
    >>> from costmodel import zoo
    >>> from costmodel.kernels import lower
    >>> from costmodel.runtimes import load_runtime
    >>> from costmodel.timing.reuse import workloads
    >>> (w,) = workloads(lower(zoo.pointwise(1, 1, 31, 63), load_runtime("paper")))
    >>> dict(zip(SIZES, map(float, shape_of(w)), strict=True))["m"]
    6.0
    """
    sizes: list[Dim] = [getattr(w, name) for name in _OWN]
    sizes += [w.read_bytes, w.weights.bytes, w.writes.bytes, w.passes]
    first = w.products[:1]
    sizes += [getattr(first[0], name) if first else 0 for name in PRODUCT_SIZES]
    return [_log2(1 + size) for size in sizes]


def matching(w: Workload, surfaces: Sequence[Surface]) -> list[Surface]:
    """Return the surfaces of the kind and dtype of a kernel."""
    return [s for s in surfaces if (s.kind, s.dtype) == (w.kind, w.dtype)]


def missed(w: Workload, surfaces: Sequence[Surface]) -> Dim:
    """Return the log of time over formula of a kernel; 0 without a surface [1]."""
    found = matching(w, surfaces)
    return total(s.mean(shape_of(w)) for s in found) if found else 0


def spread(w: Workload, surfaces: Sequence[Surface], otherwise: float) -> np.ndarray:
    """Return the spread of the log time of a kernel [1].

    Parameters
    ----------
    w : Workload
        Kernels of numbers or arrays.
    surfaces : sequence of Surface
        If several match, such as those of several devices, their mean variance is used.
    otherwise : float
        The spread if no surface matches. [1]
    """
    found = matching(w, surfaces)
    if not found:
        return np.asarray(otherwise)
    variances = [s.noise**2 + s.variance(shape_of(w)) for s in found]
    return np.asarray(np.sqrt(sum(variances) / len(found)))


def _log2(value: Dim) -> Dim:
    return sympy.log(value) / sympy.log(2) if is_expression(value) else np.log2(value)


def exp(value: Dim) -> Dim:
    """Return the exponential: float, array or expression."""
    return sympy.exp(value) if is_expression(value) else np.exp(value)


def same_fields(one: Any, other: Any) -> bool:
    """Return whether two objects of one dataclass have equal fields, of which some are arrays."""
    pairs = ((getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    return all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else bool(a == b) for a, b in pairs
    )
