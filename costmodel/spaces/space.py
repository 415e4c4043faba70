"""A design space: a function that builds a network, and the values of its parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import networkx as nx
import numpy as np

from costmodel.arguments import values_of
from costmodel.errors import DataError, listed

MAX_VARIANTS = 2**62
"""Most variants of a space: their numbers are 64-bit integers."""


@dataclass(frozen=True)
class Space:
    """A network with named choices.

    Parameters
    ----------
    name : str
        Its name.
    build : callable
        Returns the graph of a variant for choices given by name.
    choices : mapping
        The values of each parameter. [1]
    sizes : tuple of str
        Parameters that are only sizes: ``build`` accepts arrays of them, of any shapes that
        broadcast, and all their variants are one graph. The others may change the structure, so
        each of their combinations is built.

    Raises
    ------
    DataError
        If a parameter has no values, or a size has values that are not numbers.

    Examples
    --------
    >>> from costmodel import zoo
    >>> space = Space("layers", zoo.g1_stack, {"blocks": (1, 2), "c1": (8, 16), "c2": (8, 16, 24)},
    ...               sizes=("c1", "c2"))
    >>> space.count, space.variant(7)
    (12, {'blocks': 2, 'c1': 8, 'c2': 16})
    """

    name: str
    build: Callable[..., nx.DiGraph]
    choices: Mapping[str, Sequence[Any]]
    sizes: tuple[str, ...] = ()
    _order: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not callable(self.build):
            raise DataError(
                "name must be a text and build a function of the choices, got "
                f"{self.name!r} and {self.build!r}"
            )
        if not isinstance(self.choices, Mapping):
            raise DataError(f"choices must be a mapping of names to values, got {self.choices!r}")
        values_of(self.sizes, "sizes", "parameters")
        empty = next((n for n, values in self.choices.items() if not len(values)), None)
        if empty is not None or not self.choices:
            raise DataError(f"space {self.name}: {empty or 'it'} has no values to choose from")
        wrong = [n for n in self.sizes if n not in self.choices]
        wrong += [n for n in self.sizes if not all(_is_number(v) for v in self.choices.get(n, ()))]
        if wrong:
            raise DataError(f"space {self.name}: {wrong[0]} must have numbers to choose from")
        structural = [n for n in self.choices if n not in self.sizes]
        object.__setattr__(self, "_order", (*structural, *self.sizes))
        if math.prod(len(v) for v in self.choices.values()) > MAX_VARIANTS:
            raise DataError(f"space {self.name} has too many variants (at most 2**62)")

    def __repr__(self) -> str:
        return f"<Space {self.name}: {self.count:,} variants of {listed(self.choices, 6)}>"

    @property
    def count(self) -> int:
        """Number of variants."""
        return math.prod(len(values) for values in self.choices.values())

    @property
    def alike(self) -> int:
        """Number of variants of one structure."""
        return math.prod(len(self.choices[n]) for n in self.sizes)

    def places(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return the index of each parameter's value for the variants with these numbers [1]."""
        found, rest = {}, np.asarray(numbers, dtype=np.int64)
        for name in reversed(self._order):
            rest, found[name] = np.divmod(rest, len(self.choices[name]))
        return {name: found[name] for name in self.choices}

    def variant(self, number: int) -> dict[str, Any]:
        """Return the choices of a variant.

        Raises
        ------
        DataError
            If the space has no variant with this number.
        """
        if not 0 <= number < self.count:
            raise DataError(f"space {self.name} has variants 0 to {self.count - 1}, not {number}")
        places = self.places(np.array([number]))
        return {name: self.choices[name][int(place[0])] for name, place in places.items()}

    def graph(self, number: int) -> nx.DiGraph:
        """Return the graph of a variant."""
        return self.build(**self.variant(number))

    def structures(
        self, numbers: np.ndarray
    ) -> Iterator[tuple[np.ndarray, dict[str, Any], dict[str, np.ndarray]]]:
        """Yield the positions of variants of one structure, its choices, and arrays of sizes."""
        places = self.places(numbers)
        which = np.asarray(numbers, dtype=np.int64) // self.alike
        for structure in np.unique(which):
            own = np.flatnonzero(which == structure)
            fixed = {
                n: self.choices[n][int(places[n][own[0]])]
                for n in self.choices
                if n not in self.sizes
            }
            arrays = {n: np.asarray(self.choices[n])[places[n][own]] for n in self.sizes}
            yield own, fixed, arrays


def column_of(values: Sequence[Any]) -> np.ndarray:
    """Return the values of a parameter as a column: of one type, or of objects if they are mixed.

    Examples
    --------
    >>> column_of((8, 0.5)), column_of((None, 8)), column_of(((3, 3), (5, 5))).shape
    (array([8. , 0.5]), array([None, 8], dtype=object), (2,))
    """
    if all(map(_is_number, values)) or {type(v) for v in values} in ({bool}, {str}):
        return np.asarray(values)
    found = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):  # at once, a value that is a tuple would be a row
        found[i] = value
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)
