"""The ``costmodel`` command: parse, call, print. One file per command."""

from __future__ import annotations

from collections.abc import Callable


def main() -> None:
    """Run the command line and exit: 0 done, 1 findings, 2 bad input, 130 interrupted."""
    from costmodel.cli.ending import run_program

    run_program(_load, "costmodel")


def _load() -> Callable[[], object]:
    from costmodel.cli.app import app

    return app
