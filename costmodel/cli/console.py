"""Where commands print to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def stdout() -> Console:
    """Return the console of results: colours on a terminal unless ``NO_COLOR`` is set."""
    from rich.console import Console

    # A stream of another encoding prints "?" for what it lacks instead of ending the program.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return Console(highlight=False, emoji=False, markup=False)


def print_json(document: dict[str, Any]) -> None:
    """Print a document, and nothing else, to standard output."""
    from costmodel.report import to_json

    print(to_json(document))


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that something is going on, on standard error and on terminals only."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield
