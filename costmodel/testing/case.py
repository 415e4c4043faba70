"""An operator with valid inputs, and a template with open sizes.

The families of operators register their strategies here, in :data:`STRATEGIES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import networkx as nx
import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from costmodel import ops
from costmodel.algebra.sizes import taken
from costmodel.algebra.symbols import Dim, dim
from costmodel.graph.builder import Builder
from costmodel.ops.tensor import DTYPE_BYTES, REAL_OF, Tensor
from costmodel.testing.table import OperatorTable

Sizes = dict[str, Dim]
Bounds = dict[str, tuple[int, int]]

VARIANTS = 3
"""Variants of sizes of a template."""
BATCH: Bounds = {"n": (0, 2)}
"""Sizes of a batch."""
IMAGE: Bounds = {"n": (0, 2), "c": (0, 4), "h": (5, 7), "w": (5, 7)}
"""Sizes of an image."""


class Case(NamedTuple):
    """An operator and valid input tensors."""

    op: ops.Op
    inputs: tuple[Tensor, ...]

    def graph(self) -> nx.DiGraph:
        """Return the graph of the operator alone: its inputs, it, and its outputs.

        Raises
        ------
        ShapeError
            If the operator does not accept the inputs.

        Examples
        --------
        >>> list(Case(ops.Linear(8), (Tensor((1, 4)),)).graph())
        ['input', 'linear', 'output']
        """
        builder = Builder("operator")
        values = [builder.input(taken(x.shape), x.dtype) for x in self.inputs]
        if isinstance(self.op, ops.Output):
            return builder.finish(*values)
        made = builder.add_many(self.op, *values)
        return builder.finish(*made)


@dataclass(frozen=True)
class Template:
    """An operator with open sizes.

    Filled with ints, arrays or symbols it gives the same operator in the three domains that the
    formulas are written for.

    Parameters
    ----------
    build : callable
        Takes a size for each name and returns the operator with its inputs.
    variants : tuple of dict
        Some valid sizes, by name. In the first all are positive, like symbols; in the others
        some may be 0.

    Examples
    --------
    >>> row = Template(lambda s: Case(ops.Linear(8), (Tensor((s["n"], 4)),)), ({"n": 1}, {"n": 2}))
    >>> [str(make().inputs[0].shape) for make in (row.concrete, row.arrays, row.symbolic)]
    ['(1, 4)', '(array([1, 2]), 4)', '(n, 4)']
    """

    build: Callable[[Sizes], Case]
    variants: tuple[dict[str, int], ...]

    def concrete(self, number: int = 0) -> Case:
        """Return the operator at the sizes of one variant, as ints."""
        return self.build(dict(self.variants[number]))

    def symbolic(self) -> Case:
        """Return the operator with one symbol for each size, named like it."""
        return self.build({name: dim(name) for name in self.variants[0]})

    def arrays(self) -> Case:
        """Return the operator at all variants at once, as arrays."""
        names = self.variants[0]
        return self.build({name: np.array([v[name] for v in self.variants]) for name in names})


STRATEGIES: OperatorTable[Callable[[], SearchStrategy[Template]]] = OperatorTable(
    "strategy", "costmodel/testing, beside its family"
)
"""The strategy of each operator: a function that returns a strategy for templates."""


def fill(draw: DrawFn, bounds: Bounds, build: Callable[[Sizes], Case]) -> Template:
    """Draw the variants of sizes within ``bounds`` for the template of ``build``."""
    positive = {name: (max(low, 1), high) for name, (low, high) in bounds.items()}
    drawn = [draw(_sizes(limits)) for limits in (positive, *[bounds] * (VARIANTS - 1))]
    return Template(build, tuple(drawn))


def _sizes(bounds: Bounds) -> SearchStrategy[dict[str, int]]:
    return st.fixed_dictionaries({name: st.integers(*limits) for name, limits in bounds.items()})


def dtypes() -> SearchStrategy[str]:
    """Return a strategy for any real dtype of a tensor.

    Counting loops get only shapes, so they cannot tell that a complex number is two numbers.
    """
    return st.sampled_from(sorted(set(DTYPE_BYTES) - set(REAL_OF)))


def images(s: Sizes, dtype: str = "float32") -> tuple[Tensor, ...]:
    """Return one image of the sizes that :data:`IMAGE` names, as the inputs of an operator."""
    return (Tensor((s["n"], s["c"], s["h"], s["w"]), dtype),)


def on_images(*makers: Callable[[Sizes], ops.Op]) -> Callable[[], SearchStrategy[Template]]:
    """Return the strategy of an operator that takes any image, made by one of ``makers``."""

    @st.composite
    def strategy(draw: DrawFn) -> Template:
        make, dtype = draw(st.sampled_from(makers)), draw(dtypes())
        return fill(draw, IMAGE, lambda s: Case(make(s), images(s, dtype)))

    return strategy
