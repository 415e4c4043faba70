"""The ``costmodel`` command: parse, call, print. One file a command."""

from __future__ import annotations


def main() -> None:
    """Run the command line and exit: 0 done, 1 findings, 2 bad input, 130 interrupted."""
    import sys

    try:
        from costmodel.cli.app import app
    except KeyboardInterrupt:
        sys.exit(130)
    app()
