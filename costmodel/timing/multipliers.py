r"""Multipliers for each kind of kernel, for the host and for the device.

.. math::

    t = f_\text{device} \bigl(f_\text{host} \cdot \text{launch} +
        f_\text{kind} \cdot (t_\text{formula} - \text{launch})\bigr)

Whole networks rarely determine the separate parameters of a formula, but they can show that, for
example, pooling takes twice as long as its formula predicts, or that everything does. A multiplier
of 1 leaves the formula unchanged. The time that another value adds is a separate term, ``learned``,
so that a report shows where a multiplier and not the formula explains a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache

from costmodel.algebra.symbols import scaled
from costmodel.kinds import KINDS
from costmodel.timing.parameters import Parameter
from costmodel.timing.terms import Terms, Theta

HOST = "factor_host"
"""The multiplier of the fixed cost of a kernel: its launch, and its dispatch by a host."""
DEVICE = "factor_device"
"""The multiplier of all kernels, for a board at another clock or a misread clock."""
SPREAD = 0.2
"""Standard deviation of the logarithm of a multiplier before anything is measured. [1]"""
DEVICE_SPREAD = 0.5
"""The same for the multiplier of all kernels: priors can be off by a factor of two. [1]"""
_SOURCE = (
    "assumption: the formulas of a kind are off by about a fifth on a device that did not take "
    "part in their making"
)


def multiplier(kind: str) -> str:
    """Return the parameter that multiplies the time of kernels of ``kind``.

    Examples
    --------
    >>> multiplier("pool")
    'factor_pool'
    """
    return f"factor_{kind}"


@cache
def multipliers() -> tuple[Parameter, ...]:
    """Return all multipliers with their priors.

    Examples
    --------
    >>> [p.value for p in multipliers() if p.name == "factor_pool"]
    [1.0]
    """
    found = [
        (DEVICE, DEVICE_SPREAD, "time of all kernels, relative to their formulas"),
        (HOST, SPREAD, "launch and dispatch of all kernels, relative to their formulas"),
    ]
    for kind in KINDS:
        meaning = f"time of {kind} kernels beyond their launch, relative to the formula"
        found.append((multiplier(kind), SPREAD, meaning))
    return tuple(
        Parameter(name, 1.0, spread, 0.02, 50.0, "1", meaning, _SOURCE)
        for name, spread, meaning in found
    )


def with_multipliers(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """Return ``parameters`` with missing multipliers, fixed at 1.

    Calibrations made before multipliers existed have none.

    Examples
    --------
    >>> [(p.value, p.spread) for p in with_multipliers([]) if p.name == "factor_pool"]
    [(1.0, 0.0)]
    """
    own = tuple(parameters)
    names = {p.name for p in own}
    return own + tuple(
        replace(p, spread=0.0, source="") for p in multipliers() if p.name not in names
    )


def multiplied(terms: Terms, kind: str, q: Theta) -> Terms:
    """Return the terms of a kernel of ``kind`` with its multipliers.

    Examples
    --------
    >>> t = Terms(host=0.0, launch=1.0, compute=4.0, memory=0.0, passes=0.0, model=5.0)
    >>> q = {"factor_device": 1.0, "factor_host": 1.0, "factor_pool": 1.5}
    >>> found = multiplied(t, "pool", q)
    >>> found.learned, found.model
    (2.0, 7.0)
    """
    launch = scaled(q[DEVICE] * q[HOST] - 1, terms.launch)
    work = scaled(q[DEVICE] * q[multiplier(kind)] - 1, terms.model - terms.launch)
    learned = launch + work  # exactly zero if all multipliers are 1
    return replace(terms, host=terms.host * q[HOST], learned=learned, model=terms.model + learned)
