"""Options that a command would not use beside others: refused, never ignored."""

from __future__ import annotations

from collections.abc import Mapping

import typer


def refuse_unused(given: Mapping[str, bool], why: str) -> None:
    """Refuse the options that the user gave, because they would have no effect.

    Parameters
    ----------
    given : mapping of str to bool
        Options by name, and whether the user gave them.
    why : str
        The reason: a clause that the names follow.

    Raises
    ------
    typer.BadParameter
        If one of them is given.

    Examples
    --------
    >>> try:
    ...     refuse_unused({"--depth": True, "--json": False}, "--csv prints rows of operators")
    ... except typer.BadParameter as error:
    ...     print(error)
    --csv prints rows of operators: leave out --depth
    """
    named = [option for option, is_given in given.items() if is_given]
    if named:
        raise typer.BadParameter(f"{why}: leave out {' and '.join(named)}")
