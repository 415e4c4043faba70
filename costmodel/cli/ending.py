"""How every command ends: the same exit codes, and one sentence for whatever is wrong."""

from __future__ import annotations

import sys
from typing import Any

import typer
from typer.core import TyperGroup

from costmodel.errors import CostModelError, sentence

BAD_INPUT = 2
INTERRUPTED = 130
# Newer typer has a click of its own, so that the class is reached through what typer exports.
_ClickError: Any = typer.BadParameter.__mro__[2]


class EndingGroup(TyperGroup):
    """Commands whose errors, of use and of the library, are one sentence on standard error.

    Exit codes: 2 bad input, 130 interrupted, else what the command says.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except CostModelError as error:
            print(f"{self.name}: {sentence(str(error))}", file=sys.stderr)
            raise typer.Exit(BAD_INPUT) from None
        except KeyboardInterrupt:
            print(f"{self.name}: interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command line and, in standalone mode, exit."""
        try:
            done = super().main(*args, **{**extra, "standalone_mode": False})
        except typer.Abort:
            done = INTERRUPTED
        except _ClickError as error:
            if not standalone_mode:
                raise
            _show(str(self.name), error)
            done = error.exit_code
        if not standalone_mode:
            return done
        sys.exit(done if isinstance(done, int) else 0)


def _show(name: str, error: Any) -> None:
    """Print an error of use in one line, and the whole help where nothing was asked for."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else name
    print(f"{name}: {sentence(error.format_message())} (see {path} --help)", file=sys.stderr)
