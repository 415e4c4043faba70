"""Tables from foreign operator names to the functions that import them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Generic, TypeVar

from costmodel.errors import UnknownOperatorError, listed

Handler = TypeVar("Handler", bound=Callable[..., object])


class UnsupportedFormError(Exception):
    """Raised by a handler for a form of its operator that ``costmodel`` cannot express."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An unknown operator: its foreign name, its location, and the unsupported form, if any.

    Parameters
    ----------
    name : str
        The foreign name (``aten.fft_rfft2``, ``QLinearConv``).
    where : str
        Module path and node name in the source.
    reason : str
        The unsupported form of a known operator; ``""`` for an unknown one.
    """

    name: str
    where: str
    reason: str = ""

    @property
    def label(self) -> str:
        """The name, with the reason in brackets where there is one."""
        return f"{self.name} [{self.reason}]" if self.reason else self.name


class Registry(Generic[Handler]):
    """The handlers of one importer by foreign operator name.

    Parameters
    ----------
    source : str
        What the names belong to, for messages.

    Examples
    --------
    >>> layers = Registry("ncnn")
    >>> @layers.register("ReLU")
    ... def relu(): ...
    >>> "ReLU" in layers
    True
    >>> layers.register("ReLU")(relu)
    Traceback (most recent call last):
    ...
    ValueError: ncnn operator 'ReLU' is registered twice
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._handlers: dict[str, Handler] = {}
        self._of_users: dict[str, Handler] = {}
        self._find: Callable[[str], Handler | None] = lambda name: None

    def register(self, *names: str) -> Callable[[Handler], Handler]:
        """Return a decorator that registers a handler under ``names``; rejects duplicates."""

        def file(handler: Handler) -> Handler:
            for name in names:
                if name in self._handlers:
                    raise ValueError(f"{self._source} operator {name!r} is registered twice")
                self._handlers[name] = handler
            return handler

        return file

    def replacing(self, name: str) -> Callable[[Handler], Handler]:
        """Return a decorator that registers a user's handler under ``name``.

        It goes before any other of that name, whichever was there first: a cell of a notebook runs
        more than once, and ours are loaded when they are needed.
        """

        def file(handler: Handler) -> Handler:
            self._of_users[name] = handler
            return handler

        return file

    def fall_back(self, find: Callable[[str], Handler | None]) -> Callable[[str], Handler | None]:
        """Register, as a decorator, a function that finds handlers for names without one.

        Examples
        --------
        >>> layers = Registry("ncnn")
        >>> @layers.fall_back
        ... def activation(name): return print if name.endswith("LU") else None
        >>> "SiLU" in layers, "Pooling" in layers
        (True, False)
        """
        self._find = find
        return find

    def __contains__(self, name: object) -> bool:
        if name in self._of_users or name in self._handlers:
            return True
        return isinstance(name, str) and self._find(name) is not None

    def __getitem__(self, name: str) -> Handler:
        for handlers in (self._of_users, self._handlers):
            if name in handlers:
                return handlers[name]
        found = self._find(name)
        if found is None:
            raise KeyError(name)
        return found

    def items(self) -> tuple[tuple[str, Handler], ...]:
        """Return names and handlers, in the order of registration, those of users last."""
        return tuple((self._handlers | self._of_users).items())

    def names(self) -> tuple[str, ...]:
        """Return the known names, sorted."""
        return tuple(sorted({*self._handlers, *self._of_users}))


def load_modules(package: ModuleType) -> tuple[str, ...]:
    """Import all modules in the folder of ``package`` to run their registrations.

    A new file needs no further registration. The folder may be part of a zip file.

    Returns
    -------
    tuple of str
        The full names of the modules.

    Examples
    --------
    >>> from costmodel.importers.ncnn import handlers
    >>> "costmodel.importers.ncnn.handlers.movement" in load_modules(handlers)
    True
    """
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return tuple(importlib.import_module(module.name).__name__ for module in found)


def refuse_unknown(importer: str, unknown: Iterable[Occurrence]) -> None:
    """Raise one error that lists the operators of ``unknown`` and their locations.

    A long list ends with the number of omitted ones.

    Raises
    ------
    UnknownOperatorError

    Examples
    --------
    >>> refuse_unknown("from_onnx", [Occurrence("NonZero", "head/nz")])
    Traceback (most recent call last):
    ...
    costmodel.errors.UnknownOperatorError: from_onnx does not know 1 operator: NonZero ...
    """
    places: dict[str, list[str]] = {}
    for occurrence in unknown:
        places.setdefault(occurrence.label, []).append(occurrence.where)
    if not places:
        return
    named = [f"{name} ({_places(where)})" for name, where in places.items()]
    plural = "s" if len(places) > 1 else ""
    raise UnknownOperatorError(
        f"{importer} does not know {len(places)} operator{plural}: {listed(named, 3, '; ')}; "
        "strict=False leaves them out"
    )


def _places(where: list[str], most: int = 3) -> str:
    more = f" and {len(where) - most} more" if len(where) > most else ""
    return f"at {', '.join(where[:most])}{more}"
