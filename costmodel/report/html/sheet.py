"""The frame of every page: one file with styles and scripts in it, which loads nothing."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib import resources

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
COUNTS = (
    "A multiply-add is one multiplication and one addition: 2 FLOPs. MAC is memory access cost: "
    "every input, weight and output of every operator, once, nothing fused. Prefixes are decimal. "
    "Counts are exact; times are predicted, not measured."
)
"""Conventions of all figures."""


def sheet(
    title: str, summary: str, sections: Iterable[tuple[str, str, str]], scripts: str = ""
) -> str:
    """Return a page.

    Parameters
    ----------
    title : str
        Its title, as text.
    summary : str
        HTML that precedes the sections.
    sections : iterable of (str, str, str)
        Id, heading and HTML of each.
    scripts : str
        HTML behind the sections, after the script of the tables.

    Examples
    --------
    >>> sheet("net", "<p>fast</p>", [("terms", "Terms", "")]).splitlines()[0]
    '<!doctype html>'
    """
    parts = list(sections)
    links = "".join(f'<a href="#{key}">{head}</a>' for key, head, _ in parts)
    body = "\n".join(
        f'<section id="{key}"><h2>{head}</h2>\n{content}</section>' for key, head, content in parts
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{escape(title)}</title>\n<style>{asset('page.css')}</style>\n</head>\n"
        f"<body><main>\n<h1>{escape(title)}</h1>\n{summary}\n<nav>{links}</nav>\n{body}\n</main>\n"
        f"<script>{asset('page.js')}</script>\n{scripts}</body>\n</html>\n"
    )


def asset(name: str) -> str:
    """Return the text of a file beside this one."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8").strip()
