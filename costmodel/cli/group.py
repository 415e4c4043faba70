"""The group of commands: those of the package, and those that other packages register."""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from costmodel.cli.ending import BAD_INPUT, INTERRUPTED, drop_output, sentence_of
from costmodel.cli.wording import in_words
from costmodel.errors import CostModelError, missing, sentence

ENTRY_POINTS = "costmodel.commands"
"""Entry points of this group are commands: a function or a ``typer.Typer``, by name."""


# Newer typer contains its own click, so the class must be taken from typer's exports.
_ClickError: Any = typer.BadParameter.__mro__[2]


class OnceCommand(TyperCommand):
    """A command that rejects a repeated option unless the option accepts several values."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the name of the command."""
        given: dict[str, int] = {}
        known = {
            name: param
            for param in self.params
            for name in param.opts
            if name.startswith("-") and not getattr(param, "is_flag", False)
        }
        words = iter(args)
        for word in words:
            if word == "--":
                break
            name, equals, _ = word.partition("=")
            if name not in known:
                continue
            if not equals:
                next(words, None)
            param = known[name]
            given[param.name] = given.get(param.name, 0) + 1
            if given[param.name] > 1 and not param.multiple:
                raise typer.BadParameter(
                    f"{self.name} takes one {param.opts[0]}: give it once", ctx=ctx
                )
        done: list[str] = super().parse_args(ctx, args)
        return done


class PlainGroup(TyperGroup):
    """Commands that report errors of usage, of the library and of the system as one sentence.

    The sentence goes to standard error. Exit codes: 2 bad input, 130 interrupted, else the
    command's own.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the requested command."""
        try:
            return super().invoke(ctx)
        except CostModelError as error:
            said, code = sentence(str(error)), BAD_INPUT
        except KeyboardInterrupt:
            said, code = "interrupted", INTERRUPTED
        except BrokenPipeError:  # the reader closed the pipe
            drop_output()
            raise typer.Exit(0) from None
        except ImportError as error:
            lacking = missing(error, str(ctx.invoked_subcommand or self.name))
            if lacking is None:
                raise
            said, code = str(lacking), BAD_INPUT
        except (OSError, MemoryError) as error:
            said, code = sentence_of(error), BAD_INPUT
        print(f"{self.name}: {said}", file=sys.stderr, flush=True)
        raise typer.Exit(code) from None

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


class CommandGroup(PlainGroup):
    """Built-in commands, and those of other packages, which are loaded on demand."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return all names, with those of other packages last."""
        own = super().list_commands(ctx)
        return [*own, *sorted(set(_registered()) - set(own))]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a name, or None."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        entry = _registered().get(cmd_name)
        return None if entry is None else _load(entry)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands without loading those of other packages."""
        registered, rows = _registered(), []
        names = self.list_commands(ctx)
        room = formatter.width - 6 - max(map(len, names))
        for name in names:
            said = None if name in self.commands else _summary(registered[name])
            rows.append((name, said or self.get_command(ctx, name).get_short_help_str(room)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _summary(entry: EntryPoint) -> str | None:
    """Return the first docstring line of the object of an entry point, read from its source.

    Returns None if there is no source or no docstring. The source is not imported, because
    importing a command takes longer than everything else that help does.
    """
    module, _, name = entry.value.partition(":")
    try:
        found = find_spec(module)
    except (ImportError, ValueError):
        return None
    if found is None or not found.origin or not found.origin.endswith(".py"):
        return None
    tree = ast.parse(Path(found.origin).read_text(encoding="utf-8"))
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    text = ast.get_docstring(functions[0] if functions else tree) or ""
    return text.partition("\n")[0] or None


def _show(name: str, error: Any) -> None:
    """Print an error of usage on one line, or the whole help if no command was given."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else name
    said = f"{name}: {in_words(sentence(error.format_message()))} (see {path} --help)"
    print(said, file=sys.stderr, flush=True)


def _registered() -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _load(entry: EntryPoint) -> Any:
    """Return the command of an entry point; a broken one reports the fault when it is run."""
    try:
        loaded = entry.load()
        app = loaded if isinstance(loaded, typer.Typer) else _app_of(entry.name, loaded)
        command = get_command(app)
    except Exception as error:  # no error of another package may end this program
        command = get_command(_app_of(entry.name, _broken(entry, error)))
    command.name = entry.name
    return command


def _app_of(name: str, function: Any) -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=OnceCommand)(function)
    return app


def _broken(entry: EntryPoint, error: Exception) -> Any:
    reason = f"{type(error).__name__}: {sentence(str(error))}"

    def command() -> None:
        raise CostModelError(f"command {entry.name!r} of {entry.value} cannot be loaded ({reason})")

    command.__doc__ = f"(cannot be loaded: {reason})"
    return command
