"""Output of the commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costmodel.cli.ending import drop_output
from costmodel.errors import printable

if TYPE_CHECKING:
    from rich.console import Console


def stdout() -> Console:
    """Return the console of results: colours on a terminal unless ``NO_COLOR`` is set."""
    # A stream with another encoding prints "?" for missing characters instead of raising.
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return safe_console()


def safe_console(stderr: bool = False) -> Console:
    r"""Return a console that prints text literally, without markup and control codes.

    Examples
    --------
    >>> safe_console().print("[red]a\x1b[2J")
    [red]a\x1b[2J
    """
    from rich.console import Console
    from rich.segment import Segment

    class SafeConsole(Console):
        def on_broken_pipe(self) -> None:
            """Exit with 0 when the reader closes the pipe; rich would exit with 1."""
            drop_output()
            raise SystemExit(0)

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            for segment in super().render(renderable, options):
                text = "\n".join(map(printable, segment.text.split("\n")))
                yield segment if segment.control else Segment(text, segment.style)

    return SafeConsole(stderr=stderr, highlight=False, emoji=False, markup=False)


def print_json(document: dict[str, Any]) -> None:
    """Print a document, and nothing else, to standard output."""
    from costmodel.report import to_json

    print(to_json(document))


def write_page(file: Path, text: str) -> None:
    """Write a page to ``file``, or print it if that is "-"."""
    from costmodel.graph.writing import write_atomically

    if str(file) == "-":
        print(text, end="")
        return
    write_atomically(file, text)
    print(f"wrote {file}")


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show progress on standard error, on terminals only."""
    from rich.text import Text

    console = safe_console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(printable(what))):
        yield
