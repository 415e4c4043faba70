"""Directives ``parameters`` and ``operators``: tables made from the package itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Parameters(SphinxDirective):
    """The parameters of the time model of a kind of hardware: ``gpu`` or ``cpu``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from costmodel.timing.parameters import priors

        rows = [
            (
                p.name,
                p.meaning,
                f"{p.value:g} {_unit(p.unit)}",
                f"{p.spread:g}",
                f"{p.lower:g} to {p.upper:g}",
            )
            for p in priors(self.arguments[0])
        ]
        head = ("name", "meaning", "median of the prior", "spread of its logarithm", "range")
        return [table(head, rows, (12, 44, 18, 12, 14))]


class Operators(SphinxDirective):
    """Every operator with its file and the first line of its documentation."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        from costmodel.ops import OPERATORS

        rows = [
            (name, cls.__module__.rpartition(".")[2] + ".py", _summary(cls.__doc__ or ""))
            for name, cls in sorted(OPERATORS.items())
        ]
        return [table(("operator", "file in ops/", "what it is"), rows, (20, 18, 62))]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int]) -> nodes.table:
    """Return a table of text; names (the first column) are set as code."""
    group = nodes.tgroup(cols=len(head))
    group += [nodes.colspec(colwidth=width) for width in widths]
    group += nodes.thead("", _row(head, code=False))
    group += nodes.tbody("", *(_row(row, code=True) for row in rows))
    return nodes.table("", group)


def _row(cells: Sequence[str], code: bool) -> nodes.row:
    row = nodes.row()
    for i, cell in enumerate(cells):
        text = nodes.literal(cell, cell) if code and i == 0 else nodes.Text(cell)
        row += nodes.entry("", nodes.paragraph("", "", text))
    return row


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit


def _summary(docstring: str) -> str:
    first = docstring.strip().split("\n\n")[0]
    return " ".join(first.split()).replace("``", "")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("parameters", Parameters)
    app.add_directive("operators", Operators)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
