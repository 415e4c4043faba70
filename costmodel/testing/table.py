"""A table with one entry per operator, filled next to the family of the operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from costmodel.errors import DataError
from costmodel.ops import OPERATORS

Entry = TypeVar("Entry")


class OperatorTable(Generic[Entry]):
    """A table with one entry per operator name; rejects duplicates.

    Parameters
    ----------
    what : str
        The name of an entry, for messages: ``"strategy"``.
    place : str
        Location of an entry, for messages.

    Examples
    --------
    >>> loops = OperatorTable("counting loop", "tests/oracles")
    >>> @loops.register("Conv")
    ... def conv(): ...
    >>> "Conv" in loops
    True
    >>> loops.register("Conv")(conv)
    Traceback (most recent call last):
    ...
    ValueError: operator 'Conv' has two entries of the kind counting loop
    >>> loops["Pool"]
    Traceback (most recent call last):
    ...
    costmodel.errors.DataError: operator 'Pool' has no counting loop: register one in tests/oracles
    """

    def __init__(self, what: str, place: str) -> None:
        self._what = what
        self._place = place
        self._entries: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Entry], Entry]:
        """Return a decorator that registers an entry under the operator's ``name``.

        Raises
        ------
        ValueError
            If the name has an entry.
        """

        def file(entry: Entry) -> Entry:
            if name in self._entries:
                raise ValueError(f"operator {name!r} has two entries of the kind {self._what}")
            self._entries[name] = entry
            return entry

        return file

    def __getitem__(self, name: str) -> Entry:
        try:
            return self._entries[name]
        except KeyError:
            raise DataError(f"operator {name!r} {self._remedy()}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, sorted."""
        return iter(sorted(self._entries))

    def check_complete(self) -> None:
        """Raise unless every operator has an entry, and every entry an operator.

        Raises
        ------
        DataError
            It names all of them.
        """
        missing = sorted(set(OPERATORS) - set(self._entries))
        if missing:
            raise DataError(f"operators {', '.join(missing)}: each {self._remedy()}")
        unknown = sorted(set(self._entries) - set(OPERATORS))
        if unknown:
            raise DataError(
                f"{self._what} of {', '.join(unknown)}: no operator of that name is in "
                "costmodel.ops.OPERATORS"
            )

    def _remedy(self) -> str:
        return f"has no {self._what}: register one in {self._place}"
