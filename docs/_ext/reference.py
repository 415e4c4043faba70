"""Directive ``commands``: what every command of the program says of itself, a section each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from command import run
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Commands(SphinxDirective):
    """The help of ``costmodel`` and of all its commands, of those of groups, too."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each command."""
        return [_section(words, text) for words, text in helps(["costmodel"])]


def helps(words: list[str]) -> Iterator[tuple[list[str], str]]:
    """Yield the words and the help of a command, then of what it lists as its own commands.

    >>> next(helps(["costmodel"]))[0]
    ['costmodel']
    """
    _, text = run(" ".join([*words, "--help"]), Path())
    yield words, text
    if len(words) > 2:
        return
    listed = text.partition("\nCommands:\n")[2]
    for name in re.findall(r"^  (\S+)", listed, re.M):
        yield from helps([*words, name])


def _section(words: list[str], text: str) -> nodes.section:
    name = " ".join(words)
    section = nodes.section("", nodes.title("", name), ids=["-".join(words)], names=[name])
    section += nodes.literal_block(text.rstrip(), text.rstrip(), language="text")
    return section


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
