"""Directive ``command``: run when the pages are built, shown with what it prints.

All commands of one page run in one temporary folder, which starts as a copy of ``docs/data``. A
command that does not end with the exit code of the option ``exit`` (by default 0) is a warning.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tempfile
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

DATA = Path(__file__).parents[1] / "data"
_LOG = logging.getLogger(__name__)
_FOLDERS: dict[str, tempfile.TemporaryDirectory[str]] = {}


class Command(SphinxDirective):
    """Run ``costmodel ...`` (or ``python -m validation ...``), a command a line."""

    has_content = True
    option_spec = {"exit": directives.nonnegative_int, "head": directives.positive_int}

    def run(self) -> list[nodes.Node]:
        """Return the commands and their output as one literal block."""
        shown = []
        for line in self.content:
            code, output = run(line, _folder(self.env.docname))
            if code != self.options.get("exit", 0):
                _LOG.warning(
                    "%r ended with %d:\n%s", line, code, output, location=self.get_location()
                )
            lines = output.rstrip().splitlines()
            head = self.options.get("head", len(lines))
            more = ["..."] if head < len(lines) else []
            shown += [f"$ {line}", *(text.rstrip() for text in lines[:head]), *more]
        block = nodes.literal_block("\n".join(shown), "\n".join(shown), language="text")
        block["classes"].append("command")
        return [block]


def run(line: str, folder: Path) -> tuple[int, str]:
    """Run one command in ``folder``; return its exit code and what it printed."""
    from typer.testing import CliRunner

    program, *arguments = shlex.split(line)
    if program == "costmodel":
        from costmodel.cli.app import app
    elif [program, *arguments[:2]] == ["python", "-m", "validation"]:
        from costmodel_validation.__main__ import app

        arguments = arguments[2:]
    else:
        raise SphinxError(f"no command that pages may run: {line}")
    environment = {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    here = os.getcwd()
    with contextlib.ExitStack() as stack:
        stack.callback(os.chdir, here)
        os.chdir(folder)
        result = CliRunner().invoke(app, arguments, prog_name=program, env=environment)
    return result.exit_code, result.output


def _folder(page: str) -> Path:
    if page not in _FOLDERS:
        _FOLDERS[page] = tempfile.TemporaryDirectory()  # goes when the build ends
        shutil.copytree(DATA, _FOLDERS[page].name, dirs_exist_ok=True)
    return Path(_FOLDERS[page].name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("command", Command)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
