"""The group of commands: what comes with the package, and what others register beside it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.main import get_command

from costmodel.cli.ending import EndingGroup
from costmodel.errors import CostModelError, sentence

ENTRY_POINTS = "costmodel.commands"
"""Entry points of this group are commands: a function or a ``typer.Typer``, by name."""


class CommandGroup(EndingGroup):
    """Built-in commands and, loaded only when asked for, those of other packages."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return all names, those of other packages last."""
        own = super().list_commands(ctx)
        return [*own, *sorted(set(_registered()) - set(own))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a name, or None."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        entry = _registered().get(cmd_name)
        return None if entry is None else _load(entry)


def _registered() -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _load(entry: EntryPoint) -> Any:
    """Return the command of an entry point; one that is broken says so when it is run."""
    try:
        loaded = entry.load()
        app = loaded if isinstance(loaded, typer.Typer) else _app_of(entry.name, loaded)
        command = get_command(app)
    except Exception as error:  # whatever another package does must not end this one
        command = get_command(_app_of(entry.name, _broken(entry, error)))
    command.name = entry.name
    return command


def _app_of(name: str, function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name)(function)
    return app


def _broken(entry: EntryPoint, error: Exception) -> Any:
    reason = f"{type(error).__name__}: {sentence(str(error))}"

    def command() -> None:
        raise CostModelError(f"command {entry.name!r} of {entry.value} cannot be loaded ({reason})")

    command.__doc__ = f"(cannot be loaded: {reason})"
    return command
