"""Strategies for operators by name, each defined next to its family.

Examples
--------
>>> from hypothesis import given, settings
>>> import costmodel as cm
>>> @settings(max_examples=10, database=None)
... @given(case=cases("Conv"))
... def counts_are_whole_numbers(case):
...     assert isinstance(cm.mac(case.op, *case.inputs), int)
>>> counts_are_whole_numbers()
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

# Each family registers its strategies when it is imported.
from costmodel.testing import arithmetic, movement, products, selection, windows  # noqa: F401
from costmodel.testing.case import STRATEGIES, VARIANTS, Case, Template


def templates(name: str | None = None) -> SearchStrategy[Template]:
    """Return a strategy for operators (of class ``name``) with open sizes.

    Raises
    ------
    DataError
        If the class has no strategy.
    """
    if name is None:
        return st.sampled_from(list(STRATEGIES)).flatmap(templates)
    return STRATEGIES[name]()


def cases(name: str | None = None) -> SearchStrategy[Case]:
    """Return a strategy for operators (of class ``name``) with int sizes and valid inputs.

    Inputs may be empty.

    Raises
    ------
    DataError
        If the class has no strategy.
    """
    return st.builds(Template.concrete, templates(name), st.integers(0, VARIANTS - 1))


def symbolic_cases(name: str | None = None) -> SearchStrategy[tuple[Case, dict[str, int]]]:
    """Return a strategy for symbolic operators, each with valid numbers for its symbols.

    Raises
    ------
    DataError
        If the class has no strategy.
    """
    return templates(name).map(lambda template: (template.symbolic(), template.variants[0]))
